/* wal-lock.c - which WAL a snapshot needs, and when its locks are due. */
#include "source/pg/archive/wal-lock.h"

#include "source/pg/archive/archive.h"
#include "source/pg/cluster/pg-meta.h"

/* The segments from start to stop. */
static GPtrArray *
name_segments(const BkSourceRepo *source_repo, const BkPgMeta *meta)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    const uint64_t first = bk_wal_segment_of(meta->start_lsn, meta->segment_size);
    const uint64_t last = bk_wal_segment_of(meta->stop_lsn - 1, meta->segment_size);

    for (uint64_t segno = first; segno <= last; segno++) {
        char name[BK_WAL_NAME_SIZE];
        const BkWalName parsed =
            bk_wal_name_of_segment(meta->timeline, segno, meta->segment_size, name);

        g_ptr_array_add(names, bk_archive_object_name(source_repo, meta->system_id, name, &parsed));
    }
    return names;
}

/* The first timeline has none, and one that was lost is not for us to find out. */
static bool
retain_history(const BkSourceRepo *source_repo, const BkPgMeta *meta, BkOp *op, GError **error)
{
    g_autofree char *name = g_strdup_printf("%08X.history", meta->timeline);
    g_autofree char *object = NULL;
    g_autoptr(GError) cause = NULL;
    BkWalName parsed;

    if (meta->timeline == 1 || !bk_wal_name_parse(name, &parsed))
        return true;
    object = bk_archive_object_name(source_repo, meta->system_id, name, &parsed);
    return bk_store_retain(bk_source_repo_store(source_repo), object, op, &cause) ||
           bk_error_is(cause, BK_ERROR_ABSENT) || bk_propagate(error, &cause);
}

bool
bk_wal_lock_extend(BkObjectLock *self, const BkObjectLockRequest *request, BkOp *op, GError **error)
{
    const int64_t lock_us = bk_store_lock_us(bk_source_repo_store(request->source_repo));
    const BkSnapshotHead *head = bk_snapshot_head((BkSnapshot *)(uintptr_t)request->snapshot);
    bool are_keys_due = bk_object_lock_is_due(lock_us, self->keys_us, request->now_us);
    bool is_due = bk_object_lock_is_due(lock_us, self->log_us, request->now_us);
    g_auto(BkPgMeta) meta = {0};
    g_autoptr(GPtrArray) segments = NULL;

    if ((!is_due && !are_keys_due) || head->state == BK_SNAPSHOT_UNFINISHED)
        return true;
    if (!bk_pg_meta_decode(&meta, &head->meta, error))
        return false;
    if (are_keys_due && !retain_history(request->source_repo, &meta, op, error))
        return false;
    if (!is_due || meta.is_standalone)
        return true;
    segments = name_segments(request->source_repo, &meta);
    if (!bk_object_lock_extend(request, segments, op, error))
        return false;
    self->log_us = request->now_us;
    return true;
}
