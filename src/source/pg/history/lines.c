/* lines.c - the lines of one cluster's history over all repositories of its source, judged from
 * the archive, the operator's decisions and the server (source/pg/history/line.h has the rules). */
#include "source/pg/history/lines.h"

#include "base/log.h"
#include "source/pg/cluster/server.h"

#include <string.h>

/* The server's timeline is asked for; when it is gone, nobody shall wait for it. */
#define SERVER_WAIT_US (3 * BK_USEC_PER_SEC)

void
bk_lines_clear(BkLines *self)
{
    bk_recovery_index_free(self->past);
    bk_line_map_clear(&self->map);
    g_free(self->activities);
    g_clear_pointer(&self->decisions, g_array_unref);
    g_clear_pointer(&self->valid, g_array_unref);
    g_clear_pointer(&self->problems, g_ptr_array_unref);
    *self = (BkLines){.pasts = NULL};
}

static const BkRecoveryIndex *
get_line_index(const BkLines *self, guint index)
{
    return g_ptr_array_index(self->pasts, index);
}

static const BkWindowTimeline *
find_line_timeline(const BkWindowInput *input, uint32_t timeline)
{
    for (size_t i = 0; i < input->timeline_count; i++)
        if (input->timelines[i].timeline == timeline)
            return &input->timelines[i];
    return NULL;
}

/* --- what happened in a stretch --------------------------------------------------------------- */

/* With the record that crosses from the segment before. */
static bool
read_joined(const BkLines *self, uint32_t timeline, uint64_t segno, BkWalInfo *info, BkOp *op,
            GError **error)
{
    g_auto(BkWalInfo) before = {0};

    if (!bk_recovery_index_get_info(self->past, timeline, segno, info, op, error))
        return false;
    if (segno > 0 && bk_recovery_index_has_segment(self->past, timeline, segno - 1) &&
        bk_recovery_index_get_info(self->past, timeline, segno - 1, &before, op, NULL))
        (void)bk_wal_info_join(&before, info);
    return true;
}

/* The segments of a stretch. */
typedef struct StretchRange {
    uint32_t timeline;
    uint64_t first;
    uint64_t last;
} StretchRange;

static StretchRange
range_of(const BkLines *self, const BkLineStretch *stretch)
{
    return (StretchRange){stretch->timeline, stretch->begin_lsn / self->input.segment_size,
                          (stretch->end_lsn - 1) / self->input.segment_size};
}

/* Returns true if the segment has a commit or abort within the stretch. */
static bool
has_commit(const BkLineStretch *stretch, const BkWalInfo *info)
{
    return info->xacts > 0 && info->last.lsn >= stretch->begin_lsn &&
           info->first.lsn < stretch->end_lsn;
}

/* Looks from the end back for the last commit. */
static bool
find_last(const BkLines *self, const BkLineStretch *stretch, BkLineActivity *activity, BkOp *op,
          GError **error)
{
    const BkWindowTimeline *archive = find_line_timeline(&self->input, stretch->timeline);
    const StretchRange range = range_of(self, stretch);

    for (size_t i = archive != NULL ? archive->span_count : 0; i-- > 0;) {
        const BkWindowSpan *span = &archive->spans[i];
        uint64_t first = MAX(span->first, range.first);

        for (uint64_t segno = MIN(span->last, range.last) + 1; segno-- > first;) {
            g_auto(BkWalInfo) info = {0};

            if (!bk_op_check(op, error) ||
                !read_joined(self, range.timeline, segno, &info, op, error))
                return false;
            if (!has_commit(stretch, &info))
                continue;
            /* Of a segment that goes on past the fork, its first commit is one for certain. */
            activity->last_lsn = info.last.lsn < stretch->end_lsn ? info.last.lsn : info.first.lsn;
            activity->last_us =
                info.last.lsn < stretch->end_lsn ? info.last.time_us : info.first.time_us;
            activity->first_us = activity->last_us;
            activity->has_commits = true;
            return true;
        }
    }
    return true;
}

/* A segment that holds the fork has commits of both sides: only itself tells which is the first
 * behind it. */
static bool
find_first_in(const BkLines *self, const BkLineStretch *stretch, uint64_t segno,
              const BkWalInfo *info, BkLineActivity *activity, BkOp *op, GError **error)
{
    g_auto(BkBuf) content = BK_BUF_INIT;
    BkWalMoment found = {0};
    BkWalMoment commit = {0};

    if (info->first.lsn >= stretch->begin_lsn) {
        activity->first_us = MIN(activity->last_us, info->min_time_us);
        return true;
    }
    if (!bk_recovery_index_get_segment(self->past, stretch->timeline, segno, &content, op, error) ||
        !bk_wal_find_time(content.data, content.size, NULL, INT64_MIN, stretch->begin_lsn, &found,
                          &commit, error))
        return false;
    if (found.lsn != 0)
        activity->first_us = MIN(activity->last_us, found.time_us);
    return true;
}

static bool
find_first_activity(const BkLines *self, const BkLineStretch *stretch, BkLineActivity *activity,
                    BkOp *op, GError **error)
{
    const BkWindowTimeline *archive = find_line_timeline(&self->input, stretch->timeline);
    const StretchRange range = range_of(self, stretch);

    for (size_t i = 0; archive != NULL && i < archive->span_count; i++) {
        const BkWindowSpan *span = &archive->spans[i];
        uint64_t last = MIN(span->last, range.last);

        for (uint64_t segno = MAX(span->first, range.first); segno <= last; segno++) {
            g_auto(BkWalInfo) info = {0};

            if (!bk_op_check(op, error) ||
                !read_joined(self, range.timeline, segno, &info, op, error))
                return false;
            if (has_commit(stretch, &info))
                return find_first_in(self, stretch, segno, &info, activity, op, error);
        }
    }
    return true;
}

/* What cannot be read is unknown, and a problem. False when `op` ended. */
static bool
note_unknown(BkLines *self, size_t stretch, GError **cause, BkOp *op, GError **error)
{
    if (!bk_op_check(op, error))
        return false;
    self->activities[stretch].is_unknown = true;
    bk_problem_add(self->problems, BK_PROBLEM_LINE_UNREADABLE,
                   .source = bk_source_repo_source(self->past->source_repo),
                   .cause = (*cause)->message);
    return true;
}

/* Were two or more lines active? Only then it matters when each began. */
static bool
has_rivals(const BkLines *self)
{
    size_t active = 0;

    for (size_t i = 0; i < self->map.line_count; i++) {
        bool is_active = false;

        for (size_t at = self->map.lines[i].end; at != BK_LINE_NONE && !is_active;
             at = self->map.stretches[at].before)
            is_active = !self->map.stretches[at].is_shared && self->activities[at].has_commits;
        active += is_active;
    }
    return active > 1;
}

static bool
find_activities(BkLines *self, BkOp *op, GError **error)
{
    const BkLineMap *map = &self->map;

    self->activities = g_new0(BkLineActivity, map->stretch_count);
    for (size_t i = 0; i < map->stretch_count; i++) {
        g_autoptr(GError) cause = NULL;

        if (!map->stretches[i].is_shared &&
            !find_last(self, &map->stretches[i], &self->activities[i], op, &cause) &&
            !note_unknown(self, i, &cause, op, error))
            return false;
    }
    for (size_t i = 0; i < map->stretch_count && has_rivals(self); i++) {
        g_autoptr(GError) cause = NULL;

        if (self->activities[i].has_commits &&
            !find_first_activity(self, &map->stretches[i], &self->activities[i], op, &cause) &&
            !note_unknown(self, i, &cause, op, error))
            return false;
    }
    return true;
}

/* --- decisions and the server ----------------------------------------------------------------- */

static void
apply_decisions(BkLines *self)
{
    for (guint i = 0; i < self->decisions->len; i++) {
        const BkDecision *decision = &g_array_index(self->decisions, BkDecision, i);
        const BkLineDecision valid = {decision->kind == BK_DECISION_CURRENT, decision->timeline,
                                      decision->lsn};

        if (decision->kind == BK_DECISION_DAMAGED || decision->kind == BK_DECISION_CLUSTER ||
            decision->system_id != self->system_id)
            continue;
        /* A later one about the same timeline takes the place of an earlier one. */
        for (guint j = self->valid->len; j-- > 0;)
            if (g_array_index(self->valid, BkLineDecision, j).timeline == decision->timeline)
                g_array_remove_index(self->valid, j);
        if (decision->kind != BK_DECISION_FORGET)
            g_array_append_val(self->valid, valid);
    }
}

bool
bk_lines_list_decisions(const BkSourceRepo *source_repo, GArray *decisions, GPtrArray *problems,
                        BkOp *op, GError **error)
{
    g_autoptr(GPtrArray) damage = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) cause = NULL;

    if (!bk_decision_list(source_repo, decisions, damage, op, &cause)) {
        if (!bk_op_check(op, error))
            return false;
        g_ptr_array_add(damage, g_strdup(cause->message));
    }
    for (guint i = 0; i < damage->len; i++)
        bk_problem_add(problems, BK_PROBLEM_DECISION_UNREADABLE,
                       .source = bk_source_repo_source(source_repo),
                       .cause = g_ptr_array_index(damage, i));
    return true;
}

bool
bk_lines_load_decisions(BkLines *self, BkOp *op, GError **error)
{
    g_autofree guint *counts = g_new0(guint, self->pasts->len + 1);

    if (self->decisions->len > 0)
        return true; /* they are loaded */

    for (guint i = 0; i < self->pasts->len; i++) {
        g_autoptr(GArray) own = g_array_new(FALSE, FALSE, sizeof(BkDecision));

        if (!bk_lines_list_decisions(get_line_index(self, i)->source_repo, own, self->problems, op,
                                     error))
            return false;
        counts[i] = own->len;
        bk_decision_join(self->decisions, own);
    }
    for (guint i = 0; i < self->pasts->len; i++)
        self->undecided_parts += counts[i] < self->decisions->len;
    apply_decisions(self);
    return true;
}

/* It says nothing when it cannot be reached, when it is another cluster's, or still in recovery. */
static void
ask_line_server(BkLines *self, const BkSourceSpec *source, BkOp *parent)
{
    g_autoptr(BkOp) op = bk_op_new(parent);
    g_autoptr(BkServer) server = NULL;
    g_autoptr(GError) error = NULL;
    uint64_t system_id = 0;
    uint32_t timeline = 0;

    bk_op_set_deadline(op, g_get_monotonic_time() + SERVER_WAIT_US);
    server = bk_server_connect(source->connection, op, &error);
    if (server == NULL || !bk_server_get_timeline(server, &system_id, &timeline, op, &error)) {
        bk_log(BK_LOG_INFO, "the timeline of the server could not be read: %s", error->message);
        return;
    }
    if (system_id == self->system_id && find_line_timeline(&self->input, timeline) != NULL)
        self->server_timeline = timeline;
}

bool
bk_lines_load(const GPtrArray *pasts, const BkSourceSpec *source, BkLines *self, BkOp *op,
              GError **error)
{
    BkLineEvidence evidence = {NULL};

    *self = (BkLines){
        .pasts = pasts,
        .past = bk_recovery_index_join(pasts),
        .decisions = g_array_new(FALSE, FALSE, sizeof(BkDecision)),
        .valid = g_array_new(FALSE, FALSE, sizeof(BkLineDecision)),
        .problems = bk_problem_list_new(),
    };
    self->input = self->past->input;
    self->system_id = self->past->system_id;
    if (self->input.timeline_count > 1 && source != NULL && source->connection != NULL)
        ask_line_server(self, source, op);
    bk_line_map_find(&self->input, self->server_timeline, &self->map);
    if (self->map.line_count > 1 && !bk_lines_load_decisions(self, op, error))
        return false;
    if (!find_activities(self, op, error))
        return false;
    evidence = (BkLineEvidence){
        .activities = self->activities,
        .decisions = (const BkLineDecision *)(const void *)self->valid->data,
        .decision_count = self->valid->len,
        .server_timeline = self->server_timeline,
    };
    bk_line_map_judge(&self->map, &self->input, &evidence);
    return true;
}

/* --- questions -------------------------------------------------------------------------------- */

const BkLine *
bk_lines_living(const BkLines *self)
{
    return self->map.living != BK_LINE_NONE ? &self->map.lines[self->map.living] : NULL;
}

bool
bk_lines_has_snapshot(const BkLines *self, size_t index, size_t snapshot)
{
    const BkWindowSnapshot *at = &self->input.snapshots[snapshot];
    size_t stretch = bk_line_map_find_stretch(&self->map, at->timeline, at->stop_lsn);

    return stretch != BK_LINE_NONE && bk_line_map_has(&self->map, index, stretch);
}

size_t
bk_lines_find_snapshot(const BkLines *self, const char *id)
{
    for (size_t i = 0; i < self->input.snapshot_count; i++)
        if (strcmp(self->input.snapshots[i].id, id) == 0)
            return i;
    return SIZE_MAX;
}

size_t
bk_lines_newest_snapshot(const BkLines *self)
{
    size_t newest = SIZE_MAX;

    for (size_t i = 0; i < self->input.snapshot_count; i++) {
        const BkWindowSnapshot *snapshot = &self->input.snapshots[i];
        const BkWindowSnapshot *present =
            newest != SIZE_MAX ? &self->input.snapshots[newest] : NULL;

        if (self->map.living != BK_LINE_NONE && !bk_lines_has_snapshot(self, self->map.living, i))
            continue;
        if (present == NULL || snapshot->stop_lsn > present->stop_lsn ||
            (snapshot->stop_lsn == present->stop_lsn && snapshot->timeline > present->timeline))
            newest = i;
    }
    return newest;
}

/* Returns true if its history is in any repository, though perhaps damaged. */
static bool
has_history(const BkLines *self, uint32_t timeline)
{
    for (guint i = 0; i < self->past->archive->len; i++) {
        const BkArchiveTimeline *archived = g_ptr_array_index(self->past->archive, i);

        if (archived->timeline == timeline && archived->has_history)
            return true;
    }
    return false;
}

GArray *
bk_lines_find_orphans(const BkLines *self)
{
    GArray *orphans = g_array_new(FALSE, FALSE, sizeof(uint32_t));

    for (size_t i = 0; i < self->input.timeline_count; i++) {
        const BkWindowTimeline *timeline = &self->input.timelines[i];
        bool has_older = false;

        for (size_t j = 0; j < self->input.timeline_count; j++)
            has_older = has_older || (self->input.timelines[j].timeline < timeline->timeline &&
                                      self->input.timelines[j].span_count > 0);
        if (timeline->span_count > 0 && has_older && !has_history(self, timeline->timeline))
            g_array_append_val(orphans, timeline->timeline);
    }
    return orphans;
}

static void
append_line_time(GString *text, int64_t time_us)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(time_us / BK_USEC_PER_SEC);
    g_autofree char *formatted =
        time != NULL ? g_date_time_format(time, "%Y-%m-%d %H:%M:%S UTC") : NULL;

    g_string_append(text, formatted != NULL ? formatted : "an impossible time");
}

/* Snapshots of the line from its own stretch on, and the newest of them. */
static size_t
count_line_snapshots(const BkLines *self, size_t line, size_t own, const BkWindowSnapshot **newest)
{
    const BkLineStretch *begin = &self->map.stretches[own];
    size_t count = 0;

    *newest = NULL;
    for (size_t i = 0; i < self->input.snapshot_count; i++) {
        const BkWindowSnapshot *snapshot = &self->input.snapshots[i];

        if (!bk_lines_has_snapshot(self, line, i) || snapshot->stop_lsn <= begin->begin_lsn)
            continue;
        count++;
        if (*newest == NULL || snapshot->stop_lsn > (*newest)->stop_lsn)
            *newest = snapshot;
    }
    return count;
}

/* The newest activity of the line from its own stretch on; NULL: there is none. */
static const BkLineActivity *
find_last_activity(const BkLines *self, size_t line, size_t own)
{
    const BkLineMap *map = &self->map;

    for (size_t at = map->lines[line].end; at != BK_LINE_NONE; at = map->stretches[at].before) {
        const BkLineActivity *activity = &self->activities[at];

        if (activity->has_commits || activity->is_unknown)
            return activity;
        if (at == own)
            break;
    }
    return NULL;
}

/* The line's timeline, and where its own stretch begins. */
static void
append_begin(GString *text, const BkLineMap *map, size_t line, size_t own)
{
    const BkLineStretch *begin = &map->stretches[own];
    char lsn[BK_LSN_TEXT_SIZE];

    g_string_append_printf(text, "timeline %u", map->lines[line].timeline);
    if (begin->before != BK_LINE_NONE && map->stretches[begin->before].timeline != begin->timeline)
        g_string_append_printf(text, " (from timeline %u at %s on)",
                               map->stretches[begin->before].timeline,
                               bk_lsn_format(begin->begin_lsn, lsn));
    else if (begin->begin_lsn != 0)
        g_string_append_printf(text, " (past %s)", bk_lsn_format(begin->begin_lsn, lsn));
}

static void
append_commits(GString *text, const BkLines *self, size_t line, size_t own)
{
    const BkLineMap *map = &self->map;
    const BkLineActivity *first = &self->activities[own];
    const BkLineActivity *last = find_last_activity(self, line, own);
    char lsn[BK_LSN_TEXT_SIZE];

    if (last == NULL) {
        g_string_append(text, map->line_count > 1 ? ": no commit" : "");
        return;
    }
    if (last->is_unknown) {
        g_string_append(text, ": its commits could not be read");
        return;
    }
    g_string_append(text, ": ");
    if (map->stretches[own].timeline == map->lines[line].timeline && has_rivals(self)) {
        g_string_append(text, "commits from ");
        append_line_time(text, first->has_commits ? first->first_us : last->first_us);
        g_string_append(text, ", ");
    }
    g_string_append(text, "last commit ");
    append_line_time(text, last->last_us);
    g_string_append_printf(text, " (%s)", bk_lsn_format(last->last_lsn, lsn));
}

char *
bk_lines_describe(const BkLines *self, size_t index)
{
    const size_t own = bk_line_map_own_stretch(&self->map, index);
    g_autoptr(GString) text = g_string_new(NULL);
    const BkWindowSnapshot *newest;
    size_t snapshots = count_line_snapshots(self, index, own, &newest);

    append_begin(text, &self->map, index, own);
    append_commits(text, self, index, own);
    if (newest != NULL)
        g_string_append_printf(text, ", %zu %s, newest %s", snapshots,
                               snapshots == 1 ? "snapshot" : "snapshots", newest->id);
    else
        g_string_append(text, ", no snapshot");
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* --- order ------------------------------------------------------------------------------------ */

typedef struct SortContext {
    const BkLines *lines;
    const size_t *ranks;
    BkLinesGetSnapshot at;
} SortContext;

static size_t
rank_of(const SortContext *self, const BkRecoveryIndexSnapshot *snapshot)
{
    size_t stretch =
        bk_line_map_find_stretch(&self->lines->map, snapshot->meta.timeline,
                                 MAX(snapshot->meta.start_lsn, snapshot->meta.stop_lsn));

    return stretch != BK_LINE_NONE ? self->ranks[stretch] : SIZE_MAX;
}

static int
compare_elements(gconstpointer a, gconstpointer b, gpointer data)
{
    const SortContext *self = data;
    const BkRecoveryIndexSnapshot *left = self->at(*(const void *const *)a);
    const BkRecoveryIndexSnapshot *right = self->at(*(const void *const *)b);
    size_t left_rank = rank_of(self, left);
    size_t right_rank = rank_of(self, right);

    if (left_rank != right_rank)
        return left_rank < right_rank ? -1 : 1;
    return bk_recovery_index_snapshot_compare(left, right);
}

void
bk_lines_sort(const BkLines *self, GPtrArray *elements, BkLinesGetSnapshot at)
{
    g_autofree size_t *ranks = bk_line_map_rank(&self->map);
    SortContext context = {self, ranks, at};

    g_ptr_array_sort_with_data(elements, compare_elements, &context);
}
