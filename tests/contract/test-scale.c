/* test-scale.c - what reports of a large repository in a bucket ask for.
 *
 * A thousand snapshots; BACKSTAY_SCALE_SEGMENTS sets the number of WAL segments. */
#include "base/workers.h"
#include "engine/status/status.h"
#include "past-fixture.h"
#include "repo/object-kind.h"
#include "repo/snapshot/snapshot-manifest.h"
#include "s3-fixture.h"

#include <stdatomic.h>

#define SNAPSHOTS     1000u
#define WAL_DIRECTORY ((uint64_t)(UINT64_C(1) << 32) / WAL_SEGMENT) /* segments in one */
#define SEGMENTS      (3 * WAL_DIRECTORY + 50)
#define WORKERS       8
#define FIRST_SEGNO   1u
#define PAGE          1000u /* objects in an answer to a listing */

typedef struct Scale {
    S3Server server;
    char *directory;
    char *key_file;
    uint64_t segments;
    BkRepositorySpec spec;
    BkS3Options options;
    BkSourceSpec source;
    RepoFixture repo;
    atomic_uint next;
} Scale;

static bool
put_snapshot(const Scale *self, unsigned number, BkOp *op, GError **error)
{
    g_autoptr(BkSnapshot) snapshot = bk_snapshot_new();
    BkSnapshotHead *head = bk_snapshot_head(snapshot);
    const uint64_t segno = FIRST_SEGNO + number * (self->segments / SNAPSHOTS);
    g_auto(BkPgMeta) meta = {0};
    g_auto(BkBuf) object = BK_BUF_INIT;

    bk_pg_meta_init(&meta);
    meta.system_id = WAL_SYSTEM;
    meta.segment_size = WAL_SEGMENT;
    meta.timeline = 1;
    meta.start_lsn = meta.redo_lsn = segno * WAL_SEGMENT + 40;
    meta.stop_lsn = segno * WAL_SEGMENT + 80;
    meta.stop_us = PAST_DAY + number;
    (void)g_snprintf(head->id, sizeof head->id, "20261101T%02u%02u%02uZ-%08x", number / 3600,
                     number / 60 % 60, number % 60, number);
    head->source = g_strdup("orders");
    head->kind = g_strdup(BK_PG_KIND);
    head->state = BK_SNAPSHOT_COMPLETE;
    head->mode = BK_SNAPSHOT_FULL;
    head->started_us = PAST_DAY + number;
    bk_pg_meta_encode(&meta, &head->meta);
    return bk_snapshot_seal(snapshot, self->repo.source_repo, &object, error) &&
           bk_snapshot_put(self->repo.source_repo, head->id, &object, op, error);
}

/* An object that is only listed: nobody asks for the content of but the last. */
static bool
put_name(const Scale *self, uint64_t segno, BkOp *op, GError **error)
{
    g_auto(BkBuf) empty = BK_BUF_INIT;
    char name[BK_WAL_NAME_SIZE];
    const BkWalName parsed = bk_wal_name_of_segment(1, segno, WAL_SEGMENT, name);
    g_autofree char *object =
        bk_archive_object_name(self->repo.source_repo, WAL_SYSTEM, name, &parsed);

    return bk_store_put(self->repo.store, object, &empty, op, error);
}

static bool
fill(unsigned index, void *data, BkOp *op, GError **error)
{
    Scale *self = data;
    unsigned next;

    (void)index;
    while ((next = atomic_fetch_add(&self->next, 1)) < SNAPSHOTS + self->segments - 1)
        if (next < SNAPSHOTS ? !put_snapshot(self, next, op, error)
                             : !put_name(self, FIRST_SEGNO + next - SNAPSHOTS, op, error))
            return false;
    return true;
}

static void
scale_init(Scale *self)
{
    const char *segments = g_getenv("BACKSTAY_SCALE_SEGMENTS");
    g_autofree char *cache = NULL;
    g_auto(BkKeyFile) key = {0};
    g_autoptr(GError) error = NULL;
    BkStore *store;
    bool created;

    *self = (Scale){.directory = temp_dir_new()};
    self->segments = segments != NULL ? g_ascii_strtoull(segments, NULL, 10) : SEGMENTS;
    cache = g_build_filename(self->directory, "cache", NULL);
    g_setenv("BACKSTAY_CACHE", cache, TRUE);
    s3_server_start(&self->server);
    self->options = s3_fixture_options(&self->server, "large");
    self->options.kind_of = bk_object_kind;
    store = s3_fixture_open(&self->options);
    s3_fixture_make_bucket(store);
    bk_store_free(store);
    self->key_file = g_build_filename(self->directory, "key", NULL);
    EXPECT_DONE(bk_key_file_create(self->key_file, &key, &error));
    self->spec = (BkRepositorySpec){
        .name = "large",
        .place = {.s3 = &self->options},
        .key_file = self->key_file,
        .is_required = true,
    };
    self->source = (BkSourceSpec){
        .name = "orders", .repositories = &self->spec, .repository_count = 1, .workers = 2};
    self->repo = (RepoFixture){.op = bk_op_new(NULL)};
    self->repo.repository =
        bk_repository_create_at(&self->spec.place, "large", &key, &created, self->repo.op, &error);
    g_assert_no_error(error);
    self->repo.store = bk_repository_store(self->repo.repository);
    self->repo.source_repo =
        bk_source_repo_create(self->repo.repository, "orders", NULL, self->repo.op, &error);
    g_assert_no_error(error);
    EXPECT_DONE(bk_workers_run(WORKERS, fill, self, self->repo.op, &error));
    past_put_segment(self->repo.source_repo, 1, FIRST_SEGNO + self->segments - 1, 700,
                     self->repo.op);
}

static void
scale_clear(Scale *self)
{
    repo_fixture_clear(&self->repo);
    s3_server_stop(&self->server);
    g_free(self->key_file);
    temp_dir_free(self->directory);
}

/* As the command does, with a count of its own. */
static BkRequests
report(const Scale *self)
{
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_auto(BkStatus) status = {0};
    g_autoptr(GError) error = NULL;
    BkRequests requests;

    EXPECT_DONE(bk_status_load(&self->source, 0, g_get_real_time(), &status, op, &error));
    g_assert_cmpuint(status.listing.snapshots->len, ==, SNAPSHOTS);
    g_assert_cmpuint(status.problems->len, ==, 0);
    g_assert_cmpuint(status.windows->len, ==, 1);
    g_assert_cmpuint(g_array_index(status.windows, BkStatusWindow, 0).to_lsn, >=,
                     (FIRST_SEGNO + self->segments - 1) * WAL_SEGMENT);
    bk_op_get_requests(op, &requests);
    return requests;
}

static BkRequests
list(const Scale *self)
{
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_auto(BkListing) listing = {0};
    g_autoptr(GError) error = NULL;
    BkRequests requests;

    EXPECT_DONE(bk_listing_load(&self->source, BK_RECOVERY_INDEX_NO_ARCHIVE, &listing, op, &error));
    g_assert_cmpuint(listing.snapshots->len, ==, SNAPSHOTS);
    bk_op_get_requests(op, &requests);
    return requests;
}

static void
note(const char *what, const BkRequests *requests)
{
    g_test_message("%s: %" G_GUINT64_FORMAT " LIST, %" G_GUINT64_FORMAT " GET", what,
                   requests->count[BK_REQUEST_LIST], requests->count[BK_REQUEST_GET]);
}

/* The first report reads the head of each snapshot and the whole archive; the next ones list what
 * is not known to be full, and get no snapshot. */
static void
test_reports(void)
{
    Scale self;
    BkRequests first, next, listed;

    scale_init(&self);
    first = report(&self);
    next = report(&self);
    listed = list(&self);
    note("first status", &first);
    note("next status", &next);
    note("list", &listed);
    g_assert_cmpuint(first.count[BK_REQUEST_GET], >=, SNAPSHOTS);
    g_assert_cmpuint(first.count[BK_REQUEST_LIST], >=, self.segments / PAGE);
    /* Keys, snapshots (a page is just full), the lease, decisions, clusters, timelines,
     * directories, and the directory at hand. */
    g_assert_cmpuint(next.count[BK_REQUEST_LIST], <=, 8 + self.segments % WAL_DIRECTORY / PAGE);
    g_assert_cmpuint(next.count[BK_REQUEST_GET], <=, 6);
    g_assert_cmpuint(listed.count[BK_REQUEST_LIST], <=, 3);
    g_assert_cmpuint(listed.count[BK_REQUEST_GET], <=, 5);
    scale_clear(&self);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/scale/reports", test_reports);
    return g_test_run();
}
