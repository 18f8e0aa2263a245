/* test-targets.c - a required repository that fails fails the step; one of best effort that fails,
 * hangs or is another's is left alone from then on, and never gets a manifest; the others go on. */
#include "base/log.h"
#include "base/workers.h"
#include "engine/backup/pg-target.h"
#include "odd-store.h"
#include "past-fixture.h"
#include "repo/snapshot/snapshot-manifest.h"
#include "source/pg/archive/archive.h"
#include "source/pg/archive/system-id.h"
#include "source/pg/archive/wal-lock.h"
#include "source/pg/format/page.h"
#include "targets-fixture.h"
#include "temp-dir.h"
#include "wal-builder.h"

#define SYSTEM   WAL_SYSTEM
#define PATIENCE (BK_USEC_PER_SEC / 4)

typedef struct Fixture {
    RepoFixture repo; /* the required one */
    char *data_dir;
    OddStore *stores[2];           /* of those of best effort */
    BkSourceRepo *source_repos[2]; /* other eyes upon them */
    BkRepository *repositories[2];
    TargetsFixture at;
    BkTargets *targets; /* of it: "local" is required */
    BkSnapshot *snapshot;
    BkPgMeta meta;
} Fixture;

static void
add_repository(Fixture *self, unsigned index, const char *name)
{
    g_autoptr(GError) error = NULL;
    bool created;

    self->stores[index] = odd_store_new();
    self->repositories[index] = bk_repository_create(
        &self->stores[index]->base, name, &self->repo.key, &created, self->repo.op, &error);
    g_assert_no_error(error);
    bk_targets_at(self->targets, index + 1)->repository = self->repositories[index];
}

static void
start(Fixture *self, const BkTargetsOptions *options)
{
    static const char *const names[] = {"first", "second", NULL};

    targets_fixture_init(&self->at, &self->repo, names, options);
    self->targets = &self->at.targets;
    add_repository(self, 0, "first");
    add_repository(self, 1, "second");
}

static void
set_up(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    BkSnapshotHead *head;

    (void)data;
    *self = (Fixture){.data_dir = temp_dir_new(), .snapshot = bk_snapshot_new()};
    repo_fixture_init(&self->repo);
    bk_pg_meta_init(&self->meta);
    self->meta.system_id = SYSTEM;
    self->meta.is_standalone = true;
    self->meta.timeline = 1;
    self->meta.block_size = BK_PG_PAGE_SIZE;
    self->meta.segment_size = WAL_SEGMENT;
    self->meta.start_lsn = 5 * (BkLsn)WAL_SEGMENT + 40;
    self->meta.stop_lsn = 6 * (BkLsn)WAL_SEGMENT;
    head = bk_snapshot_head(self->snapshot);
    head->source = g_strdup("orders");
    head->kind = g_strdup(BK_PG_KIND);
    head->mode = BK_SNAPSHOT_FULL;
    head->state = BK_SNAPSHOT_COMPLETE;
    head->started_us = head->finished_us = g_get_real_time();
    EXPECT_DONE(bk_snapshot_make_id(g_get_real_time(), head->id, &error));
    bk_log_set_level(BK_LOG_ERROR); /* warnings are what is expected here */
    start(self, &(BkTargetsOptions){.patience_us = PATIENCE});
}

static void
tear_down(Fixture *self, const void *data)
{
    (void)data;
    for (unsigned i = 0; i < 2; i++)
        bk_source_repo_free(self->source_repos[i]);
    targets_fixture_clear(&self->at);
    bk_snapshot_free(self->snapshot);
    bk_pg_meta_clear(&self->meta);
    temp_dir_free(self->data_dir);
    repo_fixture_clear(&self->repo);
}

static void
create(Fixture *self)
{
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_targets_create(self->targets, BK_TARGETS_BEST_EFFORT, &error));
}

static BkPgTargetRequest
request_of(const Fixture *self)
{
    return (BkPgTargetRequest){
        .meta = &self->meta,
        .data_dir = self->data_dir,
        .model = self->repo.source_repo,
        .timeout_us = 1,
        .started_us = bk_snapshot_head(self->snapshot)->started_us,
        .workers = 2,
    };
}

static void
take_created(Fixture *self, BkTargetKinds kinds)
{
    BkPgTargetRequest request = request_of(self);
    BkPgMeta cluster = {.system_id = SYSTEM};
    const BkTargetsTaking taking = {.check = bk_pg_target_check_cluster, .data = &request};
    g_autoptr(GError) error = NULL;

    request.meta = &cluster;
    EXPECT_DONE(bk_targets_take(self->targets, kinds, &taking, &error));
}

static void
take(Fixture *self)
{
    g_autoptr(GError) error = NULL;

    create(self);
    take_created(self, BK_TARGETS_ALL);
    for (unsigned i = 0; i < 2; i++) {
        self->source_repos[i] =
            bk_source_repo_open(self->repositories[i], "orders", self->repo.op, &error);
        g_assert_no_error(error);
    }
}

static bool
put_pack(Fixture *self, uint8_t number, GError **error)
{
    const uint8_t name[BK_SHA256_SIZE] = {number};
    g_auto(BkBuf) object = BK_BUF_INIT;

    bk_buf_extend(&object, 10);
    return bk_targets_put_pack(self->targets, name, &object, self->repo.op, error);
}

static bool
publish_into(Fixture *self, BkTargetKinds kinds, BkSnapshot *parent, GError **error)
{
    const BkPgTargetRequest target_request = request_of(self);
    const BkPublishRequest request = {
        .snapshot = self->snapshot,
        .parent = parent,
        .workers = 2,
        .started_us = g_get_real_time(),
        .lock_log = bk_wal_lock_extend,
        .find_lack = bk_pg_target_find_lack,
        .data = &target_request,
    };

    bk_pg_meta_encode(&self->meta, &bk_snapshot_head(self->snapshot)->meta);
    return bk_targets_publish(self->targets, kinds, &request, error);
}

static bool
publish(Fixture *self, BkSnapshot *parent, GError **error)
{
    return publish_into(self, BK_TARGETS_BEST_EFFORT, parent, error);
}

static guint
count(const Fixture *self, unsigned index, const char *prefix)
{
    g_autoptr(GPtrArray) names =
        repo_fixture_names(self->stores[index]->inner, prefix, self->repo.op);

    return names->len;
}

static const char *
why(const Fixture *self, size_t index)
{
    return bk_targets_at(self->targets, (guint)index + 1)->why;
}

static void
test_all_is_well(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    take(self);
    EXPECT_DONE(put_pack(self, 1, &error));
    EXPECT_DONE(publish(self, NULL, &error));
    g_assert_cmpint(bk_targets_at(self->targets, 0)->state, ==, BK_TARGET_OPEN);
    for (unsigned i = 0; i < 2; i++) {
        g_assert_null(why(self, i));
        g_assert_cmpuint(count(self, i, "orders/packs/"), ==, 1);
        g_assert_cmpuint(count(self, i, "orders/snapshots/"), ==, 1);
    }
}

/* Also when a later put would do: a pack is missing, so there must be no manifest. */
static void
test_dropped_in_the_middle(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    unsigned tries;

    (void)data;
    take(self);
    EXPECT_DONE(put_pack(self, 1, &error));
    atomic_store(&self->stores[0]->refuse, "packs/");
    EXPECT_DONE(put_pack(self, 2, &error));
    atomic_store(&self->stores[0]->refuse, NULL);
    tries = atomic_load(&self->stores[0]->tries);
    EXPECT_DONE(put_pack(self, 3, &error));
    EXPECT_DONE(publish(self, NULL, &error));
    g_assert_nonnull(strstr(why(self, 0), "refused"));
    g_assert_cmpuint(atomic_load(&self->stores[0]->tries), ==, tries);
    g_assert_cmpuint(count(self, 0, "orders/snapshots/"), ==, 0);
    g_assert_null(why(self, 1));
    g_assert_cmpuint(count(self, 1, "orders/packs/"), ==, 3);
    g_assert_cmpuint(count(self, 1, "orders/snapshots/"), ==, 1);
}

static bool
put_many(unsigned index, void *data, BkOp *op, GError **error)
{
    (void)op;
    for (unsigned i = 0; i < 20; i++) {
        if (!put_pack(data, (uint8_t)(index * 20 + i), error))
            return false;
        if (index == 0 && i == 10)
            atomic_store(&((Fixture *)data)->stores[0]->refuse, "packs/");
    }
    return true;
}

static void
test_dropped_by_many_threads(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    take(self);
    EXPECT_DONE(bk_workers_run(8, put_many, self, self->repo.op, &error));
    EXPECT_DONE(publish(self, NULL, &error));
    g_assert_nonnull(why(self, 0));
    g_assert_cmpuint(count(self, 0, "orders/snapshots/"), ==, 0);
    g_assert_cmpuint(count(self, 1, "orders/packs/"), ==, 160);
    g_assert_cmpuint(count(self, 1, "orders/snapshots/"), ==, 1);
}

/* Several calls hang at once: one patience for all of them. */
static void
test_hangs(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    take(self);
    atomic_store(&self->stores[1]->hang, "packs/");
    EXPECT_DONE(bk_workers_run(8, put_many, self, self->repo.op, &error));
    EXPECT_DONE(publish(self, NULL, &error));
    g_assert_nonnull(strstr(why(self, 1), "timed out"));
    g_assert_cmpuint(count(self, 1, "orders/snapshots/"), ==, 0);
}

/* One that has died is not waited for at the end, neither for its manifest nor for its lease. */
static void
test_dead_at_the_end(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    unsigned tries;

    (void)data;
    take(self);
    EXPECT_DONE(put_pack(self, 1, &error));
    atomic_store(&self->stores[1]->is_dead, true);
    tries = atomic_load(&self->stores[1]->tries);
    EXPECT_DONE(publish(self, NULL, &error));
    g_assert_nonnull(strstr(why(self, 1), "at the end of the backup"));
    g_assert_cmpuint(atomic_load(&self->stores[1]->tries), ==, tries);
    g_assert_cmpuint(count(self, 1, "orders/snapshots/"), ==, 0);
    g_assert_null(why(self, 0));
}

/* One that answers, and then dies while its manifest is put, gets no more patience than before. */
static void
test_dies_at_its_manifest(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    take(self);
    EXPECT_DONE(put_pack(self, 1, &error));
    self->stores[1]->hang_us = 4 * PATIENCE;
    atomic_store(&self->stores[1]->hang, "snapshots/");
    EXPECT_DONE(publish(self, NULL, &error));
    g_assert_nonnull(strstr(why(self, 1), "timed out"));
    g_assert_cmpuint(count(self, 1, "orders/snapshots/"), ==, 0);
    g_assert_null(why(self, 0));
}

static void
test_hangs_from_the_start(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    atomic_store(&self->stores[0]->hang, "lease/");
    create(self);
    take_created(self, BK_TARGETS_BEST_EFFORT);
    EXPECT_DONE(put_pack(self, 1, &error));
    g_assert_nonnull(why(self, 0));
    g_assert_cmpuint(count(self, 0, "orders/packs/"), ==, 0);
    g_assert_cmpuint(count(self, 1, "orders/packs/"), ==, 1);
}

/* The end of the whole operation is no fault of a repository. */
static void
test_cancelled(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    take(self);
    bk_op_cancel(self->repo.op);
    EXPECT_ERROR(put_pack(self, 1, &error), BK_ERROR_CANCELLED);
    g_assert_null(why(self, 0));
    g_assert_null(why(self, 1));
}

static void
test_lease_taken_over(Fixture *self, const void *data)
{
    const BkLeaseOptions options = {.break_held = true};
    g_autoptr(GError) error = NULL;
    g_autoptr(BkLease) other = NULL;

    (void)data;
    take(self);
    EXPECT_DONE(put_pack(self, 1, &error));
    other = bk_lease_acquire(self->source_repos[0], &options, self->repo.op, &error);
    g_assert_no_error(error);
    EXPECT_DONE(publish(self, NULL, &error));
    g_assert_nonnull(strstr(why(self, 0), "lease"));
    g_assert_cmpuint(count(self, 0, "orders/snapshots/"), ==, 0);
    g_assert_cmpuint(count(self, 1, "orders/snapshots/"), ==, 1);
}

static void
test_held_by_another(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(BkSourceRepo) source_repo = NULL;
    g_autoptr(BkLease) other = NULL;

    (void)data;
    create(self);
    source_repo = bk_source_repo_open(self->repositories[0], "orders", self->repo.op, &error);
    g_assert_no_error(error);
    other = bk_lease_acquire(source_repo, &(BkLeaseOptions){0}, self->repo.op, &error);
    g_assert_no_error(error);
    take_created(self, BK_TARGETS_BEST_EFFORT);
    g_assert_nonnull(why(self, 0));
    g_assert_null(why(self, 1));
}

/* A part under another key could never be read together with the others. */
static void
test_other_keys(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(BkSourceRepo) source_repo = NULL;

    (void)data;
    source_repo =
        bk_source_repo_create(self->repositories[1], "orders", NULL, self->repo.op, &error);
    g_assert_no_error(error);
    create(self);
    take_created(self, BK_TARGETS_BEST_EFFORT);
    g_assert_null(why(self, 0));
    g_assert_nonnull(strstr(why(self, 1), "different keys"));
}

static void
test_another_cluster(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(BkSourceRepo) source_repo = NULL;
    g_auto(BkBuf) object = BK_BUF_INIT;

    (void)data;
    source_repo = bk_source_repo_create(self->repositories[1], "orders", self->repo.source_repo,
                                        self->repo.op, &error);
    g_assert_no_error(error);
    self->meta.system_id = SYSTEM + 1;
    bk_pg_meta_encode(&self->meta, &bk_snapshot_head(self->snapshot)->meta);
    EXPECT_DONE(bk_snapshot_seal(self->snapshot, source_repo, &object, &error));
    EXPECT_DONE(bk_snapshot_put(source_repo, bk_snapshot_head(self->snapshot)->id, &object,
                                self->repo.op, &error));
    create(self);
    take_created(self, BK_TARGETS_BEST_EFFORT);
    g_assert_null(why(self, 0));
    g_assert_nonnull(strstr(why(self, 1), "another cluster"));
}

/* Packs that it was away for: nothing but new ones is put, and the manifest not yet. */
static void
test_lacks_packs(Fixture *self, const void *data)
{
    g_autoptr(BkSnapshot) parent = bk_snapshot_new();
    const BkPackRef old = {.name = {9}, .size = 10, .raw_size = 10};
    const BkPackRef new = {.name = {1}, .size = 10, .raw_size = 10};
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    (void)data;
    take(self);
    bk_buf_extend(&object, 10);
    EXPECT_DONE(bk_pack_put(self->source_repos[1], old.name, &object, self->repo.op, &error));
    (void)bk_snapshot_add_pack(parent, &old);
    (void)bk_snapshot_add_pack(self->snapshot, &old);
    (void)bk_snapshot_add_pack(self->snapshot, &new);
    EXPECT_DONE(put_pack(self, 1, &error));
    EXPECT_DONE(publish(self, parent, &error));
    g_assert_nonnull(strstr(why(self, 0), "packs"));
    g_assert_cmpuint(count(self, 0, "orders/packs/"), ==, 1);
    g_assert_cmpuint(count(self, 0, "orders/snapshots/"), ==, 0);
    g_assert_null(why(self, 1));
    g_assert_cmpuint(count(self, 1, "orders/snapshots/"), ==, 1);
}

/* A whole pack: what is copied is looked at. */
static void
make_pack(const Fixture *self, uint8_t content, BkPackRef *ref, BkBuf *object)
{
    g_autoptr(BkPackWriter) writer = bk_pack_writer_new(self->repo.source_repo, BK_CODEC_LZ4, 1);
    g_autoptr(GError) error = NULL;
    size_t available;

    EXPECT_DONE(bk_pack_writer_begin(writer, object, &error));
    memset(bk_pack_writer_room(writer, &available), content, 1000);
    EXPECT_DONE(bk_pack_writer_commit(writer, 1000, &error));
    EXPECT_DONE(bk_pack_writer_finish(writer, ref, &error));
}

/* A snapshot of an old pack, which only the required repository has, and a new one. */
static void
publish_what_is_missed(Fixture *self, BkSnapshot *parent)
{
    g_autoptr(GError) error = NULL;
    g_auto(BkBuf) manifest = BK_BUF_INIT;
    BkPackRef packs[2];

    take(self);
    for (unsigned i = 0; i < 2; i++) {
        g_auto(BkBuf) object = BK_BUF_INIT;

        make_pack(self, (uint8_t)i, &packs[i], &object);
        EXPECT_DONE(
            bk_pack_put(self->repo.source_repo, packs[i].name, &object, self->repo.op, &error));
        if (i == 1)
            EXPECT_DONE(
                bk_targets_put_pack(self->targets, packs[i].name, &object, self->repo.op, &error));
        (void)bk_snapshot_add_pack(self->snapshot, &packs[i]);
    }
    (void)bk_snapshot_add_pack(parent, &packs[0]);
    bk_pg_meta_encode(&self->meta, &bk_snapshot_head(self->snapshot)->meta);
    EXPECT_DONE(bk_snapshot_seal(self->snapshot, self->repo.source_repo, &manifest, &error));
    EXPECT_DONE(bk_snapshot_put(self->repo.source_repo, bk_snapshot_head(self->snapshot)->id,
                                &manifest, self->repo.op, &error));
    EXPECT_DONE(publish(self, parent, &error));
    for (unsigned i = 0; i < 2; i++) {
        g_assert_nonnull(strstr(why(self, i), "packs"));
        g_assert_cmpuint(count(self, i, "orders/packs/"), ==, 1);
    }
}

static void
catch_up(Fixture *self)
{
    const BkPgTargetRequest request = request_of(self);
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_targets_each(self->targets, BK_TARGETS_BEST_EFFORT, bk_pg_target_catch_up,
                                &request, self->repo.op, &error));
}

/* What is brought is whole, and in a store that locks what is old is locked anew. */
static void
test_caught_up(Fixture *self, const void *data)
{
    g_autoptr(BkSnapshot) parent = bk_snapshot_new();

    (void)data;
    publish_what_is_missed(self, parent);
    self->stores[0]->lock_us = 3600 * BK_USEC_PER_SEC;
    catch_up(self);
    for (unsigned i = 0; i < 2; i++) {
        g_assert_null(why(self, i));
        g_assert_cmpuint(count(self, i, "orders/packs/"), ==, 2);
        g_assert_cmpuint(count(self, i, "orders/snapshots/"), ==, 1);
    }
    g_assert_cmpuint(self->stores[0]->retained->len, >=, 1);
    g_assert_cmpuint(self->stores[1]->retained->len, ==, 0);
}

static void
test_not_caught_up(Fixture *self, const void *data)
{
    g_autoptr(BkSnapshot) parent = bk_snapshot_new();

    (void)data;
    publish_what_is_missed(self, parent);
    atomic_store(&self->stores[0]->refuse, "packs/");
    catch_up(self);
    g_assert_nonnull(strstr(why(self, 0), "refused"));
    g_assert_cmpuint(count(self, 0, "orders/snapshots/"), ==, 0);
    g_assert_null(why(self, 1));
    g_assert_cmpuint(count(self, 1, "orders/snapshots/"), ==, 1);
}

typedef struct Put {
    BkArchiveWriter *writer;
    const BkArchiveFile *file;
} Put;

static bool
put_again(BkTarget *target, const void *data, BkOp *op, GError **error)
{
    const Put *put = data;

    return bk_archive_put_again(put->writer, target->source_repo, put->file, WAL_SYSTEM, op, error);
}

static void
archive(Fixture *self, BkSourceRepo *source_repo, const char *name, GError **error)
{
    g_autoptr(BkArchiveWriter) writer = bk_archive_writer_new(BK_CODEC_ZSTD, 1);
    g_autoptr(GPtrArray) source_repos = g_ptr_array_new();
    g_auto(WalBuilder) builder = {0};
    BkArchiveFile file = {.name = name, .content = &builder.out, .is_ready = true};

    wal_builder_init(&builder, BK_WAL_MAGIC_15, 5 * (BkLsn)WAL_SEGMENT);
    (void)wal_builder_xact(&builder, 0x00, 700, BK_USEC_PER_SEC);
    wal_builder_pad(&builder);
    g_assert_true(bk_wal_name_parse(name, &file.parsed));
    g_ptr_array_add(source_repos, source_repo);
    g_assert_true(bk_archive_put(writer, source_repos, &file, WAL_SYSTEM, self->repo.op, error));
    if (source_repo == self->repo.source_repo)
        g_assert_true(bk_targets_each(self->targets, BK_TARGETS_BEST_EFFORT, put_again,
                                      &(Put){writer, &file}, self->repo.op, error));
}

static void
test_lacks_wal(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    take(self);
    self->meta.is_standalone = false;
    archive(self, self->source_repos[1], "000000010000000000000005", &error);
    EXPECT_DONE(publish(self, NULL, &error));
    g_assert_nonnull(strstr(why(self, 0), "WAL"));
    g_assert_cmpuint(count(self, 0, "orders/snapshots/"), ==, 0);
    g_assert_null(why(self, 1));
    g_assert_cmpuint(count(self, 1, "orders/snapshots/"), ==, 1);
}

/* A snapshot of a former cluster, newer by its id, does not hide what is lacking of the current
 * one; nor where the current one has none yet. */
static void
test_lacks_wal_of_the_current_cluster(Fixture *self, const void *data)
{
    const PastSnapshot own = {FIRST, MONDAY - 40 * PAST_DAY, 0, 1, PAST_SEGNO, PAST_SEGNO, ""};
    const PastSnapshot former = {THIRD,           MONDAY - 50 * PAST_DAY, 0, 1,
                                 PAST_SEGNO + 50, PAST_SEGNO + 51,        ""};
    g_autoptr(GHashTable) packs = past_packs_new();
    g_autoptr(GPtrArray) required = g_ptr_array_new();
    g_autoptr(GError) error = NULL;

    (void)data;
    create(self);
    for (unsigned i = 0; i < 2; i++) {
        RepoFixture at = self->repo;

        at.source_repo = self->source_repos[i] =
            bk_source_repo_open(self->repositories[i], "orders", self->repo.op, &error);
        g_assert_no_error(error);
        if (i == 0)
            past_put_snapshot(&at, packs, &own);
        past_put_snapshot_of(&at, packs, &former, WAL_SYSTEM + 1);
    }
    past_put_snapshot(&self->repo, packs, &own);
    past_put_snapshot_of(&self->repo, packs, &former, WAL_SYSTEM + 1);
    past_put_segment(self->repo.source_repo, 1, PAST_SEGNO, 700, self->repo.op);
    g_ptr_array_add(required, self->repo.source_repo);
    EXPECT_DONE(bk_system_declare(required, SYSTEM, self->repo.op, &error));
    take_created(self, BK_TARGETS_BEST_EFFORT);
    catch_up(self);
    for (unsigned i = 0; i < 2; i++) {
        g_assert_cmpstr(why(self, i), ==, NULL);
        g_assert_cmpuint(count(self, i, "orders/wal/"), ==, 1);
    }
}

/* What the required repository got is what the others get, byte for byte. */
static void
test_file(Fixture *self, const void *data)
{
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_auto(BkBuf) copy = BK_BUF_INIT;
    g_autofree char *name = NULL;
    BkWalName parsed;
    g_autoptr(GError) error = NULL;

    (void)data;
    take(self);
    atomic_store(&self->stores[0]->refuse, "wal/");
    archive(self, self->repo.source_repo, "000000010000000000000005", &error);
    g_assert_true(bk_wal_name_parse("000000010000000000000005", &parsed));
    name = bk_archive_object_name(self->repo.source_repo, WAL_SYSTEM, "000000010000000000000005",
                                  &parsed);
    repo_fixture_get(self->repo.store, name, &object, self->repo.op);
    repo_fixture_get(self->stores[1]->inner, name, &copy, self->repo.op);
    EXPECT_BYTES(copy.data, copy.size, object.data, object.size);
    g_assert_nonnull(why(self, 0));
    g_assert_cmpuint(count(self, 0, "orders/wal/"), ==, 0);
}

/* One that hangs takes all of the time there is; the next one gets none, and is not waited for. */
static void
test_budget(Fixture *self, const void *data)
{
    const BkTargetsOptions options = {.patience_us = 3600 * BK_USEC_PER_SEC, .budget_us = PATIENCE};
    g_autoptr(GError) error = NULL;

    (void)data;
    targets_fixture_clear(&self->at);
    start(self, &options);
    create(self);
    for (unsigned i = 0; i < 2; i++)
        atomic_store(&self->stores[i]->hang, "packs/");
    EXPECT_DONE(put_pack(self, 1, &error));
    g_assert_nonnull(strstr(why(self, 0), "timed out"));
    g_assert_nonnull(strstr(why(self, 1), "timed out"));
    g_assert_true(bk_op_check(self->repo.op, &error));
}

/* --- required ------------------------------------------------------------------------------ */

/* Its failure is that of the step, and nobody else is asked any more. */
static void
test_required_fails(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    take(self);
    bk_store_fault_arm(self->repo.store, BK_STORE_OPERATION_PUT, 1, BK_ERROR_NO_SPACE, false);
    EXPECT_ERROR(put_pack(self, 1, &error), BK_ERROR_NO_SPACE);
    for (unsigned i = 0; i < 2; i++) {
        g_assert_null(why(self, i));
        g_assert_cmpuint(count(self, i, "orders/packs/"), ==, 0);
    }
}

/* It works in the run's own operation: what ends with that is everything. */
static void
test_required_lease_taken_over(Fixture *self, const void *data)
{
    const BkLeaseOptions options = {.break_held = true};
    g_autoptr(GError) error = NULL;
    g_autoptr(BkOp) op = bk_op_new(NULL); /* outlives the lease */
    g_autoptr(BkLease) other = NULL;
    g_autoptr(GPtrArray) manifests = NULL;

    (void)data;
    take(self);
    EXPECT_DONE(put_pack(self, 1, &error));
    other = bk_lease_acquire(self->repo.source_repo, &options, op, &error);
    g_assert_no_error(error);
    EXPECT_ERROR(publish_into(self, BK_TARGETS_ALL, NULL, &error), BK_ERROR_LEASE_LOST);
    manifests = repo_fixture_names(self->repo.store, "orders/snapshots/", op);
    g_assert_cmpuint(manifests->len, ==, 0);
    for (unsigned i = 0; i < 2; i++)
        g_assert_cmpuint(count(self, i, "orders/snapshots/"), ==, 0);
}

/* One step for all of them, the required one first. */
static void
test_published_everywhere(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) manifests = NULL;

    (void)data;
    take(self);
    EXPECT_DONE(put_pack(self, 1, &error));
    atomic_store(&self->stores[0]->refuse, "snapshots/");
    EXPECT_DONE(publish_into(self, BK_TARGETS_ALL, NULL, &error));
    manifests = repo_fixture_names(self->repo.store, "orders/snapshots/", self->repo.op);
    g_assert_cmpuint(manifests->len, ==, 1);
    g_assert_cmpint(bk_targets_at(self->targets, 0)->state, ==, BK_TARGET_DONE);
    g_assert_cmpint(bk_targets_at(self->targets, 1)->state, ==, BK_TARGET_DROPPED);
    g_assert_cmpint(bk_targets_at(self->targets, 2)->state, ==, BK_TARGET_DONE);
    g_assert_cmpuint(count(self, 0, "orders/snapshots/"), ==, 0);
    g_assert_cmpuint(count(self, 1, "orders/snapshots/"), ==, 1);
}

#define TARGETS_TEST(name, function) g_test_add(name, Fixture, NULL, set_up, function, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    TARGETS_TEST("/targets/best-effort-all-is-well", test_all_is_well);
    TARGETS_TEST("/targets/best-effort-dropped-in-the-middle", test_dropped_in_the_middle);
    TARGETS_TEST("/targets/best-effort-dropped-by-many-threads", test_dropped_by_many_threads);
    TARGETS_TEST("/targets/best-effort-hangs", test_hangs);
    TARGETS_TEST("/targets/best-effort-dead-at-the-end", test_dead_at_the_end);
    TARGETS_TEST("/targets/best-effort-dies-at-its-manifest", test_dies_at_its_manifest);
    TARGETS_TEST("/targets/best-effort-hangs-from-the-start", test_hangs_from_the_start);
    TARGETS_TEST("/targets/best-effort-cancelled", test_cancelled);
    TARGETS_TEST("/targets/best-effort-lease-taken-over", test_lease_taken_over);
    TARGETS_TEST("/targets/best-effort-held-by-another", test_held_by_another);
    TARGETS_TEST("/targets/best-effort-other-keys", test_other_keys);
    TARGETS_TEST("/targets/best-effort-another-cluster", test_another_cluster);
    TARGETS_TEST("/targets/best-effort-lacks-packs", test_lacks_packs);
    TARGETS_TEST("/targets/best-effort-caught-up", test_caught_up);
    TARGETS_TEST("/targets/best-effort-not-caught-up", test_not_caught_up);
    TARGETS_TEST("/targets/best-effort-lacks-wal", test_lacks_wal);
    TARGETS_TEST("/targets/best-effort-lacks-wal-of-the-current-cluster",
                 test_lacks_wal_of_the_current_cluster);
    TARGETS_TEST("/targets/best-effort-file", test_file);
    TARGETS_TEST("/targets/best-effort-budget", test_budget);
    TARGETS_TEST("/targets/required-fails", test_required_fails);
    TARGETS_TEST("/targets/required-lease-taken-over", test_required_lease_taken_over);
    TARGETS_TEST("/targets/published-everywhere", test_published_everywhere);
    return g_test_run();
}
