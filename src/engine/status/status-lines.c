/* status-lines.c - what is wrong with the lines of a source's history: gaps, lines that grow
 * beside each other, decisions that a repository lacks. */
#include "engine/status/status-lines.h"

static bool
is_broken(const BkRecoveryIndex *past, size_t snapshot)
{
    for (size_t i = 0; i < past->windows.broken_count; i++)
        if (past->windows.broken[i].snapshot == snapshot)
            return true;
    return false;
}

/* Where the newest snapshot of the living line begins from which `past` can be recovered; 0: there
 * is none. */
static BkLsn
find_newest_start(const BkLines *lines, const BkRecoveryIndex *past)
{
    BkLsn start_lsn = 0;

    for (size_t i = 0; lines->map.living != BK_LINE_NONE && i < past->input.snapshot_count; i++) {
        size_t index = bk_lines_find_snapshot(lines, past->input.snapshots[i].id);

        if (index != SIZE_MAX && !is_broken(past, i) &&
            bk_lines_has_snapshot(lines, lines->map.living, index))
            start_lsn = MAX(start_lsn, past->input.snapshots[i].start_lsn);
    }
    return start_lsn;
}

/* Is that position of `timeline` on the living line? */
static bool
is_on_living(const BkLines *lines, uint32_t timeline, BkLsn lsn)
{
    size_t stretch = bk_line_map_find_stretch(&lines->map, timeline, lsn);

    return lines->map.living == BK_LINE_NONE || stretch == BK_LINE_NONE ||
           bk_line_map_has(&lines->map, lines->map.living, stretch);
}

/* Have other repositories what is missing in this one? */
static bool
is_elsewhere(const BkLines *lines, const BkWindowGap *gap)
{
    for (size_t i = 0; i < lines->input.timeline_count; i++) {
        const BkWindowTimeline *timeline = &lines->input.timelines[i];

        for (size_t j = 0; timeline->timeline == gap->timeline && j < timeline->span_count; j++)
            if (timeline->spans[j].first <= gap->first && timeline->spans[j].last >= gap->last)
                return true;
    }
    return false;
}

/* Does nothing that is done now, or later, depend on what is missing? */
static bool
is_past(const BkStatus *self, const BkLines *lines, const BkRecoveryIndex *past,
        const BkWindowGap *gap)
{
    const uint32_t size = past->input.segment_size;
    BkLsn newest = find_newest_start(lines, past);

    if (is_elsewhere(lines, gap))
        return false;
    if (lines != self->listing.lines) /* the source went on with another cluster */
        return true;
    if (newest == 0)
        return false;
    return !is_on_living(lines, gap->timeline, gap->first * size + 1) ||
           (gap->last + 1) * size <= newest;
}

/* A problem by where what is missing may still be: nowhere, in another repository, or it no longer
 * matters. */
typedef struct Missing {
    BkProblemCode nowhere, elsewhere, superseded;
} Missing;

static BkProblemCode
choose_code(const BkStatus *self, const BkLines *lines, const BkRecoveryIndex *past,
            const BkWindowGap *gap, const Missing *missing)
{
    if (is_elsewhere(lines, gap))
        return missing->elsewhere;
    return is_past(self, lines, past, gap) ? missing->superseded : missing->nowhere;
}

static void
note_broken(BkStatus *self, const BkRecoveryIndex *past, const BkLines *lines,
            const BkReplicaLag *standing)
{
    static const Missing missing = {BK_PROBLEM_SNAPSHOT_WAL_MISSING,
                                    BK_PROBLEM_SNAPSHOT_WAL_MISSING_HERE,
                                    BK_PROBLEM_SNAPSHOT_WAL_MISSING_SUPERSEDED};

    for (size_t i = 0; i < past->windows.broken_count; i++) {
        const BkWindowBroken *broken = &past->windows.broken[i];
        const BkWindowGap gap = {broken->timeline, broken->segno, broken->segno};
        char name[BK_WAL_NAME_SIZE];

        bk_problem_add(self->problems, choose_code(self, lines, past, &gap, &missing),
                       .source = bk_source_repo_source(past->source_repo),
                       .snapshot = past->input.snapshots[broken->snapshot].id,
                       .repository = standing->name, .is_best_effort = !standing->is_required,
                       .first = bk_wal_segment_name(broken->timeline, broken->segno,
                                                    past->input.segment_size, name));
    }
}

static char *
format_time(int64_t time_us)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(time_us / BK_USEC_PER_SEC);

    return time != NULL ? g_date_time_format(time, "%Y-%m-%d %H:%M:%S UTC")
                        : g_strdup("an impossible time");
}

/* The first window behind `window` on the same way, NULL for none. */
static const BkWindow *
find_next(const BkRecoveryIndex *past, const BkWindow *window)
{
    const BkWindow *next = NULL;

    for (size_t i = 0; i < past->windows.count; i++) {
        const BkWindow *other = &past->windows.windows[i];

        if (other->timeline == window->timeline && other->from_lsn >= window->end_lsn &&
            other != window && (next == NULL || other->from_lsn < next->from_lsn))
            next = other;
    }
    return next;
}

/* "nothing from POSITION to TIME can be recovered": a new string. */
static char *
describe_loss(const BkRecoveryIndex *past, const BkWindow *window)
{
    const BkWindow *next = find_next(past, window);
    g_autofree char *until = next != NULL ? format_time(next->from_time_us) : NULL;
    char lsn[BK_LSN_TEXT_SIZE];

    return g_strdup_printf("nothing from %s on to %s can be recovered",
                           bk_lsn_format(window->end_lsn, lsn),
                           until != NULL ? until : "the next snapshot");
}

void
bk_status_note_gaps(BkStatus *self, const BkRecoveryIndex *past, const BkLines *lines,
                    const BkReplicaLag *standing)
{
    static const Missing missing = {BK_PROBLEM_WAL_MISSING, BK_PROBLEM_WAL_MISSING_HERE,
                                    BK_PROBLEM_WAL_MISSING_SUPERSEDED};
    const uint32_t size = past->input.segment_size;

    note_broken(self, past, lines, standing);
    for (size_t i = 0; i < past->windows.count; i++) {
        const BkWindow *window = &past->windows.windows[i];
        const BkWindowGap *gap = &window->gap;
        g_autofree char *loss = describe_loss(past, window);
        char first[BK_WAL_NAME_SIZE], last[BK_WAL_NAME_SIZE];

        if (gap->timeline == 0)
            continue;
        bk_problem_add(
            self->problems, choose_code(self, lines, past, gap, &missing),
            .source = bk_source_repo_source(past->source_repo), .repository = standing->name,
            .is_best_effort = !standing->is_required, .timeline = window->timeline,
            .first = bk_wal_segment_name(gap->timeline, gap->first, size, first),
            .last = bk_wal_segment_name(gap->timeline, gap->last, size, last), .loss = loss);
    }
}

/* Nothing older leads to a timeline of which nobody knows where it came from. */
static void
note_orphans(BkStatus *self, const char *source)
{
    const BkLines *lines = self->listing.lines;
    g_autoptr(GArray) orphans = bk_lines_find_orphans(lines);

    for (guint i = 0; i < orphans->len; i++) {
        uint32_t timeline = g_array_index(orphans, uint32_t, i);
        size_t newest = bk_lines_newest_snapshot(lines);
        bool is_behind = lines->map.living != BK_LINE_NONE && newest != SIZE_MAX &&
                         lines->input.snapshots[newest].timeline >= timeline;
        char name[BK_WAL_HISTORY_NAME_SIZE];

        bk_problem_add(
            self->problems,
            is_behind ? BK_PROBLEM_HISTORY_MISSING_SUPERSEDED : BK_PROBLEM_HISTORY_MISSING,
            .source = source, .timeline = timeline, .file = bk_wal_history_name(timeline, name));
    }
}

static void
note_line(BkStatus *self, const char *source, size_t index)
{
    const BkLines *lines = self->listing.lines;
    const BkLine *line = &lines->map.lines[index];
    const BkLine *living = bk_lines_living(lines);
    g_autofree char *what = bk_lines_describe(lines, index);

    if (living == NULL || line == living || line->verdict == BK_LINE_DECLARED ||
        (!line->is_copy && !line->grew_beside))
        return;
    bk_problem_add(
        self->problems, line->is_copy ? BK_PROBLEM_COPY_ARCHIVES : BK_PROBLEM_TWO_SERVERS,
        .source = source, .line = what, .timeline = line->timeline, .other = living->timeline);
}

static void
note_ambiguity(BkStatus *self, const char *source)
{
    const BkLines *lines = self->listing.lines;
    g_autoptr(GString) text = g_string_new(NULL);

    if (lines->map.line_count == 0 || lines->map.living != BK_LINE_NONE)
        return;
    for (size_t i = 0; i < lines->map.line_count; i++) {
        g_autofree char *what = bk_lines_describe(lines, i);

        g_string_append_printf(text, "%s%s", i > 0 ? "; " : "", what);
    }
    bk_problem_add(self->problems, BK_PROBLEM_LINE_AMBIGUOUS, .source = source, .line = text->str);
}

void
bk_status_note_lines(BkStatus *self, const char *source)
{
    const BkLines *lines = self->listing.lines;

    bk_problem_add_all(self->problems, lines->problems);
    note_orphans(self, source);
    note_ambiguity(self, source);
    for (size_t i = 0; i < lines->map.line_count; i++)
        note_line(self, source, i);
    if (lines->undecided_parts > 0)
        bk_problem_add(self->problems, BK_PROBLEM_DECISION_MISSING, .source = source,
                       .count = lines->undecided_parts);
}
