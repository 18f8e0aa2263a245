/* test-replica-lag.c - what each repository of a source lacks, and when that counts as being
 * behind.
 */
#include "engine/status/replica-lag.h"
#include "past-fixture.h"
#include "temp-dir.h"

#define SECOND_ID "20261102T000000Z-00000002"

/* Two directories, the second of best effort. */
typedef struct Fixture {
    char *directory;
    char *key_file;
    char *paths[2];
    RepoFixture repos[2];
    BkRepositorySpec specs[2];
    BkSourceSpec source;
    GHashTable *packs[2];
    BkListing listing;
    GPtrArray *standings;
} Fixture;

static void
set_up_repository(Fixture *self, const BkKeyFile *key, unsigned index)
{
    static const char *const names[] = {"local", "second"};
    RepoFixture *repo = &self->repos[index];
    g_autoptr(GError) error = NULL;
    BkLocation place;
    bool created;

    self->paths[index] = g_build_filename(self->directory, names[index], NULL);
    place = (BkLocation){.path = self->paths[index]};
    *repo = (RepoFixture){.op = bk_op_new(NULL)};
    repo->repository =
        bk_repository_create_at(&place, names[index], key, &created, repo->op, &error);
    g_assert_no_error(error);
    repo->store = bk_repository_store(repo->repository);
    repo->source_repo = bk_source_repo_create(repo->repository, "orders",
                                              self->repos[0].source_repo, repo->op, &error);
    g_assert_no_error(error);
    self->specs[index] = (BkRepositorySpec){
        .name = names[index],
        .place = place,
        .key_file = self->key_file,
        .is_required = index == 0,
    };
    self->packs[index] = past_packs_new();
}

static void
set_up(Fixture *self, const void *data)
{
    g_auto(BkKeyFile) key = {0};
    g_autoptr(GError) error = NULL;

    (void)data;
    *self = (Fixture){.directory = temp_dir_new()};
    self->key_file = g_build_filename(self->directory, "key", NULL);
    EXPECT_DONE(bk_key_file_create(self->key_file, &key, &error));
    for (unsigned i = 0; i < 2; i++)
        set_up_repository(self, &key, i);
    self->source = (BkSourceSpec){
        .name = "orders", .repositories = self->specs, .repository_count = 2, .workers = 1};
}

static void
clear_standings(Fixture *self)
{
    g_clear_pointer(&self->standings, g_ptr_array_unref);
    bk_listing_clear(&self->listing);
}

static void
tear_down(Fixture *self, const void *data)
{
    (void)data;
    clear_standings(self);
    for (unsigned i = 0; i < 2; i++) {
        repo_fixture_clear(&self->repos[i]);
        g_hash_table_unref(self->packs[i]);
        g_free(self->paths[i]);
    }
    g_free(self->key_file);
    temp_dir_free(self->directory);
}

static void
put_snapshot(Fixture *self, unsigned index, const char *id, int64_t day, uint64_t segno)
{
    past_put_snapshot(&self->repos[index], self->packs[index],
                      &(PastSnapshot){.id = id,
                                      .started_us = day * PAST_DAY,
                                      .first_segno = segno,
                                      .last_segno = segno,
                                      .packs = "a"});
}

static void
put_segments(Fixture *self, unsigned index, uint64_t first, uint64_t last)
{
    for (uint64_t segno = first; segno <= last; segno++)
        past_put_segment(self->repos[index].source_repo, 1, segno, 700, self->repos[index].op);
}

/* How the second one stands, `later_us` from now. */
static const BkReplicaLag *
find(Fixture *self, int64_t later_us)
{
    g_autoptr(GError) error = NULL;

    clear_standings(self);
    EXPECT_DONE(bk_listing_load(&self->source, BK_RECOVERY_INDEX_KNOWN_ARCHIVE, &self->listing,
                                self->repos[0].op, &error));
    self->standings =
        bk_replica_lag_find(&self->source, &self->listing, g_get_real_time() + later_us);
    g_assert_cmpuint(self->standings->len, ==, 2);
    return g_ptr_array_index(self->standings, 1);
}

/* Both have a snapshot and its WAL. */
static void
put_common(Fixture *self)
{
    for (unsigned i = 0; i < 2; i++) {
        put_snapshot(self, i, "20261101T000000Z-00000001", 1, PAST_SEGNO);
        put_segments(self, i, PAST_SEGNO, PAST_SEGNO + 1);
    }
}

static void
test_equal(Fixture *self, const void *data)
{
    const BkReplicaLag *second;
    g_autofree char *lack = NULL;

    (void)data;
    put_common(self);
    second = find(self, PAST_DAY);
    lack = bk_replica_lag_describe(second);
    g_assert_cmpstr(second->name, ==, "second");
    g_assert_false(second->is_required);
    g_assert_null(second->why);
    g_assert_false(second->is_behind);
    g_assert_cmpuint(second->snapshots, ==, 1);
    g_assert_cmpuint(second->timeline, ==, 1);
    g_assert_cmpuint(second->archived_lsn, ==, (PAST_SEGNO + 2) * (BkLsn)WAL_SEGMENT);
    g_assert_cmpstr(lack, ==, "");
}

static void
test_lacks_the_newest_snapshot(Fixture *self, const void *data)
{
    const BkReplicaLag *second;
    g_autofree char *lack = NULL;

    (void)data;
    put_common(self);
    put_snapshot(self, 0, SECOND_ID, 2, PAST_SEGNO + 1);
    second = find(self, 0);
    lack = bk_replica_lag_describe(second);
    g_assert_true(second->is_behind);
    g_assert_cmpstr(lack, ==, "lacks 1 snapshot");
    /* One that is caught up with the next one may lack that for ever, and is not behind. */
    for (unsigned i = 0; i < 2; i++)
        put_snapshot(self, i, "20261103T000000Z-00000003", 3, PAST_SEGNO + 1);
    second = find(self, 0);
    g_assert_false(second->is_behind);
    g_assert_cmpuint(second->missing_snapshots, ==, 1);
}

/* The first repository gets a segment a moment before the second does. */
static void
test_wal_on_its_way(Fixture *self, const void *data)
{
    const BkReplicaLag *second;

    (void)data;
    put_common(self);
    put_segments(self, 0, PAST_SEGNO + 2, PAST_SEGNO + 3);
    second = find(self, 0);
    g_assert_cmpuint(second->missing_segments, ==, 2);
    g_assert_false(second->is_behind);
    second = find(self, PAST_DAY);
    g_assert_true(second->is_behind);
}

static void
test_gap(Fixture *self, const void *data)
{
    const BkReplicaLag *second;

    (void)data;
    put_common(self);
    put_segments(self, 0, PAST_SEGNO + 2, PAST_SEGNO + 3);
    put_segments(self, 1, PAST_SEGNO + 3, PAST_SEGNO + 3);
    second = find(self, 0);
    g_assert_cmpuint(second->missing_segments, ==, 1);
    g_assert_true(second->is_behind);
}

/* What comes before its own first snapshot is of no use to it. */
static void
test_older_wal(Fixture *self, const void *data)
{
    const BkReplicaLag *second;

    (void)data;
    put_common(self);
    put_segments(self, 0, PAST_SEGNO - 3, PAST_SEGNO - 1);
    second = find(self, PAST_DAY);
    g_assert_cmpuint(second->missing_segments, ==, 0);
    g_assert_false(second->is_behind);
}

static void
test_empty(Fixture *self, const void *data)
{
    const BkReplicaLag *second;

    (void)data;
    put_snapshot(self, 0, "20261101T000000Z-00000001", 1, PAST_SEGNO);
    put_segments(self, 0, PAST_SEGNO, PAST_SEGNO + 1);
    second = find(self, PAST_DAY);
    g_assert_null(second->why);
    g_assert_true(second->is_behind);
    g_assert_cmpuint(second->missing_snapshots, ==, 1);
    g_assert_cmpuint(second->missing_segments, ==, 2);
    g_assert_cmpuint(second->archived_lsn, ==, 0);
}

static void
test_away(Fixture *self, const void *data)
{
    const BkReplicaLag *second;
    g_autofree char *elsewhere = g_strconcat(self->paths[1], ".away", NULL);

    (void)data;
    put_common(self);
    g_assert_cmpint(rename(self->paths[1], elsewhere), ==, 0);
    second = find(self, PAST_DAY);
    g_assert_nonnull(strstr(second->why, "second"));
    g_assert_null(((const BkReplicaLag *)g_ptr_array_index(self->standings, 0))->why);
}

#define STANDING_TEST(name, function) g_test_add(name, Fixture, NULL, set_up, function, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    STANDING_TEST("/replica-lag/equal", test_equal);
    STANDING_TEST("/replica-lag/lacks-the-newest-snapshot", test_lacks_the_newest_snapshot);
    STANDING_TEST("/replica-lag/wal-on-its-way", test_wal_on_its_way);
    STANDING_TEST("/replica-lag/gap", test_gap);
    STANDING_TEST("/replica-lag/older-wal", test_older_wal);
    STANDING_TEST("/replica-lag/empty", test_empty);
    STANDING_TEST("/replica-lag/away", test_away);
    return g_test_run();
}
