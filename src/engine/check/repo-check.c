/* repo-check.c - checks that one repository has everything that the snapshots of a source need. */
#include "engine/check/repo-check.h"

#include "base/log.h"
#include "engine/check/manifest-union.h"
#include "repo/stale-uploads.h"
#include "report/problem.h"
#include "source/pg/history/lines.h"

#include <string.h>

void
bk_repo_check_clear(BkRepoCheck *self)
{
    g_clear_pointer(&self->problems, g_ptr_array_unref);
}

static void
check_listed_packs(BkRepoCheck *self, const BkManifestUnion *manifests,
                   const BkObjectIndex *holdings)
{
    for (guint i = 0; i < manifests->packs->len; i++) {
        const BkNamedPack *pack = &g_array_index(manifests->packs, BkNamedPack, i);
        const BkHeldObject *held = bk_held_find(holdings->packs, pack->name);

        self->packs++;
        if (held == NULL)
            bk_problem_add(self->problems, BK_PROBLEM_PACK_MISSING, .object = pack->name,
                           .snapshot = pack->snapshot);
        else if (held->size != pack->size)
            bk_problem_add(self->problems, BK_PROBLEM_OBJECT_SIZE, .object = pack->name,
                           .count = held->size, .wanted = pack->size);
        else
            self->pack_bytes += held->size;
    }
}

static void
add_hole(BkRepoCheck *self, const char *source, const BkWindowGap *gap, uint32_t segment_size)
{
    char first[BK_WAL_NAME_SIZE];
    char last[BK_WAL_NAME_SIZE];

    (void)bk_wal_segment_name(gap->timeline, gap->first, segment_size, first);
    (void)bk_wal_segment_name(gap->timeline, gap->last, segment_size, last);
    bk_problem_add(self->problems, BK_PROBLEM_WAL_HOLE, .source = source, .first = first,
                   .last = gap->first != gap->last ? last : NULL);
}

/* The first segment that any snapshot needs. */
static uint64_t
find_first_needed_segment(const BkWindowInput *input)
{
    uint64_t first = UINT64_MAX;

    for (size_t i = 0; i < input->snapshot_count; i++)
        first = MIN(first, bk_wal_segment_of(input->snapshots[i].start_lsn, input->segment_size));
    return first;
}

/* Is it among the holes that were told of by timeline? */
static bool
is_gap_reported(const BkRecoveryIndex *past, const BkWindowGap *gap)
{
    for (size_t i = 0; i < past->input.timeline_count; i++) {
        const BkWindowTimeline *timeline = &past->input.timelines[i];
        g_autofree BkWindowGap *holes = NULL;
        size_t count;

        if (timeline->timeline != gap->timeline)
            continue;
        holes = bk_window_missing(timeline, &count);
        for (size_t j = 0; j < count; j++)
            if (gap->first >= holes[j].first && gap->first <= holes[j].last)
                return true;
    }
    return false;
}

static void
check_archived_wal(BkRepoCheck *self, const BkRecoveryIndex *past)
{
    const uint32_t segment_size = past->input.segment_size;
    const char *source = bk_source_repo_source(past->source_repo);
    uint64_t first = find_first_needed_segment(&past->input);

    for (size_t i = 0; i < past->windows.broken_count; i++) {
        const BkWindowBroken *broken = &past->windows.broken[i];
        char name[BK_WAL_NAME_SIZE];

        bk_problem_add(
            self->problems, BK_PROBLEM_SNAPSHOT_WAL_MISSING, .source = source,
            .snapshot = past->input.snapshots[broken->snapshot].id,
            .repository = bk_repository_name(bk_source_repo_repository(past->source_repo)),
            .first = bk_wal_segment_name(broken->timeline, broken->segno, segment_size, name));
    }
    for (size_t i = 0; i < past->input.timeline_count; i++) {
        g_autofree BkWindowGap *holes = NULL;
        size_t count;

        holes = bk_window_missing(&past->input.timelines[i], &count);
        for (size_t j = 0; j < count; j++)
            if (holes[j].last >= first)
                add_hole(self, source, &holes[j], segment_size);
    }
    /* Those from one timeline to the next. */
    for (size_t i = 0; i < past->windows.count; i++) {
        const BkWindowGap *gap = &past->windows.windows[i].gap;

        if (gap->timeline != 0 && !is_gap_reported(past, gap))
            add_hole(self, source, gap, segment_size);
    }
}

/* A history file that is missing is a gap, too. */
static bool
check_histories(BkRepoCheck *self, const BkRecoveryIndex *past, BkOp *op, GError **error)
{
    g_autoptr(GPtrArray) pasts = g_ptr_array_new();
    g_auto(BkLines) lines = {.pasts = NULL};
    g_autoptr(GArray) orphans = NULL;

    g_ptr_array_add(pasts, (void *)(uintptr_t)past);
    if (!bk_lines_load(pasts, NULL, &lines, op, error))
        return false;
    bk_problem_add_all(self->problems, lines.problems);
    orphans = bk_lines_find_orphans(&lines);
    for (guint i = 0; i < orphans->len; i++) {
        uint32_t timeline = g_array_index(orphans, uint32_t, i);
        char name[BK_WAL_HISTORY_NAME_SIZE];

        bk_problem_add(self->problems, BK_PROBLEM_HISTORY_MISSING,
                       .source = bk_source_repo_source(past->source_repo), .timeline = timeline,
                       .file = bk_wal_history_name(timeline, name));
    }
    return true;
}

static bool
check_past(BkRepoCheck *self, const BkRecoveryIndex *past, BkOp *op, GError **error)
{
    bk_problem_add_all(self->problems, past->problems);
    check_archived_wal(self, past);
    return check_histories(self, past, op, error);
}

/* Of several clusters, each problem says of which it is. */
static void
name_cluster(BkRepoCheck *self, guint first, uint64_t system_id)
{
    g_autofree char *prefix = g_strdup_printf("cluster %" G_GUINT64_FORMAT, system_id);

    for (guint i = first; i < self->problems->len; i++)
        bk_problem_prefix(g_ptr_array_index(self->problems, i), prefix);
}

static bool
check_pasts(BkRepoCheck *self, const BkSourceRepo *source_repo, BkOp *op, GError **error)
{
    g_autoptr(GPtrArray) pasts = g_ptr_array_new_with_free_func(bk_recovery_index_free);
    g_autoptr(GError) cause = NULL;

    if (!bk_recovery_index_load_all(source_repo, BK_RECOVERY_INDEX_WHOLE_ARCHIVE, pasts, op,
                                    &cause)) {
        if (!bk_error_is(cause, BK_ERROR_CORRUPT))
            return bk_propagate(error, &cause);
        bk_problem_add(self->problems, BK_PROBLEM_OBJECT_DAMAGED,
                       .source = bk_source_repo_source(source_repo), .cause = cause->message);
        return true;
    }
    for (guint i = 0; i < pasts->len; i++) {
        const BkRecoveryIndex *past = g_ptr_array_index(pasts, i);
        const guint first = self->problems->len;

        if (!check_past(self, past, op, error))
            return false;
        if (pasts->len > 1)
            name_cluster(self, first, past->system_id);
    }
    return true;
}

/* Without the permission to list them there are none: they do no harm. */
static bool
find_stale_uploads(BkRepoCheck *self, const BkSourceRepo *source_repo, BkOp *op, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(GPtrArray) uploads = bk_stale_uploads_list(source_repo, op, &cause);

    if (uploads == NULL)
        bk_log(BK_LOG_INFO, "%s", cause->message);
    for (guint i = 0; uploads != NULL && i < uploads->len; i++)
        bk_problem_add(self->problems, BK_PROBLEM_UPLOAD_INCOMPLETE,
                       .object = g_ptr_array_index(uploads, i));
    return bk_op_check(op, error);
}

bool
bk_repo_check_run(BkRepoCheck *self, const BkSourceRepo *source_repo, BkOp *op, GError **error)
{
    g_auto(BkObjectIndex) holdings = {NULL};
    g_auto(BkManifestUnion) manifests = {NULL};

    *self = (BkRepoCheck){.problems = bk_problem_list_new()};
    bk_object_index_init(&holdings);
    bk_manifest_union_init(&manifests);
    if (!bk_object_index_load(&holdings, source_repo, op, error) ||
        !bk_manifest_union_load(&manifests, source_repo, holdings.snapshots, op, error))
        return false;
    self->snapshots = manifests.count;
    self->wal_files = holdings.wal->len;
    for (guint i = 0; i < manifests.damage->len; i++)
        bk_problem_add(self->problems, BK_PROBLEM_OBJECT_DAMAGED,
                       .source = bk_source_repo_source(source_repo),
                       .cause = g_ptr_array_index(manifests.damage, i));
    for (guint i = 0; i < holdings.strange->len; i++)
        bk_problem_add(self->problems, BK_PROBLEM_OBJECT_UNKNOWN,
                       .object = g_ptr_array_index(holdings.strange, i));
    check_listed_packs(self, &manifests, &holdings);
    return find_stale_uploads(self, source_repo, op, error) &&
           check_pasts(self, source_repo, op, error);
}
