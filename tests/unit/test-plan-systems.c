/* test-plan-systems.c - of two clusters of one source, the one that a restore means. */
#include "past-fixture.h"
#include "source/pg/archive/decision.h"
#include "source/pg/restore/plan-choice.h"

#define OLD      WAL_SYSTEM
#define NEW      (WAL_SYSTEM + 1)
#define STRANGER (WAL_SYSTEM + 2)

#define SEGMENT_OF_NEW(last)                                                                       \
    "orders/wal/6B00EF4D4C9773AF/00000001/0000000100000000/00000001000000000000000" last

/* Both have WAL at the same positions, under the same names. */
#define START    (PAST_SEGNO * (BkLsn)WAL_SEGMENT)
#define TUESDAY  (MONDAY + PAST_DAY)
#define POINT_US (60 * BK_USEC_PER_SEC)

typedef struct Fixture {
    RepoFixture repo;
    GHashTable *packs;
    bool lacks_repositories;
} Fixture;

typedef struct Cluster {
    uint64_t system_id;
    const char *snapshot;
    int64_t started_us;
    uint32_t xid;     /* its own; number 900 is in both */
    const char *name; /* its own restore point; "both" is in both */
} Cluster;

static const Cluster old_cluster = {OLD, FIRST, MONDAY, 700, "old"};
static const Cluster new_cluster = {NEW, SECOND, TUESDAY, 800, "new"};

static void
put_segment(Fixture *self, const Cluster *cluster, uint64_t segno)
{
    g_autoptr(BkArchiveWriter) writer = bk_archive_writer_new(BK_CODEC_ZSTD, 1);
    g_autoptr(GPtrArray) source_repos = g_ptr_array_new();
    g_auto(WalBuilder) builder = {0};
    g_autoptr(GError) error = NULL;
    char name[BK_WAL_NAME_SIZE];
    BkArchiveFile file = {.name = name, .content = &builder.out, .is_ready = true};
    int64_t time_us = cluster->started_us + (int64_t)(segno - PAST_SEGNO) * POINT_US;

    wal_builder_init(&builder, BK_WAL_MAGIC_15, segno * WAL_SEGMENT);
    builder.system_id = cluster->system_id;
    if (segno == PAST_SEGNO + 1) {
        (void)wal_builder_xact(&builder, 0x00, cluster->xid, time_us);
        (void)wal_builder_point(&builder, cluster->name, time_us + 1);
        (void)wal_builder_point(&builder, "both", time_us + 2);
        (void)wal_builder_xact(&builder, 0x00, 900, time_us + 3);
    } else {
        (void)wal_builder_xact(&builder, 0x00, cluster->xid + (uint32_t)segno, time_us);
    }
    wal_builder_pad(&builder);
    bk_wal_segment_name(1, segno, WAL_SEGMENT, name);
    g_assert_true(bk_wal_name_parse(name, &file.parsed));
    g_ptr_array_add(source_repos, self->repo.source_repo);
    EXPECT_DONE(
        bk_archive_put(writer, source_repos, &file, cluster->system_id, self->repo.op, &error));
}

static void
put_cluster(Fixture *self, const Cluster *cluster)
{
    const PastSnapshot snapshot = {.id = cluster->snapshot,
                                   .started_us = cluster->started_us,
                                   .first_segno = PAST_SEGNO,
                                   .last_segno = PAST_SEGNO,
                                   .packs = "a"};

    past_put_snapshot_of(&self->repo, self->packs, &snapshot, cluster->system_id);
    for (uint64_t i = 0; i < 3; i++)
        put_segment(self, cluster, PAST_SEGNO + i);
}

static void
declare(Fixture *self, uint64_t number, uint64_t system_id)
{
    const BkDecision decision = {.number = number,
                                 .kind = BK_DECISION_CLUSTER,
                                 .system_id = system_id,
                                 .previous_id = system_id == NEW ? OLD : NEW,
                                 .time_us = TUESDAY - 1,
                                 .host = "here"};
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_decision_put(self->repo.source_repo, &decision, self->repo.op, &error));
}

static void
set_up(Fixture *self, const void *data)
{
    (void)data;
    repo_fixture_init(&self->repo);
    self->packs = past_packs_new();
    put_cluster(self, &old_cluster);
    declare(self, 1, NEW);
}

static void
tear_down(Fixture *self, const void *data)
{
    (void)data;
    g_hash_table_unref(self->packs);
    repo_fixture_clear(&self->repo);
}

/* The cluster that is chosen for a target, 0 and `error` when it was refused. */
static uint64_t
choose(Fixture *self, const char *text, uint64_t system_id, GError **error)
{
    g_autoptr(GPtrArray) source_repos = g_ptr_array_new();
    g_auto(BkRecoveryTarget) target = BK_RECOVERY_TARGET_INIT;
    g_auto(BkPlanChoice) choice = {0};
    const BkPlanRequest request = {.target = &target,
                                   .system_id = system_id,
                                   .names_system = system_id != 0,
                                   .lacks_repositories = self->lacks_repositories};

    g_ptr_array_add(source_repos, self->repo.source_repo);
    g_assert_true(bk_recovery_target_parse(text, TUESDAY + PAST_DAY, &target, NULL));
    if (!bk_plan_choose(source_repos, &request, &choice, self->repo.op, error))
        return 0;
    g_assert_cmpstr(choice.plan.snapshot->head.id, ==, choice.system->id == OLD ? FIRST : SECOND);
    g_assert_true((choice.plan.note != NULL) ==
                  (choice.system != bk_systems_current(&choice.systems)));
    return choice.system->id;
}

static uint64_t
chosen(Fixture *self, const char *text, uint64_t system_id)
{
    g_autoptr(GError) error = NULL;
    uint64_t found = choose(self, text, system_id, &error);

    g_assert_no_error(error);
    return found;
}

/* Refused with `code`, and `count` of the commands for a cluster. */
static void
expect_refused(Fixture *self, const char *text, int code, unsigned count)
{
    g_autoptr(GError) error = NULL;
    unsigned found = 0;

    g_assert_cmpuint(choose(self, text, 0, &error), ==, 0);
    g_assert_cmpint(error->code, ==, code);
    for (const char *at = error->message; (at = strstr(at, "--system ")) != NULL; at++)
        found++;
    g_assert_cmpuint(found, ==, count);
}

/* Whatever only one of them has is found there, in whichever direction one looks. */
static void
test_target_of_one_cluster(Fixture *self, const void *data)
{
    (void)data;
    put_cluster(self, &new_cluster);
    g_assert_cmpuint(chosen(self, "2026-11-30 00:01:00", 0), ==, OLD);
    g_assert_cmpuint(chosen(self, "2026-12-01 00:01:00", 0), ==, NEW);
    g_assert_cmpuint(chosen(self, "xid:700", 0), ==, OLD);
    g_assert_cmpuint(chosen(self, "xid:800", 0), ==, NEW);
    g_assert_cmpuint(chosen(self, "name:old", 0), ==, OLD);
    g_assert_cmpuint(chosen(self, "name:new", 0), ==, NEW);
    g_assert_cmpuint(chosen(self, FIRST, 0), ==, OLD);
    g_assert_cmpuint(chosen(self, SECOND, 0), ==, NEW);
}

/* What both have is refused, until one is named: an equal position is another state. */
static void
test_target_of_both(Fixture *self, const void *data)
{
    static const uint64_t systems[] = {OLD, NEW};
    g_autofree char *lsn = g_strdup_printf("lsn:0/%X", (unsigned)(START + WAL_SEGMENT + 200));
    const char *const targets[] = {"name:both", "xid:900", lsn};

    (void)data;
    put_cluster(self, &new_cluster);
    for (size_t i = 0; i < G_N_ELEMENTS(targets); i++) {
        expect_refused(self, targets[i], BK_ERROR_AMBIGUOUS, 2);
        for (size_t j = 0; j < G_N_ELEMENTS(systems); j++)
            g_assert_cmpuint(chosen(self, targets[i], systems[j]), ==, systems[j]);
    }
}

/* Between the clusters, before and behind them there is nothing; what each reaches is told. */
static void
test_target_of_none(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    put_cluster(self, &new_cluster);
    expect_refused(self, "2026-11-30 12:00:00", BK_ERROR_NOT_FOUND, 4);
    expect_refused(self, "2026-11-29 12:00:00", BK_ERROR_NOT_FOUND, 4);
    expect_refused(self, "xid:5", BK_ERROR_NOT_FOUND, 4);
    expect_refused(self, "name:nowhere", BK_ERROR_NOT_FOUND, 4);
    g_assert_cmpuint(choose(self, "latest", STRANGER, &error), ==, 0);
    g_assert_error(error, BK_ERROR, BK_ERROR_NOT_FOUND);
}

/* The end is that of the cluster that was declared last, also while it has no snapshot. */
static void
test_the_end(Fixture *self, const void *data)
{
    (void)data;
    expect_refused(self, "latest", BK_ERROR_NOT_FOUND, 1);
    expect_refused(self, "immediate", BK_ERROR_NOT_FOUND, 1);
    g_assert_cmpuint(chosen(self, "latest", OLD), ==, OLD);
    g_assert_cmpuint(chosen(self, "xid:700", 0), ==, OLD);
    put_cluster(self, &new_cluster);
    g_assert_cmpuint(chosen(self, "latest", 0), ==, NEW);
    g_assert_cmpuint(chosen(self, "immediate", 0), ==, NEW);
    g_assert_cmpuint(chosen(self, "latest", OLD), ==, OLD);
    declare(self, 2, OLD);
    g_assert_cmpuint(chosen(self, "latest", 0), ==, OLD);
    g_assert_cmpuint(chosen(self, "immediate", 0), ==, OLD);
    g_assert_cmpuint(chosen(self, "latest", NEW), ==, NEW);
}

/* A cluster that cannot be searched may have the target as well: it is unknown, not absent. What is
 * in a former one only is refused then, until one is named. */
static void
test_unreadable_cluster(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    put_cluster(self, &new_cluster);
    past_damage(self->repo.store, MANIFEST(SECOND), self->repo.op);
    expect_refused(self, "xid:700", BK_ERROR_AMBIGUOUS, 2);
    expect_refused(self, "name:old", BK_ERROR_AMBIGUOUS, 2);
    expect_refused(self, "2026-11-30 00:01:00", BK_ERROR_AMBIGUOUS, 2);
    g_assert_cmpuint(chosen(self, "xid:700", OLD), ==, OLD);
    g_assert_cmpuint(choose(self, "xid:800", 0, &error), ==, 0);
    g_assert_error(error, BK_ERROR, BK_ERROR_CORRUPT);
}

/* The same where the current cluster has a snapshot that can be read, and only one before it, or
 * WAL, that cannot. */
static void
test_half_readable_cluster(Fixture *self, const void *data)
{
    static const PastSnapshot later = {.id = THIRD,
                                       .started_us = TUESDAY + PAST_DAY,
                                       .first_segno = PAST_SEGNO + 2,
                                       .last_segno = PAST_SEGNO + 2,
                                       .packs = "a"};

    (void)data;
    put_cluster(self, &new_cluster);
    past_put_snapshot_of(&self->repo, self->packs, &later, NEW);
    past_damage(self->repo.store, MANIFEST(SECOND), self->repo.op);
    expect_refused(self, "xid:700", BK_ERROR_AMBIGUOUS, 2);
    expect_refused(self, "name:both", BK_ERROR_AMBIGUOUS, 2);
    g_assert_cmpuint(chosen(self, "name:both", OLD), ==, OLD);
}

/* WAL of the current cluster that cannot be read: its head is damaged. */
static void
test_unreadable_wal(Fixture *self, const void *data)
{
    (void)data;
    put_cluster(self, &new_cluster);
    past_damage_start(self->repo.store, SEGMENT_OF_NEW("6"), self->repo.op);
    expect_refused(self, "xid:700", BK_ERROR_AMBIGUOUS, 2);
    expect_refused(self, "name:old", BK_ERROR_AMBIGUOUS, 2);
    g_assert_cmpuint(chosen(self, "xid:700", OLD), ==, OLD);
}

/* A former cluster that cannot be searched keeps nobody from what the current one has. */
static void
test_unreadable_former(Fixture *self, const void *data)
{
    (void)data;
    put_cluster(self, &new_cluster);
    past_damage_start(self->repo.store, SEGMENT("6"), self->repo.op);
    g_assert_cmpuint(chosen(self, "xid:800", 0), ==, NEW);
    g_assert_cmpuint(chosen(self, "name:new", 0), ==, NEW);
}

/* A repository that could not be opened may have more of the current cluster. */
static void
test_unopened_repository(Fixture *self, const void *data)
{
    (void)data;
    put_cluster(self, &new_cluster);
    self->lacks_repositories = true;
    expect_refused(self, "xid:700", BK_ERROR_AMBIGUOUS, 2);
    g_assert_cmpuint(chosen(self, "xid:700", OLD), ==, OLD);
    g_assert_cmpuint(chosen(self, "xid:800", 0), ==, NEW);
}

#define TEST(name, function) g_test_add(name, Fixture, NULL, set_up, function, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    TEST("/plan-systems/target-of-one-cluster", test_target_of_one_cluster);
    TEST("/plan-systems/target-of-both", test_target_of_both);
    TEST("/plan-systems/target-of-none", test_target_of_none);
    TEST("/plan-systems/the-end", test_the_end);
    TEST("/plan-systems/unreadable-cluster", test_unreadable_cluster);
    TEST("/plan-systems/half-readable-cluster", test_half_readable_cluster);
    TEST("/plan-systems/unreadable-wal", test_unreadable_wal);
    TEST("/plan-systems/unreadable-former", test_unreadable_former);
    TEST("/plan-systems/unopened-repository", test_unopened_repository);
    return g_test_run();
}
