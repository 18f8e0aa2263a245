/* s3-versioning.c - whether the bucket keeps versions, and which names are known to mean an earlier
 * version than the current one. */
#include "store/s3/s3-priv.h"

#include <string.h>

bool
bk_s3_keeps_versions(S3Store *self, bool *keeps, BkOp *op, GError **error)
{
    /* 403: we may not ask. 405, 501: the store does not know of versions, so it keeps none. */
    static const unsigned accepted[] = {403, 405, 501, 0};
    g_auto(BkHttpAnswer) answer = {0};
    g_auto(S3Fields) fields = {0};
    const S3Call call = {
        .kind = BK_REQUEST_GET,
        .method = "GET",
        .what = "ask whether the bucket keeps versions",
        .fields = &fields,
        .limit = BK_S3_ANSWER_MAX,
        .accepted = accepted,
    };
    g_autofree char *status = NULL;
    int before = BK_S3_VERSIONS_UNKNOWN;

    *keeps = atomic_load(&self->versions) == BK_S3_VERSIONS_KEPT;
    if (atomic_load(&self->versions) != BK_S3_VERSIONS_UNKNOWN)
        return true;
    bk_http_answer_init(&answer);
    bk_s3_fields_init(&fields);
    bk_s3_fields_add(&fields, "versioning", "");
    if (!bk_s3_call(self, &call, &answer, NULL, op, error) ||
        (answer.status == 200 && !bk_s3_xml_text(&answer.body, "Status", &status, error)))
        return false;
    if (answer.status == 403)
        atomic_store(&self->versions_are_untold, true);
    *keeps = answer.status == 403 || g_strcmp0(status, "Enabled") == 0;
    /* A put whose answer bore a version may have told meanwhile. */
    if (!atomic_compare_exchange_strong(&self->versions, &before,
                                        *keeps ? BK_S3_VERSIONS_KEPT : BK_S3_VERSIONS_NONE))
        *keeps = before == BK_S3_VERSIONS_KEPT;
    return true;
}

bool
bk_s3_has_no_versions(const BkStore *store)
{
    return atomic_load(&((const S3Store *)store)->versions) == BK_S3_VERSIONS_NONE;
}

void
bk_s3_take_no_versions(BkStore *store)
{
    int unknown = BK_S3_VERSIONS_UNKNOWN;

    (void)atomic_compare_exchange_strong(&((S3Store *)store)->versions, &unknown,
                                         BK_S3_VERSIONS_NONE);
}

const BkS3Entry *
bk_s3_find_first(const GPtrArray *versions)
{
    for (guint i = versions->len; i > 0; i--) {
        const BkS3Entry *entry = g_ptr_array_index(versions, i - 1);

        if (!entry->is_marker)
            return entry;
    }
    return NULL;
}

char *
bk_s3_first_of(S3Store *self, const char *name)
{
    char *version;

    (void)pthread_mutex_lock(&self->mutex);
    version = g_strdup(g_hash_table_lookup(self->firsts, name));
    (void)pthread_mutex_unlock(&self->mutex);
    return version;
}

void
bk_s3_remember_first(S3Store *self, const char *name, const char *version)
{
    (void)pthread_mutex_lock(&self->mutex);
    (void)g_hash_table_insert(self->firsts, g_strdup(name), g_strdup(version));
    (void)pthread_mutex_unlock(&self->mutex);
}
