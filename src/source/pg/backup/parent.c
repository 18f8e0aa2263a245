/* parent.c - the parent snapshot of an incremental backup, and what is known to have changed
 * since. */
#include "source/pg/backup/parent.h"

#include "base/fd.h"
#include "base/log.h"
#include "repo/snapshot/snapshot-manifest.h"
#include "source/pg/archive/archive.h"
#include "source/pg/backup/changes.h"
#include "source/pg/cluster/data-dir.h"
#include "source/pg/format/page.h"
#include "source/pg/format/timeline-history.h"
#include "source/pg/history/clock-check.h"
#include "source/pg/history/recovery-index.h"

#include <fcntl.h>
#include <string.h>

/* So many of the newest ids are put in order by what their snapshots say. */
#define RECENT 8

/* A candidate for the parent: what its head says. */
typedef BkRecoveryIndexSnapshot Candidate;

static void
candidate_clear(Candidate *self)
{
    bk_snapshot_head_clear(&self->head);
    bk_pg_meta_clear(&self->meta);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Candidate, candidate_clear)

void
bk_parent_clear(BkParent *self)
{
    g_clear_pointer(&self->why, g_free);
    g_clear_pointer(&self->snapshot, bk_snapshot_free);
    bk_pg_meta_clear(&self->meta);
    g_clear_pointer(&self->map, bk_block_map_free);
    bk_buf_clear(&self->archived.content);
}

void
bk_parent_distrust(BkParent *self, char *why)
{
    bk_parent_clear(self);
    bk_pg_meta_init(&self->meta);
    self->mode = BK_SNAPSHOT_FULL;
    self->why = why;
}

/* Is it a copy of the same files in the same form? */
static char *
find_difference(const BkPgMeta *then, const BkPgMeta *now)
{
    if (then->version / 10000 != now->version / 10000 ||
        then->catalog_version != now->catalog_version || then->segment_size != now->segment_size)
        return g_strdup("is of another version");
    if (then->block_size != BK_PG_PAGE_SIZE || now->block_size != BK_PG_PAGE_SIZE)
        return g_strdup_printf("has pages of %u bytes", then->block_size);
    if (then->has_checksums != now->has_checksums)
        return g_strdup("was taken before data checksums were switched");
    return NULL;
}

/* The server's own history, which names the timelines it came from. */
static bool
load_history(const BkParentRequest *request, BkTimelineHistory *history, GError **error)
{
    char name[BK_WAL_HISTORY_NAME_SIZE];
    g_auto(BkBuf) text = BK_BUF_INIT;
    g_autofree char *path = NULL;

    (void)bk_wal_history_name(request->now->timeline, name);
    path = g_build_filename("pg_wal", name, NULL);
    return bk_data_dir_read(request->data_dir, path, BK_MIB, &text, error) &&
           bk_timeline_history_parse(request->now->timeline, text.data, text.size, history, error);
}

/* Does the snapshot lie in the cluster's own past? NULL: it does. */
static char *
find_divergence(const BkParentRequest *request, const Candidate *candidate)
{
    const BkPgMeta *then = &candidate->meta;
    const BkPgMeta *now = request->now;
    const BkLsn reached = MAX(then->start_lsn, then->stop_lsn);
    g_auto(BkTimelineHistory) history = {0};
    g_autoptr(GError) cause = NULL;
    BkLsn left;

    if (then->timeline == now->timeline)
        return reached <= now->start_lsn
                   ? NULL
                   : g_strdup("was taken when the cluster was at a later LSN than now");
    /* Of an unfinished one nobody knows how far its pages had come. */
    if (candidate->head.state == BK_SNAPSHOT_UNFINISHED)
        return g_strdup("is unfinished and of another timeline");
    if (!load_history(request, &history, &cause))
        return g_strdup(cause->message);
    if (!bk_timeline_history_switch_lsn(&history, then->timeline, &left) || reached > left)
        return g_strdup_printf("is of timeline %u, which does not lead to it", then->timeline);
    return NULL;
}

/* More damaged pages than are listed could be taken over unnoticed, and without the WAL's word even
 * those listed could. */
static char *
find_damage(const BkParentRequest *request, const Candidate *candidate)
{
    const BkPgMeta *meta = &candidate->meta;

    if (meta->damaged_pages == 0 ||
        (meta->damaged_pages == meta->damage->len && meta->timeline == request->now->timeline))
        return NULL;
    return g_strdup_printf("has %" G_GUINT64_FORMAT " damaged pages", meta->damaged_pages);
}

static BkChangesRequest
describe_changes(const BkParentRequest *request, const BkPgMeta *from, BkArchivedSegment *archived)
{
    return (BkChangesRequest){
        .source_repos = request->source_repos,
        .data_dir = request->data_dir,
        .from = from,
        .to = request->now,
        .workers = request->workers,
        .archived = archived,
    };
}

/* Positions and timelines repeat after a cluster was set back by a copy of its disk: only the WAL
 * that the snapshot saw proves that it is of this cluster's past. */
static bool
find_other_history(const BkParentRequest *request, const Candidate *candidate,
                   BkArchivedSegment *archived, char **why, BkOp *op, GError **error)
{
    const BkChangesRequest changes = describe_changes(request, &candidate->meta, archived);
    bool have;

    if (!bk_changes_have_mark(&changes, candidate->meta.timeline, &candidate->meta.mark, &have, op,
                              error))
        return false;
    *why =
        have
            ? NULL
            : g_strdup("may not be in the history of the cluster: its WAL is missing or different");
    return true;
}

static bool
load_candidate(const BkSourceRepo *source_repo, const BkSnapshotEntry *entry, Candidate *candidate,
               BkOp *op, GError **error)
{
    return bk_snapshot_load_head(source_repo, entry, &candidate->head, op, error) &&
           bk_pg_meta_decode(&candidate->meta, &candidate->head.meta, error);
}

/* A source that was upgraded also has snapshots of former clusters. */
static bool
is_of_this_cluster(const BkParentRequest *request, const Candidate *candidate)
{
    return candidate->meta.system_id == request->now->system_id;
}

/* Extents may be taken over only where their packs are: each repository must have the snapshot. */
static bool
have_all(const BkParentRequest *request, const char *id, bool *have, BkOp *op, GError **error)
{
    BkSnapshotEntry entry = {.size = 0};

    (void)g_strlcpy(entry.id, id, sizeof entry.id);
    *have = true;
    for (guint i = 1; *have && i < request->source_repos->len; i++) {
        g_auto(BkSnapshotHead) head = {.source = NULL};
        g_autoptr(GError) cause = NULL;

        *have = bk_snapshot_load_head(g_ptr_array_index(request->source_repos, i), &entry, &head,
                                      op, &cause);
        if (!*have && !bk_op_check(op, error))
            return false;
    }
    return true;
}

/* Why the candidate cannot be the parent; `*reason` NULL: it can. The cheap questions come first.
 */
static bool
judge_parent(const BkParentRequest *request, const Candidate *candidate, const Candidate *finished,
             BkArchivedSegment *archived, char **reason, BkOp *op, GError **error)
{
    bool have = true;

    *reason = NULL;
    /* A checkpoint of a backup that finished is still there where it could not be deleted. */
    if (candidate->head.state == BK_SNAPSHOT_UNFINISHED &&
        finished->meta.timeline == candidate->meta.timeline &&
        candidate->meta.start_lsn <= finished->meta.start_lsn)
        *reason = g_strdup("is unfinished, and a later snapshot is complete");
    if (*reason == NULL)
        *reason = find_difference(&candidate->meta, request->now);
    if (*reason == NULL)
        *reason = find_divergence(request, candidate);
    if (*reason == NULL)
        *reason = find_damage(request, candidate);
    if (*reason != NULL)
        return true;
    if (!find_other_history(request, candidate, archived, reason, op, error))
        return false;
    if (*reason == NULL && !have_all(request, candidate->head.id, &have, op, error))
        return false;
    if (!have)
        *reason = g_strdup("is not in every repository");
    return true;
}

/* Loads the snapshot if it can be the parent. Otherwise sets `*why` to the reason, or to NULL if it
 * is of another cluster, which says nothing about this one. */
static bool
try_candidate(const BkParentRequest *request, const BkSnapshotEntry *entry,
              const Candidate *finished, BkParent *base, char **why, BkOp *op, GError **error)
{
    const BkSourceRepo *source_repo = g_ptr_array_index(request->source_repos, 0);
    g_auto(Candidate) candidate = {.head = {.source = NULL}};
    g_autoptr(GError) cause = NULL;
    g_autofree char *reason = NULL;

    *why = NULL;
    if (load_candidate(source_repo, entry, &candidate, op, &cause)) {
        if (!is_of_this_cluster(request, &candidate))
            return true;
        if (!judge_parent(request, &candidate, finished, &base->archived, &reason, op, error))
            return false;
        if (reason == NULL)
            base->snapshot = bk_snapshot_load_listed(source_repo, entry, op, &cause);
    }
    if (!bk_op_check(op, error))
        return false;
    if (base->snapshot == NULL) {
        *why =
            g_strdup_printf("snapshot %s %s", entry->id, reason != NULL ? reason : cause->message);
        return true;
    }
    bk_pg_meta_clear(&base->meta);
    base->meta = candidate.meta;
    bk_pg_meta_init(&candidate.meta); /* moved */
    return true;
}

/* A snapshot of the listing, and where it stands in the WAL. */
typedef struct Placed {
    BkSnapshotEntry *entry;
    bool is_of_this_cluster;
    Candidate candidate; /* timeline 0: it cannot be read */
} Placed;

static int
compare_placed(const void *left, const void *right)
{
    const Placed *a = left;
    const Placed *b = right;
    int order;

    if (a->is_of_this_cluster != b->is_of_this_cluster)
        return a->is_of_this_cluster ? 1 : -1;
    order = bk_recovery_index_snapshot_compare(&a->candidate, &b->candidate);
    return order != 0 ? order : strcmp(a->entry->id, b->entry->id);
}

static const char *
id_at(const GPtrArray *entries, guint index)
{
    return ((const BkSnapshotEntry *)g_ptr_array_index(entries, index))->id;
}

/* Ids tell the time of a clock, which may have been wrong: the newest of them, and all that lie in
 * the future, are put in order by timeline and position, behind those of other clusters. */
static void
order_entries(const BkParentRequest *request, BkOp *op)
{
    const BkSourceRepo *source_repo = g_ptr_array_index(request->source_repos, 0);
    GPtrArray *entries = request->entries;
    g_autoptr(GArray) placed = g_array_new(FALSE, FALSE, sizeof(Placed));
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    g_autofree char *today = g_date_time_format(now, "%Y%m%dT%H%M%SZ");
    guint first = entries->len - MIN(entries->len, RECENT);

    while (first > 0 && strcmp(id_at(entries, first - 1), today) > 0)
        first--;
    for (guint i = first; i < entries->len; i++) {
        Placed one = {.entry = g_ptr_array_index(entries, i)};

        if (!load_candidate(source_repo, one.entry, &one.candidate, op, NULL)) {
            candidate_clear(&one.candidate);
            one.candidate = (Candidate){.head = {.source = NULL}};
        }
        one.is_of_this_cluster = is_of_this_cluster(request, &one.candidate);
        g_array_append_val(placed, one);
    }
    g_array_sort(placed, compare_placed);
    for (guint i = 0; i < placed->len; i++) {
        Placed *one = &g_array_index(placed, Placed, i);

        entries->pdata[first + i] = one->entry;
        candidate_clear(&one->candidate);
    }
}

/* The newest snapshot of this cluster that finished; of timeline 0: there is none. */
static bool
find_last_finished(const BkParentRequest *request, const GPtrArray *entries, Candidate *finished,
                   BkOp *op, GError **error)
{
    for (guint i = entries->len; i-- > 0;) {
        if (load_candidate(g_ptr_array_index(request->source_repos, 0),
                           g_ptr_array_index(entries, i), finished, op, NULL) &&
            is_of_this_cluster(request, finished) && finished->head.state != BK_SNAPSHOT_UNFINISHED)
            return true;
        candidate_clear(finished);
        *finished = (Candidate){.head = {.source = NULL}};
        if (!bk_op_check(op, error))
            return false;
    }
    return true;
}

static bool
find_parent_snapshot(const BkParentRequest *request, BkParent *base, BkOp *op, GError **error)
{
    GPtrArray *entries = request->entries;
    g_auto(Candidate) finished = {.head = {.source = NULL}};
    g_autoptr(GPtrArray) problems = bk_problem_list_new();

    bk_clock_check_ids(entries, g_get_real_time(), problems);
    bk_problem_log(problems);
    order_entries(request, op);
    if (!find_last_finished(request, entries, &finished, op, error))
        return false;
    for (guint i = entries->len; i-- > 0 && base->snapshot == NULL;) {
        g_autofree char *why = NULL;

        if (!try_candidate(request, g_ptr_array_index(entries, i), &finished, base, &why, op,
                           error))
            return false;
        if (base->why == NULL)
            base->why = g_steal_pointer(&why); /* of the newest one */
    }
    return true;
}

/* What was damaged in the parent is read again, so that it is reported again or mended. */
static void
add_damaged(const BkPgMeta *meta, BkBlockMap *map)
{
    for (guint i = 0; i < meta->damage->len; i++) {
        const BkPgDamage *damage = g_ptr_array_index(meta->damage, i);
        BkRelationPath path;

        if (bk_relation_path_parse(damage->file, &path)) {
            const BkForkKey fork = {path.tablespace, path.database, path.name.file_node,
                                    (uint8_t)path.name.fork};

            bk_block_map_add(map, &fork, damage->block);
        }
    }
}

static bool
find_changes(const BkParentRequest *request, BkParent *base, BkOp *op, GError **error)
{
    const BkChangesRequest wanted = describe_changes(request, &base->meta, &base->archived);
    g_auto(BkChanges) changes = {0};

    if (!bk_changes_find(&wanted, &changes, op, error))
        return false;
    bk_buf_clear(&base->archived.content); /* it may be large */
    base->archived.name[0] = 0;
    if (changes.map != NULL) {
        base->mode = BK_SNAPSHOT_INCREMENTAL;
        base->map = g_steal_pointer(&changes.map);
        add_damaged(&base->meta, base->map);
    } else if (changes.is_contradictory || base->meta.damaged_pages > 0) {
        bk_parent_distrust(base, g_steal_pointer(&changes.why));
    } else {
        base->mode = BK_SNAPSHOT_FULL_SCAN;
        base->why = g_steal_pointer(&changes.why);
    }
    return true;
}

bool
bk_parent_find(const BkParentRequest *request, BkParent *base, BkOp *op, GError **error)
{
    *base = (BkParent){.mode = BK_SNAPSHOT_FULL};
    bk_pg_meta_init(&base->meta);
    if (request->is_full) {
        base->why = g_strdup("a full backup was requested");
        return true;
    }
    if (!find_parent_snapshot(request, base, op, error))
        return false;
    if (base->snapshot == NULL) {
        if (base->why == NULL)
            base->why =
                g_strdup(request->entries->len == 0 ? "it is the first snapshot"
                                                    : "it is the first snapshot of this cluster");
        return true;
    }
    g_clear_pointer(&base->why, g_free);
    if (base->meta.timeline == request->now->timeline)
        return find_changes(request, base, op, error);
    base->mode = BK_SNAPSHOT_FULL_SCAN;
    base->why = g_strdup_printf("the timeline changed from %u to %u", base->meta.timeline,
                                request->now->timeline);
    return true;
}
