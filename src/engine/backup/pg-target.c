/* pg-target.c - the identity of the cluster, its WAL and catching up, for each target of a backup.
 */
#include "engine/backup/pg-target.h"

#include "engine/copy/copy.h"
#include "repo/snapshot/snapshot-manifest.h"
#include "source/pg/archive/archive.h"
#include "source/pg/archive/system-id.h"
#include "source/pg/history/wal-wait.h"

#include <string.h>

/* Snapshots of two clusters must not get among each other anywhere. */
bool
bk_pg_target_check_cluster(BkTarget *target, const void *data, BkOp *op, GError **error)
{
    const BkPgTargetRequest *request = data;
    const uint64_t system_id = request->meta->system_id;
    g_autoptr(GError) cause = NULL;
    BkSystemStanding standing;

    if (bk_system_check_current(target->source_repo, target->snapshots, system_id, op, &cause))
        return true;
    if (target->is_required || !bk_error_is(cause, BK_ERROR_UNFIT))
        return bk_propagate(error, &cause);
    /* It may have been away when the cluster was declared current. What only damage hides there the
     * required repository knows, which has the same keys. */
    return bk_system_bring_decisions(request->model, target->source_repo, op, error) &&
           bk_system_judge(target->source_repo, system_id, &standing, NULL, op, error) &&
           (standing == BK_SYSTEM_UNKNOWN ||
            bk_system_check_current(target->source_repo, target->snapshots, system_id, op, error));
}

/* What is pushed reaches the required repositories first. */
bool
bk_pg_target_find_lack(const BkTarget *target, const void *data, char **lack, BkOp *op,
                       GError **error)
{
    const BkPgTargetRequest *request = data;
    g_autoptr(GPtrArray) source_repos = g_ptr_array_new();
    const BkWalWait wait = {
        .source_repos = source_repos,
        .data_dir = request->data_dir,
        .timeout_us = request->timeout_us,
    };
    g_autoptr(GError) cause = NULL;

    g_ptr_array_add(source_repos, target->source_repo);
    if (request->meta->is_standalone || bk_wal_wait(&wait, request->meta, op, &cause))
        return true;
    if (!bk_error_is(cause, BK_ERROR_TIMEOUT) || !bk_op_check(op, NULL))
        return bk_propagate(error, &cause);
    *lack = g_strdup("it lacks WAL that the snapshot needs");
    return true;
}

/* What is known of a snapshot. */
typedef struct Newest {
    bool is_found;
    int64_t started_us;
    uint64_t system_id;
    uint32_t timeline;
    uint64_t segno; /* where its WAL starts */
    uint32_t segment_size;
} Newest;

/* The newest, of those that the target had, of cluster `system_id`, or of any where that has none.
 * One that cannot be read is passed over: then more is caught up. */
static bool
find_newest(const BkTarget *target, uint64_t system_id, Newest *newest, BkOp *op, GError **error)
{
    *newest = (Newest){false};
    for (guint i = target->snapshots->len; i-- > 0 && newest->system_id != system_id;) {
        g_auto(BkSnapshotHead) head = {.source = NULL};
        g_auto(BkPgMeta) meta = {0};

        if (bk_snapshot_load_head(target->source_repo, g_ptr_array_index(target->snapshots, i),
                                  &head, op, NULL) &&
            bk_pg_meta_decode(&meta, &head.meta, NULL) && head.state != BK_SNAPSHOT_UNFINISHED &&
            (!newest->is_found || meta.system_id == system_id))
            *newest = (Newest){
                .is_found = true,
                .started_us = head.started_us,
                .system_id = meta.system_id,
                .timeline = meta.timeline,
                .segno = bk_wal_segment_of(meta.start_lsn, meta.segment_size),
                .segment_size = meta.segment_size,
            };
        if (!bk_op_check(op, error))
            return false;
    }
    return true;
}

/* Looks for WAL that a target lacks. */
typedef struct Comparison {
    GHashTable *own;
    bool lacks;
} Comparison;

static bool
note_own_name(const BkStoreEntry *entry, void *data, GError **error)
{
    Comparison *self = data;

    (void)error;
    (void)g_hash_table_add(self->own, g_strdup(entry->name));
    return true;
}

static bool
compare_with_own(const BkStoreEntry *entry, void *data, GError **error)
{
    Comparison *self = data;
    BkWalName name;

    (void)error;
    if (bk_wal_name_parse(bk_store_base_name(entry->name), &name) && name.kind == BK_WAL_SEGMENT &&
        !g_hash_table_contains(self->own, entry->name))
        self->lacks = true;
    return true;
}

/* The object that comes before the WAL of the newest snapshot that it had. NULL: none does. */
static char *
name_before(const BkTarget *target, const Newest *newest)
{
    char name[BK_WAL_NAME_SIZE];
    BkWalName parsed;

    if (newest->segno == 0)
        return NULL;
    parsed =
        bk_wal_name_of_segment(newest->timeline, newest->segno - 1, newest->segment_size, name);
    return bk_archive_object_name(target->source_repo, newest->system_id, name, &parsed);
}

/* Sets `*lacks` if the model has WAL of the cluster, since the newest snapshot that the target had,
 * which it has not. Without a snapshot of that cluster it is not known what it lacks. */
static bool
compare_wal(const BkTarget *target, const BkPgTargetRequest *request, const Newest *newest,
            bool *lacks, BkOp *op, GError **error)
{
    g_autoptr(GHashTable) own = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autofree char *prefix = bk_archive_system_directory(target->source_repo, newest->system_id);
    g_autofree char *after = name_before(target, newest);
    Comparison comparison = {.own = own};

    if (newest->system_id != request->meta->system_id) {
        *lacks = true;
        return true;
    }
    if (!bk_store_list(bk_source_repo_store(target->source_repo), prefix, after, note_own_name,
                       &comparison, op, error) ||
        !bk_store_list(bk_source_repo_store(request->model), prefix, after, compare_with_own,
                       &comparison, op, error))
        return false;
    *lacks = comparison.lacks;
    return true;
}

bool
bk_pg_target_catch_up(BkTarget *target, const void *data, BkOp *op, GError **error)
{
    const BkPgTargetRequest *request = data;
    bool lacks = target->state == BK_TARGET_BEHIND;
    Newest newest;
    BkCopyReport report;
    BkCopyOptions options = {
        .since_us = request->started_us,
        .workers = request->workers,
        .lease = target->lease,
    };

    if (!find_newest(target, request->meta->system_id, &newest, op, error) ||
        (!lacks && newest.is_found && !compare_wal(target, request, &newest, &lacks, op, error)))
        return false;
    if (!lacks)
        return true;
    if (newest.is_found)
        options.since_us = newest.started_us;
    if (!bk_replicate(request->model, target->source_repo, &options, &report, op, error))
        return bk_prefix(error, "bringing what it missed");
    bk_target_set_done(target);
    return true;
}
