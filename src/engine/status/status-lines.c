#include "engine/status/status-lines.h"

static void BK_PRINTF(2, 3) add_text(GPtrArray *texts, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_ptr_array_add(texts, g_strdup_vprintf(format, args));
    va_end(args);
}

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

static void
note_broken(BkStatus *self, const BkRecoveryIndex *past, const BkLines *lines,
            const char *repository)
{
    for (size_t i = 0; i < past->windows.broken_count; i++) {
        const BkWindowBroken *broken = &past->windows.broken[i];
        const BkWindowGap gap = {broken->timeline, broken->segno, broken->segno};
        char name[BK_WAL_NAME_SIZE];

        add_text(
            is_past(self, lines, past, &gap) ? self->notes : self->problems,
            "snapshot %s in %s cannot be recovered%s: its WAL segment %s is missing",
            past->input.snapshots[broken->snapshot].id, repository,
            is_elsewhere(lines, &gap) ? " from there alone" : "",
            bk_wal_segment_name(broken->timeline, broken->segno, past->input.segment_size, name));
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
                    const char *repository)
{
    const uint32_t size = past->input.segment_size;

    note_broken(self, past, lines, repository);
    for (size_t i = 0; i < past->windows.count; i++) {
        const BkWindow *window = &past->windows.windows[i];
        const BkWindowGap *gap = &window->gap;
        g_autofree char *loss = describe_loss(past, window);
        char first[BK_WAL_NAME_SIZE], last[BK_WAL_NAME_SIZE];

        if (gap->timeline == 0)
            continue;
        add_text(is_past(self, lines, past, gap) ? self->notes : self->problems,
                 "WAL segments %s to %s are missing in %s on the way to timeline %u: %s%s%s",
                 bk_wal_segment_name(gap->timeline, gap->first, size, first),
                 bk_wal_segment_name(gap->timeline, gap->last, size, last), repository,
                 window->timeline, is_elsewhere(lines, gap) ? "from there alone, " : "", loss,
                 is_elsewhere(lines, gap) ? "; \"copy\" from another repository brings them" : "");
    }
}

/* Nothing older leads to a timeline of which nobody knows where it came from. */
static void
note_orphans(BkStatus *self)
{
    const BkLines *lines = self->listing.lines;
    g_autoptr(GArray) orphans = bk_lines_find_orphans(lines);

    for (guint i = 0; i < orphans->len; i++) {
        uint32_t timeline = g_array_index(orphans, uint32_t, i);
        size_t newest = bk_lines_newest_snapshot(lines);
        bool is_behind = lines->map.living != BK_LINE_NONE && newest != SIZE_MAX &&
                         lines->input.snapshots[newest].timeline >= timeline;

        add_text(is_behind ? self->notes : self->problems,
                 "the file %08X.history is missing, though there is WAL of timeline %u: nothing of "
                 "it can be reached from a snapshot before it",
                 timeline, timeline);
    }
}

static void
note_line(BkStatus *self, const char *source, size_t index)
{
    const BkLines *lines = self->listing.lines;
    const BkLine *line = &lines->map.lines[index];
    const BkLine *living = bk_lines_living(lines);
    g_autofree char *what = bk_lines_describe(lines, index);

    if (living == NULL || line == living || line->verdict == BK_LINE_DECLARED)
        return;
    if (line->is_copy)
        add_text(self->problems,
                 "another server archives into \"%s\", as a copy of the cluster does: %s; the "
                 "cluster lives on timeline %u: stop the copy's archiving, then \"backstay line "
                 "dead %s %u\"",
                 source, what, living->timeline, source, line->timeline);
    else if (line->grew_beside)
        add_text(self->problems,
                 "two servers have archived into \"%s\" at the same time: %s; the cluster lives on "
                 "timeline %u: make sure that only one runs, save what is worth it from the other, "
                 "then \"backstay line dead %s %u\"",
                 source, what, living->timeline, source, line->timeline);
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
    add_text(self->problems,
             "it is ambiguous on which line \"%s\" lives, and \"restore\" needs --timeline: %s: "
             "decide it by \"backstay line current %s N\"",
             source, text->str, source);
}

void
bk_status_note_lines(BkStatus *self, const char *source)
{
    const BkLines *lines = self->listing.lines;

    for (guint i = 0; i < lines->problems->len; i++)
        add_text(self->problems, "%s", (const char *)g_ptr_array_index(lines->problems, i));
    note_orphans(self);
    note_ambiguity(self, source);
    for (size_t i = 0; i < lines->map.line_count; i++)
        note_line(self, source, i);
    if (lines->undecided_parts > 0)
        add_text(
            self->problems,
            "%zu of the repositories of \"%s\" lack a decision about its lines: make the newest "
            "one again (\"backstay line list %s\" shows it), which brings all of them there",
            lines->undecided_parts, source, source);
}
