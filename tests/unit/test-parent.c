/* test-parent.c - which snapshot a backup builds upon where the source consists of several
 * clusters.
 */
#include "source/pg/backup/parent.h"

#include "past-fixture.h"
#include "repo/snapshot/snapshot-manifest.h"
#include "source/pg/format/page.h"
#include "temp-dir.h"

#define FORMER (WAL_SYSTEM + 1)

typedef struct Fixture {
    RepoFixture repo;
    GHashTable *packs;
    GPtrArray *source_repos;
    char *data_dir;
    BkPgMeta now;
    BkWalMark mark; /* in the segment with which the WAL begins */
    BkParent base;
} Fixture;

static void
find_mark(Fixture *self)
{
    g_auto(WalBuilder) builder = {0};
    BkLsn lsn;

    wal_builder_init(&builder, BK_WAL_MAGIC_15, PAST_SEGNO * WAL_SEGMENT);
    lsn = wal_builder_xact(&builder, 0x00, 700, PAST_DAY);
    wal_builder_pad(&builder);
    g_assert_true(bk_wal_mark_find(builder.out.data, WAL_SEGMENT, lsn, &self->mark));
}

static void
set_up(Fixture *self, const void *data)
{
    const PastSnapshot now = {.first_segno = PAST_SEGNO + 2, .packs = ""};

    (void)data;
    *self = (Fixture){
        .packs = past_packs_new(), .source_repos = g_ptr_array_new(), .data_dir = temp_dir_new()};
    repo_fixture_init(&self->repo);
    g_ptr_array_add(self->source_repos, self->repo.source_repo);
    past_describe(&now, WAL_SYSTEM, &self->now);
    self->now.block_size = BK_PG_PAGE_SIZE;
    find_mark(self);
    past_put_segment(self->repo.source_repo, 1, PAST_SEGNO, 700, self->repo.op);
}

static void
tear_down(Fixture *self, const void *data)
{
    (void)data;
    bk_parent_clear(&self->base);
    bk_pg_meta_clear(&self->now);
    temp_dir_free(self->data_dir);
    g_ptr_array_unref(self->source_repos);
    g_hash_table_unref(self->packs);
    repo_fixture_clear(&self->repo);
}

static void
put(Fixture *self, uint64_t system_id, const PastSnapshot *snapshot)
{
    g_auto(BkPgMeta) meta = {0};

    past_describe(snapshot, system_id, &meta);
    meta.block_size = BK_PG_PAGE_SIZE;
    meta.mark = self->mark;
    past_put_described(&self->repo, self->packs, snapshot, &meta);
}

static void
find(Fixture *self)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) entries = bk_snapshot_list(self->repo.source_repo, self->repo.op, &error);
    const BkParentRequest request = {
        .source_repos = self->source_repos,
        .entries = entries,
        .data_dir = self->data_dir,
        .now = &self->now,
        .workers = 1,
    };

    EXPECT_DONE(entries != NULL);
    bk_parent_clear(&self->base);
    EXPECT_DONE(bk_parent_find(&request, &self->base, self->repo.op, &error));
}

static void
expect_parent(Fixture *self, const char *id)
{
    find(self);
    g_assert_nonnull(self->base.snapshot);
    g_assert_cmpstr(bk_snapshot_head(self->base.snapshot)->id, ==, id);
}

/* The former cluster's are further in the WAL, on a higher timeline, or newer by their clock. */
static const PastSnapshot formers[] = {
    {FIRST, MONDAY, BK_SNAPSHOT_COMPLETE, 1, PAST_SEGNO + 50, PAST_SEGNO + 51, "a"},
    {FIRST, MONDAY, BK_SNAPSHOT_COMPLETE, 3, PAST_SEGNO, PAST_SEGNO + 1, "a"},
    {THIRD, MONDAY, BK_SNAPSHOT_COMPLETE, 1, PAST_SEGNO + 1, PAST_SEGNO + 1, "a"},
    {THIRD, MONDAY, BK_SNAPSHOT_UNFINISHED, 1, PAST_SEGNO + 1, PAST_SEGNO + 1, "a"},
};

static void
test_interrupted_first_backup(Fixture *self, const void *data)
{
    const PastSnapshot begun = {SECOND,     MONDAY, BK_SNAPSHOT_UNFINISHED, 1, PAST_SEGNO,
                                PAST_SEGNO, "b"};

    put(self, FORMER, data);
    put(self, WAL_SYSTEM, &begun);
    expect_parent(self, SECOND);
}

/* A checkpoint is not continued when a later backup of its own cluster finished. */
static void
test_checkpoint_of_a_finished_backup(Fixture *self, const void *data)
{
    const PastSnapshot begun = {SECOND,     MONDAY, BK_SNAPSHOT_UNFINISHED, 1, PAST_SEGNO,
                                PAST_SEGNO, "b"};
    const PastSnapshot finished = {UNFINISHED,     MONDAY, BK_SNAPSHOT_COMPLETE, 1, PAST_SEGNO,
                                   PAST_SEGNO + 1, "c"};

    put(self, FORMER, data);
    put(self, WAL_SYSTEM, &begun);
    put(self, WAL_SYSTEM, &finished);
    expect_parent(self, UNFINISHED);
}

/* Why nothing is reused is never said of another cluster's snapshot. */
static void
test_reason(Fixture *self, const void *data)
{
    const PastSnapshot ahead = {SECOND,         MONDAY, BK_SNAPSHOT_COMPLETE, 1, PAST_SEGNO + 9,
                                PAST_SEGNO + 9, "b"};

    put(self, FORMER, data);
    find(self);
    g_assert_null(self->base.snapshot);
    g_assert_cmpstr(self->base.why, ==, "it is the first snapshot of this cluster");
    put(self, WAL_SYSTEM, &ahead);
    find(self);
    g_assert_null(self->base.snapshot);
    g_assert_cmpstr(self->base.why, ==,
                    "snapshot " SECOND " was taken when the cluster was at a later LSN than now");
}

static void
test_first_of_all(Fixture *self, const void *data)
{
    (void)data;
    find(self);
    g_assert_null(self->base.snapshot);
    g_assert_cmpstr(self->base.why, ==, "it is the first snapshot");
}

static void
add(const char *name, const PastSnapshot *former, void (*test)(Fixture *, const void *))
{
    g_autofree char *path = g_strdup_printf("/parent/%s/%zu", name, (size_t)(former - formers));

    g_test_add(path, Fixture, former, set_up, test, tear_down);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(formers); i++) {
        add("interrupted-first-backup", &formers[i], test_interrupted_first_backup);
        add("checkpoint-of-a-finished-backup", &formers[i], test_checkpoint_of_a_finished_backup);
        add("reason", &formers[i], test_reason);
    }
    g_test_add("/parent/first-of-all", Fixture, NULL, set_up, test_first_of_all, tear_down);
    return g_test_run();
}
