/* test-archive-list.c - what a WAL archive is found to hold, and what a report takes as known. */
#include "repo-fixture.h"
#include "source/pg/archive/archive-list.h"
#include "source/pg/archive/archive.h"
#include "store/cache.h"
#include "temp-dir.h"
#include "wal-builder.h"

#define SEGMENT_SIZE ((uint32_t)16 * 1024 * 1024)
#define A_DIRECTORY  256
#define DIRECTORIES  17 /* more segments than a listing without a note is worth */
#define HOUR_US      (3600 * BK_USEC_PER_SEC)

/* An archive that is far away. */
typedef struct Fixture {
    char *directory;
    BkKeyFile key;
    BkStore *inner; /* borrowed */
    BkRepository *repository;
    BkSourceRepo *source_repo;
    BkOp *op;
    int64_t now_us;
} Fixture;

static void
set_up(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    bool created;

    (void)data;
    *self = (Fixture){.directory = temp_dir_new(), .op = bk_op_new(NULL), .now_us = 100 * HOUR_US};
    repo_fixture_key(&self->key, 1);
    self->inner = bk_store_mem_new();
    self->repository = bk_repository_create(bk_store_cache_new(self->inner, self->directory), "far",
                                            &self->key, &created, self->op, &error);
    g_assert_no_error(error);
    self->source_repo = bk_source_repo_create(self->repository, "orders", NULL, self->op, &error);
    g_assert_no_error(error);
}

static void
tear_down(Fixture *self, const void *data)
{
    (void)data;
    bk_source_repo_free(self->source_repo);
    bk_repository_free(self->repository);
    bk_op_free(self->op);
    temp_dir_free(self->directory);
}

static char *
object_of(const BkSourceRepo *source_repo, uint32_t timeline, uint64_t segno)
{
    char name[BK_WAL_NAME_SIZE];
    const BkWalName parsed = bk_wal_name_of_segment(timeline, segno, SEGMENT_SIZE, name);

    return bk_archive_object_name(source_repo, WAL_SYSTEM, name, &parsed);
}

static void
put_segments(const Fixture *self, uint32_t timeline, uint64_t first, uint64_t last)
{
    for (uint64_t segno = first; segno <= last; segno++) {
        g_autofree char *object = object_of(self->source_repo, timeline, segno);
        g_auto(BkBuf) empty = BK_BUF_INIT;
        g_autoptr(GError) error = NULL;

        EXPECT_DONE(bk_store_put(self->inner, object, &empty, self->op, &error));
    }
}

static void
delete_segments(const Fixture *self, uint32_t timeline, uint64_t first, uint64_t last)
{
    for (uint64_t segno = first; segno <= last; segno++) {
        g_autofree char *object = object_of(self->source_repo, timeline, segno);
        g_autoptr(GError) error = NULL;

        EXPECT_DONE(bk_store_delete(self->inner, object, self->op, &error));
    }
}

/* Expects the segments of timeline 1, from 1 on, but for `missing` in [from, to). */
static void
expect(const GPtrArray *timelines, uint64_t last, uint64_t from, uint64_t to)
{
    const BkArchiveTimeline *timeline;
    guint at = 0;

    g_assert_nonnull(timelines);
    g_assert_cmpuint(timelines->len, >=, 1);
    timeline = g_ptr_array_index(timelines, 0);
    g_assert_cmpuint(timeline->timeline, ==, 1);
    g_assert_cmpint(timeline->modified_us, >, 0);
    for (uint64_t segno = 1; segno <= last; segno++) {
        uint64_t found;

        if (segno >= from && segno < to)
            continue;
        g_assert_cmpuint(at, <, timeline->segments->len);
        g_assert_true(bk_wal_name_segno(&g_array_index(timeline->segments, BkWalName, at),
                                        SEGMENT_SIZE, &found));
        g_assert_cmpuint(found, ==, segno);
        at++;
    }
    g_assert_cmpuint(timeline->segments->len, ==, at);
}

static void
expect_known(const Fixture *self, uint64_t last, uint64_t from, uint64_t to)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) timelines =
        bk_archive_list_known(self->source_repo, &(BkArchiveSize){WAL_SYSTEM, SEGMENT_SIZE}, 1,
                              self->now_us, self->op, &error);

    g_assert_no_error(error);
    expect(timelines, last, from, to);
}

static void
expect_all(const Fixture *self, uint64_t last, uint64_t from, uint64_t to)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) timelines = bk_archive_list(self->source_repo, self->op, &error);

    g_assert_no_error(error);
    expect(timelines, last, from, to);
}

/* A full directory is not listed again for a day, unless it is gone; others are each time. */
static void
test_known(Fixture *self, const void *data)
{
    const uint64_t last = (uint64_t)DIRECTORIES * A_DIRECTORY + 10;

    (void)data;
    put_segments(self, 1, 1, last);
    expect_known(self, last, 0, 0);
    put_segments(self, 1, last + 1, last + 5);
    expect_known(self, last + 5, 0, 0);
    delete_segments(self, 1, 700, 710);
    expect_known(self, last + 5, 0, 0); /* as known */
    expect_all(self, last + 5, 700, 711);
    self->now_us += 23 * HOUR_US;
    expect_known(self, last + 5, 0, 0);
    self->now_us += HOUR_US;
    expect_known(self, last + 5, 700, 711);
    put_segments(self, 1, 700, 710);
    expect_known(self, last + 5, 0, 0); /* its directory was not full, and so is listed */
    delete_segments(self, 1, 3 * A_DIRECTORY, 4 * A_DIRECTORY - 1);
    expect_known(self, last + 5, 3 * A_DIRECTORY, 4 * A_DIRECTORY); /* gone as a whole */
    self->now_us -= 50 * HOUR_US;                                   /* a clock that was set back */
    expect_known(self, last + 5, 3 * A_DIRECTORY, 4 * A_DIRECTORY);
}

/* What fills up since then is known from then on. */
static void
test_filling_up(Fixture *self, const void *data)
{
    const uint64_t last = (uint64_t)DIRECTORIES * A_DIRECTORY - 1;

    (void)data;
    put_segments(self, 1, 1, last);
    expect_known(self, last, 0, 0);
    put_segments(self, 1, last + 1, last + A_DIRECTORY);
    expect_known(self, last + A_DIRECTORY, 0, 0);
    delete_segments(self, 1, last + 1, last + 3);
    expect_known(self, last + A_DIRECTORY, 0, 0);
    expect_all(self, last + A_DIRECTORY, last + 1, last + 4);
}

/* Few segments are not worth a note: nothing is taken as known. */
static void
test_few(Fixture *self, const void *data)
{
    (void)data;
    put_segments(self, 1, 1, (uint64_t)3 * A_DIRECTORY);
    expect_known(self, (uint64_t)3 * A_DIRECTORY, 0, 0);
    delete_segments(self, 1, 300, 310);
    expect_known(self, (uint64_t)3 * A_DIRECTORY, 300, 311);
}

/* The files of each timeline beside its segments; other sizes of segments know nothing. */
static void
test_timelines(Fixture *self, const void *data)
{
    const uint64_t last = (uint64_t)DIRECTORIES * A_DIRECTORY + 10;
    g_auto(BkBuf) empty = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    (void)data;
    put_segments(self, 1, 1, last);
    put_segments(self, 2, last, last + 3);
    EXPECT_DONE(bk_store_put(self->inner,
                             "orders/wal/" WAL_SYSTEM_DIGITS "/00000002/00000002.history", &empty,
                             self->op, &error));
    for (unsigned i = 0; i < 2; i++) {
        g_autoptr(GPtrArray) timelines =
            bk_archive_list_known(self->source_repo, &(BkArchiveSize){WAL_SYSTEM, SEGMENT_SIZE}, 1,
                                  self->now_us, self->op, &error);
        const BkArchiveTimeline *second;

        g_assert_no_error(error);
        expect(timelines, last, 0, 0);
        g_assert_cmpuint(timelines->len, ==, 2);
        second = g_ptr_array_index(timelines, 1);
        g_assert_true(second->has_history);
        g_assert_cmpuint(second->segments->len, ==, 4);
    }
    {
        g_autoptr(GPtrArray) timelines =
            bk_archive_list_known(self->source_repo, &(BkArchiveSize){WAL_SYSTEM, SEGMENT_SIZE * 4},
                                  1, self->now_us, self->op, &error);

        g_assert_no_error(error);
        expect(timelines, last, 0, 0);
    }
}

static void
test_list(RepoFixture *self, const void *data)
{
    static const char *const names[] = {
        "orders/wal/" WAL_SYSTEM_DIGITS "/00000001/0000000100000000/000000010000000000000005",
        "orders/wal/" WAL_SYSTEM_DIGITS "/00000002/00000002.history",
        "orders/wal/" WAL_SYSTEM_DIGITS "/00000001/000000010000000000000005.00000028.backup",
        /* What is no WAL file, such as an NFS client leaves behind, hides nothing; nor is a
         * segment where nobody would look for it. */
        "orders/wal/" WAL_SYSTEM_DIGITS "/00000001/x",
        "orders/wal/" WAL_SYSTEM_DIGITS "/00000001/0000000100000000/000000010000000300000005",
    };
    g_autoptr(GPtrArray) timelines = NULL;
    g_autoptr(GError) error = NULL;
    const BkArchiveTimeline *timeline;

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_auto(BkBuf) empty = BK_BUF_INIT;

        EXPECT_DONE(bk_store_put(self->store, names[i], &empty, self->op, &error));
    }
    timelines = bk_archive_list(self->source_repo, self->op, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(timelines->len, ==, 2);
    timeline = g_ptr_array_index(timelines, 0);
    g_assert_cmpuint(timeline->timeline, ==, 1);
    g_assert_cmpuint(timeline->segments->len, ==, 1);
    g_assert_cmpuint(g_array_index(timeline->segments, BkWalName, 0).seg, ==, 5);
    g_assert_false(timeline->has_history);
    g_assert_cmpint(timeline->modified_us, >, 0);
    timeline = g_ptr_array_index(timelines, 1);
    g_assert_true(timeline->has_history && timeline->segments->len == 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    REPO_TEST("/archive-list/list", test_list);
    g_test_add("/archive-list/known", Fixture, NULL, set_up, test_known, tear_down);
    g_test_add("/archive-list/filling-up", Fixture, NULL, set_up, test_filling_up, tear_down);
    g_test_add("/archive-list/few", Fixture, NULL, set_up, test_few, tear_down);
    g_test_add("/archive-list/timelines", Fixture, NULL, set_up, test_timelines, tear_down);
    return g_test_run();
}
