/* test-copy.c - copies between two repositories: what is chosen, what it needs, and whatever
 * may happen on the way. */
#include "engine/copy/copy-choice.h"
#include "engine/copy/copy.h"
#include "hook-store.h"
#include "past-fixture.h"
#include "repo/snapshot/snapshot-manifest.h"

typedef struct Fixture {
    RepoFixture repo;
    GHashTable *packs;
    BkCopyOptions options;
    BkCopyReport report;
} Fixture;

static void
set_up(Fixture *self, const void *data)
{
    (void)data;
    *self = (Fixture){.packs = past_packs_new(), .options = {.workers = 2}};
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

static bool
copy(Fixture *self, GError **error)
{
    return bk_replicate(self->repo.source_repo, self->repo.second, &self->options, &self->report,
                        self->repo.op, error);
}

static bool
has(Fixture *self, const char *name)
{
    uint64_t size;

    return bk_store_stat(self->repo.second_store, name, &size, self->repo.op, NULL);
}

static bool
has_pack(Fixture *self, char letter)
{
    const BkPackRef *ref = g_hash_table_lookup(self->packs, GINT_TO_POINTER(letter));
    g_autofree char *name = bk_pack_object_name(self->repo.second, ref->name);

    return has(self, name);
}

static char *
pack_name(const Fixture *self, char letter)
{
    const BkPackRef *ref = g_hash_table_lookup(self->packs, GINT_TO_POINTER(letter));

    return bk_pack_object_name(self->repo.source_repo, ref->name);
}

static guint
count_objects(BkStore *store, const char *prefix, BkOp *op)
{
    g_autoptr(GPtrArray) names = repo_fixture_names(store, prefix, op);

    return names->len;
}

/* Whatever the second repository has is byte for byte what the first has. */
static void
expect_alike(Fixture *self, const char *prefix)
{
    g_autoptr(GPtrArray) names = repo_fixture_names(self->repo.second_store, prefix, self->repo.op);

    for (guint i = 0; i < names->len; i++) {
        g_auto(BkBuf) original = BK_BUF_INIT;
        g_auto(BkBuf) copied = BK_BUF_INIT;

        repo_fixture_get(self->repo.store, g_ptr_array_index(names, i), &original, self->repo.op);
        repo_fixture_get(self->repo.second_store, g_ptr_array_index(names, i), &copied,
                         self->repo.op);
        EXPECT_BYTES(copied.data, copied.size, original.data, original.size);
    }
}

/* Every pack that a manifest of the second repository names is there. */
static void
expect_whole(Fixture *self, const char *id)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(BkSnapshot) snapshot = bk_snapshot_load(self->repo.second, id, self->repo.op, &error);
    size_t count;
    const BkPackRef *packs;

    g_assert_no_error(error);
    packs = bk_snapshot_packs(snapshot, &count);
    for (size_t i = 0; i < count; i++) {
        g_autofree char *name = bk_pack_object_name(self->repo.second, packs[i].name);

        g_assert_true(has(self, name));
    }
}

static void
expect_sound(Fixture *self)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) ids = bk_snapshot_list(self->repo.second, self->repo.op, &error);

    expect_alike(self, "orders/packs/");
    expect_alike(self, "orders/snapshots/");
    expect_alike(self, "orders/wal/");
    for (guint i = 0; i < ids->len; i++)
        expect_whole(self, g_ptr_array_index(ids, i));
}

static void
test_all(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_auto(BkLeaseInfo) lease = {0};

    (void)data;
    EXPECT_DONE(copy(self, &error));
    g_assert_cmpuint(self->report.snapshots, ==, 3);
    g_assert_cmpuint(self->report.packs, ==, 6);
    g_assert_cmpuint(self->report.wal_files, ==, 8);
    g_assert_cmpuint(self->report.present, ==, 0);
    g_assert_cmpuint(self->report.damaged, ==, 0);
    g_assert_cmpuint(self->report.bytes, >, 6000);
    g_assert_false(has(self, MANIFEST(UNFINISHED)));
    g_assert_false(has_pack(self, 'g')); /* of an unfinished one alone */
    expect_sound(self);
    EXPECT_DONE(bk_lease_read(self->repo.second, &lease, self->repo.op, &error));
    g_assert_false(lease.is_held);
    EXPECT_DONE(copy(self, &error));
    g_assert_cmpuint(self->report.bytes, ==, 0);
    g_assert_cmpuint(self->report.snapshots + self->report.packs + self->report.wal_files, ==, 0);
    g_assert_cmpuint(self->report.present, ==, 3 + 6 + 8);
}

/* The second repository opens what it got with its own key alone. */
static void
test_second_key(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    BkKeyFile key;
    bool created;
    g_autoptr(BkRepository) repository = NULL;
    g_autoptr(BkSourceRepo) source_repo = NULL;
    g_autoptr(BkSnapshot) snapshot = NULL;

    (void)data;
    EXPECT_DONE(copy(self, &error));
    repo_fixture_key(&key, 2);
    repository = bk_repository_create(&hook_store_new(self->repo.second_store)->base, "alone", &key,
                                      &created, self->repo.op, &error);
    g_assert_no_error(error);
    g_assert_false(created);
    source_repo = bk_source_repo_open(repository, "orders", self->repo.op, &error);
    g_assert_no_error(error);
    snapshot = bk_snapshot_load(source_repo, FIRST, self->repo.op, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(bk_snapshot_head(snapshot)->id, ==, FIRST);
}

/* What is there but not whole for its manifest is brought. */
static void
test_mends(Fixture *self, const void *data)
{
    g_autofree char *name = pack_name(self, 'c');
    g_autoptr(GError) error = NULL;

    (void)data;
    EXPECT_DONE(copy(self, &error));
    EXPECT_DONE(bk_store_delete(self->repo.second_store, name, self->repo.op, &error));
    EXPECT_DONE(copy(self, &error));
    g_assert_cmpuint(self->report.packs, ==, 1);
    g_assert_cmpuint(self->report.snapshots, ==, 0);
    expect_sound(self);
}

static void
test_named(Fixture *self, const void *data)
{
    static const char *const wanted[] = {SECOND, FIRST, NULL};
    static const char *const absent[] = {FIRST, "20261130T000000Z-0000000f", NULL};
    static const char *const unfinished[] = {UNFINISHED, NULL};
    g_autoptr(GError) error = NULL;

    (void)data;
    self->options.snapshots = absent;
    EXPECT_ERROR(copy(self, &error), BK_ERROR_NOT_FOUND);
    self->options.snapshots = unfinished;
    EXPECT_ERROR(copy(self, &error), BK_ERROR_NOT_FOUND);
    g_assert_cmpuint(count_objects(self->repo.second_store, "orders/snapshots/", self->repo.op), ==,
                     0);
    self->options.snapshots = wanted;
    EXPECT_DONE(copy(self, &error));
    g_assert_cmpuint(self->report.snapshots, ==, 2);
    g_assert_true(has(self, SEGMENT("5")) && has(self, SEGMENT("6")) && has(self, SEGMENT("7")));
    g_assert_false(has(self, SEGMENT("8")) || has(self, SEGMENT("9")));
    g_assert_true(has(self, "orders/wal/" WAL_SYSTEM_DIGITS "/00000002/00000002.history"));
    g_assert_true(has(self, "orders/wal/" WAL_SYSTEM_DIGITS
                            "/00000001/000000010000000000000007.00000028.backup"));
    expect_sound(self);
}

static void
test_last_of(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    self->options.last_of = BK_REPLICATE_MONTH;
    EXPECT_DONE(copy(self, &error));
    g_assert_cmpuint(self->report.snapshots, ==, 2);
    g_assert_false(has(self, MANIFEST(SECOND)));
    g_assert_true(has(self, SEGMENT("6")) && has(self, SEGMENT("9")));
    g_assert_false(has(self, SEGMENT("7")) || has(self, SEGMENT("A")));
}

static void
test_since(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    self->options.since_us = MONDAY + PAST_DAY;
    EXPECT_DONE(copy(self, &error));
    g_assert_cmpuint(self->report.snapshots, ==, 2);
    g_assert_false(has(self, MANIFEST(FIRST)) || has_pack(self, 'a'));
    g_assert_false(has(self, SEGMENT("5")) || has(self, SEGMENT("6")));
    g_assert_true(has(self, SEGMENT("7")) && has(self, SEGMENT("8")) && has(self, SEGMENT("A")));
    self->options.since_us = MONDAY + 3 * PAST_DAY;
    EXPECT_ERROR(copy(self, &error), BK_ERROR_NOT_FOUND);
}

static void
test_without_wal(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    self->options.without_wal = true;
    EXPECT_DONE(copy(self, &error));
    g_assert_cmpuint(self->report.snapshots, ==, 3);
    g_assert_cmpuint(count_objects(self->repo.second_store, "orders/wal/", self->repo.op), ==, 0);
}

/* Of a source that was not backed up yet there is WAL alone. */
static void
test_wal_alone(Fixture *self, const void *data)
{
    static const char *const ids[] = {FIRST, SECOND, THIRD};
    g_autoptr(GError) error = NULL;

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(ids); i++)
        EXPECT_DONE(bk_snapshot_delete(self->repo.source_repo, ids[i], self->repo.op, &error));
    EXPECT_DONE(copy(self, &error)); /* an unfinished one is left */
    g_assert_cmpuint(self->report.wal_files, ==, 8);
    self->options.without_wal = true;
    EXPECT_ERROR(copy(self, &error), BK_ERROR_NOT_FOUND);
}

/* A timeline that left the first at an earlier place: its WAL is needed from its own snapshot on.
 */
static void
test_timelines(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    for (unsigned i = 0; i < 4; i++)
        past_put_segment(self->repo.source_repo, 2, PAST_SEGNO + 1 + i, 800 + i, self->repo.op);
    past_put_snapshot(&self->repo, self->packs,
                      &(PastSnapshot){"20261203T000000Z-00000005", MONDAY + 3 * PAST_DAY, 0, 2,
                                      PAST_SEGNO + 2, PAST_SEGNO + 2, "h"});
    self->options.since_us = MONDAY + 2 * PAST_DAY;
    EXPECT_DONE(copy(self, &error));
    g_assert_true(has(self, "orders/wal/" WAL_SYSTEM_DIGITS
                            "/00000002/0000000200000000/000000020000000000000007"));
    g_assert_true(has(self, "orders/wal/" WAL_SYSTEM_DIGITS
                            "/00000002/0000000200000000/000000020000000000000008"));
    g_assert_false(has(self, "orders/wal/" WAL_SYSTEM_DIGITS
                             "/00000002/0000000200000000/000000020000000000000006"));
    g_assert_true(has(self, SEGMENT("9")));
    g_assert_false(has(self, SEGMENT("8")));
}

/* A failure may have hit what gives up the lease. */
static void
break_lease(Fixture *self)
{
    g_autoptr(GError) error = NULL;

    bk_lease_release(bk_lease_acquire(self->repo.second, &(BkLeaseOptions){.break_held = true},
                                      self->repo.op, &error));
    g_assert_no_error(error);
}

/* However often it fails, before or after the effect: nothing is named that is not there, and the
 * next run goes on. */
static void
check_resumption(Fixture *self, BkStore *store, BkStoreOperation operation, bool after_effect)
{
    g_autoptr(GError) error = NULL;
    uint64_t copied = 0;
    unsigned failures = 0;

    for (unsigned nth = 1; nth < 100; nth++) {
        bool ok;

        bk_store_fault_arm(store, operation, nth, BK_ERROR_STORE, after_effect);
        ok = copy(self, &error);
        copied += self->report.bytes;
        bk_store_fault_arm(store, operation, UINT_MAX, BK_ERROR_STORE, after_effect);
        expect_sound(self);
        break_lease(self);
        if (ok)
            break;
        g_clear_error(&error);
        failures++;
    }
    g_assert_cmpuint(failures, >, 1);
    EXPECT_DONE(copy(self, &error));
    g_assert_cmpuint(self->report.bytes, ==, 0);
    g_assert_cmpuint(self->report.present, ==, 3 + 6 + 8);
    g_assert_cmpuint(copied, >, 0);
}

static void
test_put_fails(Fixture *self, const void *data)
{
    (void)data;
    check_resumption(self, self->repo.second_store, BK_STORE_OPERATION_PUT, false);
}

static void
test_answer_is_lost(Fixture *self, const void *data)
{
    (void)data;
    check_resumption(self, self->repo.second_store, BK_STORE_OPERATION_PUT, true);
}

static void
test_get_fails(Fixture *self, const void *data)
{
    (void)data;
    check_resumption(self, self->repo.store, BK_STORE_OPERATION_GET, false);
}

static void
expect_damage(Fixture *self, const char *name, uint64_t snapshots, uint64_t left_out)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(copy(self, &error));
    g_assert_nonnull(strstr(error->message, name));
    EXPECT_ERROR(false, BK_ERROR_CORRUPT);
    g_assert_cmpuint(self->report.damaged, ==, 1);
    g_assert_cmpuint(self->report.snapshots, ==, snapshots);
    g_assert_cmpuint(self->report.left_out, ==, left_out);
    g_assert_false(has(self, name));
    expect_sound(self);
}

static void
test_damaged_pack(Fixture *self, const void *data)
{
    g_autofree char *name = pack_name(self, 'd');

    (void)data;
    past_damage(self->repo.store, name, self->repo.op);
    expect_damage(self, name, 2, 1);
    g_assert_false(has(self, MANIFEST(SECOND)));
    g_assert_true(has_pack(self, 'e'));
}

/* Sealed soundly, of the right size, and yet another one. */
static void
test_exchanged_pack(Fixture *self, const void *data)
{
    g_autofree char *name = pack_name(self, 'e');
    g_autofree char *other = pack_name(self, 'f');
    g_auto(BkBuf) object = BK_BUF_INIT;

    (void)data;
    repo_fixture_get(self->repo.store, other, &object, self->repo.op);
    repo_fixture_overwrite(self->repo.store, name, &object, self->repo.op);
    expect_damage(self, name, 2, 1);
}

static void
test_damaged_manifest(Fixture *self, const void *data)
{
    (void)data;
    past_damage(self->repo.store, MANIFEST(FIRST), self->repo.op);
    expect_damage(self, MANIFEST(FIRST), 2, 1);
    g_assert_false(has_pack(self, 'a'));
}

static void
test_damaged_wal(Fixture *self, const void *data)
{
    (void)data;
    past_damage(self->repo.store, SEGMENT("7"), self->repo.op);
    expect_damage(self, SEGMENT("7"), 2, 1);
    g_assert_false(has(self, MANIFEST(SECOND)));
    g_assert_true(has(self, SEGMENT("8")));
}

/* No snapshot needs this one for itself. */
static void
test_damaged_wal_between(Fixture *self, const void *data)
{
    (void)data;
    past_damage(self->repo.store, SEGMENT("8"), self->repo.op);
    expect_damage(self, SEGMENT("8"), 3, 0);
    g_assert_true(has(self, SEGMENT("A")));
}

static void
test_missing_packs(Fixture *self, const void *data)
{
    g_autofree char *first = pack_name(self, 'a');
    g_autofree char *second = pack_name(self, 'f');
    g_autoptr(GError) error = NULL;

    (void)data;
    EXPECT_DONE(bk_store_delete(self->repo.store, first, self->repo.op, &error));
    EXPECT_DONE(bk_store_delete(self->repo.store, second, self->repo.op, &error));
    g_assert_false(copy(self, &error));
    g_assert_nonnull(strstr(error->message, "2 objects"));
    g_assert_nonnull(strstr(error->message, first));
    g_assert_cmpuint(self->report.snapshots, ==, 1);
    g_assert_cmpuint(self->report.left_out, ==, 2);
    expect_sound(self);
}

static void
test_conflicts(Fixture *self, const void *data)
{
    g_autofree char *name = pack_name(self, 'a');
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_auto(BkBuf) after = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    (void)data;
    bk_buf_append(&object, "other", 5);
    EXPECT_DONE(bk_store_put(self->repo.second_store, name, &object, self->repo.op, &error));
    g_assert_false(copy(self, &error));
    g_assert_nonnull(strstr(error->message, name));
    EXPECT_ERROR(false, BK_ERROR_CONFLICT);
    g_assert_false(has(self, MANIFEST(FIRST)));
    g_assert_true(has(self, MANIFEST(SECOND)) && has(self, MANIFEST(THIRD)));
    repo_fixture_get(self->repo.second_store, name, &after, self->repo.op);
    EXPECT_BYTES(after.data, after.size, object.data, object.size);
}

static void
test_wal_conflict(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    past_put_text(self->repo.second, "00000002.history", "1\t0/900000\tlater and longer\n",
                  self->repo.op);
    g_assert_false(copy(self, &error));
    g_assert_nonnull(strstr(error->message, "00000002.history"));
    EXPECT_ERROR(false, BK_ERROR_CONFLICT);
    g_assert_cmpuint(self->report.snapshots, ==, 3);
}

/* The same content, archived from another file: the object is of another size. */
static void
test_wal_sealed_apart(Fixture *self, const void *data)
{
    static const char text[] = "1\t0/700000\tpromoted\n";
    BkBuf content = {(uint8_t *)(uintptr_t)text, strlen(text), strlen(text)};
    g_autoptr(GError) error = NULL;

    (void)data;
    past_put_file(self->repo.second, "00000002.history", &content, "another file", self->repo.op);
    EXPECT_DONE(copy(self, &error));
    g_assert_cmpuint(self->report.present, ==, 1);
    g_assert_cmpuint(self->report.wal_files, ==, 7);
}

static void
put_meanwhile(void *data)
{
    Fixture *self = data;

    past_put_segment(self->repo.second, 1, PAST_SEGNO + 3, 703, self->repo.op);
}

/* Another process archives the segment between the listing and the put. */
static void
test_wal_put_meanwhile(Fixture *self, const void *data)
{
    HookStore *store = hook_store_new(self->repo.second_store);
    g_autoptr(GError) error = NULL;
    BkKeyFile key;
    bool created;
    g_autoptr(BkRepository) repository = NULL;
    g_autoptr(BkSourceRepo) source_repo = NULL;

    (void)data;
    repo_fixture_key(&key, 2);
    repository =
        bk_repository_create(&store->base, "hooked", &key, &created, self->repo.op, &error);
    source_repo = bk_source_repo_open(repository, "orders", self->repo.op, &error);
    g_assert_no_error(error);
    self->options.workers = 1; /* the hook is for one thread */
    store->name_part = SEGMENT("8");
    store->hook = put_meanwhile;
    store->data = self;
    EXPECT_DONE(bk_replicate(self->repo.source_repo, source_repo, &self->options, &self->report,
                             self->repo.op, &error));
    g_assert_null(store->name_part);
    g_assert_cmpuint(self->report.present, ==, 1);
    g_assert_cmpuint(self->report.wal_files, ==, 7);
}

/* Packs that are there already are locked anew before a manifest names them: each once. */
static void
test_locks(Fixture *self, const void *data)
{
    HookStore *store = hook_store_new(self->repo.second_store);
    static const char *const first[] = {FIRST, NULL};
    const unsigned keys = 3; /* identity, slot and source key: once in each copy of snapshots */
    g_autoptr(GError) error = NULL;
    BkKeyFile key;
    bool created;
    g_autoptr(BkRepository) repository = NULL;
    g_autoptr(BkSourceRepo) source_repo = NULL;

    (void)data;
    repo_fixture_key(&key, 2);
    repository =
        bk_repository_create(&store->base, "locking", &key, &created, self->repo.op, &error);
    source_repo = bk_source_repo_open(repository, "orders", self->repo.op, &error);
    g_assert_no_error(error);
    store->lock_us = 3600 * BK_USEC_PER_SEC;
    self->options.workers = 1;
    self->options.snapshots = first;
    EXPECT_DONE(bk_replicate(self->repo.source_repo, source_repo, &self->options, &self->report,
                             self->repo.op, &error));
    g_assert_cmpuint(store->retained, ==, keys); /* a put locks */
    self->options.snapshots = NULL;
    EXPECT_DONE(bk_replicate(self->repo.source_repo, source_repo, &self->options, &self->report,
                             self->repo.op, &error));
    /* b and c, which the second snapshot names too */
    g_assert_cmpuint(store->retained, ==, 2 * keys + 2);
    EXPECT_DONE(bk_replicate(self->repo.source_repo, source_repo, &self->options, &self->report,
                             self->repo.op, &error));
    g_assert_cmpuint(store->retained, ==, 2 * keys + 2);
}

static void
test_lease(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(BkLease) lease =
        bk_lease_acquire(self->repo.second, &(BkLeaseOptions){.ttl_us = 0}, self->repo.op, &error);

    (void)data;
    g_assert_no_error(error);
    EXPECT_ERROR(copy(self, &error), BK_ERROR_BUSY);
    self->options.lease = lease;
    EXPECT_DONE(copy(self, &error));
    EXPECT_DONE(bk_lease_confirm(lease, &error)); /* it is still the caller's */
}

static void
test_other_keys(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    bool created;
    g_autoptr(BkRepository) repository = bk_repository_create(
        bk_store_mem_new(), "third", &self->repo.key, &created, self->repo.op, &error);
    g_autoptr(BkSourceRepo) source_repo =
        bk_source_repo_create(repository, "orders", NULL, self->repo.op, &error);

    (void)data;
    g_assert_no_error(error);
    EXPECT_ERROR(bk_replicate(self->repo.source_repo, source_repo, &self->options, &self->report,
                              self->repo.op, &error),
                 BK_ERROR_CONFLICT);
    EXPECT_ERROR(bk_replicate(self->repo.source_repo, self->repo.source_repo, &self->options,
                              &self->report, self->repo.op, &error),
                 BK_ERROR_USAGE);
}

#define HOUR (INT64_C(3600) * BK_USEC_PER_SEC)

/* Which of eight snapshots are chosen, as digits: 2026-12-30 is a Wednesday. */
static char *
choose(BkCopyPeriod last_of, int64_t since_us)
{
    static const int64_t wednesday = MONDAY + 30 * PAST_DAY;
    const BkCopyCandidate candidates[] = {
        {"", wednesday, BK_SNAPSHOT_COMPLETE},
        {"", wednesday + 23 * HOUR, BK_SNAPSHOT_COMPLETE},
        {"", wednesday + PAST_DAY - 1, BK_SNAPSHOT_DAMAGED},
        {"", wednesday + PAST_DAY, BK_SNAPSHOT_UNFINISHED},
        {"", wednesday + 2 * PAST_DAY - 1, BK_SNAPSHOT_COMPLETE}, /* the last moment of the year */
        {"", wednesday + 2 * PAST_DAY, BK_SNAPSHOT_COMPLETE},
        {"", wednesday + 5 * PAST_DAY - 1, BK_SNAPSHOT_COMPLETE}, /* of the week */
        {"", wednesday + 5 * PAST_DAY, BK_SNAPSHOT_DAMAGED},
    };
    const BkCopyOptions options = {.last_of = last_of, .since_us = since_us};
    bool is_chosen[G_N_ELEMENTS(candidates)];
    size_t count = bk_copy_choose(candidates, G_N_ELEMENTS(candidates), &options, is_chosen);
    g_autoptr(GString) text = g_string_new(NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(candidates); i++)
        if (is_chosen[i])
            g_string_append_printf(text, "%zu", i);
    g_assert_cmpuint(text->len, ==, count);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* Of two snapshots of one second the id does not tell which is the later. */
static void
test_order(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    past_put_snapshot(&self->repo, self->packs,
                      &(PastSnapshot){"20261202T000000Z-00000000", MONDAY + 2 * PAST_DAY + 5, 0, 0,
                                      PAST_SEGNO + 5, PAST_SEGNO + 5, "i"});
    self->options.last_of = BK_REPLICATE_YEAR;
    EXPECT_DONE(copy(self, &error));
    g_assert_cmpuint(self->report.snapshots, ==, 1);
    g_assert_true(has(self, MANIFEST("20261202T000000Z-00000000")));
}

static void
test_choice(void)
{
    static const struct {
        BkCopyPeriod last_of;
        int64_t since_us;
        const char *expected;
    } cases[] = {
        {BK_REPLICATE_ALL, 0, "0124567"},
        {BK_REPLICATE_DAY, 0, "14567"},
        {BK_REPLICATE_WEEK, 0, "67"},
        {BK_REPLICATE_MONTH, 0, "46"},
        {BK_REPLICATE_YEAR, 0, "46"},
        {BK_REPLICATE_ALL, MONDAY + 32 * PAST_DAY, "567"},
        {BK_REPLICATE_ALL, MONDAY + 32 * PAST_DAY + 1, "67"},
        {BK_REPLICATE_MONTH, MONDAY + 35 * PAST_DAY, "7"}, /* none but a damaged one */
        {BK_REPLICATE_MONTH, MONDAY + 36 * PAST_DAY, ""},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *chosen = choose(cases[i].last_of, cases[i].since_us);

        g_assert_cmpstr(chosen, ==, cases[i].expected);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    TEST("/copy/all", test_all);
    TEST("/copy/second-key", test_second_key);
    TEST("/copy/mends", test_mends);
    TEST("/copy/named", test_named);
    TEST("/copy/last-of", test_last_of);
    TEST("/copy/order", test_order);
    TEST("/copy/since", test_since);
    TEST("/copy/without-wal", test_without_wal);
    TEST("/copy/wal-alone", test_wal_alone);
    TEST("/copy/timelines", test_timelines);
    TEST("/copy/put-fails", test_put_fails);
    TEST("/copy/answer-is-lost", test_answer_is_lost);
    TEST("/copy/get-fails", test_get_fails);
    TEST("/copy/damaged-pack", test_damaged_pack);
    TEST("/copy/exchanged-pack", test_exchanged_pack);
    TEST("/copy/damaged-manifest", test_damaged_manifest);
    TEST("/copy/damaged-wal", test_damaged_wal);
    TEST("/copy/damaged-wal-between", test_damaged_wal_between);
    TEST("/copy/missing-packs", test_missing_packs);
    TEST("/copy/conflicts", test_conflicts);
    TEST("/copy/wal-conflict", test_wal_conflict);
    TEST("/copy/wal-sealed-apart", test_wal_sealed_apart);
    TEST("/copy/wal-put-meanwhile", test_wal_put_meanwhile);
    TEST("/copy/locks", test_locks);
    TEST("/copy/lease", test_lease);
    TEST("/copy/other-keys", test_other_keys);
    g_test_add_func("/copy/choice", test_choice);
    return g_test_run();
}
