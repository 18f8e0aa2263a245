/* unfinished.c - doing away with the manifests of backups that did not come to their end. */
#include "repo/snapshot/unfinished.h"

#include "base/log.h"
#include "repo/snapshot/snapshot-manifest.h"

void
bk_unfinished_delete(const BkSourceRepo *source_repo, const char *id, BkOp *op)
{
    g_autoptr(GError) cause = NULL;

    if (!bk_snapshot_delete(source_repo, id, op, &cause))
        bk_log(BK_LOG_INFO, "unfinished snapshot %s stays: %s", id, cause->message);
}

static GPtrArray *
find_unfinished_in(const BkSourceRepo *source_repo, const GPtrArray *entries, BkOp *op)
{
    GPtrArray *unfinished = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < entries->len; i++) {
        const BkSnapshotEntry *entry = g_ptr_array_index(entries, i);
        g_auto(BkSnapshotHead) head = {.source = NULL};

        if (bk_snapshot_load_head(source_repo, entry, &head, op, NULL) &&
            head.state == BK_SNAPSHOT_UNFINISHED)
            g_ptr_array_add(unfinished, g_strdup(entry->id));
    }
    return unfinished;
}

GPtrArray *
bk_unfinished_find(const GPtrArray *source_repos, const GPtrArray *listings, const char *last,
                   BkOp *op)
{
    GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)g_ptr_array_unref);

    for (guint i = 0; i < source_repos->len; i++) {
        GPtrArray *ids = find_unfinished_in(g_ptr_array_index(source_repos, i),
                                            g_ptr_array_index(listings, i), op);

        if (last[0] != 0)
            g_ptr_array_add(ids, g_strdup(last));
        g_ptr_array_add(found, ids);
    }
    return found;
}

void
bk_unfinished_delete_all(const GPtrArray *source_repos, const GPtrArray *found, BkOp *op)
{
    for (guint i = 0; i < source_repos->len; i++) {
        const GPtrArray *ids = g_ptr_array_index(found, i);

        for (guint j = 0; j < ids->len; j++)
            bk_unfinished_delete(g_ptr_array_index(source_repos, i), g_ptr_array_index(ids, j), op);
    }
}
