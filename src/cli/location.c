#include "cli/location.h"

#include "repo/object-kind.h"
#include "repo/targets/source-spec.h"

static BkS3Options
options_of(const BkConfigS3 *s3)
{
    return (BkS3Options){
        .bucket = s3->bucket,
        .prefix = s3->prefix,
        .region = s3->region,
        .endpoint = s3->endpoint,
        .address = s3->is_path_style ? BK_S3_ADDRESS_PATH : BK_S3_ADDRESS_VIRTUAL,
        .storage_class = {[BK_OBJECT_PACK] = s3->packs_class,
                          [BK_OBJECT_WAL] = s3->wal_class,
                          [BK_OBJECT_MANIFEST] = s3->manifests_class},
        .kind_of = bk_object_kind,
        .sse = (BkS3Sse)s3->sse,
        .kms_key = s3->kms_key,
        .customer_key_file = s3->customer_key_file,
        .tags = s3->tags,
        .requester_pays = s3->requester_pays,
        .lock = (BkS3Lock)s3->lock,
        .lock_us = s3->lock_us,
        .sends_checksum = s3->checksum,
        .is_unconditional = !s3->conditions,
        .retry_us = s3->retry_us,
        .ca_file = s3->ca_file,
        .proxy = s3->proxy,
        .connect_timeout_us = s3->connect_timeout_us,
        .idle_timeout_us = s3->idle_timeout_us,
        .max_send_rate = s3->max_send_rate,
        .max_receive_rate = s3->max_receive_rate,
        .connections = s3->connections,
        .credentials_file = s3->credentials_file,
        .profile = s3->profile,
    };
}

void
bk_cli_place_init(BkCliPlace *self, const BkConfigRepository *repository)
{
    *self = (BkCliPlace){.place.path = repository->path};
    if (repository->s3 == NULL)
        return;
    self->s3 = options_of(repository->s3);
    self->place.s3 = &self->s3;
}

BkRepository *
bk_cli_repository_open(const BkConfig *config, const char *name, BkOp *op, GError **error)
{
    const BkConfigRepository *repository = bk_config_find_repository(config, name);
    BkRepositorySpec spec;
    BkCliPlace place;

    if (repository == NULL)
        return bk_throw_null(error, BK_ERROR_USAGE, "there is no repository \"%s\" in \"%s\"", name,
                             config->path);
    bk_cli_place_init(&place, repository);
    spec = (BkRepositorySpec){
        .name = repository->name,
        .place = place.place,
        .key_file = repository->key_file,
    };
    return bk_repository_spec_open(&spec, NULL, op, error);
}

char *
bk_cli_place_describe(const BkConfigRepository *repository)
{
    return repository->s3 != NULL ? bk_config_s3_describe(repository->s3)
                                  : g_strdup(repository->path);
}
