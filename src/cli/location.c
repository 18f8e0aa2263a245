/* location.c - opens and describes a repository that the configuration names. */
#include "cli/location.h"

#include "repo/targets/source-spec.h"

BkRepository *
bk_cli_repository_open(const BkConfig *config, const char *name, BkOp *op, GError **error)
{
    const BkConfigRepository *repository = bk_config_find_repository(config, name);
    BkRepositorySpec spec;

    if (repository == NULL)
        return bk_throw_null(error, BK_ERROR_USAGE, "there is no repository \"%s\" in \"%s\"", name,
                             config->path);
    spec = (BkRepositorySpec){
        .name = repository->name,
        .place = repository->location,
        .key_file = repository->key_file,
    };
    return bk_repository_spec_open(&spec, NULL, op, error);
}

char *
bk_cli_location_describe(const BkConfigRepository *repository)
{
    return repository->s3 != NULL ? bk_config_s3_describe(&repository->s3->options)
                                  : g_strdup(repository->path);
}
