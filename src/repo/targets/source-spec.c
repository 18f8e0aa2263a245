/* source-spec.c - a source as the engine needs to know it, and its opened repositories. */
#include "repo/targets/source-spec.h"

typedef BkRepository *(*Opening)(const BkLocation *place, const char *name, const BkKeyFile *key,
                                 const char *source, BkOp *op, GError **error);

static BkRepository *
open_by(Opening open, const BkRepositorySpec *spec, const char *source, BkOp *op, GError **error)
{
    g_auto(BkKeyFile) key = {0};
    BkRepository *repository;
    GError *cause = NULL;

    if (!bk_key_file_read(spec->key_file, &key, error))
        return NULL;
    repository = open(&spec->place, spec->name, &key, source, op, &cause);
    if (bk_error_is(cause, BK_ERROR_KEY))
        (void)bk_prefix(&cause, "key file \"%s\"", spec->key_file);
    if (repository == NULL)
        g_propagate_error(error, cause);
    return repository;
}

BkRepository *
bk_repository_spec_open(const BkRepositorySpec *spec, const char *source, BkOp *op, GError **error)
{
    return open_by(bk_repository_open_at, spec, source, op, error);
}

BkRepository *
bk_repository_spec_open_kept(const BkRepositorySpec *spec, const char *source, BkOp *op,
                             GError **error)
{
    return open_by(bk_repository_open_kept, spec, source, op, error);
}
