/* test-plan-proof.c - a snapshot is proven before it is restored: its manifest, and that its packs
 * are there, in whichever repository. */
#include "base/log.h"
#include "engine/copy/copy.h"
#include "past-fixture.h"
#include "source/pg/restore/plan-proof.h"

/* More packs than are opened, and a few. */
#define FIRST_LETTER '!'
#define LAST_LETTER  '~'
#define FEW          "abc"

typedef struct Fixture {
    RepoFixture repo;
    GHashTable *packs;
} Fixture;

static void
set_up(Fixture *self, const void *data)
{
    const BkCopyOptions options = {.workers = 1};
    char letters[LAST_LETTER - FIRST_LETTER + 2] = "";
    const PastSnapshot many = {FIRST, MONDAY, 0, 1, PAST_SEGNO, PAST_SEGNO, letters};
    const PastSnapshot few = {SECOND, MONDAY + PAST_DAY, 0, 1, PAST_SEGNO, PAST_SEGNO, FEW};
    g_autoptr(GError) error = NULL;
    BkCopyReport report;

    (void)data;
    for (int i = 0; FIRST_LETTER + i <= LAST_LETTER; i++)
        letters[i] = (char)(FIRST_LETTER + i);
    bk_log_set_level(BK_LOG_ERROR); /* warnings are what is expected here */
    self->packs = past_packs_new();
    repo_fixture_init(&self->repo);
    repo_fixture_add_second(&self->repo);
    past_put_snapshot(&self->repo, self->packs, &many);
    past_put_snapshot(&self->repo, self->packs, &few);
    past_put_segment(self->repo.source_repo, 1, PAST_SEGNO, 700, self->repo.op);
    EXPECT_DONE(bk_replicate(self->repo.source_repo, self->repo.second, &options, &report,
                             self->repo.op, &error));
}

static void
tear_down(Fixture *self, const void *data)
{
    (void)data;
    g_hash_table_unref(self->packs);
    repo_fixture_clear(&self->repo);
}

/* With the first repository alone, or both. */
static bool
prove(Fixture *self, const char *id, bool both, GError **error)
{
    g_autoptr(GPtrArray) source_repos = g_ptr_array_new();
    g_autoptr(GPtrArray) ordered = NULL;
    g_autoptr(BkSnapshot) snapshot = NULL;

    g_ptr_array_add(source_repos, self->repo.source_repo);
    if (both)
        g_ptr_array_add(source_repos, self->repo.second);
    ordered = bk_plan_proof_order(source_repos, 0);
    g_assert_cmpuint(ordered->len, ==, both ? 2 : 1);
    snapshot = bk_plan_proof_load(ordered, id, 3, self->repo.op, error);
    g_assert_true(snapshot == NULL || strcmp(bk_snapshot_head(snapshot)->id, id) == 0);
    return snapshot != NULL;
}

static void
expect_refused(Fixture *self, const char *id, bool both)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(prove(self, id, both, &error));
    g_assert_true(bk_plan_proof_is_of_snapshot(error));
}

static void
expect_proven(Fixture *self, const char *id, bool both)
{
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(prove(self, id, both, &error));
}

static void
remove_pack(Fixture *self, BkStore *store, char letter)
{
    const BkPackRef *ref = g_hash_table_lookup(self->packs, GINT_TO_POINTER(letter));
    g_autofree char *name = bk_pack_object_name(self->repo.source_repo, ref->name);
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_store_delete(store, name, self->repo.op, &error));
}

/* Each pack is missed, whichever it is, of few and of many. */
static void
test_missing_pack(Fixture *self, const void *data)
{
    (void)data;
    expect_proven(self, FIRST, false);
    expect_proven(self, SECOND, false);
    remove_pack(self, self->repo.store, 'b');
    expect_refused(self, SECOND, false);
    expect_refused(self, FIRST, false);
    expect_proven(self, SECOND, true);
    expect_proven(self, FIRST, true);
}

static void
test_any_of_many(Fixture *self, const void *data)
{
    const char *letter = data;

    remove_pack(self, self->repo.store, *letter);
    expect_refused(self, FIRST, false);
    expect_proven(self, FIRST, true);
    remove_pack(self, self->repo.second_store, *letter);
    expect_refused(self, FIRST, true);
    expect_proven(self, SECOND, true);
}

/* One pack in one repository, another one in the other. */
static void
test_packs_of_both(Fixture *self, const void *data)
{
    (void)data;
    remove_pack(self, self->repo.store, 'a');
    remove_pack(self, self->repo.second_store, 'b');
    expect_proven(self, SECOND, true);
    expect_proven(self, FIRST, true);
}

static void
test_manifest_from_the_other(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    EXPECT_DONE(bk_store_delete(self->repo.store, MANIFEST(SECOND), self->repo.op, &error));
    expect_refused(self, SECOND, false);
    expect_proven(self, SECOND, true);
}

/* What is not the snapshot's fault is not taken for that: another one would fare no better. */
static void
test_cancelled(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    bk_op_cancel(self->repo.op);
    EXPECT_ERROR(prove(self, SECOND, true, &error), BK_ERROR_CANCELLED);
    g_assert_false(bk_plan_proof_is_of_snapshot(error));
}

#define TEST(name, function) g_test_add(name, Fixture, NULL, set_up, function, tear_down)

int
main(int argc, char **argv)
{
    static const char letters[] = {FIRST_LETTER, '"', 'M', LAST_LETTER - 1, LAST_LETTER};

    g_test_init(&argc, &argv, NULL);
    TEST("/plan-proof/missing-pack", test_missing_pack);
    for (size_t i = 0; i < G_N_ELEMENTS(letters); i++) {
        g_autofree char *name = g_strdup_printf("/plan-proof/any-of-many/%zu", i);

        g_test_add(name, Fixture, &letters[i], set_up, test_any_of_many, tear_down);
    }
    TEST("/plan-proof/packs-of-both", test_packs_of_both);
    TEST("/plan-proof/manifest-from-the-other", test_manifest_from_the_other);
    TEST("/plan-proof/cancelled", test_cancelled);
    return g_test_run();
}
