/* test-line.c - lines of a history and the one that lives, in situations with round numbers. */
#include "source/pg/history/line.h"

#define SEGMENT   1000u
#define STRETCHES 16

/* A world that the tests fill in. Timeline 1 begins at 0; positions and times are unrelated. */
typedef struct World {
    BkWindowSpan spans[6];
    BkWindowSwitch switches[6][3];
    BkWindowTimeline timelines[6];
    BkWindowSnapshot snapshots[6];
    BkWindowInput input;
    BkLineActivity activities[STRETCHES];
    BkLineDecision decisions[4];
    BkLineEvidence evidence;
    BkLineMap map;
} World;

static void
set_up(World *world, const void *data)
{
    (void)data;
    *world = (World){
        .input = {.snapshots = world->snapshots,
                  .timelines = world->timelines,
                  .segment_size = SEGMENT},
        .evidence = {.activities = world->activities, .decisions = world->decisions},
    };
}

static void
tear_down(World *world, const void *data)
{
    (void)data;
    bk_line_map_clear(&world->map);
}

/* Segments `first` to `last` of the next timeline, which forked off `parent` (0: none) at `lsn`. */
static void
add_timeline(World *world, uint64_t first, uint64_t last, uint32_t parent, uint64_t lsn)
{
    size_t at = world->input.timeline_count++;
    BkWindowTimeline *timeline = &world->timelines[at];

    world->spans[at] = (BkWindowSpan){first, last};
    *timeline = (BkWindowTimeline){(uint32_t)at + 1, &world->spans[at], 1, world->switches[at], 0};
    if (first > last)
        timeline->span_count = 0;
    if (parent == 0)
        return;
    for (size_t i = 0; i < world->timelines[parent - 1].switch_count; i++)
        world->switches[at][timeline->switch_count++] = world->switches[parent - 1][i];
    world->switches[at][timeline->switch_count++] = (BkWindowSwitch){parent, lsn};
}

static void
add_snapshot(World *world, uint32_t timeline, uint64_t stop_lsn, int64_t time_us)
{
    world->snapshots[world->input.snapshot_count++] = (BkWindowSnapshot){.id = "s",
                                                                         .timeline = timeline,
                                                                         .start_lsn = stop_lsn - 50,
                                                                         .stop_lsn = stop_lsn,
                                                                         .finished_us = time_us};
}

static void
find(World *world)
{
    bk_line_map_find(&world->input, world->evidence.server_timeline, &world->map);
    g_assert_cmpuint(world->map.stretch_count, <=, STRETCHES);
}

/* Commits in the stretch of `timeline` that holds `lsn`. */
static void
add_commits(World *world, uint32_t timeline, uint64_t lsn, int64_t first_us, int64_t last_us)
{
    size_t stretch = bk_line_map_find_stretch(&world->map, timeline, lsn);

    g_assert_cmpuint(stretch, !=, BK_LINE_NONE);
    world->activities[stretch] = (BkLineActivity){
        .has_commits = true, .first_us = first_us, .last_us = last_us, .last_lsn = lsn};
}

/* The timeline on which the cluster lives, 0 when that is ambiguous. */
static uint32_t
judge(World *world)
{
    bk_line_map_judge(&world->map, &world->input, &world->evidence);
    return world->map.living != BK_LINE_NONE ? world->map.lines[world->map.living].timeline : 0;
}

static const BkLine *
line_of(const World *world, uint32_t timeline)
{
    size_t index = bk_line_map_find_line(&world->map, timeline);

    g_assert_cmpuint(index, !=, BK_LINE_NONE);
    return &world->map.lines[index];
}

static void
test_single(World *world, const void *data)
{
    (void)data;
    add_timeline(world, 1, 8, 0, 0);
    find(world);
    g_assert_cmpuint(world->map.stretch_count, ==, 1);
    g_assert_cmpuint(judge(world), ==, 1);
}

static void
test_nothing(World *world, const void *data)
{
    (void)data;
    find(world);
    g_assert_cmpuint(world->map.line_count, ==, 0);
    g_assert_cmpuint(judge(world), ==, 0);
}

/* The old primary has nothing behind the fork, or only the segment of the fork, as it was: one
 * line.
 */
static void
test_promotion(World *world, const void *data)
{
    (void)data;
    add_timeline(world, 1, 5, 0, 0);
    add_timeline(world, 5, 9, 1, 5500);
    find(world);
    add_commits(world, 2, 8000, 200, 300);
    g_assert_cmpuint(judge(world), ==, 2);
    g_assert_cmpuint(world->map.line_count, ==, 1);
}

/* The same, right after it: nothing of the new timeline is there but its history. */
static void
test_fresh_promotion(World *world, const void *data)
{
    (void)data;
    add_timeline(world, 1, 4, 0, 0);
    add_timeline(world, 9, 8, 1, 5500);
    find(world);
    g_assert_cmpuint(judge(world), ==, 2);
}

/* A primary that died had transactions that no standby got: they end before the new one begins. */
static void
test_lost_tail(World *world, const void *data)
{
    (void)data;
    add_timeline(world, 1, 6, 0, 0);
    add_timeline(world, 5, 9, 1, 5500);
    find(world);
    add_commits(world, 1, 6000, 100, 110);
    add_commits(world, 2, 8000, 120, 300);
    g_assert_cmpuint(judge(world), ==, 2);
    g_assert_false(line_of(world, 1)->grew_beside);
    g_assert_false(line_of(world, 1)->is_copy);
    g_assert_cmpint(line_of(world, 1)->verdict, ==, BK_LINE_ENDED);
}

/* Recovery in place to an earlier time: what was undone is a line that ended. */
static void
test_recovery_in_place(World *world, const void *data)
{
    (void)data;
    add_timeline(world, 1, 9, 0, 0);
    add_timeline(world, 3, 4, 1, 3500);
    add_snapshot(world, 1, 7000, 70);
    find(world);
    add_commits(world, 1, 9000, 40, 90);
    add_commits(world, 2, 4000, 100, 100);
    g_assert_cmpuint(judge(world), ==, 2);
    g_assert_false(line_of(world, 1)->grew_beside);
}

/* And back again: the timeline that was tried in between does not confuse. */
static void
test_return(World *world, const void *data)
{
    (void)data;
    add_timeline(world, 1, 9, 0, 0);
    add_timeline(world, 3, 4, 1, 3500);
    add_timeline(world, 9, 12, 1, 9500);
    find(world);
    add_commits(world, 1, 9000, 40, 90);
    add_commits(world, 2, 4000, 100, 110);
    add_commits(world, 3, 12000, 120, 130);
    g_assert_cmpuint(judge(world), ==, 3);
    g_assert_cmpuint(world->map.line_count, ==, 2);
    g_assert_false(line_of(world, 2)->grew_beside);
    g_assert_false(line_of(world, 2)->is_copy);
}

/* A copy archived, without a transaction of its own; the original goes on. */
static void
test_stray_copy(World *world, const void *data)
{
    (void)data;
    add_timeline(world, 1, 9, 0, 0);
    add_timeline(world, 5, 6, 1, 5500);
    add_snapshot(world, 1, 3000, 30);
    add_snapshot(world, 1, 8000, 80);
    find(world);
    add_commits(world, 1, 9000, 60, 90);
    g_assert_cmpuint(judge(world), ==, 1);
    g_assert_cmpint(line_of(world, 2)->verdict, ==, BK_LINE_EMPTY);
    g_assert_true(line_of(world, 2)->is_copy);
}

/* The same with transactions in the copy, and then a snapshot of the original. */
static void
test_busy_copy(World *world, const void *data)
{
    (void)data;
    add_timeline(world, 1, 9, 0, 0);
    add_timeline(world, 5, 6, 1, 5500);
    find(world);
    add_commits(world, 1, 9000, 60, 90);
    add_commits(world, 2, 6000, 65, 70);
    g_assert_cmpuint(judge(world), ==, 0); /* both may be meant */
    g_assert_cmpint(line_of(world, 1)->verdict, ==, BK_LINE_OPEN);
    g_assert_cmpint(line_of(world, 2)->verdict, ==, BK_LINE_OPEN);
    add_snapshot(world, 1, 8000, 80);
    g_assert_cmpuint(judge(world), ==, 1);
    g_assert_cmpint(line_of(world, 2)->verdict, ==, BK_LINE_ENDED);
    g_assert_true(line_of(world, 2)->is_copy);
    g_assert_true(line_of(world, 2)->grew_beside);
}

static void
test_split_brain(World *world, const void *data)
{
    (void)data;
    add_timeline(world, 1, 9, 0, 0);
    add_timeline(world, 5, 9, 1, 5500);
    add_snapshot(world, 1, 8000, 80);
    add_snapshot(world, 2, 8000, 85);
    find(world);
    add_commits(world, 1, 9000, 60, 90);
    add_commits(world, 2, 9000, 60, 91);
    g_assert_cmpuint(judge(world), ==, 0);
    world->evidence.server_timeline = 2;
    g_assert_cmpuint(judge(world), ==, 2);
    g_assert_true(line_of(world, 1)->grew_beside);
    world->evidence.server_timeline = 0;
    world->decisions[0] =
        bk_line_map_decide(&world->map, bk_line_map_find_line(&world->map, 1), true);
    world->evidence.decision_count = 1;
    g_assert_cmpuint(judge(world), ==, 1);
    world->decisions[0].is_current = false;
    g_assert_cmpuint(judge(world), ==, 2);
    g_assert_cmpint(line_of(world, 1)->verdict, ==, BK_LINE_DECLARED);
    world->evidence.decision_count = 0;
    g_assert_cmpuint(judge(world), ==, 0);
}

/* The split ended: only one of both went on, with a snapshot. */
static void
test_healed_split(World *world, const void *data)
{
    (void)data;
    add_timeline(world, 1, 9, 0, 0);
    add_timeline(world, 5, 9, 1, 5500);
    add_snapshot(world, 2, 8000, 95);
    find(world);
    add_commits(world, 1, 9000, 60, 90);
    add_commits(world, 2, 9000, 60, 200);
    g_assert_cmpuint(judge(world), ==, 2);
    g_assert_true(line_of(world, 1)->grew_beside);
    g_assert_false(line_of(world, 1)->is_copy);
}

/* The running server contradicts the archive: nobody decides but the operator. */
static void
test_server_contradicts(World *world, const void *data)
{
    (void)data;
    add_timeline(world, 1, 4, 0, 0);
    add_timeline(world, 5, 9, 1, 5500);
    world->evidence.server_timeline = 1;
    find(world);
    g_assert_cmpuint(world->map.line_count, ==, 2);
    add_commits(world, 2, 9000, 60, 90);
    g_assert_cmpuint(judge(world), ==, 0);
    world->evidence.server_timeline = 2;
    g_assert_cmpuint(judge(world), ==, 2);
}

/* What could not be read is not taken for nothing. */
static void
test_unknown(World *world, const void *data)
{
    (void)data;
    add_timeline(world, 1, 9, 0, 0);
    add_timeline(world, 5, 9, 1, 5500);
    find(world);
    add_commits(world, 1, 9000, 60, 90);
    world->activities[bk_line_map_find_stretch(&world->map, 2, 9000)].is_unknown = true;
    g_assert_cmpuint(judge(world), ==, 0);
}

/* A decision holds for what forks off that line later, and not for what left it before. */
static void
test_decision_passes_on(World *world, const void *data)
{
    (void)data;
    add_timeline(world, 1, 9, 0, 0);
    add_timeline(world, 5, 7, 1, 5500);
    find(world);
    world->decisions[0] =
        bk_line_map_decide(&world->map, bk_line_map_find_line(&world->map, 2), false);
    world->decisions[1] =
        bk_line_map_decide(&world->map, bk_line_map_find_line(&world->map, 1), true);
    bk_line_map_clear(&world->map);
    add_timeline(world, 7, 9, 2, 7500); /* the copy was promoted again */
    add_timeline(world, 9, 9, 1, 9500); /* and the original failed over */
    world->evidence.decision_count = 2;
    find(world);
    add_commits(world, 1, 9000, 60, 90);
    add_commits(world, 3, 9000, 60, 500);
    add_commits(world, 4, 9900, 95, 99);
    g_assert_cmpuint(judge(world), ==, 4);
    g_assert_cmpint(line_of(world, 3)->verdict, ==, BK_LINE_DECLARED);
    g_assert_true(line_of(world, 4)->is_declared_current);
}

/* Without its history nobody knows where a timeline came from: it is a line of its own. */
static void
test_missing_history(World *world, const void *data)
{
    (void)data;
    add_timeline(world, 1, 5, 0, 0);
    add_timeline(world, 5, 9, 0, 0);
    find(world);
    add_commits(world, 1, 5000, 60, 90);
    add_commits(world, 2, 9000, 100, 110);
    g_assert_cmpuint(judge(world), ==, 2);
    g_assert_cmpuint(world->map.line_count, ==, 2);
}

/* An ancestor that another one's history names, of which nothing is there any more. */
static void
test_lost_ancestor(World *world, const void *data)
{
    (void)data;
    add_timeline(world, 9, 8, 0, 0);
    add_timeline(world, 9, 8, 1, 2500);
    add_timeline(world, 5, 9, 2, 5500);
    world->timelines[0] = world->timelines[2];
    world->input.timeline_count = 1;
    find(world);
    g_assert_cmpuint(world->map.stretch_count, ==, 5);
    g_assert_cmpuint(judge(world), ==, 3);
    g_assert_cmpuint(world->map.line_count, ==, 1);
}

/* Two forks at one position, and one at the beginning of its parent. */
static void
test_forks_at_one_position(World *world, const void *data)
{
    (void)data;
    add_timeline(world, 1, 5, 0, 0);
    add_timeline(world, 5, 9, 1, 5500);
    add_timeline(world, 5, 9, 1, 5500);
    add_timeline(world, 5, 9, 2, 5500);
    find(world);
    add_commits(world, 4, 9000, 60, 90);
    g_assert_cmpuint(judge(world), ==, 4);
    g_assert_true(bk_line_map_has(&world->map, world->map.living, 0));
    g_assert_false(bk_line_map_has(&world->map, bk_line_map_find_line(&world->map, 3),
                                   bk_line_map_find_stretch(&world->map, 4, 9000)));
}

/* Snapshots of the living line come in its order, its newest last, whatever clocks say. */
static void
test_rank(World *world, const void *data)
{
    g_autofree size_t *ranks = NULL;

    (void)data;
    add_timeline(world, 1, 9, 0, 0);
    add_timeline(world, 5, 6, 1, 5500);
    find(world);
    add_commits(world, 1, 9000, 60, 90);
    g_assert_cmpuint(judge(world), ==, 1);
    ranks = bk_line_map_rank(&world->map);
    g_assert_cmpuint(ranks[bk_line_map_find_stretch(&world->map, 1, 100)], ==, 0);
    g_assert_cmpuint(ranks[bk_line_map_find_stretch(&world->map, 2, 6000)], ==, 1);
    g_assert_cmpuint(ranks[bk_line_map_find_stretch(&world->map, 1, 9000)], ==, 2);
}

#define TEST(name, function) g_test_add("/line/" name, World, NULL, set_up, function, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    TEST("single", test_single);
    TEST("nothing", test_nothing);
    TEST("promotion", test_promotion);
    TEST("fresh-promotion", test_fresh_promotion);
    TEST("lost-tail", test_lost_tail);
    TEST("recovery-in-place", test_recovery_in_place);
    TEST("return", test_return);
    TEST("stray-copy", test_stray_copy);
    TEST("busy-copy", test_busy_copy);
    TEST("split-brain", test_split_brain);
    TEST("healed-split", test_healed_split);
    TEST("server-contradicts", test_server_contradicts);
    TEST("unknown", test_unknown);
    TEST("decision-passes-on", test_decision_passes_on);
    TEST("missing-history", test_missing_history);
    TEST("lost-ancestor", test_lost_ancestor);
    TEST("forks-at-one-position", test_forks_at_one_position);
    TEST("rank", test_rank);
    return g_test_run();
}
