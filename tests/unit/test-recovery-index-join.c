/* test-recovery-index-join.c - what two repositories have together, as recovery takes it from
 * either. */
#include "past-fixture.h"
#include "source/pg/restore/plan-choice.h"

#define NOON     (INT64_C(1796040000) * BK_USEC_PER_SEC) /* 2026-11-30 */
#define LAST     (PAST_SEGNO + 3)
#define MINUTE   (60 * BK_USEC_PER_SEC)
#define XID(at)  (700 + (uint32_t)(at)-PAST_SEGNO)
#define TARGET_4 "2026-11-30 12:02:30" /* between the transactions of the last two segments */

typedef struct Fixture {
    RepoFixture a;
    RepoFixture b;
    GHashTable *packs[2];
    BkPlanChoice choice;
} Fixture;

static RepoFixture *
repo_of(Fixture *self, char which)
{
    return which == 'a' ? &self->a : &self->b;
}

static void
put_snapshot(Fixture *self, char which)
{
    const PastSnapshot snapshot = {.id = FIRST,
                                   .started_us = NOON - MINUTE,
                                   .first_segno = PAST_SEGNO,
                                   .last_segno = PAST_SEGNO,
                                   .packs = "a"};

    past_put_snapshot(repo_of(self, which), self->packs[which - 'a'], &snapshot);
}

/* Segment `segno`, whose transaction is one minute later than that of the one before. */
static void
put_segment(Fixture *self, char which, uint64_t segno)
{
    g_auto(WalBuilder) builder = {0};
    RepoFixture *repo = repo_of(self, which);
    char name[BK_WAL_NAME_SIZE];

    wal_builder_init(&builder, BK_WAL_MAGIC_15, segno * WAL_SEGMENT);
    (void)wal_builder_filler(&builder, 500);
    (void)wal_builder_xact(&builder, 0x00, XID(segno),
                           NOON + (int64_t)(segno - PAST_SEGNO) * MINUTE);
    (void)wal_builder_point(&builder, segno == LAST ? "end" : "middle",
                            NOON + (int64_t)(segno - PAST_SEGNO) * MINUTE);
    wal_builder_pad(&builder);
    past_put_file(repo->source_repo, bk_wal_segment_name(1, segno, WAL_SEGMENT, name), &builder.out,
                  NULL, repo->op);
}

static void
put_all(Fixture *self, char which)
{
    for (uint64_t segno = PAST_SEGNO; segno <= LAST; segno++)
        put_segment(self, which, segno);
}

static void
fill_both(Fixture *self)
{
    put_snapshot(self, 'a');
    put_snapshot(self, 'b');
    put_all(self, 'a');
    put_all(self, 'b');
}

static void
set_up(Fixture *self, const void *data)
{
    (void)data;
    repo_fixture_init(&self->a);
    repo_fixture_init(&self->b);
    for (size_t i = 0; i < G_N_ELEMENTS(self->packs); i++)
        self->packs[i] = past_packs_new();
}

static void
tear_down(Fixture *self, const void *data)
{
    (void)data;
    bk_plan_choice_clear(&self->choice);
    for (size_t i = 0; i < G_N_ELEMENTS(self->packs); i++)
        g_hash_table_unref(self->packs[i]);
    repo_fixture_clear(&self->a);
    repo_fixture_clear(&self->b);
}

/* Plans with both, or one of them; false and `error` when it was refused. */
static bool
plan(Fixture *self, const char *which, const char *text, GError **error)
{
    g_autoptr(GPtrArray) source_repos = g_ptr_array_new();
    g_auto(BkRecoveryTarget) target = BK_RECOVERY_TARGET_INIT;
    const BkPlanRequest request = {.target = &target};

    bk_plan_choice_clear(&self->choice);
    for (; *which != 0; which++)
        g_ptr_array_add(source_repos, repo_of(self, *which)->source_repo);
    g_assert_true(bk_recovery_target_parse(text, NOON, &target, NULL));
    return bk_plan_choose(source_repos, &request, &self->choice, self->a.op, error);
}

/* Every kind of target is reached by both together, in whichever order, as by one that has all. */
static void
expect_all(Fixture *self)
{
    static const char *const orders[] = {"ab", "ba"};
    static const char *const targets[] = {"latest",  "immediate", FIRST,
                                          "xid:703", "name:end",  TARGET_4};
    static const uint64_t segments[] = {4, 1, 1, 4, 4, 4};

    for (size_t i = 0; i < G_N_ELEMENTS(targets); i++)
        for (size_t j = 0; j < G_N_ELEMENTS(orders); j++) {
            g_autoptr(GError) error = NULL;

            EXPECT_DONE(plan(self, orders[j], targets[i], &error));
            g_assert_cmpstr(self->choice.plan.snapshot->head.id, ==, FIRST);
            g_assert_cmpuint(self->choice.plan.segments, ==, segments[i]);
            g_assert_null(self->choice.plan.caution != NULL && i != 4 ? self->choice.plan.caution
                                                                      : NULL);
        }
}

/* The snapshot in one, and all WAL in the other, which does not know how long segments are. */
static void
test_snapshot_here_wal_there(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    put_snapshot(self, 'a');
    put_all(self, 'b');
    expect_all(self);
    EXPECT_ERROR(plan(self, "a", "latest", &error), BK_ERROR_NOT_FOUND);
    EXPECT_ERROR(plan(self, "b", "latest", &error), BK_ERROR_NOT_FOUND);
}

/* Each lacks another segment. */
static void
test_missing_segments(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    fill_both(self);
    EXPECT_DONE(bk_store_delete(self->a.store, SEGMENT("6"), self->a.op, &error));
    EXPECT_DONE(bk_store_delete(self->b.store, SEGMENT("7"), self->b.op, &error));
    expect_all(self);
    EXPECT_ERROR(plan(self, "a", "latest", &error), BK_ERROR_NOT_FOUND);
    EXPECT_ERROR(plan(self, "b", "latest", &error), BK_ERROR_NOT_FOUND);
    EXPECT_DONE(bk_store_delete(self->b.store, SEGMENT("6"), self->b.op, &error));
    EXPECT_ERROR(plan(self, "ab", "latest", &error), BK_ERROR_NOT_FOUND);
}

/* Damage anywhere in one is none of both, as long as not the same object is damaged in each. */
static void
test_damaged_segments(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    fill_both(self);
    past_damage_start(self->a.store, SEGMENT("8"), self->a.op);
    past_damage(self->a.store, SEGMENT("7"), self->a.op);
    past_damage_start(self->b.store, SEGMENT("6"), self->b.op);
    expect_all(self);
    EXPECT_ERROR(plan(self, "a", "latest", &error), BK_ERROR_CORRUPT);
    past_damage_start(self->b.store, SEGMENT("8"), self->b.op);
    g_assert_false(plan(self, "ab", "latest", &error));
    g_assert_error(error, BK_ERROR, BK_ERROR_CORRUPT);
    g_assert_nonnull(strstr(error->message, "000000010000000000000008"));
}

/* A manifest that one has damaged is taken from the other, with the WAL of both. */
static void
test_damaged_manifest(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    put_snapshot(self, 'a');
    put_snapshot(self, 'b');
    put_all(self, 'a');
    past_damage_start(self->a.store, MANIFEST(FIRST), self->a.op);
    expect_all(self);
    EXPECT_ERROR(plan(self, "a", FIRST, &error), BK_ERROR_CORRUPT);
}

/* The windows are those of both. */
static void
test_windows(Fixture *self, const void *data)
{
    g_auto(BkSystems) systems = {NULL};
    const BkRecoveryIndex *past;
    g_autoptr(GError) error = NULL;

    (void)data;
    put_snapshot(self, 'a');
    put_segment(self, 'a', PAST_SEGNO);
    put_segment(self, 'b', PAST_SEGNO + 1);
    put_segment(self, 'a', PAST_SEGNO + 3);
    bk_systems_init(&systems);
    EXPECT_DONE(bk_systems_add(&systems, self->a.source_repo, BK_RECOVERY_INDEX_WHOLE_ARCHIVE,
                               self->a.op, &error));
    EXPECT_DONE(bk_systems_add(&systems, self->b.source_repo, BK_RECOVERY_INDEX_WHOLE_ARCHIVE,
                               self->a.op, &error));
    EXPECT_DONE(bk_systems_order(&systems, BK_RECOVERY_INDEX_WHOLE_ARCHIVE, self->a.op, &error));
    EXPECT_DONE(bk_systems_load_lines(&systems, NULL, self->a.op, &error));
    past = bk_systems_current(&systems)->lines.past;
    g_assert_cmpuint(past->windows.count, ==, 1);
    g_assert_cmpuint(past->windows.windows[0].end_segno, ==, PAST_SEGNO + 1);
    g_assert_cmpuint(past->windows.windows[0].gap.first, ==, PAST_SEGNO + 2);
    g_assert_cmpuint(past->windows.windows[0].gap.last, ==, PAST_SEGNO + 2);
    g_assert_true(bk_recovery_index_find_member(past, FIRST)->source_repo == self->a.source_repo);
    g_assert_null(bk_recovery_index_find_member(past, SECOND));
}

#define TEST(name, function) g_test_add(name, Fixture, NULL, set_up, function, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    TEST("/recovery-index-join/snapshot-here-wal-there", test_snapshot_here_wal_there);
    TEST("/recovery-index-join/missing-segments", test_missing_segments);
    TEST("/recovery-index-join/damaged-segments", test_damaged_segments);
    TEST("/recovery-index-join/damaged-manifest", test_damaged_manifest);
    TEST("/recovery-index-join/windows", test_windows);
    return g_test_run();
}
