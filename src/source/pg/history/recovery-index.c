/* recovery-index.c - what one repository, or several together, have of the history of one cluster:
 * snapshots, WAL, timelines, windows. */
#include "source/pg/history/recovery-index.h"

#include "repo/snapshot/snapshot-manifest.h"
#include "repo/targets/source-spec.h"
#include "repo/targets/targets.h"
#include "source/pg/format/timeline-history.h"

#include <string.h>

#define DEFAULT_SEGMENT_SIZE ((uint32_t)16 * 1024 * 1024)

static void
free_snapshot(void *data)
{
    BkRecoveryIndexSnapshot *snapshot = data;

    if (snapshot == NULL)
        return;
    bk_snapshot_head_clear(&snapshot->head);
    bk_pg_meta_clear(&snapshot->meta);
    g_free(snapshot);
}

static void
free_unreadable(void *data)
{
    BkRecoveryIndexUnreadable *unreadable = data;

    g_free(unreadable->why);
    g_free(unreadable);
}

/* The arrays inside `input` are ours, though the pure calculation sees them as constant. */
static void
free_const(const void *data)
{
    g_free((void *)(uintptr_t)data);
}

int
bk_recovery_index_snapshot_compare(const BkRecoveryIndexSnapshot *a,
                                   const BkRecoveryIndexSnapshot *b)
{
    BkLsn left = MAX(a->meta.start_lsn, a->meta.stop_lsn);
    BkLsn right = MAX(b->meta.start_lsn, b->meta.stop_lsn);

    if (a->meta.timeline != b->meta.timeline)
        return a->meta.timeline < b->meta.timeline ? -1 : 1;
    if (left != right)
        return left < right ? -1 : 1;
    if (a->meta.start_lsn != b->meta.start_lsn)
        return a->meta.start_lsn < b->meta.start_lsn ? -1 : 1;
    if (a->head.started_us != b->head.started_us)
        return a->head.started_us < b->head.started_us ? -1 : 1;
    return strcmp(a->head.id, b->head.id);
}

void
bk_recovery_index_clear(BkRecoveryIndex *self)
{
    g_clear_pointer(&self->restorable, g_ptr_array_unref);
    g_clear_pointer(&self->snapshots, g_ptr_array_unref);
    g_clear_pointer(&self->unreadable, g_ptr_array_unref);
    g_clear_pointer(&self->problems, g_ptr_array_unref);
    g_clear_pointer(&self->archive, g_ptr_array_unref);
    for (size_t i = 0; i < self->input.timeline_count; i++) {
        free_const(self->input.timelines[i].spans);
        free_const(self->input.timelines[i].switches);
    }
    free_const(self->input.timelines);
    free_const(self->input.snapshots);
    bk_windows_clear(&self->windows);
    *self = (BkRecoveryIndex){0};
}

void
bk_recovery_index_free(void *self)
{
    if (self != NULL)
        bk_recovery_index_clear(self);
    g_free(self);
}

static bool
is_damaged_manifest(const GError *error)
{
    return bk_error_is(error, BK_ERROR_CORRUPT) || bk_error_is(error, BK_ERROR_UNSUPPORTED);
}

static void
add_unreadable(GPtrArray *found, const char *id, const char *why)
{
    BkRecoveryIndexUnreadable *unreadable = g_new0(BkRecoveryIndexUnreadable, 1);

    (void)g_strlcpy(unreadable->id, id, sizeof unreadable->id);
    unreadable->why = g_strdup(why);
    g_ptr_array_add(found, unreadable);
}

/* What is wrong with one manifest must not keep the others from being restored. */
static bool
note_unreadable(GPtrArray *found, const char *id, GError **cause, GError **error)
{
    if (bk_error_is(*cause, BK_ERROR_NOT_FOUND))
        return true; /* deleted a moment ago */
    if (!bk_targets_is_at_fault(*cause))
        return bk_propagate(error, cause);
    add_unreadable(found, id, (*cause)->message);
    return true;
}

static int
compare_index_snapshots(const void *left, const void *right)
{
    const BkRecoveryIndexSnapshot *const *a = left;
    const BkRecoveryIndexSnapshot *const *b = right;

    return bk_recovery_index_snapshot_compare(*a, *b);
}

/* What a repository holds of all clusters. */
typedef struct Load {
    const BkSourceRepo *source_repo;
    GPtrArray *snapshots;  /* of BkRecoveryIndexSnapshot; those that a past has taken are NULL */
    GPtrArray *unreadable; /* of BkRecoveryIndexUnreadable */
    GPtrArray *archive;    /* of BkArchiveTimeline; the same; NULL: not listed */
} Load;

static void
load_clear(Load *self)
{
    g_clear_pointer(&self->snapshots, g_ptr_array_unref);
    g_clear_pointer(&self->unreadable, g_ptr_array_unref);
    g_clear_pointer(&self->archive, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Load, load_clear)

static bool
load_snapshots(Load *self, BkOp *op, GError **error)
{
    g_autoptr(GPtrArray) entries = bk_snapshot_list(self->source_repo, op, error);
    g_autoptr(GError) outage = NULL; /* the first manifest that could not be read */

    self->snapshots = g_ptr_array_new_with_free_func(free_snapshot);
    self->unreadable = g_ptr_array_new_with_free_func(free_unreadable);
    if (entries == NULL)
        return false;
    for (guint i = 0; i < entries->len; i++) {
        const BkSnapshotEntry *entry = g_ptr_array_index(entries, i);
        BkRecoveryIndexSnapshot *snapshot = g_new0(BkRecoveryIndexSnapshot, 1);
        g_autoptr(GError) cause = NULL;

        if (!bk_snapshot_load_head(self->source_repo, entry, &snapshot->head, op, &cause) ||
            !bk_pg_meta_decode(&snapshot->meta, &snapshot->head.meta, &cause)) {
            free_snapshot(snapshot);
            if (!note_unreadable(self->unreadable, entry->id, &cause, error))
                return false;
            if (outage == NULL && cause != NULL && !is_damaged_manifest(cause))
                outage = g_steal_pointer(&cause);
            continue;
        }
        g_ptr_array_add(self->snapshots, snapshot);
    }
    return self->snapshots->len > 0 || bk_propagate(error, &outage);
}

static const BkWindowSnapshot *
describe_snapshots(const BkRecoveryIndex *self)
{
    BkWindowSnapshot *described = g_new0(BkWindowSnapshot, self->restorable->len);

    for (guint i = 0; i < self->restorable->len; i++) {
        const BkRecoveryIndexSnapshot *snapshot = g_ptr_array_index(self->restorable, i);

        described[i] = (BkWindowSnapshot){
            .id = snapshot->head.id,
            .timeline = snapshot->meta.timeline,
            .start_lsn = snapshot->meta.start_lsn,
            .stop_lsn = snapshot->meta.stop_lsn,
            .started_us = snapshot->head.started_us,
            .finished_us = snapshot->meta.stop_us,
            .standalone = snapshot->meta.is_standalone,
            .damaged = snapshot->head.state == BK_SNAPSHOT_DAMAGED,
        };
    }
    return described;
}

void
bk_recovery_index_find_windows(BkRecoveryIndex *self)
{
    free_const(self->input.snapshots);
    bk_windows_clear(&self->windows);
    self->input.snapshots = describe_snapshots(self);
    self->input.snapshot_count = self->restorable->len;
    bk_windows_find(&self->input, &self->windows);
}

static bool
read_history(const BkRecoveryIndex *self, uint32_t timeline, BkTimelineHistory *history, BkOp *op,
             GError **error)
{
    char name[BK_WAL_HISTORY_NAME_SIZE];
    g_auto(BkBuf) text = BK_BUF_INIT;
    BkWalName parsed;

    if (!bk_wal_name_parse(bk_wal_history_name(timeline, name), &parsed))
        g_assert_not_reached();
    return (bk_archive_get(self->source_repo, self->system_id, name, &parsed, &text, op, error) &&
            bk_timeline_history_parse(timeline, text.data, text.size, history, error)) ||
           bk_prefix(error, "timeline history \"%s\"", name);
}

/* One that cannot be read must not hide the other timelines: what comes before its own is not known
 * then, and what needs it cannot be reached. */
static bool
describe_history(BkRecoveryIndex *self, BkWindowTimeline *timeline, BkOp *op, GError **error)
{
    g_auto(BkTimelineHistory) history = {0};
    g_autoptr(GError) cause = NULL;
    BkWindowSwitch *switches;

    if (!read_history(self, timeline->timeline, &history, op, &cause)) {
        if (!bk_targets_is_at_fault(cause) && !bk_error_is(cause, BK_ERROR_NOT_FOUND))
            return bk_propagate(error, &cause);
        bk_problem_add(self->problems, BK_PROBLEM_HISTORY_UNREADABLE,
                       .timeline = timeline->timeline, .cause = cause->message);
        return true;
    }
    switches = g_new0(BkWindowSwitch, history.count);
    for (size_t i = 0; i < history.count; i++)
        switches[i] = (BkWindowSwitch){history.entries[i].timeline, history.entries[i].switch_lsn};
    timeline->switches = switches;
    timeline->switch_count = history.count;
    return true;
}

static const BkWindowSpan *
describe_spans(const BkArchiveTimeline *archived, uint32_t segment_size, size_t *count)
{
    g_autoptr(GArray) spans = g_array_new(FALSE, FALSE, sizeof(BkWindowSpan));

    for (guint i = 0; i < archived->segments->len; i++) {
        BkWindowSpan *last =
            spans->len > 0 ? &g_array_index(spans, BkWindowSpan, spans->len - 1) : NULL;
        uint64_t segno;

        if (!bk_wal_name_segno(&g_array_index(archived->segments, BkWalName, i), segment_size,
                               &segno))
            continue; /* no segment of this cluster has such a name */
        if (last != NULL && segno == last->last + 1) {
            last->last = segno;
        } else {
            BkWindowSpan span = {segno, segno};

            g_array_append_val(spans, span);
        }
    }
    *count = spans->len;
    return (const BkWindowSpan *)(const void *)g_array_free(g_steal_pointer(&spans), FALSE);
}

static bool
describe_archive(BkRecoveryIndex *self, BkOp *op, GError **error)
{
    BkWindowTimeline *timelines = g_new0(BkWindowTimeline, self->archive->len);

    self->input.timelines = timelines;
    self->input.timeline_count = self->archive->len;
    for (guint i = 0; i < self->archive->len; i++) {
        const BkArchiveTimeline *archived = g_ptr_array_index(self->archive, i);

        timelines[i].timeline = archived->timeline;
        timelines[i].spans =
            describe_spans(archived, self->input.segment_size, &timelines[i].span_count);
        if (archived->has_history && !describe_history(self, &timelines[i], op, error))
            return false;
    }
    return true;
}

void
bk_recovery_index_add_problems(const BkRecoveryIndex *self, GPtrArray *problems)
{
    for (guint i = 0; i < self->unreadable->len; i++) {
        const BkRecoveryIndexUnreadable *unreadable = g_ptr_array_index(self->unreadable, i);

        bk_problem_add(problems, BK_PROBLEM_SNAPSHOT_UNREADABLE, .snapshot = unreadable->id,
                       .cause = unreadable->why);
    }
    bk_problem_add_all(problems, self->problems);
}

BkRecoveryIndex *
bk_recovery_index_new_empty(const BkSourceRepo *source_repo, uint64_t system_id)
{
    BkRecoveryIndex *self = g_new0(BkRecoveryIndex, 1);

    self->source_repo = source_repo;
    self->system_id = system_id;
    self->snapshots = g_ptr_array_new_with_free_func(free_snapshot);
    self->restorable = g_ptr_array_new();
    self->unreadable = g_ptr_array_new_with_free_func(free_unreadable);
    self->problems = bk_problem_list_new();
    self->archive = g_ptr_array_new_with_free_func(bk_archive_timeline_free);
    self->input.segment_size = DEFAULT_SEGMENT_SIZE;
    return self;
}

/* The past of that cluster, in `pasts` from index `first` on; made if it is not there. */
static BkRecoveryIndex *
past_of(GPtrArray *pasts, guint first, const BkSourceRepo *source_repo, uint64_t system_id)
{
    guint at = first;
    BkRecoveryIndex *past;

    while (at < pasts->len &&
           ((const BkRecoveryIndex *)g_ptr_array_index(pasts, at))->system_id < system_id)
        at++;
    if (at < pasts->len &&
        ((const BkRecoveryIndex *)g_ptr_array_index(pasts, at))->system_id == system_id)
        return g_ptr_array_index(pasts, at);
    past = bk_recovery_index_new_empty(source_repo, system_id);
    g_ptr_array_insert(pasts, (gint)at, past);
    return past;
}

static void
distribute_snapshots(Load *load, GPtrArray *pasts, guint first)
{
    for (guint i = 0; i < load->snapshots->len; i++) {
        BkRecoveryIndexSnapshot *snapshot = g_ptr_array_index(load->snapshots, i);
        BkRecoveryIndex *past = past_of(pasts, first, load->source_repo, snapshot->meta.system_id);

        g_ptr_array_add(past->snapshots, snapshot);
        g_ptr_array_index(load->snapshots, i) = NULL;
    }
    for (guint i = first; i < pasts->len; i++) {
        BkRecoveryIndex *past = g_ptr_array_index(pasts, i);
        const BkRecoveryIndexSnapshot *newest;

        g_ptr_array_sort(past->snapshots, compare_index_snapshots);
        for (guint j = 0; j < past->snapshots->len; j++) {
            BkRecoveryIndexSnapshot *snapshot = g_ptr_array_index(past->snapshots, j);

            if (snapshot->head.state != BK_SNAPSHOT_UNFINISHED)
                g_ptr_array_add(past->restorable, snapshot);
        }
        newest = g_ptr_array_index(past->snapshots, past->snapshots->len - 1);
        past->input.segment_size = newest->meta.segment_size;
    }
}

/* Are there snapshots of several timelines of a cluster, which only their histories put in order?
 */
static bool
has_timelines(const BkRecoveryIndex *self)
{
    const BkRecoveryIndexSnapshot *oldest = g_ptr_array_index(self->snapshots, 0);
    const BkRecoveryIndexSnapshot *newest =
        g_ptr_array_index(self->snapshots, self->snapshots->len - 1);

    return oldest->meta.timeline != newest->meta.timeline;
}

static bool
needs_archive(BkRecoveryIndexArchive archive, const GPtrArray *pasts, guint first)
{
    bool needs = archive != BK_RECOVERY_INDEX_NO_ARCHIVE;

    for (guint i = first; i < pasts->len && !needs; i++)
        needs = has_timelines(g_ptr_array_index(pasts, i));
    return needs;
}

static bool
list_index_archive(Load *self, BkRecoveryIndexArchive archive, const GPtrArray *pasts, guint first,
                   BkOp *op, GError **error)
{
    g_autofree BkArchiveSize *sizes = g_new0(BkArchiveSize, pasts->len - first + 1);

    for (guint i = first; i < pasts->len; i++) {
        const BkRecoveryIndex *past = g_ptr_array_index(pasts, i);

        sizes[i - first] = (BkArchiveSize){past->system_id, past->input.segment_size};
    }
    self->archive = archive == BK_RECOVERY_INDEX_WHOLE_ARCHIVE
                        ? bk_archive_list(self->source_repo, op, error)
                        : bk_archive_list_known(self->source_repo, sizes, pasts->len - first,
                                                g_get_real_time(), op, error);
    return self->archive != NULL;
}

static bool
distribute_archive(Load *load, GPtrArray *pasts, guint first, BkOp *op, GError **error)
{
    for (guint i = 0; i < load->archive->len; i++) {
        BkArchiveTimeline *archived = g_ptr_array_index(load->archive, i);
        BkRecoveryIndex *past = past_of(pasts, first, load->source_repo, archived->system_id);

        g_ptr_array_add(past->archive, archived);
        g_ptr_array_index(load->archive, i) = NULL;
    }
    for (guint i = first; i < pasts->len; i++) {
        BkRecoveryIndex *past = g_ptr_array_index(pasts, i);

        if (!describe_archive(past, op, error))
            return false;
        bk_recovery_index_find_windows(past);
    }
    return true;
}

bool
bk_recovery_index_load_all(const BkSourceRepo *source_repo, BkRecoveryIndexArchive archive,
                           GPtrArray *pasts, BkOp *op, GError **error)
{
    const guint first = pasts->len;
    g_auto(Load) load = {.source_repo = source_repo};
    BkRecoveryIndex *last;

    if (!load_snapshots(&load, op, error))
        return false;
    distribute_snapshots(&load, pasts, first);
    if (needs_archive(archive, pasts, first) &&
        (!list_index_archive(&load, archive, pasts, first, op, error) ||
         !distribute_archive(&load, pasts, first, op, error))) {
        g_ptr_array_set_size(pasts, (gint)first);
        return false;
    }
    if (pasts->len == first)
        g_ptr_array_add(pasts, bk_recovery_index_new_empty(source_repo, 0));
    last = g_ptr_array_index(pasts, pasts->len - 1);
    g_ptr_array_unref(last->unreadable);
    last->unreadable = g_steal_pointer(&load.unreadable);
    return true;
}

void
bk_recovery_index_set_segment_size(BkRecoveryIndex *self, uint32_t segment_size)
{
    BkWindowTimeline *timelines = (BkWindowTimeline *)(uintptr_t)self->input.timelines;

    if (self->input.segment_size == segment_size)
        return;
    self->input.segment_size = segment_size;
    for (size_t i = 0; i < self->input.timeline_count; i++) {
        free_const(timelines[i].spans);
        timelines[i].spans = describe_spans(g_ptr_array_index(self->archive, i), segment_size,
                                            &timelines[i].span_count);
    }
    bk_recovery_index_find_windows(self);
}

void
bk_recovery_index_exclude(BkRecoveryIndex *self, const char *id, const char *why)
{
    for (guint i = 0; i < self->restorable->len; i++) {
        BkRecoveryIndexSnapshot *snapshot = g_ptr_array_index(self->restorable, i);

        if (strcmp(snapshot->head.id, id) != 0)
            continue;
        add_unreadable(self->unreadable, id, why);
        g_ptr_array_remove_index(self->restorable, i);
        (void)g_ptr_array_remove(self->snapshots, snapshot); /* frees it */
        bk_recovery_index_find_windows(self);
        return;
    }
}

bool
bk_recovery_index_is_remote(const BkRecoveryIndex *self)
{
    bool is_remote = false;

    if (self->members == NULL)
        return bk_store_is_remote(bk_source_repo_store(self->source_repo));
    for (guint i = 0; i < self->members->len; i++)
        is_remote = is_remote || bk_recovery_index_is_remote(g_ptr_array_index(self->members, i));
    return is_remote;
}

bool
bk_recovery_index_has_segment(const BkRecoveryIndex *self, uint32_t timeline, uint64_t segno)
{
    for (size_t i = 0; i < self->input.timeline_count; i++) {
        const BkWindowTimeline *at = &self->input.timelines[i];

        for (size_t j = 0; at->timeline == timeline && j < at->span_count; j++)
            if (segno >= at->spans[j].first && segno <= at->spans[j].last)
                return true;
    }
    return false;
}

/* Reads the segment's info, or its content where `info` is NULL, from one repository. */
static bool
read_from_one(const BkRecoveryIndex *self, uint32_t timeline, uint64_t segno, BkWalInfo *info,
              BkBuf *content, BkOp *op, GError **error)
{
    char name[BK_WAL_NAME_SIZE];
    const BkWalName parsed =
        bk_wal_name_of_segment(timeline, segno, self->input.segment_size, name);

    return info != NULL ? bk_archive_get_info(self->source_repo, self->system_id, name, &parsed,
                                              info, op, error)
                        : bk_archive_get(self->source_repo, self->system_id, name, &parsed, content,
                                         op, error);
}

static bool
read_from_any(const BkRecoveryIndex *self, uint32_t timeline, uint64_t segno, BkWalInfo *info,
              BkBuf *content, BkOp *op, GError **error)
{
    g_autoptr(GError) worst = NULL;

    if (self->members == NULL)
        return read_from_one(self, timeline, segno, info, content, op, error);
    for (guint i = 0; i < self->members->len; i++) {
        const BkRecoveryIndex *member = g_ptr_array_index(self->members, i);
        g_autoptr(GError) cause = NULL;

        if (!bk_recovery_index_has_segment(member, timeline, segno))
            continue;
        if (!bk_op_check(op, error))
            return false;
        if (read_from_one(member, timeline, segno, info, content, op, &cause))
            return true;
        bk_targets_keep_worst(&worst, &cause);
    }
    if (worst == NULL)
        return bk_throw(error, BK_ERROR_NOT_FOUND, "there is no such segment");
    return bk_propagate(error, &worst);
}

bool
bk_recovery_index_get_info(const BkRecoveryIndex *self, uint32_t timeline, uint64_t segno,
                           BkWalInfo *info, BkOp *op, GError **error)
{
    return read_from_any(self, timeline, segno, info, NULL, op, error);
}

bool
bk_recovery_index_get_segment(const BkRecoveryIndex *self, uint32_t timeline, uint64_t segno,
                              BkBuf *content, BkOp *op, GError **error)
{
    return read_from_any(self, timeline, segno, NULL, content, op, error);
}

typedef struct EndSearch {
    const BkRecoveryIndex *past;
    BkLsn after;
    BkRecoveryIndexEnd *end;
    GPtrArray *damage; /* NULL: damage is an error */
    BkOp *op;
} EndSearch;

/* Looks for commits in one segment; the last one of the path also says where the WAL ends. */
static bool
look_for_end(const EndSearch *self, uint32_t timeline, uint64_t segno, bool is_last, bool *found,
             GError **error)
{
    g_auto(BkWalInfo) info = {0};
    g_autoptr(GError) cause = NULL;

    *found = false;
    if (!bk_recovery_index_get_info(self->past, timeline, segno, &info, self->op, &cause)) {
        if (self->damage == NULL || !is_damaged_manifest(cause))
            return bk_propagate(error, &cause);
        bk_problem_add(self->damage, BK_PROBLEM_WAL_UNREADABLE,
                       .source = bk_source_repo_source(self->past->source_repo),
                       .cause = cause->message);
        return true;
    }
    if (is_last)
        self->end->lsn = MAX(info.end_lsn, self->after);
    if (info.xacts > 0 && info.last.lsn >= self->after) {
        self->end->time_us = info.max_time_us;
        self->end->last_lsn = info.last.lsn;
        *found = true;
    }
    return true;
}

bool
bk_recovery_index_find_end(const BkRecoveryIndex *self, const BkWindowPath *path, BkLsn after,
                           BkRecoveryIndexEnd *end, GPtrArray *damage, BkOp *op, GError **error)
{
    const EndSearch search = {self, after, end, damage, op};
    bool found;

    *end = (BkRecoveryIndexEnd){.lsn = path->end_lsn};
    for (size_t step = path->count; step-- > 0;) {
        const BkWindowStep *at = &path->steps[step];

        for (uint64_t segno = at->last; segno >= at->first && segno != UINT64_MAX; segno--) {
            bool is_last = step == path->count - 1 && segno == at->last;

            if ((segno + 1) * self->input.segment_size <= after)
                return true;
            if (!look_for_end(&search, at->timeline, segno, is_last, &found, error))
                return false;
            if (found)
                return true;
        }
    }
    return true;
}
