#include "source/pg/history/recovery-window.h"

#include <string.h>

#define SEGMENT 1000u /* the calculation takes any size; round numbers read well here */

static BkWindowSnapshot
snapshot(uint32_t timeline, uint64_t start, uint64_t stop)
{
    return (BkWindowSnapshot){.id = "s",
                              .timeline = timeline,
                              .start_lsn = start,
                              .stop_lsn = stop,
                              .started_us = (int64_t)start,
                              .finished_us = (int64_t)stop};
}

static BkWindowSnapshot
standalone(uint32_t timeline, uint64_t start, uint64_t stop)
{
    BkWindowSnapshot one = snapshot(timeline, start, stop);

    one.standalone = true;
    return one;
}

#define INPUT(snapshots_, timelines_)                                                              \
    {                                                                                              \
        .snapshots = (snapshots_), .snapshot_count = G_N_ELEMENTS(snapshots_),                     \
        .timelines = (timelines_), .timeline_count = G_N_ELEMENTS(timelines_),                     \
        .segment_size = SEGMENT                                                                    \
    }

static void
assert_window(const BkWindow *window, uint32_t timeline, uint64_t from, uint64_t end,
              size_t snapshots)
{
    g_assert_cmpuint(window->timeline, ==, timeline);
    g_assert_cmpuint(window->from_lsn, ==, from);
    g_assert_cmpuint(window->end_lsn, ==, end);
    g_assert_cmpuint(window->snapshot_count, ==, snapshots);
}

static void
test_simple(void)
{
    const BkWindowSnapshot snapshots[] = {snapshot(1, 5100, 5200), snapshot(1, 2100, 3000)};
    const BkWindowSpan spans[] = {{1, 8}};
    const BkWindowTimeline timelines[] = {{1, spans, 1, NULL, 0}};
    const BkWindowInput input = INPUT(snapshots, timelines);
    g_auto(BkWindows) windows = {0};

    bk_windows_find(&input, &windows);
    g_assert_cmpuint(windows.count, ==, 1);
    g_assert_cmpuint(windows.broken_count, ==, 0);
    assert_window(&windows.windows[0], 1, 3000, 9000, 2);
    g_assert_cmpuint(windows.windows[0].first_snapshot, ==, 1);
    g_assert_cmpuint(windows.windows[0].last_snapshot, ==, 0);
    g_assert_cmpint(windows.windows[0].from_time_us, ==, 3000);
    g_assert_cmpuint(windows.windows[0].end_timeline, ==, 1);
    g_assert_cmpuint(windows.windows[0].end_segno, ==, 8);
    g_assert_cmpuint(windows.windows[0].gap.timeline, ==, 0);
}

static void
test_nothing(void)
{
    const BkWindowSpan spans[] = {{1, 8}};
    const BkWindowTimeline timelines[] = {{1, spans, 1, NULL, 0}};
    const BkWindowInput none = {.segment_size = SEGMENT};
    const BkWindowInput only_wal = {
        .timelines = timelines, .timeline_count = 1, .segment_size = SEGMENT};
    g_auto(BkWindows) windows = {0};

    bk_windows_find(&none, &windows);
    g_assert_cmpuint(windows.count + windows.broken_count, ==, 0);
    bk_windows_clear(&windows);
    bk_windows_find(&only_wal, &windows);
    g_assert_cmpuint(windows.count + windows.broken_count, ==, 0);
}

/* A gap ends the window, and the next snapshot begins another one. */
static void
test_gap(void)
{
    const BkWindowSnapshot snapshots[] = {snapshot(1, 1100, 1200), snapshot(1, 6100, 6200)};
    const BkWindowSpan spans[] = {{1, 2}, {3, 3}, {6, 9}};
    const BkWindowTimeline timelines[] = {{1, spans, 3, NULL, 0}};
    const BkWindowInput input = INPUT(snapshots, timelines);
    g_auto(BkWindows) windows = {0};
    g_autofree BkWindowGap *missing = NULL;
    size_t count;

    bk_windows_find(&input, &windows);
    g_assert_cmpuint(windows.count, ==, 2);
    assert_window(&windows.windows[0], 1, 1200, 4000, 1);
    g_assert_cmpuint(windows.windows[0].gap.timeline, ==, 1);
    g_assert_cmpuint(windows.windows[0].gap.first, ==, 4);
    g_assert_cmpuint(windows.windows[0].gap.last, ==, 5);
    assert_window(&windows.windows[1], 1, 6200, 10000, 1);
    missing = bk_window_missing(&timelines[0], &count);
    g_assert_cmpuint(count, ==, 1);
    g_assert_cmpuint(missing[0].first, ==, 4);
    g_assert_cmpuint(missing[0].last, ==, 5);
}

/* A snapshot needs the segment in which it stopped, but not the next one when it stopped right at a
 * border. */
static void
test_broken(void)
{
    const BkWindowSnapshot snapshots[] = {snapshot(1, 3100, 4001), snapshot(1, 2100, 4000),
                                          snapshot(1, 900, 1100), snapshot(4, 5000, 5001)};
    const BkWindowSpan spans[] = {{1, 3}};
    const BkWindowTimeline timelines[] = {{1, spans, 1, NULL, 0}};
    const BkWindowInput input = INPUT(snapshots, timelines);
    g_auto(BkWindows) windows = {0};
    g_auto(BkWindowPath) path = {0};

    bk_windows_find(&input, &windows);
    g_assert_cmpuint(windows.count, ==, 1);
    assert_window(&windows.windows[0], 1, 4000, 4000, 1);
    g_assert_cmpuint(windows.broken_count, ==, 3);
    g_assert_cmpuint(windows.broken[0].snapshot, ==, 0);
    g_assert_cmpuint(windows.broken[0].segno, ==, 4);
    g_assert_cmpuint(windows.broken[1].snapshot, ==, 2);
    g_assert_cmpuint(windows.broken[1].segno, ==, 0);
    g_assert_cmpuint(windows.broken[2].timeline, ==, 4);
    g_assert_cmpuint(windows.broken[2].segno, ==, 5);
    g_assert_false(bk_window_path(&input, 0, 1, &path));
    g_assert_cmpuint(path.gap.first, ==, 4);
}

static void
test_standalone(void)
{
    const BkWindowSnapshot snapshots[] = {standalone(1, 1100, 1200), standalone(1, 3100, 3200),
                                          standalone(2, 9000, 9500)};
    const BkWindowSpan spans[] = {{3, 5}};
    const BkWindowTimeline timelines[] = {{1, spans, 1, NULL, 0}};
    const BkWindowInput input = INPUT(snapshots, timelines);
    g_auto(BkWindows) windows = {0};
    g_auto(BkWindowPath) path = {0};

    bk_windows_find(&input, &windows);
    g_assert_cmpuint(windows.broken_count, ==, 0);
    g_assert_cmpuint(windows.count, ==, 3);
    assert_window(&windows.windows[0], 1, 1200, 1200, 1);
    g_assert_false(windows.windows[0].has_wal);
    g_assert_cmpuint(windows.windows[0].gap.first, ==, 1);
    g_assert_cmpuint(windows.windows[0].gap.last, ==, 2);
    assert_window(&windows.windows[1], 1, 3200, 6000, 1);
    assert_window(&windows.windows[2], 2, 9500, 9500, 1);
    g_assert_true(bk_window_path(&input, 0, 1, &path));
    g_assert_cmpuint(path.count, ==, 0);
    g_assert_cmpuint(path.end_lsn, ==, 1200);
}

static void
test_switch(void)
{
    const BkWindowSnapshot snapshots[] = {snapshot(1, 1100, 1200), snapshot(2, 6100, 6200)};
    const BkWindowSpan parent[] = {{1, 3}};
    const BkWindowSpan child[] = {{4, 7}};
    const BkWindowSwitch left[] = {{1, 4500}};
    const BkWindowTimeline timelines[] = {{2, child, 1, left, 1}, {1, parent, 1, NULL, 0}};
    const BkWindowInput input = INPUT(snapshots, timelines);
    g_auto(BkWindows) windows = {0};
    g_auto(BkWindowPath) path = {0};

    bk_windows_find(&input, &windows);
    g_assert_cmpuint(windows.count, ==, 1);
    assert_window(&windows.windows[0], 2, 1200, 8000, 2);
    g_assert_true(bk_window_path(&input, 0, 2, &path));
    g_assert_cmpuint(path.count, ==, 2);
    g_assert_cmpuint(path.steps[0].timeline, ==, 1);
    g_assert_cmpuint(path.steps[0].first, ==, 1);
    g_assert_cmpuint(path.steps[0].last, ==, 3);
    g_assert_cmpuint(path.steps[1].timeline, ==, 2);
    g_assert_cmpuint(path.steps[1].first, ==, 4);
    g_assert_cmpuint(path.steps[1].last, ==, 7);
    bk_window_path_clear(&path);
    g_assert_false(bk_window_path(&input, 1, 1, &path)); /* not on that way */
}

/* The parent went on after it was left: its WAL past that point is a way of its own, and no part of
 * the child's; and the child's first segment is needed to get past the point. */
static void
test_parent_went_on(void)
{
    const BkWindowSnapshot snapshots[] = {snapshot(1, 1100, 1200)};
    const BkWindowSpan parent[] = {{1, 9}};
    const BkWindowSpan child[] = {{5, 6}};
    const BkWindowSwitch left[] = {{1, 4500}};
    const BkWindowTimeline timelines[] = {{1, parent, 1, NULL, 0}, {2, child, 1, left, 1}};
    const BkWindowInput input = INPUT(snapshots, timelines);
    g_auto(BkWindows) windows = {0};
    g_auto(BkWindowPath) path = {0};

    bk_windows_find(&input, &windows);
    g_assert_cmpuint(windows.count, ==, 2);
    assert_window(&windows.windows[0], 1, 1200, 10000, 1);
    assert_window(&windows.windows[1], 2, 1200, 4500, 1); /* the child is not reached */
    g_assert_cmpuint(windows.windows[1].gap.timeline, ==, 2);
    g_assert_cmpuint(windows.windows[1].gap.first, ==, 4);
    g_assert_true(bk_window_path(&input, 0, 2, &path));
    g_assert_cmpuint(path.end_lsn, ==, 4500);
    g_assert_cmpuint(path.gap.timeline, ==, 2);
    g_assert_cmpuint(path.gap.first, ==, 4);
    g_assert_cmpuint(path.gap.last, ==, 4);
}

/* Segments that only the primary had are missing before its standby was promoted: the way to the
 * new timeline ends there, and says so, although the old timeline's ends there as well. */
static void
test_gap_before_fork(void)
{
    const BkWindowSnapshot snapshots[] = {snapshot(1, 1100, 1200)};
    const BkWindowSpan parent[] = {{1, 3}};
    const BkWindowSpan child[] = {{6, 9}};
    const BkWindowSwitch left[] = {{1, 6500}};
    const BkWindowTimeline timelines[] = {{1, parent, 1, NULL, 0}, {2, child, 1, left, 1}};
    const BkWindowInput input = INPUT(snapshots, timelines);
    g_auto(BkWindows) windows = {0};

    bk_windows_find(&input, &windows);
    g_assert_cmpuint(windows.count, ==, 1);
    assert_window(&windows.windows[0], 2, 1200, 4000, 1);
    g_assert_cmpuint(windows.windows[0].gap.timeline, ==, 1);
    g_assert_cmpuint(windows.windows[0].gap.first, ==, 4);
    g_assert_cmpuint(windows.windows[0].gap.last, ==, 5);
}

static void
test_two_children(void)
{
    const BkWindowSnapshot snapshots[] = {snapshot(1, 1100, 1200), snapshot(1, 4100, 4200)};
    const BkWindowSpan parent[] = {{1, 5}};
    const BkWindowSpan second[] = {{3, 6}};
    const BkWindowSpan third[] = {{5, 8}};
    const BkWindowSwitch left_at_3[] = {{1, 3500}};
    const BkWindowSwitch left_at_5[] = {{1, 5000}};
    const BkWindowTimeline timelines[] = {
        {1, parent, 1, NULL, 0}, {2, second, 1, left_at_3, 1}, {3, third, 1, left_at_5, 1}};
    const BkWindowInput input = INPUT(snapshots, timelines);
    g_auto(BkWindows) windows = {0};

    bk_windows_find(&input, &windows);
    g_assert_cmpuint(windows.count, ==, 3);
    assert_window(&windows.windows[0], 1, 1200, 6000, 2);
    assert_window(&windows.windows[1], 2, 1200, 7000, 1);
    assert_window(&windows.windows[2], 3, 1200, 9000, 2);
}

/* Two promotions within one segment: only the youngest name of it was archived. */
static void
test_short_timeline(void)
{
    const BkWindowSnapshot snapshots[] = {snapshot(1, 1100, 1200)};
    const BkWindowSpan first[] = {{1, 1}};
    const BkWindowSpan third[] = {{2, 4}};
    const BkWindowSwitch switches[] = {{1, 2300}, {2, 2600}};
    const BkWindowTimeline timelines[] = {{1, first, 1, NULL, 0}, {3, third, 1, switches, 2}};
    const BkWindowInput input = INPUT(snapshots, timelines);
    g_auto(BkWindows) windows = {0};

    bk_windows_find(&input, &windows);
    g_assert_cmpuint(windows.count, ==, 1);
    assert_window(&windows.windows[0], 3, 1200, 5000, 1);
}

static void
test_damaged(void)
{
    BkWindowSnapshot snapshots[] = {snapshot(1, 1100, 1200), snapshot(1, 2100, 2200)};
    const BkWindowSpan spans[] = {{1, 1}, {2, 2}};
    const BkWindowTimeline timelines[] = {{1, spans, 2, NULL, 0}};
    const BkWindowInput input = INPUT(snapshots, timelines);
    g_auto(BkWindows) windows = {0};
    g_auto(BkWindowPath) path = {0};

    snapshots[0].damaged = true;
    bk_windows_find(&input, &windows);
    g_assert_cmpuint(windows.count, ==, 1);
    g_assert_cmpuint(windows.windows[0].damaged_count, ==, 1);
    g_assert_true(bk_window_path(&input, 0, 1, &path));
    g_assert_cmpuint(path.count, ==, 1); /* adjacent spans are one step */
}

/* The model: recovery a byte of WAL at a time, over a world small enough for that. */
#define UNIT      4u /* bytes of a segment */
#define SEGMENTS  8u
#define TIMELINES 4u

typedef struct World {
    bool present[TIMELINES + 1][SEGMENTS];
    BkWindowSpan spans[TIMELINES + 1][SEGMENTS];
    BkWindowSwitch switches[TIMELINES + 1][TIMELINES];
    BkWindowTimeline timelines[TIMELINES];
    BkWindowSnapshot snapshots[5];
    BkWindowInput input;
} World;

static uint32_t
random_below(uint32_t limit)
{
    return (uint32_t)g_test_rand_int_range(0, (gint32)limit);
}

static void
make_world(World *world)
{
    *world = (World){.input = {.snapshots = world->snapshots,
                               .snapshot_count = random_below(5) + 1,
                               .timelines = world->timelines,
                               .timeline_count = random_below(TIMELINES) + 1,
                               .segment_size = UNIT}};
    for (uint32_t t = 1; t <= world->input.timeline_count; t++) {
        BkWindowTimeline *timeline = &world->timelines[t - 1];

        *timeline = (BkWindowTimeline){t, world->spans[t], 0, world->switches[t], 0};
        for (uint32_t s = 0; s < SEGMENTS; s++) {
            BkWindowSpan *last = &world->spans[t][MAX(timeline->span_count, 1) - 1];

            world->present[t][s] = random_below(6) != 0;
            if (!world->present[t][s])
                continue;
            /* Adjacent segments are one span, or now and then two. */
            if (timeline->span_count > 0 && last->last + 1 == s && random_below(4) != 0)
                last->last = s;
            else
                world->spans[t][timeline->span_count++] = (BkWindowSpan){s, s};
        }
        if (t > 1) {
            uint32_t parent = random_below(t - 1) + 1;
            size_t inherited = world->timelines[parent - 1].switch_count;
            uint64_t floor = inherited > 0 ? world->switches[parent][inherited - 1].lsn : 0;

            memcpy(world->switches[t], world->switches[parent], inherited * sizeof(BkWindowSwitch));
            world->switches[t][inherited] =
                (BkWindowSwitch){parent, floor + random_below((uint32_t)(30 - floor) + 1)};
            timeline->switch_count = inherited + 1;
        }
    }
    for (size_t i = 0; i < world->input.snapshot_count; i++) {
        uint64_t start = random_below(UNIT * SEGMENTS - 6);

        world->snapshots[i] = snapshot(random_below((uint32_t)world->input.timeline_count) + 1,
                                       start, start + 1 + random_below(5));
        world->snapshots[i].standalone = random_below(3) == 0;
    }
}

/* Begin and end of timeline `t` on the way to `leaf`. */
static bool
model_leg(const World *world, uint32_t leaf, uint32_t t, uint64_t *begin, uint64_t *end)
{
    const BkWindowTimeline *timeline = &world->timelines[leaf - 1];
    size_t at = 0;

    while (at < timeline->switch_count && timeline->switches[at].timeline != t)
        at++;
    if (at == timeline->switch_count && t != leaf)
        return false;
    *begin = at > 0 ? timeline->switches[at - 1].lsn : 0;
    *end = at < timeline->switch_count ? timeline->switches[at].lsn : UINT64_MAX;
    return true;
}

/* Can recovery to `leaf` read the byte at `lsn`? */
static bool
model_readable(const World *world, uint32_t leaf, uint64_t lsn)
{
    uint64_t segno = lsn / UNIT;

    for (uint32_t t = (uint32_t)world->input.timeline_count; t >= 1; t--) {
        uint64_t begin, end;

        if (segno >= SEGMENTS || !model_leg(world, leaf, t, &begin, &end))
            continue;
        if (begin / UNIT <= segno && end > segno * UNIT && world->present[t][segno])
            return lsn < end; /* this file is read, and no other */
    }
    return false;
}

/* The end of what recovery from the snapshot can replay, 0 when it cannot be recovered. */
static uint64_t
model_reach(const World *world, uint32_t leaf, const BkWindowSnapshot *from)
{
    uint64_t begin, end, lsn;

    if (!model_leg(world, leaf, from->timeline, &begin, &end) || from->stop_lsn > end)
        return 0;
    lsn = (from->standalone ? from->stop_lsn : from->start_lsn) / UNIT * UNIT;
    while (model_readable(world, leaf, lsn))
        lsn++;
    if (from->standalone)
        return MAX(lsn, from->stop_lsn);
    return lsn >= from->stop_lsn ? lsn : 0;
}

/* Does a listed window hold snapshot `index`, reach `end`, and go the way to `leaf` so far? */
static bool
is_listed(const World *world, const BkWindows *windows, uint32_t leaf, size_t index, uint64_t end)
{
    for (size_t i = 0; i < windows->count; i++) {
        const BkWindow *window = &windows->windows[i];

        if (window->from_lsn <= world->snapshots[index].stop_lsn && window->end_lsn >= end &&
            (window->timeline == leaf ||
             model_reach(world, window->timeline, &world->snapshots[index]) >= end))
            return true;
    }
    return false;
}

static void
check_path(const World *world, uint32_t leaf, size_t index, uint64_t reach)
{
    g_auto(BkWindowPath) path = {0};
    uint64_t next = 0;
    bool found = bk_window_path(&world->input, index, leaf, &path);

    g_assert_cmpint(found, ==, reach != 0);
    if (!found)
        return;
    g_assert_cmpuint(path.end_lsn, ==, reach);
    for (size_t i = 0; i < path.count; i++) {
        g_assert_true(i == 0 || path.steps[i].first == next);
        for (uint64_t s = path.steps[i].first; s <= path.steps[i].last; s++)
            g_assert_true(world->present[path.steps[i].timeline][s]);
        next = path.steps[i].last + 1;
    }
    if (path.count > 0)
        g_assert_cmpuint((reach + UNIT - 1) / UNIT, ==, next);
    if (path.gap.timeline == 0)
        return;
    g_assert_false(world->present[path.gap.timeline][path.gap.first]);
    for (uint64_t s = path.gap.first + 1; s <= path.gap.last; s++)
        g_assert_false(model_readable(world, leaf, s * UNIT));
    g_assert_true(model_readable(world, leaf, (path.gap.last + 1) * UNIT));
}

static void
check_world(const World *world)
{
    g_auto(BkWindows) windows = {0};
    size_t broken = 0;

    bk_windows_find(&world->input, &windows);
    for (size_t i = 0; i < world->input.snapshot_count; i++) {
        bool usable = false;

        for (uint32_t leaf = 1; leaf <= world->input.timeline_count; leaf++) {
            uint64_t reach = model_reach(world, leaf, &world->snapshots[i]);

            check_path(world, leaf, i, reach);
            usable = usable || reach != 0;
            if (reach != 0)
                g_assert_true(is_listed(world, &windows, leaf, i, reach));
        }
        if (!usable)
            g_assert_cmpuint(windows.broken[broken++].snapshot, ==, i);
    }
    g_assert_cmpuint(broken, ==, windows.broken_count);
    for (size_t i = 0; i < windows.count; i++) {
        const BkWindow *window = &windows.windows[i];
        uint64_t reach =
            model_reach(world, window->timeline, &world->snapshots[window->first_snapshot]);

        /* From its first snapshot alone a window may end where a standalone one takes over. */
        g_assert_cmpuint(reach, >=, window->from_lsn);
        g_assert_cmpuint(reach, <=, window->end_lsn);
        g_assert_cmpuint(
            model_reach(world, window->timeline, &world->snapshots[window->last_snapshot]), ==,
            window->end_lsn);
    }
}

static void
test_random(void)
{
    g_autofree World *world = g_new0(World, 1);

    for (int i = 0; i < 4000; i++) {
        make_world(world);
        check_world(world);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/recovery-window/simple", test_simple);
    g_test_add_func("/recovery-window/nothing", test_nothing);
    g_test_add_func("/recovery-window/gap", test_gap);
    g_test_add_func("/recovery-window/broken", test_broken);
    g_test_add_func("/recovery-window/standalone", test_standalone);
    g_test_add_func("/recovery-window/switch", test_switch);
    g_test_add_func("/recovery-window/parent-went-on", test_parent_went_on);
    g_test_add_func("/recovery-window/gap-before-fork", test_gap_before_fork);
    g_test_add_func("/recovery-window/two-children", test_two_children);
    g_test_add_func("/recovery-window/short-timeline", test_short_timeline);
    g_test_add_func("/recovery-window/damaged", test_damaged);
    g_test_add_func("/recovery-window/random", test_random);
    return g_test_run();
}
