/* test-recovery-index.c - a past made up of a snapshot and WAL: its window, its end, plans and
 * searches. */
#include "expect-problem.h"
#include "past-one.h"
#include "source/pg/archive/system-id.h"
#include "source/pg/restore/plan-choice.h"

#include "repo-fixture.h"
#include "repo/snapshot/snapshot-manifest.h"
#include "source/pg/restore/plan-lines.h"
#include "source/pg/restore/wal-search.h"
#include "wal-builder.h"

#define START    (5 * (BkLsn)WAL_SEGMENT)
#define NOON     (INT64_C(1795224000) * BK_USEC_PER_SEC)
#define ID       "20261121T003905Z-1a2b3c4d"
#define SEGMENTS 3u

typedef struct Fixture {
    RepoFixture repo;
    RepoFixture behind; /* another one, which lacks the last segment */
    BkRecoveryIndex past;
    BkLsn xid_700; /* in the first segment, past the snapshot's end */
    BkLsn point;   /* in the second */
    BkLsn xid_702; /* in the third */
} Fixture;

static void
put_snapshot_at(RepoFixture *repo, const char *id, BkLsn start_lsn, BkLsn stop_lsn, int64_t stop_us)
{
    g_autoptr(BkSnapshot) snapshot = bk_snapshot_new();
    BkSnapshotHead *head = bk_snapshot_head(snapshot);
    g_auto(BkPgMeta) meta = {0};
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    bk_pg_meta_init(&meta);
    meta.system_id = WAL_SYSTEM;
    meta.segment_size = WAL_SEGMENT;
    meta.timeline = 1;
    meta.start_lsn = start_lsn;
    meta.redo_lsn = start_lsn;
    meta.stop_lsn = stop_lsn;
    meta.stop_us = stop_us;
    (void)g_strlcpy(head->id, id, sizeof head->id);
    head->source = g_strdup("orders");
    head->kind = g_strdup(BK_PG_KIND);
    head->state = BK_SNAPSHOT_COMPLETE;
    head->mode = BK_SNAPSHOT_FULL;
    bk_pg_meta_encode(&meta, &head->meta);
    EXPECT_DONE(bk_snapshot_seal(snapshot, repo->source_repo, &object, &error));
    EXPECT_DONE(bk_snapshot_put(repo->source_repo, id, &object, repo->op, &error));
}

static void
put_snapshot(RepoFixture *repo, const char *id, BkLsn stop_lsn)
{
    put_snapshot_at(repo, id, START + 40, stop_lsn, NOON - 1);
}

static void
put_segments(RepoFixture *repo, const WalBuilder *builder, size_t count)
{
    g_autoptr(BkArchiveWriter) writer = bk_archive_writer_new(BK_CODEC_ZSTD, 1);
    g_autoptr(GPtrArray) source_repos = g_ptr_array_new();

    g_ptr_array_add(source_repos, repo->source_repo);
    for (size_t i = 0; i < count; i++) {
        g_autofree uint8_t *copy = g_memdup2(wal_builder_segment(builder, i), WAL_SEGMENT);
        BkBuf content = {copy, WAL_SEGMENT, WAL_SEGMENT};
        char name[BK_WAL_NAME_SIZE];
        BkArchiveFile file = {.name = name, .content = &content, .is_ready = true};
        g_autoptr(GError) error = NULL;

        bk_wal_segment_name(1, START / WAL_SEGMENT + i, WAL_SEGMENT, name);
        g_assert_true(bk_wal_name_parse(name, &file.parsed));
        EXPECT_DONE(bk_archive_put(writer, source_repos, &file, WAL_SYSTEM, repo->op, &error));
    }
}

/* Records until the next segment has begun, the last of them across the border. */
static void
pass_border(WalBuilder *builder)
{
    size_t border = (builder->out.size / WAL_SEGMENT + 1) * WAL_SEGMENT;

    while (builder->out.size < border)
        (void)wal_builder_filler(builder, 3000);
}

static void
set_up(Fixture *self, const void *data)
{
    g_auto(WalBuilder) builder = {0};
    g_autoptr(GError) error = NULL;
    BkLsn stop;

    (void)data;
    repo_fixture_init(&self->repo);
    wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
    (void)wal_builder_xact(&builder, 0x00, 699, NOON - 10); /* within the snapshot */
    (void)wal_builder_filler(&builder, 3000);
    stop = builder.start + builder.out.size;
    self->xid_700 = wal_builder_xact(&builder, 0x00, 700, NOON);
    pass_border(&builder);
    self->point = wal_builder_point(&builder, "release", NOON + 5);
    (void)wal_builder_xact(&builder, 0x20, 701, NOON + 6); /* aborted */
    pass_border(&builder);
    self->xid_702 = wal_builder_xact(&builder, 0x00, 702, NOON + 9);
    wal_builder_pad(&builder);
    g_assert_cmpuint(builder.out.size, ==, SEGMENTS * WAL_SEGMENT);
    put_snapshot(&self->repo, ID, stop);
    put_segments(&self->repo, &builder, SEGMENTS);
    repo_fixture_init(&self->behind);
    put_snapshot(&self->behind, ID, stop);
    put_segments(&self->behind, &builder, SEGMENTS - 1);
    EXPECT_DONE(past_load_one(self->repo.source_repo, BK_RECOVERY_INDEX_WHOLE_ARCHIVE, &self->past,
                              self->repo.op, &error));
}

static void
tear_down(Fixture *self, const void *data)
{
    (void)data;
    bk_recovery_index_clear(&self->past);
    repo_fixture_clear(&self->repo);
    repo_fixture_clear(&self->behind);
}

static void
test_window(Fixture *self, const void *data)
{
    const BkWindow *window = self->past.windows.windows;

    (void)data;
    g_assert_cmpuint(self->past.snapshots->len, ==, 1);
    g_assert_cmpuint(self->past.windows.count, ==, 1);
    g_assert_cmpuint(window->timeline, ==, 1);
    g_assert_true(window->has_wal);
    g_assert_cmpuint(window->end_segno, ==, START / WAL_SEGMENT + SEGMENTS - 1);
    g_assert_cmpuint(self->past.windows.broken_count, ==, 0);
}

static void
test_find_end(Fixture *self, const void *data)
{
    g_auto(BkWindowPath) path = {0};
    g_autoptr(GError) error = NULL;
    BkRecoveryIndexEnd end;

    (void)data;
    g_assert_true(bk_window_path(&self->past.input, 0, 1, &path));
    EXPECT_DONE(
        bk_recovery_index_find_end(&self->past, &path, START, &end, NULL, self->repo.op, &error));
    g_assert_cmpint(end.time_us, ==, NOON + 9);
    g_assert_cmpuint(end.lsn, >, self->xid_702);
    g_assert_cmpuint(end.lsn, <, START + SEGMENTS * WAL_SEGMENT);
    /* Nothing was committed past the last transaction. */
    EXPECT_DONE(
        bk_recovery_index_find_end(&self->past, &path, end.lsn, &end, NULL, self->repo.op, &error));
    g_assert_cmpint(end.time_us, ==, 0);
}

static BkLsn
search(Fixture *self, const char *target_text)
{
    g_auto(BkWindowPath) path = {0};
    g_auto(BkRecoveryTarget) target = BK_RECOVERY_TARGET_INIT;
    g_autoptr(GError) error = NULL;
    BkWalMoment found;

    g_assert_true(bk_window_path(&self->past.input, 0, 1, &path));
    EXPECT_DONE(bk_recovery_target_parse(target_text, NOON, &target, &error));
    EXPECT_DONE(bk_wal_search(&self->past, &path, self->past.input.snapshots[0].stop_lsn,
                              path.end_lsn, &target, &found, self->repo.op, &error));
    return found.lsn;
}

static void
test_search(Fixture *self, const void *data)
{
    (void)data;
    g_assert_cmpuint(search(self, "xid:700"), ==, self->xid_700);
    g_assert_cmpuint(search(self, "xid:702"), ==, self->xid_702);
    g_assert_cmpuint(search(self, "name:release"), ==, self->point);
    g_assert_cmpuint(search(self, "name:other"), ==, 0);
    g_assert_cmpuint(search(self, "xid:703"), ==, 0);
    g_assert_cmpuint(search(self, "xid:699"), ==, 0); /* before the copy is consistent */
}

/* Of a long way only some segments are looked at, and the last. */
static void
test_search_far(Fixture *self, const void *data)
{
    const BkLsn from_lsn = self->past.input.snapshots[0].stop_lsn;
    g_auto(BkWindowPath) path = {0};
    g_autoptr(GError) error = NULL;
    BkLsn found;

    (void)data;
    g_assert_true(bk_window_path(&self->past.input, 0, 1, &path));
    EXPECT_DONE(bk_wal_search_earlier_far(&self->past, &path, from_lsn, NOON + 10, SEGMENTS + 1,
                                          &found, self->repo.op, &error));
    g_assert_cmpuint(found, ==, self->xid_700);
    EXPECT_DONE(bk_wal_search_earlier_far(&self->past, &path, from_lsn, NOON + 10, 1, &found,
                                          self->repo.op, &error));
    g_assert_cmpuint(found, ==, self->xid_702);
    EXPECT_DONE(bk_wal_search_earlier_far(&self->past, &path, from_lsn, NOON, 1, &found,
                                          self->repo.op, &error));
    g_assert_cmpuint(found, ==, 0);
}

/* The segments of the plan to a target, 0 when it was refused as outside every window. */
static uint64_t
plan(Fixture *self, const char *target_text)
{
    g_auto(BkRecoveryTarget) target = BK_RECOVERY_TARGET_INIT;
    g_auto(BkPlan) plan = {0};
    BkPlanRequest request = {.target = &target};
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_recovery_target_parse(target_text, NOON, &target, &error));
    if (!bk_plan_make(&self->past, &request, &plan, self->repo.op, &error)) {
        EXPECT_ERROR(false, BK_ERROR_NOT_FOUND);
        return 0;
    }
    g_assert_cmpstr(plan.snapshot->head.id, ==, ID);
    g_assert_cmpuint(plan.timeline, ==, 1);
    return plan.segments;
}

static void
test_plans(Fixture *self, const void *data)
{
    (void)data;
    g_assert_cmpuint(plan(self, "latest"), ==, SEGMENTS);
    g_assert_cmpuint(plan(self, "xid:700"), >=, 1);
    g_assert_cmpuint(plan(self, "name:release"), >=, 2);
    g_assert_cmpuint(plan(self, "xid:702"), ==, SEGMENTS);
    g_assert_cmpuint(plan(self, ID), ==, 1);
    g_assert_cmpuint(plan(self, "xid:703"), ==, 0);
    g_assert_cmpuint(plan(self, "name:other"), ==, 0);
    g_assert_cmpuint(plan(self, "lsn:F/0"), ==, 0);
    g_assert_cmpuint(plan(self, "lsn:0/100"), ==, 0);
    g_assert_cmpuint(plan(self, "20261121T003905Z-1a2b3c4e"), ==, 0);
}

/* One damaged manifest hurts no other snapshot: it is told of, and refused when it is wanted. */
static void
test_damaged_manifest(Fixture *self, const void *data)
{
    static const char damaged[] = "20261122T003905Z-1a2b3c4e";
    g_autofree char *name = g_strdup_printf("orders/snapshots/%s", damaged);
    uint8_t bytes[] = "not a manifest at all";
    BkBuf object = {bytes, sizeof bytes, sizeof bytes};
    g_auto(BkRecoveryIndex) past = {0};
    g_auto(BkRecoveryTarget) target = BK_RECOVERY_TARGET_INIT;
    g_auto(BkPlan) best = {0};
    BkPlanRequest request = {.target = &target, .snapshot = damaged};
    g_autoptr(GError) error = NULL;
    BkSystemStanding standing;
    uint64_t current;

    (void)data;
    EXPECT_DONE(bk_store_put(self->repo.store, name, &object, self->repo.op, &error));
    EXPECT_DONE(bk_system_judge(self->repo.source_repo, WAL_SYSTEM + 1, &standing, &current,
                                self->repo.op, &error));
    g_assert_cmpint(standing, ==, BK_SYSTEM_FOREIGN);
    g_assert_cmpuint(current, ==, WAL_SYSTEM);
    EXPECT_DONE(past_load_one(self->repo.source_repo, BK_RECOVERY_INDEX_WHOLE_ARCHIVE, &past,
                              self->repo.op, &error));
    g_assert_cmpuint(past.snapshots->len, ==, 1);
    g_assert_cmpuint(past.unreadable->len, ==, 1);
    EXPECT_DONE(bk_recovery_target_parse("latest", NOON, &target, &error));
    EXPECT_ERROR(bk_plan_make(&past, &request, &best, self->repo.op, &error), BK_ERROR_CORRUPT);
    request.snapshot = NULL;
    EXPECT_DONE(bk_plan_make(&past, &request, &best, self->repo.op, &error));
    g_assert_cmpstr(best.snapshot->head.id, ==, ID);
}

static void
put_bytes(RepoFixture *repo, const char *name, const char *text)
{
    g_autofree uint8_t *bytes = g_memdup2(text, strlen(text));
    BkBuf object = {bytes, strlen(text), strlen(text)};
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_store_put(repo->store, name, &object, repo->op, &error));
}

static void
put_history(RepoFixture *repo, const char *name, const char *text)
{
    g_autoptr(BkArchiveWriter) writer = bk_archive_writer_new(BK_CODEC_ZSTD, 1);
    g_autoptr(GPtrArray) source_repos = g_ptr_array_new();
    g_autofree uint8_t *bytes = g_memdup2(text, strlen(text));
    BkBuf content = {bytes, strlen(text), strlen(text)};
    BkArchiveFile file = {.name = name, .content = &content};
    g_autoptr(GError) error = NULL;

    g_ptr_array_add(source_repos, repo->source_repo);
    g_assert_true(bk_wal_name_parse(name, &file.parsed));
    EXPECT_DONE(bk_archive_put(writer, source_repos, &file, WAL_SYSTEM, repo->op, &error));
}

/* A timeline whose history is damaged, inside its object or with it, has no known ancestors, and
 * the others do not suffer. */
static void
test_damaged_history(Fixture *self, const void *data)
{
    g_auto(BkRecoveryIndex) past = {0};
    g_auto(BkRecoveryTarget) target = BK_RECOVERY_TARGET_INIT;
    g_auto(BkPlan) best = {0};
    BkPlanRequest request = {.target = &target};
    g_autoptr(GError) error = NULL;

    (void)data;
    put_history(&self->repo, "00000002.history", "not a history\n");
    put_bytes(&self->repo, "orders/wal/" WAL_SYSTEM_DIGITS "/00000003/00000003.history",
              "not an object");
    EXPECT_DONE(past_load_one(self->repo.source_repo, BK_RECOVERY_INDEX_WHOLE_ARCHIVE, &past,
                              self->repo.op, &error));
    g_assert_cmpuint(past.problems->len, ==, 2);
    g_assert_nonnull(strstr(problem_text(past.problems, 0), "00000002.history"));
    g_assert_nonnull(strstr(problem_text(past.problems, 1), "00000003.history"));
    g_assert_cmpuint(past.windows.count, ==, 1);
    EXPECT_DONE(bk_recovery_target_parse("latest", NOON, &target, &error));
    EXPECT_DONE(bk_plan_make(&past, &request, &best, self->repo.op, &error));
    g_assert_cmpuint(best.timeline, ==, 1);
    g_assert_cmpuint(best.segments, ==, SEGMENTS);
}

static void
damage_segment(RepoFixture *repo, uint64_t segno)
{
    char base[BK_WAL_NAME_SIZE];
    g_autofree char *name = NULL;

    bk_wal_segment_name(1, segno, WAL_SEGMENT, base);
    name = g_strdup_printf("orders/wal/" WAL_SYSTEM_DIGITS "/00000001/0000000100000000/%s", base);
    (void)!bk_store_delete(repo->store, name, repo->op, NULL);
    put_bytes(repo, name, "not an object");
}

static void
expect_plan(Fixture *self, const BkRecoveryIndex *past, const char *text)
{
    g_auto(BkRecoveryTarget) target = BK_RECOVERY_TARGET_INIT;
    g_auto(BkPlan) best = {0};
    const BkPlanRequest request = {.target = &target};
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_recovery_target_parse(text, NOON, &target, &error));
    EXPECT_DONE(bk_plan_make(past, &request, &best, self->repo.op, &error));
}

/* What recovery does not read, before the snapshot and behind the target, keeps it from nothing. */
static void
test_damage_that_is_not_read(Fixture *self, const void *data)
{
    g_auto(BkRecoveryIndex) past = {0};
    g_auto(BkRecoveryIndex) again = {0};
    g_autoptr(GError) error = NULL;

    (void)data;
    damage_segment(&self->repo, START / WAL_SEGMENT - 1);
    EXPECT_DONE(past_load_one(self->repo.source_repo, BK_RECOVERY_INDEX_WHOLE_ARCHIVE, &past,
                              self->repo.op, &error));
    expect_plan(self, &past, "latest");
    expect_plan(self, &past, ID);
    expect_plan(self, &past, "xid:700");
    damage_segment(&self->repo, START / WAL_SEGMENT + 2);
    expect_plan(self, &past, ID);
    expect_plan(self, &past, "xid:700");
    expect_plan(self, &past, "name:release");
    damage_segment(&self->repo, START / WAL_SEGMENT + 1);
    EXPECT_DONE(past_load_one(self->repo.source_repo, BK_RECOVERY_INDEX_WHOLE_ARCHIVE, &again,
                              self->repo.op, &error));
    expect_plan(self, &again, ID);
    expect_plan(self, &again, "xid:700");
}

/* The same of a time, between whose snapshot and the one before WAL is damaged. */
static void
test_damage_before_a_time(Fixture *self, const void *data)
{
    const BkLsn last = START + (SEGMENTS - 1) * (BkLsn)WAL_SEGMENT;
    g_auto(BkRecoveryIndex) past = {0};
    g_autoptr(GError) error = NULL;

    (void)data;
    damage_segment(&self->repo, START / WAL_SEGMENT + 1);
    put_snapshot_at(&self->repo, "20261122T003905Z-1a2b3c4e", last + 40, last + 80, NOON + 7);
    EXPECT_DONE(past_load_one(self->repo.source_repo, BK_RECOVERY_INDEX_WHOLE_ARCHIVE, &past,
                              self->repo.op, &error));
    expect_plan(self, &past, "2026-11-21 01:20:00.000008Z");
    expect_plan(self, &past, "xid:702");
    damage_segment(&self->repo, last / WAL_SEGMENT);
    expect_plan(self, &past, "xid:700");
}

/* What a client of NFS or an editor leaves behind is no WAL, and hides none. */
static void
test_stray_files(Fixture *self, const void *data)
{
    g_auto(BkRecoveryIndex) past = {0};
    g_autoptr(GError) error = NULL;

    (void)data;
    put_bytes(&self->repo, "orders/wal/" WAL_SYSTEM_DIGITS "/00000001/0000000100000000/.nfs000123",
              "");
    put_bytes(&self->repo,
              "orders/wal/" WAL_SYSTEM_DIGITS
              "/00000001/0000000100000000/000000010000000000000005.bak",
              "");
    EXPECT_DONE(past_load_one(self->repo.source_repo, BK_RECOVERY_INDEX_WHOLE_ARCHIVE, &past,
                              self->repo.op, &error));
    g_assert_cmpuint(past.input.timeline_count, ==, 1);
    g_assert_cmpuint(past.windows.count, ==, 1);
    g_assert_cmpuint(past.windows.windows[0].end_segno, ==, START / WAL_SEGMENT + SEGMENTS - 1);
}

/* A manifest that the storage does not give is like a damaged one, unless there is no other. */
static void
test_unreadable_manifest(Fixture *self, const void *data)
{
    static const char lost[] = "20261120T003905Z-1a2b3c4e"; /* listed first */
    g_auto(BkRecoveryIndex) past = {0};
    g_auto(BkRecoveryIndex) again = {0};
    g_autoptr(GError) error = NULL;
    BkSystemStanding standing;

    (void)data;
    bk_store_fault_arm(self->repo.store, BK_STORE_OPERATION_GET, 1, BK_ERROR_STORE, false);
    EXPECT_ERROR(past_load_one(self->repo.source_repo, BK_RECOVERY_INDEX_WHOLE_ARCHIVE, &past,
                               self->repo.op, &error),
                 BK_ERROR_STORE);
    bk_recovery_index_clear(&past);
    bk_store_fault_arm(self->repo.store, BK_STORE_OPERATION_GET, 1, BK_ERROR_STORE, false);
    EXPECT_ERROR(
        bk_system_judge(self->repo.source_repo, WAL_SYSTEM, &standing, NULL, self->repo.op, &error),
        BK_ERROR_STORE);
    put_snapshot(&self->repo, lost, START + 80);
    bk_store_fault_arm(self->repo.store, BK_STORE_OPERATION_GET, 1, BK_ERROR_STORE, false);
    EXPECT_DONE(bk_system_judge(self->repo.source_repo, WAL_SYSTEM, &standing, NULL, self->repo.op,
                                &error));
    g_assert_cmpint(standing, ==, BK_SYSTEM_CURRENT);
    bk_store_fault_arm(self->repo.store, BK_STORE_OPERATION_GET, 1, BK_ERROR_STORE, false);
    EXPECT_DONE(past_load_one(self->repo.source_repo, BK_RECOVERY_INDEX_WHOLE_ARCHIVE, &past,
                              self->repo.op, &error));
    g_assert_cmpuint(past.snapshots->len, ==, 1);
    g_assert_cmpuint(past.unreadable->len, ==, 1);
    g_assert_cmpstr(((BkRecoveryIndexUnreadable *)g_ptr_array_index(past.unreadable, 0))->id, ==,
                    lost);
    EXPECT_DONE(past_load_one(self->repo.source_repo, BK_RECOVERY_INDEX_WHOLE_ARCHIVE, &again,
                              self->repo.op, &error));
    g_assert_cmpuint(again.snapshots->len, ==, 2);
}

/* The index of the repository that is chosen of `first` and `second`, or -1 and `error`. */
static int
choose(RepoFixture *first, RepoFixture *second, const char *target_text, GError **error)
{
    g_autoptr(GPtrArray) source_repos = g_ptr_array_new();
    g_auto(BkRecoveryTarget) target = BK_RECOVERY_TARGET_INIT;
    g_auto(BkPlanChoice) choice = {0};
    BkPlanRequest request = {.target = &target};

    g_ptr_array_add(source_repos, first->source_repo);
    g_ptr_array_add(source_repos, second->source_repo);
    g_assert_true(bk_recovery_target_parse(target_text, NOON, &target, NULL));
    return bk_plan_choose(source_repos, &request, &choice, first->op, error)
               ? (int)choice.source_repo
               : -1;
}

static void
test_choice(Fixture *self, const void *data)
{
    RepoFixture *whole = &self->repo;
    RepoFixture *behind = &self->behind;
    g_autoptr(GError) error = NULL;

    (void)data;
    g_assert_cmpint(choose(behind, whole, "latest", &error), ==, 0);
    g_assert_cmpint(choose(whole, behind, "latest", &error), ==, 0);
    g_assert_cmpint(choose(behind, whole, "xid:702", &error), ==, 0);
    g_assert_cmpint(choose(behind, whole, "xid:700", &error), ==, 0);
    g_assert_cmpint(choose(behind, whole, ID, &error), ==, 0);
    g_assert_cmpint(choose(behind, whole, "immediate", &error), ==, 0);
    g_assert_no_error(error);
    EXPECT_ERROR(choose(behind, whole, "xid:703", &error) >= 0, BK_ERROR_NOT_FOUND);
    put_snapshot(whole, "20261122T003905Z-1a2b3c4e", self->xid_700 + 64);
    g_assert_cmpint(choose(behind, whole, "immediate", &error), ==, 1);
    g_assert_cmpint(choose(behind, whole, "20261122T003905Z-1a2b3c4e", &error), ==, 1);
    put_bytes(behind, "orders/snapshots/20261123T003905Z-1a2b3c4e", "damaged");
    g_assert_cmpint(choose(behind, whole, "xid:700", &error), ==, 0);
    g_assert_no_error(error);
}

/* A snapshot whose manifest fails where only loading it shows that makes room for the one before;
 * one that was asked for does not. */
static void
test_choice_falls_back(Fixture *self, const void *data)
{
    static const char newer[] = "20261122T003905Z-1a2b3c4e";
    static const char name[] = "orders/snapshots/20261122T003905Z-1a2b3c4e";
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    (void)data;
    put_snapshot(&self->repo, newer, self->xid_700 + 64);
    g_assert_cmpint(choose(&self->behind, &self->repo, newer, &error), ==, 1);
    repo_fixture_get(self->repo.store, name, &object, self->repo.op);
    object.data[object.size - 20] ^= 1;
    EXPECT_DONE(bk_store_delete(self->repo.store, name, self->repo.op, &error));
    EXPECT_DONE(bk_store_put(self->repo.store, name, &object, self->repo.op, &error));
    g_assert_cmpint(choose(&self->behind, &self->repo, "xid:702", &error), ==, 0);
    g_assert_no_error(error);
    EXPECT_ERROR(choose(&self->behind, &self->repo, newer, &error) >= 0, BK_ERROR_CORRUPT);
}

/* A repository that fails hides none that leads to the target; and what it might hold is unknown,
 * not absent. */
static void
test_choice_with_failures(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    for (unsigned call = 1; call <= 2; call++) {
        bk_store_fault_arm(self->behind.store, BK_STORE_OPERATION_LIST, call, BK_ERROR_STORE,
                           false);
        g_assert_cmpint(choose(&self->behind, &self->repo, "latest", &error), ==, 1);
        bk_store_fault_arm(self->behind.store, BK_STORE_OPERATION_LIST, call, BK_ERROR_STORE,
                           false);
        g_assert_cmpint(choose(&self->repo, &self->behind, "latest", &error), ==, 0);
        g_assert_no_error(error);
        bk_store_fault_arm(self->behind.store, BK_STORE_OPERATION_LIST, call, BK_ERROR_STORE,
                           false);
        EXPECT_ERROR(choose(&self->repo, &self->behind, "xid:703", &error) >= 0, BK_ERROR_STORE);
    }
}

/* Ids tell seconds only: two snapshots of one second come in the order in which they were begun. */
static void
test_order(Fixture *self, const void *data)
{
    BkRecoveryIndexSnapshot first = {
        .head = {.id = "20261121T000000Z-ffffffff", .started_us = 1000001}};
    BkRecoveryIndexSnapshot second = {
        .head = {.id = "20261121T000000Z-00000000", .started_us = 1000002}};

    (void)self;
    (void)data;
    g_assert_cmpint(bk_recovery_index_snapshot_compare(&first, &second), <, 0);
    g_assert_cmpint(bk_recovery_index_snapshot_compare(&second, &first), >, 0);
    g_assert_cmpint(bk_recovery_index_snapshot_compare(&first, &first), ==, 0);
}

#define TEST(name, function) g_test_add(name, Fixture, NULL, set_up, function, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    TEST("/recovery-index/order", test_order);
    TEST("/recovery-index/window", test_window);
    TEST("/recovery-index/find-end", test_find_end);
    TEST("/recovery-index/search", test_search);
    TEST("/recovery-index/search-far", test_search_far);
    TEST("/recovery-index/plans", test_plans);
    TEST("/recovery-index/damaged-manifest", test_damaged_manifest);
    TEST("/recovery-index/damaged-history", test_damaged_history);
    TEST("/recovery-index/damage-that-is-not-read", test_damage_that_is_not_read);
    TEST("/recovery-index/damage-before-a-time", test_damage_before_a_time);
    TEST("/recovery-index/stray-files", test_stray_files);
    TEST("/recovery-index/unreadable-manifest", test_unreadable_manifest);
    TEST("/recovery-index/choice", test_choice);
    TEST("/recovery-index/choice-falls-back", test_choice_falls_back);
    TEST("/recovery-index/choice-with-failures", test_choice_with_failures);
    return g_test_run();
}
