/* test-repo-compare.c - what one repository holds and lacks, and what two have in common. */
#include "engine/check/repo-check.h"
#include "engine/check/repo-compare.h"
#include "engine/copy/copy.h"
#include "engine/copy/inventory.h"
#include "expect-problem.h"
#include "past-fixture.h"
#include "source/pg/archive/wal-span.h"

typedef struct Fixture {
    RepoFixture repo;
    GHashTable *packs;
} Fixture;

static void
set_up(Fixture *self, const void *data)
{
    (void)data;
    *self = (Fixture){.packs = past_packs_new()};
    repo_fixture_init(&self->repo);
    repo_fixture_add_second(&self->repo);
    past_fill(&self->repo, self->packs);
}

static void
tear_down(Fixture *self, const void *data)
{
    (void)data;
    g_hash_table_unref(self->packs);
    repo_fixture_clear(&self->repo);
}

#define TEST(name, function) g_test_add(name, Fixture, NULL, set_up, function, tear_down)

static void
copy_all(Fixture *self)
{
    const BkCopyOptions options = {.workers = 1};
    BkCopyReport report;
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_replicate(self->repo.source_repo, self->repo.second, &options, &report,
                             self->repo.op, &error));
}

static char *
pack_name(const Fixture *self, char letter)
{
    const BkPackRef *ref = g_hash_table_lookup(self->packs, GINT_TO_POINTER(letter));

    return bk_pack_object_name(self->repo.source_repo, ref->name);
}

static void
delete_object(BkStore *store, const char *name, BkOp *op)
{
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_store_delete(store, name, op, &error));
}

/* Adds a byte. */
static void
lengthen(BkStore *store, const char *name, BkOp *op)
{
    g_auto(BkBuf) object = BK_BUF_INIT;

    repo_fixture_get(store, name, &object, op);
    bk_buf_append(&object, "", 1);
    repo_fixture_overwrite(store, name, &object, op);
}

static void
test_inventory(Fixture *self, const void *data)
{
    g_auto(BkInventory) inventory = {.oldest = NULL};
    g_autoptr(GError) error = NULL;
    const BkInventoryTimeline *timeline;
    g_auto(BkBuf) content = BK_BUF_INIT;

    (void)data;
    bk_buf_append(&content, "x", 1);
    EXPECT_DONE(bk_store_put(self->repo.store, "orders/snapshots/notes.txt", &content,
                             self->repo.op, &error));
    past_damage(self->repo.store, MANIFEST(SECOND), self->repo.op);
    EXPECT_DONE(bk_inventory_load(&inventory, self->repo.source_repo, self->repo.op, &error));
    g_assert_cmpuint(inventory.holdings.snapshots->len, ==, 4);
    /* Only the head is opened, which may be whole all the same. */
    g_assert_cmpuint(inventory.complete + inventory.unreadable->len, ==, 3);
    g_assert_cmpuint(inventory.unfinished, ==, 1);
    g_assert_cmpuint(inventory.damaged, ==, 0);
    g_assert_cmpstr(inventory.oldest, ==, FIRST);
    g_assert_cmpstr(inventory.newest, ==, UNFINISHED);
    g_assert_cmpuint(inventory.holdings.packs->len, ==, 7);
    g_assert_cmpuint(inventory.pack_bytes, >, 7000);
    g_assert_cmpuint(inventory.holdings.strange->len, ==, 1);
    g_assert_cmpuint(inventory.timelines->len, ==, 2);
    timeline = &g_array_index(inventory.timelines, BkInventoryTimeline, 0);
    g_assert_cmpuint(timeline->timeline, ==, 1);
    g_assert_cmpuint(timeline->files, ==, 7);
    g_assert_cmpstr(timeline->first, ==, "000000010000000000000005");
    g_assert_cmpstr(timeline->last, ==, "00000001000000000000000A");
    timeline = &g_array_index(inventory.timelines, BkInventoryTimeline, 1);
    g_assert_cmpuint(timeline->files, ==, 1);
    g_assert_null(timeline->first);
    g_assert_false(inventory.lease.is_held);
}

/* Ids tell seconds only. */
static void
test_oldest(Fixture *self, const void *data)
{
    static const PastSnapshot earlier = {"20261130T000000Z-ffffffff",
                                         MONDAY - 1,
                                         BK_SNAPSHOT_DAMAGED,
                                         1,
                                         PAST_SEGNO,
                                         PAST_SEGNO,
                                         "a"};
    g_auto(BkInventory) inventory = {.oldest = NULL};
    g_autoptr(GError) error = NULL;

    (void)data;
    past_put_snapshot(&self->repo, self->packs, &earlier);
    EXPECT_DONE(bk_inventory_load(&inventory, self->repo.source_repo, self->repo.op, &error));
    g_assert_cmpstr(inventory.oldest, ==, earlier.id);
    g_assert_cmpuint(inventory.damaged, ==, 1);
}

/* Checks the first repository, and expects one problem that names `name`; NULL: none. */
static void
expect_problem(Fixture *self, const char *name)
{
    g_auto(BkRepoCheck) check = {.problems = NULL};
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_repo_check_run(&check, self->repo.source_repo, self->repo.op, &error));
    for (guint i = 0; i < check.problems->len; i++)
        g_test_message("%s", problem_text(check.problems, i));
    g_assert_cmpuint(check.problems->len, ==, name != NULL ? 1 : 0);
    if (name != NULL)
        g_assert_nonnull(strstr(problem_text(check.problems, 0), name));
}

static void
test_check(Fixture *self, const void *data)
{
    g_auto(BkRepoCheck) check = {.problems = NULL};
    g_autoptr(GError) error = NULL;

    (void)data;
    expect_problem(self, NULL);
    EXPECT_DONE(bk_repo_check_run(&check, self->repo.source_repo, self->repo.op, &error));
    g_assert_cmpuint(check.snapshots, ==, 4);
    g_assert_cmpuint(check.packs, ==, 7);
    g_assert_cmpuint(check.wal_files, ==, 8);
    bk_store_fault_arm(self->repo.store, BK_STORE_OPERATION_GET, 1, BK_ERROR_STORE, false);
    bk_repo_check_clear(&check);
    EXPECT_ERROR(bk_repo_check_run(&check, self->repo.source_repo, self->repo.op, &error),
                 BK_ERROR_STORE);
}

static void
test_check_packs(Fixture *self, const void *data)
{
    g_autofree char *missing = pack_name(self, 'b');

    (void)data;
    delete_object(self->repo.store, missing, self->repo.op);
    expect_problem(self, missing); /* once, though two snapshots need it */
}

static void
test_check_pack_size(Fixture *self, const void *data)
{
    g_autofree char *longer =
        pack_name(self, 'g'); /* of an unfinished one, which goes on with it */

    (void)data;
    lengthen(self->repo.store, longer, self->repo.op);
    expect_problem(self, longer);
}

static void
test_check_manifest(Fixture *self, const void *data)
{
    (void)data;
    past_damage(self->repo.store, MANIFEST(UNFINISHED), self->repo.op);
    expect_problem(self, MANIFEST(UNFINISHED));
}

static void
test_check_wal(Fixture *self, const void *data)
{
    (void)data;
    delete_object(self->repo.store, SEGMENT("8"), self->repo.op);
    expect_problem(self, "000000010000000000000008");
}

/* What comes before the first snapshot is not missed. */
static void
test_check_early_wal(Fixture *self, const void *data)
{
    (void)data;
    past_put_segment(self->repo.source_repo, 1, PAST_SEGNO - 2, 600, self->repo.op);
    expect_problem(self, NULL);
    delete_object(self->repo.store, SEGMENT("A"), self->repo.op); /* nor what is still to come */
    expect_problem(self, NULL);
}

/* Its own segment is not only a hole. */
static void
test_check_broken(Fixture *self, const void *data)
{
    (void)data;
    delete_object(self->repo.store, SEGMENT("5"), self->repo.op);
    expect_problem(self, FIRST);
}

static void
run_comparison(Fixture *self, const BkSourceRepo *first, const BkSourceRepo *second,
               BkRepoComparison *comparison)
{
    const BkSourceRepo *const source_repos[BK_COMPARE_SIDES] = {first, second};
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_repo_comparison_run(comparison, source_repos, self->repo.op, &error));
}

static void
expect_lack(const BkComparedLack *lack, uint64_t count, const char *first)
{
    g_assert_cmpuint(lack->count, ==, count);
    g_assert_cmpuint(lack->names->len, ==, MIN(count, BK_COMPARE_NAMED));
    g_assert_true((lack->bytes > 0) == (count > 0));
    if (first != NULL)
        g_assert_cmpstr(g_ptr_array_index(lack->names, 0), ==, first);
}

static void
test_equal(Fixture *self, const void *data)
{
    g_auto(BkRepoComparison) comparison = {.names = NULL};

    (void)data;
    copy_all(self);
    /* Nobody needs this one, which is not copied. */
    past_put_segment(self->repo.source_repo, 1, PAST_SEGNO - 2, 600, self->repo.op);
    run_comparison(self, self->repo.source_repo, self->repo.second, &comparison);
    g_assert_true(bk_repo_comparison_is_equal(&comparison));
    g_assert_cmpuint(comparison.kinds[BK_COMPARE_SNAPSHOTS].objects, ==, 3);
    g_assert_cmpuint(comparison.kinds[BK_COMPARE_PACKS].replicated, ==, 6);
    g_assert_cmpuint(comparison.kinds[BK_COMPARE_WAL].replicated, ==, 8);
}

static void
test_lacks(Fixture *self, const void *data)
{
    g_autofree char *pack = pack_name(self, 'a');
    g_autofree char *longer = pack_name(self, 'f');
    g_auto(BkRepoComparison) comparison = {.names = NULL};
    const BkCompared *kinds = comparison.kinds;

    (void)data;
    copy_all(self);
    delete_object(self->repo.second_store, MANIFEST(FIRST), self->repo.op);
    delete_object(self->repo.second_store, pack, self->repo.op);
    delete_object(self->repo.store, SEGMENT("8"), self->repo.op);
    lengthen(self->repo.second_store, longer, self->repo.op);
    run_comparison(self, self->repo.source_repo, self->repo.second, &comparison);
    g_assert_false(bk_repo_comparison_is_equal(&comparison));
    expect_lack(&kinds[BK_COMPARE_SNAPSHOTS].missing[0], 0, NULL);
    expect_lack(&kinds[BK_COMPARE_SNAPSHOTS].missing[1], 1, MANIFEST(FIRST));
    expect_lack(&kinds[BK_COMPARE_PACKS].missing[0], 0, NULL);
    expect_lack(&kinds[BK_COMPARE_PACKS].missing[1], 1, pack);
    expect_lack(&kinds[BK_COMPARE_PACKS].differing, 1, longer);
    expect_lack(&kinds[BK_COMPARE_WAL].missing[0], 1, SEGMENT("8"));
    expect_lack(&kinds[BK_COMPARE_WAL].missing[1], 0, NULL);
    g_assert_cmpuint(kinds[BK_COMPARE_PACKS].replicated, ==, 4);
    g_assert_cmpuint(kinds[BK_COMPARE_PACKS].objects, ==, 6);
    g_assert_cmpuint(comparison.problems->len, ==, 0);
}

/* The manifest of another copy of the same snapshot, and WAL archived apart, have other bytes. */
static void
test_sealed_apart(Fixture *self, const void *data)
{
    static const char text[] = "1\t0/700000\tpromoted\n";
    const char *const history = "orders/wal/" WAL_SYSTEM_DIGITS "/00000002/00000002.history";
    BkBuf content = {(uint8_t *)(uintptr_t)text, strlen(text), strlen(text)};
    g_auto(BkRepoComparison) comparison = {.names = NULL};
    g_auto(BkRepoComparison) again = {.names = NULL};
    const PastSnapshot third = {THIRD,          MONDAY, BK_SNAPSHOT_COMPLETE, 1, PAST_SEGNO + 4,
                                PAST_SEGNO + 4, "fe"};
    RepoFixture second = self->repo; /* borrowed */

    (void)data;
    copy_all(self);
    delete_object(self->repo.second_store, history, self->repo.op);
    past_put_file(self->repo.second, "00000002.history", &content, "another", self->repo.op);
    delete_object(self->repo.second_store, MANIFEST(THIRD), self->repo.op);
    second.source_repo = self->repo.second;
    second.store = self->repo.second_store;
    past_put_snapshot(&second, self->packs, &third);
    run_comparison(self, self->repo.source_repo, self->repo.second, &comparison);
    g_assert_true(bk_repo_comparison_is_equal(&comparison));
    lengthen(self->repo.second_store, history, self->repo.op);
    run_comparison(self, self->repo.source_repo, self->repo.second, &again);
    expect_lack(&again.kinds[BK_COMPARE_WAL].differing, 1, history);
    g_assert_cmpuint(again.problems->len, ==, 1); /* it is damaged, too */
}

static void
test_absent_part(Fixture *self, const void *data)
{
    g_auto(BkRepoComparison) comparison = {.names = NULL};
    g_autofree char *letters = g_strnfill(20, 'A');
    const BkCompared *kinds = comparison.kinds;

    (void)data;
    for (char i = 0; i < 20; i++)
        letters[(int)i] = (char)('A' + i);
    past_put_snapshot(&self->repo, self->packs,
                      &(PastSnapshot){"20261203T000000Z-00000005", MONDAY + 3 * PAST_DAY,
                                      BK_SNAPSHOT_DAMAGED, 1, PAST_SEGNO + 5, PAST_SEGNO + 5,
                                      letters});
    run_comparison(self, NULL, self->repo.source_repo, &comparison);
    expect_lack(&kinds[BK_COMPARE_SNAPSHOTS].missing[0], 4, MANIFEST(FIRST));
    expect_lack(&kinds[BK_COMPARE_PACKS].missing[0], 26, NULL);
    expect_lack(&kinds[BK_COMPARE_WAL].missing[0], 8, NULL);
    g_assert_cmpuint(kinds[BK_COMPARE_PACKS].replicated, ==, 0);
    g_assert_false(bk_repo_comparison_is_equal(&comparison));
}

static void
test_damage(Fixture *self, const void *data)
{
    g_auto(BkRepoComparison) comparison = {.names = NULL};

    (void)data;
    copy_all(self);
    past_damage(self->repo.second_store, MANIFEST(SECOND), self->repo.op);
    run_comparison(self, self->repo.source_repo, self->repo.second, &comparison);
    g_assert_cmpuint(comparison.problems->len, ==, 1);
    g_assert_nonnull(strstr(problem_text(comparison.problems, 0), MANIFEST(SECOND)));
    g_assert_false(bk_repo_comparison_is_equal(&comparison));
}

static void
test_share(void)
{
    g_assert_true(bk_repo_comparison_share(0, 0) == 1.0);
    g_assert_true(bk_repo_comparison_share(1, 4) == 0.25);
    g_assert_true(bk_repo_comparison_share(4, 4) == 1.0);
}

static void
test_span(void)
{
    static const struct {
        const char *file;
        bool needs;
        bool leads_to;
    } cases[] = {
        {"000000020000000000000004", false, false},
        {"000000020000000000000005", true, true},
        {"000000020000000000000006", true, true},
        {"000000020000000000000007", false, true},
        {"000000020000000000000006.partial", false, true},
        {"000000020000000000000005.00000028.backup", true, true},
        {"000000020000000000000007.00000028.backup", false, true},
        {"000000010000000000000005", true, false}, /* where the timeline began */
        {"000000010000000000000007", false, false},
        {"000000030000000000000004", false, false},
        {"000000030000000000000006", false, true},
        {"00000002.history", false, false},
        {"0000000200000000FFFFFFFF", false, false}, /* no segment of that size has the name */
    };
    BkWalSpan span = {
        .system_id = WAL_SYSTEM, .timeline = 2, .first = 5, .last = 6, .segment_size = WAL_SEGMENT};

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        BkWalName name;

        g_assert_true(bk_wal_name_parse(cases[i].file, &name));
        g_test_message("%s", cases[i].file);
        span.is_standalone = false;
        g_assert_true(bk_wal_span_needs(&span, WAL_SYSTEM, &name) == cases[i].needs);
        g_assert_true(bk_wal_span_leads_to(&span, WAL_SYSTEM, &name) == cases[i].leads_to);
        g_assert_false(bk_wal_span_needs(&span, WAL_SYSTEM + 1, &name));
        g_assert_false(bk_wal_span_leads_to(&span, WAL_SYSTEM + 1, &name));
        span.is_standalone = true;
        g_assert_false(bk_wal_span_needs(&span, WAL_SYSTEM, &name));
        g_assert_true(bk_wal_span_leads_to(&span, WAL_SYSTEM, &name) == cases[i].leads_to);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    TEST("/repo-compare/inventory", test_inventory);
    TEST("/repo-compare/oldest", test_oldest);
    TEST("/repo-compare/check", test_check);
    TEST("/repo-compare/check-packs", test_check_packs);
    TEST("/repo-compare/check-pack-size", test_check_pack_size);
    TEST("/repo-compare/check-manifest", test_check_manifest);
    TEST("/repo-compare/check-wal", test_check_wal);
    TEST("/repo-compare/check-early-wal", test_check_early_wal);
    TEST("/repo-compare/check-broken", test_check_broken);
    TEST("/repo-compare/equal", test_equal);
    TEST("/repo-compare/lacks", test_lacks);
    TEST("/repo-compare/sealed-apart", test_sealed_apart);
    TEST("/repo-compare/absent-part", test_absent_part);
    TEST("/repo-compare/damage", test_damage);
    g_test_add_func("/repo-compare/share", test_share);
    g_test_add_func("/repo-compare/span", test_span);
    return g_test_run();
}
