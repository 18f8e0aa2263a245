/* stale-uploads.c - multipart uploads that a writer began and never completed: they cannot be
 * read, but are paid for. */
#include "repo/stale-uploads.h"

#include "base/log.h"

#define WAL_PATIENCE_US (INT64_C(24) * 3600 * BK_USEC_PER_SEC)
#define LARGE_SEGMENT   ((uint32_t)64 * 1024 * 1024)

typedef struct Leftover {
    char *name;
    char *id;
    int64_t begun_us;
} Leftover;

static void
free_leftover(void *data)
{
    Leftover *self = data;

    g_free(self->name);
    g_free(self->id);
    g_free(self);
}

static bool
note_upload(const BkStoreUpload *upload, void *data, GError **error)
{
    GPtrArray *found = data;
    Leftover *leftover = g_new0(Leftover, 1);

    (void)error;
    leftover->name = g_strdup(upload->name);
    leftover->id = g_strdup(upload->id);
    leftover->begun_us = upload->begun_us;
    g_ptr_array_add(found, leftover);
    return true;
}

static GPtrArray *
find_uploads(const BkSourceRepo *source_repo, BkOp *op, GError **error)
{
    g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(free_leftover);
    g_autofree char *prefix = bk_source_repo_object_name(source_repo, "%s", "");

    if (!bk_store_list_uploads(bk_source_repo_store(source_repo), prefix, note_upload, found, op,
                               error))
        return NULL;
    return g_steal_pointer(&found);
}

GPtrArray *
bk_stale_uploads_list(const BkSourceRepo *source_repo, BkOp *op, GError **error)
{
    g_autoptr(GPtrArray) found = find_uploads(source_repo, op, error);
    GPtrArray *texts;

    if (found == NULL)
        return NULL;
    texts = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < found->len; i++) {
        const Leftover *leftover = g_ptr_array_index(found, i);
        g_autoptr(GDateTime) time =
            g_date_time_new_from_unix_utc(leftover->begun_us / BK_USEC_PER_SEC);
        g_autofree char *begun = g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ");

        g_ptr_array_add(texts, g_strdup_printf("%s, begun %s", leftover->name, begun));
    }
    return texts;
}

static bool
is_abandoned(const BkSourceRepo *source_repo, const Leftover *leftover)
{
    g_autofree char *wal = bk_source_repo_object_name(source_repo, "wal/");

    return !g_str_has_prefix(leftover->name, wal) ||
           g_get_real_time() - leftover->begun_us > WAL_PATIENCE_US;
}

void
bk_stale_uploads_abort(const BkSourceRepo *source_repo, const BkLease *lease, uint32_t segment_size,
                       BkOp *op)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(GPtrArray) found = NULL;

    if (!bk_lease_was_left(lease) && segment_size < LARGE_SEGMENT)
        return;
    found = find_uploads(source_repo, op, &cause);
    for (guint i = 0; found != NULL && i < found->len && cause == NULL; i++) {
        const Leftover *leftover = g_ptr_array_index(found, i);

        if (is_abandoned(source_repo, leftover) &&
            bk_store_abort_upload(bk_source_repo_store(source_repo), leftover->name, leftover->id,
                                  op, &cause))
            bk_log(BK_LOG_INFO, "removed the incomplete upload of \"%s\"", leftover->name);
    }
    if (cause != NULL)
        bk_log(BK_LOG_INFO, "incomplete uploads remain: %s", cause->message);
}
