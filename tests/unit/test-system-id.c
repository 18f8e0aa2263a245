/* test-system-id.c - whose WAL and snapshots a source takes where what would tell is damaged. */
#include "source/pg/archive/system-id.h"

#include "base/log.h"
#include "past-fixture.h"
#include "source/pg/archive/decision.h"

#define OWN   WAL_SYSTEM
#define OTHER (WAL_SYSTEM + 1)

static void
put_snapshots(RepoFixture *self)
{
    const PastSnapshot first = {FIRST, MONDAY, 0, 1, PAST_SEGNO, PAST_SEGNO, "a"};
    const PastSnapshot second = {SECOND,         MONDAY + PAST_DAY, 0,  1,
                                 PAST_SEGNO + 1, PAST_SEGNO + 1,    "b"};
    g_autoptr(GHashTable) packs = past_packs_new();

    past_put_snapshot(self, packs, &first);
    past_put_snapshot(self, packs, &second);
}

static void
spoil(RepoFixture *self, const char *prefix)
{
    g_autoptr(GPtrArray) names = repo_fixture_names(self->store, prefix, self->op);
    g_auto(BkBuf) rubbish = BK_BUF_INIT;

    bk_buf_append(&rubbish, "rubbish", 7);
    for (guint i = 0; i < names->len; i++)
        repo_fixture_overwrite(self->store, g_ptr_array_index(names, i), &rubbish, self->op);
}

/* An object in the archive of a cluster: only its name counts. */
static void
put_wal(RepoFixture *self, uint64_t system_id)
{
    g_autofree char *name = g_strdup_printf(
        "orders/wal/%016" G_GINT64_MODIFIER "X/00000001/00000001.history", system_id);
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    bk_buf_append(&content, "rubbish", 7);
    EXPECT_DONE(bk_store_put(self->store, name, &content, self->op, &error));
}

static void
expect_standing(RepoFixture *self, uint64_t system_id, BkSystemStanding expected, uint64_t current)
{
    g_autoptr(GError) error = NULL;
    BkSystemStanding standing;
    uint64_t found;

    EXPECT_DONE(bk_system_judge(self->source_repo, system_id, &standing, &found, self->op, &error));
    g_assert_cmpint(standing, ==, expected);
    g_assert_cmpuint(found, ==, current);
}

static bool
takes_wal(RepoFixture *self, uint64_t system_id, GError **error)
{
    return bk_system_check_wal(self->source_repo, system_id, self->op, error);
}

static bool
is_current(RepoFixture *self, uint64_t system_id, GError **error)
{
    return bk_system_check_current(self->source_repo, NULL, system_id, self->op, error);
}

static void
expect_refused(RepoFixture *self, uint64_t system_id, const char *text)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(takes_wal(self, system_id, &error));
    g_assert_error(error, BK_ERROR, BK_ERROR_UNFIT);
    g_assert_nonnull(strstr(error->message, text));
    g_assert_nonnull(strstr(error->message, "backup orders --new-cluster"));
    g_clear_error(&error);
    g_assert_false(is_current(self, system_id, &error));
    g_assert_error(error, BK_ERROR, BK_ERROR_UNFIT);
    g_assert_nonnull(strstr(error->message, text));
}

static void
expect_taken(RepoFixture *self, uint64_t system_id)
{
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(takes_wal(self, system_id, &error));
    EXPECT_DONE(is_current(self, system_id, &error));
}

static void
test_the_archive_tells(RepoFixture *self, const void *data)
{
    (void)data;
    put_snapshots(self);
    put_wal(self, OWN);
    spoil(self, "orders/snapshots/");
    expect_standing(self, OWN, BK_SYSTEM_CURRENT, OWN);
    expect_taken(self, OWN);
    expect_standing(self, OTHER, BK_SYSTEM_FOREIGN, OWN);
    expect_refused(self, OTHER, "is another cluster");
}

static void
test_nothing_tells(RepoFixture *self, const void *data)
{
    (void)data;
    expect_taken(self, OTHER); /* of a new source any */
    put_snapshots(self);
    spoil(self, "orders/snapshots/");
    expect_standing(self, OWN, BK_SYSTEM_UNKNOWN, 0);
    expect_refused(self, OWN, "is damaged in repository \"local\"");
}

/* WAL of what is there goes on; what is current is not known. */
static void
test_the_archive_tells_of_several(RepoFixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    put_snapshots(self);
    put_wal(self, OWN);
    put_wal(self, OTHER);
    spoil(self, "orders/snapshots/");
    expect_standing(self, OWN, BK_SYSTEM_UNKNOWN, OWN);
    expect_standing(self, OTHER, BK_SYSTEM_UNKNOWN, OTHER);
    EXPECT_DONE(takes_wal(self, OWN, &error));
    EXPECT_ERROR(is_current(self, OWN, &error), BK_ERROR_UNFIT);
    expect_refused(self, OTHER + 1, "is damaged in repository");
}

/* One manifest that can be read, or a decision, is enough. */
static void
test_what_is_readable_tells(RepoFixture *self, const void *data)
{
    (void)data;
    put_snapshots(self);
    put_wal(self, OTHER);
    spoil(self, MANIFEST(SECOND));
    expect_taken(self, OWN);
    expect_refused(self, OTHER, "is another cluster");
}

static void
test_damaged_decision(RepoFixture *self, const void *data)
{
    const BkDecision decision = {.number = 1,
                                 .kind = BK_DECISION_CLUSTER,
                                 .system_id = OWN,
                                 .previous_id = OTHER,
                                 .host = "db1"};
    g_autoptr(GError) error = NULL;

    (void)data;
    EXPECT_DONE(bk_decision_put(self->source_repo, &decision, self->op, &error));
    expect_taken(self, OWN);
    expect_refused(self, OTHER + 1, "is another cluster");
    spoil(self, "orders/decisions/");
    expect_refused(self, OTHER + 1, "is damaged in repository");
}

/* A manifest that the storage does not give may be read the next time. */
static void
test_outage(RepoFixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    put_snapshots(self);
    spoil(self, MANIFEST(SECOND));
    bk_store_fault_arm(self->store, BK_STORE_OPERATION_GET, 2, BK_ERROR_STORE, false);
    EXPECT_ERROR(is_current(self, OWN, &error), BK_ERROR_STORE);
}

/* The way out, also where only another repository knows the cluster. */
static void
test_declared(RepoFixture *self, const void *data)
{
    g_autoptr(GPtrArray) source_repos = g_ptr_array_new();
    g_autoptr(GArray) decisions = g_array_new(FALSE, FALSE, sizeof(BkDecision));
    g_autoptr(GPtrArray) damage = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;
    RepoFixture second;

    (void)data;
    repo_fixture_add_second(self);
    second = *self;
    second.source_repo = self->second;
    second.store = self->second_store;
    put_snapshots(self);
    put_snapshots(&second);
    spoil(&second, "orders/snapshots/");
    expect_refused(&second, OWN, "is damaged in repository \"second\"");
    g_ptr_array_add(source_repos, self->source_repo);
    g_ptr_array_add(source_repos, self->second);
    EXPECT_DONE(bk_system_declare(source_repos, OWN, self->op, &error));
    expect_taken(self, OWN);
    expect_taken(&second, OWN);
    EXPECT_DONE(bk_system_declare(source_repos, OWN, self->op, &error));
    EXPECT_DONE(bk_decision_list(self->second, decisions, damage, self->op, &error));
    g_assert_cmpuint(decisions->len, ==, 1);
    g_assert_cmpuint(damage->len, ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    bk_log_set_level(BK_LOG_ERROR); /* warnings are what is expected here */
    REPO_TEST("/system-id/the-archive-tells", test_the_archive_tells);
    REPO_TEST("/system-id/nothing-tells", test_nothing_tells);
    REPO_TEST("/system-id/the-archive-tells-of-several", test_the_archive_tells_of_several);
    REPO_TEST("/system-id/what-is-readable-tells", test_what_is_readable_tells);
    REPO_TEST("/system-id/damaged-decision", test_damaged_decision);
    REPO_TEST("/system-id/outage", test_outage);
    REPO_TEST("/system-id/declared", test_declared);
    return g_test_run();
}
