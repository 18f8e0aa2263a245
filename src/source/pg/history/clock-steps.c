/* clock-steps.c - where the server's clock was set back along the current line, by the times of
 * its commits. */
#include "source/pg/history/clock-steps.h"

#include "source/pg/format/pg-time.h"

/* Commits at the same time may have times that fall by a little. */
#define STEP_US BK_USEC_PER_SEC

/* Segments that are looked at. */
#define SEGMENTS_MAX 1024

typedef struct Walk {
    const BkRecoveryIndex *past;
    GPtrArray *problems;
    BkOp *op;
    uint64_t stride;     /* between the segments that are looked at */
    bool has_time;       /* of commits before */
    int64_t time_us;     /* the clock had come to it */
    uint32_t timeline;   /* of the segment that was looked at last, and that one */
    uint64_t last_segno; /* 0: none of this path was */
} Walk;

/* Times of the commits of a segment; false if there is none, or it cannot be read. */
static bool
load_times(const Walk *self, uint32_t timeline, uint64_t segno, BkWalInfo *info)
{
    return bk_recovery_index_get_info(self->past, timeline, segno, info, self->op, NULL) &&
           info->xacts > 0;
}

/* The first segment behind the one before in which the clock is back, when those between are of the
 * same timeline. */
static uint64_t
find_first_archived(const Walk *self, uint32_t timeline, uint64_t segno)
{
    uint64_t low = self->last_segno;

    if (self->timeline != timeline || low == 0)
        return segno;
    while (low + 1 < segno) {
        uint64_t middle = low + (segno - low) / 2;
        g_auto(BkWalInfo) info = {0};

        if (load_times(self, timeline, middle, &info) && info.min_time_us < self->time_us - STEP_US)
            segno = middle;
        else
            low = middle;
    }
    return segno;
}

/* `where` is the first segment with times after the step; or NULL, then `object` comes after it. */
static void
add_clock_problem(GPtrArray *problems, const BkRecoveryIndex *past, const char *where,
                  const char *object, int64_t high_us, int64_t low_us)
{
    char low[BK_PG_TIME_TEXT_SIZE], high[BK_PG_TIME_TEXT_SIZE];
    g_autofree char *since = g_strdup_printf("%.19s UTC%s", bk_pg_time_format(high_us, high),
                                             where != NULL ? "" : " or later");
    g_autofree char *until = g_strdup_printf("%.19s UTC%s", bk_pg_time_format(low_us, low),
                                             where != NULL ? "" : " or earlier");

    bk_problem_add(problems, BK_PROBLEM_CLOCK_SET_BACK,
                   .source = bk_source_repo_source(past->source_repo), .first = where,
                   .object = object, .since = since, .until = until);
}

static void
add_segment(const Walk *self, uint32_t timeline, uint64_t segno, int64_t low_us, int64_t high_us)
{
    char name[BK_WAL_NAME_SIZE];

    add_clock_problem(self->problems, self->past,
                      bk_wal_segment_name(timeline, segno, self->past->input.segment_size, name),
                      NULL, high_us, low_us);
}

static void
look_at_segment(Walk *self, uint32_t timeline, uint64_t segno)
{
    g_auto(BkWalInfo) info = {0};
    int64_t high_us, low_us;

    if (!load_times(self, timeline, segno, &info))
        return;
    high_us = self->has_time ? MAX(self->time_us, info.max_time_us) : info.max_time_us;
    low_us = info.last.time_us < high_us - STEP_US ? info.last.time_us : info.min_time_us;
    if (self->has_time && info.min_time_us < self->time_us - STEP_US) {
        add_segment(self, timeline, find_first_archived(self, timeline, segno), info.min_time_us,
                    high_us);
        self->time_us = info.last.time_us;
    } else if (info.min_time_us < info.first.time_us - STEP_US ||
               info.last.time_us < info.max_time_us - STEP_US) {
        add_segment(self, timeline, segno, low_us, high_us);
        self->time_us = info.last.time_us;
    } else {
        self->time_us = high_us;
    }
    self->has_time = true;
    self->timeline = timeline;
    self->last_segno = segno;
}

static bool
walk_path(Walk *self, const BkWindowPath *path, GError **error)
{
    self->last_segno = 0;
    for (size_t i = 0; i < path->count; i++) {
        const BkWindowStep *step = &path->steps[i];
        const uint64_t round = self->stride - 1;

        for (uint64_t segno = step->first; segno <= step->last;) {
            if (!bk_op_check(self->op, error))
                return false;
            look_at_segment(self, step->timeline, segno);
            /* Multiples of the stride, and both ends. */
            if (segno == step->last)
                break;
            segno = MIN((segno + 1 + round) & ~round, step->last);
        }
    }
    return true;
}

static uint64_t
choose_clock_stride(const BkRecoveryIndex *past, uint32_t timeline)
{
    uint64_t count = 0, stride = 1;

    for (size_t i = 0; i < past->windows.count; i++) {
        const BkWindow *window = &past->windows.windows[i];

        if (window->timeline == timeline && window->has_wal)
            count += window->end_segno -
                     bk_wal_segment_of(window->from_lsn - 1, past->input.segment_size) + 1;
    }
    while (count / stride > SEGMENTS_MAX)
        stride *= 2;
    return stride;
}

/* Where each segment is a request, the snapshots' own times have to do, and that of the end. */
static void
compare_clock_snapshots(const BkLines *lines, const BkRecoveryIndexEnd *end, GPtrArray *problems)
{
    const BkRecoveryIndex *past = lines->past;
    int64_t high_us = INT64_MIN;

    for (guint i = 0; i < past->restorable->len; i++) {
        const BkRecoveryIndexSnapshot *snapshot = g_ptr_array_index(past->restorable, i);
        size_t index = bk_lines_find_snapshot(lines, snapshot->head.id);
        g_autofree char *where = g_strdup_printf("snapshot %s", snapshot->head.id);

        if (index == SIZE_MAX || !bk_lines_has_snapshot(lines, lines->map.living, index))
            continue;
        if (high_us != INT64_MIN && snapshot->meta.stop_us < high_us - STEP_US)
            add_clock_problem(problems, past, NULL, where, high_us, snapshot->meta.stop_us);
        high_us = snapshot->meta.stop_us;
    }
    if (end->time_us != 0 && high_us != INT64_MIN && end->time_us < high_us - STEP_US)
        add_clock_problem(problems, past, NULL, "the last transaction in the archive", high_us,
                          end->time_us);
}

/* All repositories together; where one of them is remote, the first in a directory that has
 * anything usable, if there is one. */
static const BkRecoveryIndex *
choose_past(const BkLines *lines)
{
    if (!bk_recovery_index_is_remote(lines->past))
        return lines->past;
    for (guint i = 0; i < lines->pasts->len; i++) {
        const BkRecoveryIndex *past = g_ptr_array_index(lines->pasts, i);

        if (!bk_recovery_index_is_remote(past) && past->windows.count > 0)
            return past;
    }
    return lines->past;
}

bool
bk_clock_steps_note(const BkLines *lines, const BkRecoveryIndexEnd *end, GPtrArray *problems,
                    BkOp *op, GError **error)
{
    const BkLine *living = bk_lines_living(lines);
    const BkRecoveryIndex *past = choose_past(lines);
    Walk self = {.past = past, .problems = problems, .op = op};

    if (living == NULL)
        return true;
    if (bk_recovery_index_is_remote(past)) {
        compare_clock_snapshots(lines, end, problems);
        return true;
    }
    self.stride = choose_clock_stride(past, living->timeline);
    for (size_t i = 0; i < past->windows.count; i++) {
        const BkWindow *window = &past->windows.windows[i];
        g_auto(BkWindowPath) path = {0};

        if (window->timeline == living->timeline &&
            bk_window_path(&past->input, window->first_snapshot, window->timeline, &path) &&
            !walk_path(&self, &path, error))
            return false;
    }
    return true;
}
