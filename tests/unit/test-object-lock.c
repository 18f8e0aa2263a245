/* test-object-lock.c - the locks of what a snapshot needs: extended when they are due, and then all
 * of them. */
#include "odd-store.h"
#include "repo-fixture.h"
#include "repo/snapshot/snapshot-manifest.h"
#include "repo/targets/publish.h"
#include "source/pg/archive/archive.h"
#include "source/pg/archive/wal-lock.h"
#include "source/pg/cluster/pg-meta.h"
#include "wal-builder.h"

#define DAY   (INT64_C(86400) * BK_USEC_PER_SEC)
#define LOCK  (40 * DAY) /* a quarter is 10 days */
#define START (20000 * DAY)
#define OLD   6u /* packs that are taken over */
#define NEW   3u
#define WAL   4u /* segments from start to stop */

typedef struct Fixture {
    BkOp *op;
    BkKeyFile key;
    OddStore *store;
    BkRepository *repository;
    BkSourceRepo *source_repo;
    BkSnapshot *parent;
    BkSnapshot *snapshot;
    BkObjectLock retain;
} Fixture;

static void
add_pack(Fixture *self, BkSnapshot *snapshot, uint8_t number)
{
    BkPackRef ref = {.size = 10, .raw_size = 10, .name = {number, 1, 2, 3}};
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    bk_buf_extend(&object, 10);
    EXPECT_DONE(bk_pack_put(self->source_repo, ref.name, &object, self->op, &error));
    (void)bk_snapshot_add_pack(snapshot, &ref);
}

/* On timeline 2: its segments and history file are in the archive, without content. */
static void
set_meta(Fixture *self, bool is_standalone)
{
    g_auto(BkPgMeta) meta = {0};
    BkSnapshotHead *head = bk_snapshot_head(self->snapshot);

    bk_pg_meta_init(&meta);
    meta.system_id = WAL_SYSTEM;
    meta.timeline = 2;
    meta.segment_size = BK_MIB;
    meta.block_size = 8192;
    meta.start_lsn = 5 * BK_MIB + 40;
    meta.stop_lsn = (5 + WAL) * BK_MIB; /* the first byte behind it */
    meta.is_standalone = is_standalone;
    head->meta.size = 0;
    bk_pg_meta_encode(&meta, &head->meta);
}

static void
put_wal(Fixture *self, const char *name)
{
    g_autofree char *object = NULL;
    g_auto(BkBuf) empty = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;
    BkWalName parsed;

    g_assert_true(bk_wal_name_parse(name, &parsed));
    object = bk_archive_object_name(self->source_repo, WAL_SYSTEM, name, &parsed);
    EXPECT_DONE(bk_store_put(&self->store->base, object, &empty, self->op, &error));
}

/* The snapshot takes the parent's packs over but for one. */
static void
set_up(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    bool created;

    (void)data;
    *self = (Fixture){.op = bk_op_new(NULL), .store = odd_store_new()};
    repo_fixture_key(&self->key, 1);
    self->store->lock_us = LOCK;
    self->repository =
        bk_repository_create(&self->store->base, "locked", &self->key, &created, self->op, &error);
    g_assert_no_error(error);
    self->source_repo = bk_source_repo_create(self->repository, "orders", NULL, self->op, &error);
    g_assert_no_error(error);
    self->parent = bk_snapshot_new();
    self->snapshot = bk_snapshot_new();
    for (uint8_t i = 0; i < OLD; i++)
        add_pack(self, self->parent, i);
    for (uint8_t i = 1; i < OLD + NEW; i++)
        add_pack(self, self->snapshot, i);
    bk_snapshot_head(self->parent)->started_us = START;
    set_meta(self, false);
    for (unsigned i = 4; i < 5 + WAL + 1; i++) {
        g_autofree char *name = g_strdup_printf("0000000200000000%08X", i);

        put_wal(self, name);
    }
}

static void
tear_down(Fixture *self, const void *data)
{
    (void)data;
    bk_snapshot_free(self->parent);
    bk_snapshot_free(self->snapshot);
    bk_source_repo_free(self->source_repo);
    bk_repository_free(self->repository);
    bk_op_free(self->op);
}

static BkObjectLockRequest
request_at(const Fixture *self, int64_t now_us)
{
    return (BkObjectLockRequest){
        .source_repo = self->source_repo,
        .snapshot = self->snapshot,
        .parent = self->parent,
        .now_us = now_us,
        .workers = 4,
    };
}

/* How many were retained by a call at `now_us`. */
static guint
retain(Fixture *self, int64_t now_us)
{
    const BkObjectLockRequest request = request_at(self, now_us);
    g_autoptr(GError) error = NULL;
    guint before = self->store->retained->len;

    EXPECT_DONE(bk_object_lock_packs(&self->retain, &request, self->op, &error));
    return self->store->retained->len - before;
}

static void
test_due_once_a_quarter(void)
{
    g_assert_false(bk_object_lock_is_due(0, 0, START));
    g_assert_false(bk_object_lock_is_due(LOCK, START, START));
    g_assert_false(bk_object_lock_is_due(LOCK, START, START + 10 * DAY - 1));
    g_assert_true(bk_object_lock_is_due(LOCK, START, START + 10 * DAY));
    g_assert_true(bk_object_lock_is_due(LOCK, START - 1, START));
    g_assert_true(bk_object_lock_is_due(1, START, START + 1)); /* a period of no time at all */
}

/* Whenever a snapshot is put, what was locked for five quarters when it was last due still is for
 * four. */
static void
test_promise(void)
{
    const int64_t step = DAY / 7;

    for (int64_t locked = START; locked < START + 11 * DAY; locked += step)
        for (int64_t now = locked; !bk_object_lock_is_due(LOCK, locked, now); now += step)
            g_assert_cmpint(locked + LOCK + LOCK / 4, >=, now + LOCK);
}

static void
test_nothing_is_due(Fixture *self, const void *data)
{
    (void)data;
    bk_object_lock_init(&self->retain, START + DAY, self->parent);
    g_assert_cmpuint(retain(self, START + 2 * DAY), ==, 0);
}

static bool
is_retained(const Fixture *self, uint8_t number)
{
    const uint8_t name[BK_SHA256_SIZE] = {number, 1, 2, 3};
    g_autofree char *object = bk_pack_object_name(self->source_repo, name);

    for (guint i = 0; i < self->store->retained->len; i++)
        if (strcmp(g_ptr_array_index(self->store->retained, i), object) == 0)
            return true;
    return false;
}

/* Not the pack that the snapshot has given up, and not the new ones, which were locked just now. */
static void
test_taken_over(Fixture *self, const void *data)
{
    (void)data;
    bk_object_lock_init(&self->retain, START + 11 * DAY, self->parent);
    g_assert_cmpuint(retain(self, START + 11 * DAY), ==, OLD - 1);
    for (uint8_t i = 0; i < OLD + NEW; i++)
        g_assert_cmpint(is_retained(self, i), ==, i >= 1 && i < OLD);
    /* A checkpoint has done it: the same backup need not again. */
    g_assert_cmpuint(retain(self, START + 12 * DAY), ==, 0);
}

/* A backup that takes longer than a quarter has locked its first packs too long ago itself. */
static void
test_long_backup(Fixture *self, const void *data)
{
    (void)data;
    bk_object_lock_init(&self->retain, START + DAY, self->parent);
    g_assert_cmpuint(retain(self, START + 21 * DAY), ==, OLD - 1 + NEW);
}

static void
test_first_snapshot(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    BkObjectLockRequest request = request_at(self, START + DAY);

    (void)data;
    request.parent = NULL;
    bk_object_lock_init(&self->retain, START, NULL);
    EXPECT_DONE(bk_object_lock_packs(&self->retain, &request, self->op, &error));
    g_assert_cmpuint(self->store->retained->len, ==, 0);
}

/* A part that lacks the parent may have had the packs for longer than that is old. */
static void
test_parent_is_elsewhere(Fixture *self, const void *data)
{
    static const char text[] = "manifest";
    const BkBuf object = {(uint8_t *)(uintptr_t)text, sizeof text, sizeof text};
    BkSnapshotHead *head = bk_snapshot_head(self->parent);
    g_autoptr(GError) error = NULL;

    (void)data;
    EXPECT_DONE(bk_snapshot_make_id(START, head->id, &error));
    EXPECT_DONE(bk_object_lock_begin(&self->retain, self->source_repo, START + DAY, self->parent,
                                     self->op, &error));
    g_assert_cmpuint(retain(self, START + 2 * DAY), ==, OLD - 1);
    EXPECT_DONE(bk_snapshot_put(self->source_repo, head->id, &object, self->op, &error));
    EXPECT_DONE(bk_object_lock_begin(&self->retain, self->source_repo, START + DAY, self->parent,
                                     self->op, &error));
    g_assert_cmpuint(retain(self, START + 2 * DAY), ==, 0);
}

static void
test_store_without_locks(Fixture *self, const void *data)
{
    (void)data;
    self->store->lock_us = 0;
    bk_object_lock_init(&self->retain, START, self->parent);
    g_assert_cmpuint(retain(self, START + 100 * DAY), ==, 0);
}

/* The phase that was interrupted goes on where it was. */
static void
test_progress(Fixture *self, const void *data)
{
    BkOpProgress progress;

    (void)data;
    bk_op_begin_phase(self->op, "copying", 100);
    bk_op_advance(self->op, 40);
    bk_object_lock_init(&self->retain, START, self->parent);
    (void)retain(self, START + 30 * DAY);
    bk_op_get_progress(self->op, &progress);
    g_assert_cmpstr(progress.phase, ==, "copying");
    g_assert_cmpuint(progress.total, ==, 100);
    g_assert_cmpuint(progress.done, ==, 40);
}

static bool
is_key_retained(const Fixture *self, const char *prefix)
{
    for (guint i = 0; i < self->store->retained->len; i++)
        if (g_str_has_prefix(g_ptr_array_index(self->store->retained, i), prefix))
            return true;
    return false;
}

/* Without the keys no pack can be read: they are locked for as long, though put only once. */
static void
test_keys(Fixture *self, const void *data)
{
    static const char *const needed[] = {"backstay.json", "keys/", "orders/key/"};
    BkObjectLockRequest request = request_at(self, START + DAY);
    g_autoptr(GError) error = NULL;

    (void)data;
    request.parent = NULL; /* a full snapshot cannot know when they were locked */
    bk_object_lock_init(&self->retain, START, NULL);
    EXPECT_DONE(bk_object_lock_keys(&self->retain, &request, self->op, &error));
    for (size_t i = 0; i < G_N_ELEMENTS(needed); i++)
        g_assert_true(is_key_retained(self, needed[i]));
    g_assert_cmpuint(self->store->retained->len, ==, G_N_ELEMENTS(needed));
    EXPECT_DONE(bk_object_lock_keys(&self->retain, &request, self->op, &error));
    g_assert_cmpuint(self->store->retained->len, ==, G_N_ELEMENTS(needed));
    request.now_us = START + 11 * DAY;
    EXPECT_DONE(bk_object_lock_keys(&self->retain, &request, self->op, &error));
    g_assert_cmpuint(self->store->retained->len, ==, 2 * G_N_ELEMENTS(needed));
    /* A parent of this quarter has seen to it. */
    request.parent = self->parent;
    bk_object_lock_init(&self->retain, START + DAY, self->parent);
    request.now_us = START + 2 * DAY;
    EXPECT_DONE(bk_object_lock_keys(&self->retain, &request, self->op, &error));
    g_assert_cmpuint(self->store->retained->len, ==, 2 * G_N_ELEMENTS(needed));
}

static guint
retain_wal(Fixture *self, int64_t now_us)
{
    const BkObjectLockRequest request = request_at(self, now_us);
    g_autoptr(GError) error = NULL;
    guint before = self->store->retained->len;

    EXPECT_DONE(bk_wal_lock_extend(&self->retain, &request, self->op, &error));
    return self->store->retained->len - before;
}

/* What was archived when a long backup began has been locked for as long: it gets the whole period
 * with the manifest. */
static void
test_wal(Fixture *self, const void *data)
{
    (void)data;
    bk_object_lock_init(&self->retain, START + DAY, self->parent);
    g_assert_cmpuint(retain_wal(self, START + 2 * DAY), ==, 0);
    g_assert_cmpuint(retain_wal(self, START + 11 * DAY), ==, WAL);
    for (unsigned i = 4; i < 5 + WAL + 1; i++) {
        g_autofree char *name = g_strdup_printf("0000000200000000%08X", i);
        bool found = false;

        for (guint j = 0; j < self->store->retained->len; j++)
            found |= g_str_has_suffix(g_ptr_array_index(self->store->retained, j), name);
        g_assert_cmpint(found, ==, i >= 5 && i < 5 + WAL);
    }
    g_assert_cmpuint(retain_wal(self, START + 12 * DAY), ==, 0);
    set_meta(self, true); /* one that brings its own has none in the archive */
    g_assert_cmpuint(retain_wal(self, START + 21 * DAY), ==, 0);
}

/* A timeline's history is put once, perhaps years ago. */
static void
test_history(Fixture *self, const void *data)
{
    (void)data;
    put_wal(self, "00000002.history");
    bk_object_lock_init(&self->retain, START + DAY, NULL); /* knows nothing of the keys */
    g_assert_cmpuint(retain_wal(self, START + 2 * DAY), ==, 1);
    g_assert_true(g_str_has_suffix(g_ptr_array_index(self->store->retained, 0), ".history"));
}

/* No manifest is put whose packs could not be locked, and it stays due. */
static void
test_publishing_needs_it(Fixture *self, const void *data)
{
    const BkPublishRequest request = {
        .snapshot = self->snapshot,
        .parent = self->parent,
        .workers = 4,
        .lock_log = bk_wal_lock_extend,
    };
    BkTarget target = {.source_repo = self->source_repo, .is_lock_known = true};
    BkSnapshotHead *head = bk_snapshot_head(self->snapshot);
    g_autoptr(BkLease) lease = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) names = NULL;

    (void)data;
    head->source = g_strdup("orders");
    EXPECT_DONE(bk_snapshot_make_id(START, head->id, &error));
    lease = bk_lease_acquire(self->source_repo, &(BkLeaseOptions){0}, self->op, &error);
    g_assert_no_error(error);
    target.lease = lease;
    bk_object_lock_init(&target.lock, g_get_real_time(), self->parent);
    atomic_store(&self->store->refuse, "packs/");
    EXPECT_ERROR(bk_publish(&request, &target, self->op, &error), BK_ERROR_DENIED);
    names = bk_snapshot_list(self->source_repo, self->op, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(names->len, ==, 0);
    atomic_store(&self->store->refuse, NULL);
    EXPECT_DONE(bk_publish(&request, &target, self->op, &error));
    g_assert_cmpuint(self->store->retained->len, ==, OLD - 1 + 3); /* and three keys */
}

#define RETAIN_TEST(name, function) g_test_add(name, Fixture, NULL, set_up, function, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/object-lock/due-once-a-quarter", test_due_once_a_quarter);
    g_test_add_func("/object-lock/promise", test_promise);
    RETAIN_TEST("/object-lock/nothing-is-due", test_nothing_is_due);
    RETAIN_TEST("/object-lock/taken-over", test_taken_over);
    RETAIN_TEST("/object-lock/long-backup", test_long_backup);
    RETAIN_TEST("/object-lock/first-snapshot", test_first_snapshot);
    RETAIN_TEST("/object-lock/parent-is-elsewhere", test_parent_is_elsewhere);
    RETAIN_TEST("/object-lock/store-without-locks", test_store_without_locks);
    RETAIN_TEST("/object-lock/progress", test_progress);
    RETAIN_TEST("/object-lock/keys", test_keys);
    RETAIN_TEST("/object-lock/wal", test_wal);
    RETAIN_TEST("/object-lock/history", test_history);
    RETAIN_TEST("/object-lock/publishing-needs-it", test_publishing_needs_it);
    return g_test_run();
}
