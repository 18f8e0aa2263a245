/* test-snapshot.c - manifests: round trips over section borders, and whatever is wrong with one. */
#include "repo-fixture.h"
#include "repo/snapshot/snapshot-manifest.h"

#define ID     "20261121T003905Z-1a2b3c4d"
#define OTHER  "20261121T003905Z-1a2b3c4e"
#define OBJECT "orders/snapshots/" ID

static void
fill_head(BkSnapshot *snapshot, BkSnapshotState state, size_t meta_size)
{
    BkSnapshotHead *head = bk_snapshot_head(snapshot);

    (void)g_strlcpy(head->id, ID, sizeof head->id);
    head->source = g_strdup("orders");
    head->kind = g_strdup("postgres");
    head->parent = g_strdup("20261120T003905Z-00000000");
    head->mode = BK_SNAPSHOT_FULL_SCAN;
    head->why = g_strdup("the timeline changed");
    head->work = (BkSnapshotWork){1, UINT64_MAX, 3, 4};
    head->label = g_strdup("before the release");
    head->host = g_strdup("db1");
    head->program = g_strdup("backstay 0.1.0");
    head->state = state;
    head->started_us = -5;
    head->finished_us = INT64_MAX;
    head->lease_epoch = 77;
    head->bytes = UINT64_MAX;
    head->stored_bytes = 12;
    head->new_bytes = 11;
    for (size_t i = 0; i < meta_size; i++)
        bk_buf_append(&head->meta, &(uint8_t){(uint8_t)g_test_rand_int()}, 1);
}

static void
add_packs(BkSnapshot *snapshot, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        BkPackRef ref = {.size = 40000 + i,
                         .raw_size = 100000,
                         .tail_size = 200,
                         .chunk_count = i,
                         .created_us = (int64_t)i - 7};

        memset(ref.name, (int)(i & 0xff), sizeof ref.name);
        memset(ref.salt, (int)(i >> 8), sizeof ref.salt);
        g_assert_cmpuint(bk_snapshot_add_pack(snapshot, &ref), ==, i);
    }
}

static void
add_files(BkSnapshot *snapshot, uint32_t count, uint32_t packs)
{
    for (uint32_t i = 0; i < count; i++) {
        g_auto(BkBuf) extents = BK_BUF_INIT;
        g_autofree char *path = g_strdup_printf("base/%08u/%0*u", i, (int)(i % 50) + 1, i);
        BkExtent extent = {0, i, false, i % packs, i};
        BkFile file = {.path = path,
                       .link = "",
                       .kind = i % 3 == 0 ? BK_FILE_DIRECTORY : BK_FILE_REGULAR,
                       .mode = (uint16_t)(i & 07777),
                       .owner = i % 2,
                       .mtime_sec = -(int64_t)i,
                       .mtime_nsec = i};

        if (file.kind == BK_FILE_REGULAR) {
            file.size = (uint64_t)i + i / 2;
            bk_extents_encode(&extent, 1, file.size, &extents);
        }
        file.extents = extents.data;
        file.extents_size = (uint32_t)extents.size;
        bk_snapshot_add_file(snapshot, &file);
    }
}

static BkSnapshot *
make(BkSnapshotState state, uint32_t packs, uint32_t files, size_t meta_size)
{
    BkSnapshot *snapshot = bk_snapshot_new();

    fill_head(snapshot, state, meta_size);
    add_packs(snapshot, packs);
    (void)bk_snapshot_add_owner(snapshot, 0, UINT32_MAX, "root", "");
    (void)bk_snapshot_add_owner(snapshot, 26, 26, "postgres", "postgres");
    add_files(snapshot, files, packs);
    return snapshot;
}

static void
put_as(RepoFixture *self, const BkSnapshot *snapshot, const char *id)
{
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_snapshot_seal(snapshot, self->source_repo, &object, &error));
    EXPECT_DONE(bk_snapshot_put(self->source_repo, id, &object, self->op, &error));
}

static void
assert_same_head(const BkSnapshotHead *a, const BkSnapshotHead *b)
{
    g_assert_cmpstr(a->id, ==, b->id);
    g_assert_cmpstr(a->source, ==, b->source);
    g_assert_cmpstr(a->kind, ==, b->kind);
    g_assert_cmpstr(a->parent, ==, b->parent);
    g_assert_cmpint(a->mode, ==, b->mode);
    g_assert_cmpstr(a->why, ==, b->why);
    EXPECT_BYTES(&a->work, sizeof a->work, &b->work, sizeof b->work);
    g_assert_cmpstr(a->label, ==, b->label);
    g_assert_cmpstr(a->host, ==, b->host);
    g_assert_cmpstr(a->program, ==, b->program);
    g_assert_cmpint(a->state, ==, b->state);
    g_assert_cmpint(a->started_us, ==, b->started_us);
    g_assert_cmpint(a->finished_us, ==, b->finished_us);
    g_assert_cmpuint(a->lease_epoch, ==, b->lease_epoch);
    g_assert_cmpuint(a->bytes, ==, b->bytes);
    g_assert_cmpuint(a->stored_bytes, ==, b->stored_bytes);
    g_assert_cmpuint(a->new_bytes, ==, b->new_bytes);
    EXPECT_BYTES(a->meta.data, a->meta.size, b->meta.data, b->meta.size);
}

static void
assert_same_packs(const BkSnapshot *a, const BkSnapshot *b)
{
    size_t count, other;
    const BkPackRef *packs = bk_snapshot_packs(a, &count);
    const BkPackRef *others = bk_snapshot_packs(b, &other);

    g_assert_cmpuint(count, ==, other);
    for (size_t i = 0; i < count; i++) {
        EXPECT_BYTES(packs[i].name, sizeof packs[i].name, others[i].name, sizeof others[i].name);
        EXPECT_BYTES(packs[i].salt, sizeof packs[i].salt, others[i].salt, sizeof others[i].salt);
        g_assert_cmpuint(packs[i].size, ==, others[i].size);
        g_assert_cmpuint(packs[i].raw_size, ==, others[i].raw_size);
        g_assert_cmpuint(packs[i].tail_size, ==, others[i].tail_size);
        g_assert_cmpuint(packs[i].chunk_count, ==, others[i].chunk_count);
        g_assert_cmpint(packs[i].created_us, ==, others[i].created_us);
    }
}

static void
assert_same_files(const BkSnapshot *a, const BkSnapshot *b)
{
    size_t count, other;
    const BkFile *files = bk_snapshot_files(a, &count);
    const BkFile *others = bk_snapshot_files(b, &other);

    g_assert_cmpuint(count, ==, other);
    for (size_t i = 0; i < count; i++) {
        g_assert_cmpstr(files[i].path, ==, others[i].path);
        g_assert_cmpstr(files[i].link, ==, others[i].link);
        g_assert_cmpint(files[i].kind, ==, others[i].kind);
        g_assert_cmpuint(files[i].mode, ==, others[i].mode);
        g_assert_cmpuint(files[i].owner, ==, others[i].owner);
        g_assert_cmpint(files[i].mtime_sec, ==, others[i].mtime_sec);
        g_assert_cmpuint(files[i].mtime_nsec, ==, others[i].mtime_nsec);
        g_assert_cmpuint(files[i].size, ==, others[i].size);
        EXPECT_BYTES(files[i].extents, (size_t)files[i].extents_size, others[i].extents,
                     others[i].extents_size);
        EXPECT_BYTES(files[i].digests, (size_t)files[i].digest_count, others[i].digests,
                     others[i].digest_count);
    }
}

static void
check_round_trip(RepoFixture *self, BkSnapshotState state, uint32_t packs, uint32_t files,
                 size_t meta_size)
{
    g_autoptr(BkSnapshot) snapshot = make(state, packs, files, meta_size);
    g_autoptr(BkSnapshot) loaded = NULL;
    g_auto(BkSnapshotHead) head = {0};
    g_autoptr(GError) error = NULL;

    put_as(self, snapshot, ID);
    loaded = bk_snapshot_load(self->source_repo, ID, self->op, &error);
    g_assert_no_error(error);
    assert_same_head(bk_snapshot_head(loaded), bk_snapshot_head(snapshot));
    assert_same_packs(loaded, snapshot);
    assert_same_files(loaded, snapshot);
    EXPECT_DONE(bk_snapshot_load_head(self->source_repo, &(BkSnapshotEntry){.id = ID}, &head,
                                      self->op, &error));
    assert_same_head(&head, bk_snapshot_head(snapshot));
    g_assert_cmpuint(head.file_count, ==, files);
    g_assert_cmpuint(head.pack_count, ==, packs);
    EXPECT_DONE(bk_store_delete(self->store, OBJECT, self->op, &error));
}

/* Sections are about 1 MiB: many rows of each kind cross their borders. */
static void
test_round_trip(RepoFixture *self, const void *data)
{
    (void)data;
    check_round_trip(self, BK_SNAPSHOT_COMPLETE, 1, 0, 0);
    check_round_trip(self, BK_SNAPSHOT_UNFINISHED, 1, 1, 1);
    check_round_trip(self, BK_SNAPSHOT_DAMAGED, 30000, 25000, 100);
}

/* A head that the first small request does not hold. */
static void
test_large_head(RepoFixture *self, const void *data)
{
    (void)data;
    check_round_trip(self, BK_SNAPSHOT_COMPLETE, 3, 10, 200000);
}

static void
test_absent(RepoFixture *self, const void *data)
{
    g_auto(BkSnapshotHead) head = {0};
    g_autoptr(GError) error = NULL;

    (void)data;
    EXPECT_ERROR(bk_snapshot_load(self->source_repo, ID, self->op, &error) != NULL,
                 BK_ERROR_NOT_FOUND);
    EXPECT_ERROR(bk_snapshot_load_head(self->source_repo, &(BkSnapshotEntry){.id = ID}, &head,
                                       self->op, &error),
                 BK_ERROR_NOT_FOUND);
}

/* A manifest under the name of another snapshot, or in the part of another source. */
static void
test_wrong_name(RepoFixture *self, const void *data)
{
    g_autoptr(BkSnapshot) snapshot = make(BK_SNAPSHOT_COMPLETE, 1, 3, 0);
    g_autoptr(BkSourceRepo) web = NULL;
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_auto(BkSnapshotHead) head = {0};
    g_autoptr(GError) error = NULL;

    (void)data;
    put_as(self, snapshot, OTHER);
    EXPECT_ERROR(bk_snapshot_load(self->source_repo, OTHER, self->op, &error) != NULL,
                 BK_ERROR_CORRUPT);
    EXPECT_ERROR(bk_snapshot_load_head(self->source_repo, &(BkSnapshotEntry){.id = OTHER}, &head,
                                       self->op, &error),
                 BK_ERROR_CORRUPT);
    web = bk_source_repo_create(self->repository, "web", NULL, self->op, &error);
    EXPECT_DONE(bk_snapshot_seal(snapshot, web, &object, &error));
    EXPECT_DONE(bk_snapshot_put(web, ID, &object, self->op, &error));
    EXPECT_ERROR(bk_snapshot_load(web, ID, self->op, &error) != NULL, BK_ERROR_CORRUPT);
}

static void
test_every_flipped_byte(RepoFixture *self, const void *data)
{
    g_autoptr(BkSnapshot) snapshot = make(BK_SNAPSHOT_COMPLETE, 2, 4, 10);
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    (void)data;
    put_as(self, snapshot, ID);
    repo_fixture_get(self->store, OBJECT, &object, self->op);
    for (size_t i = 0; i < object.size; i++) {
        object.data[i] ^= 0x10;
        repo_fixture_overwrite(self->store, OBJECT, &object, self->op);
        g_assert_null(bk_snapshot_load(self->source_repo, ID, self->op, &error));
        g_assert_true(bk_error_is(error, BK_ERROR_CORRUPT) ||
                      bk_error_is(error, BK_ERROR_UNSUPPORTED));
        g_assert_nonnull(strstr(error->message, OBJECT));
        g_clear_error(&error);
        object.data[i] ^= 0x10;
    }
}

static void
test_every_truncation(RepoFixture *self, const void *data)
{
    g_autoptr(BkSnapshot) snapshot = make(BK_SNAPSHOT_COMPLETE, 1, 2, 0);
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_auto(BkSnapshotHead) head = {0};
    g_autoptr(GError) error = NULL;

    (void)data;
    put_as(self, snapshot, ID);
    repo_fixture_get(self->store, OBJECT, &object, self->op);
    for (size_t size = 0; size < object.size; size++) {
        BkBuf cut = {object.data, size, size};

        repo_fixture_overwrite(self->store, OBJECT, &cut, self->op);
        EXPECT_ERROR(bk_snapshot_load(self->source_repo, ID, self->op, &error) != NULL,
                     BK_ERROR_CORRUPT);
        EXPECT_ERROR(bk_snapshot_load_head(self->source_repo, &(BkSnapshotEntry){.id = ID}, &head,
                                           self->op, &error),
                     BK_ERROR_CORRUPT);
    }
}

static bool
loads_with(RepoFixture *self, const BkFile *file)
{
    g_autoptr(BkSnapshot) snapshot = make(BK_SNAPSHOT_COMPLETE, 2, 0, 0);
    g_autoptr(BkSnapshot) loaded = NULL;
    g_autoptr(GError) error = NULL;

    bk_snapshot_add_file(snapshot, file);
    put_as(self, snapshot, ID);
    loaded = bk_snapshot_load(self->source_repo, ID, self->op, &error);
    g_assert_true(loaded != NULL || bk_error_is(error, BK_ERROR_CORRUPT));
    g_clear_error(&error);
    EXPECT_DONE(bk_store_delete(self->store, OBJECT, self->op, &error));
    return loaded != NULL;
}

/* What an authentic manifest must not say all the same. */
static void
test_unsound_files(RepoFixture *self, const void *data)
{
    static const char *const paths[] = {"", "/etc", "a/../b", "..", "a//b", "a/", ".", "a/./b"};
    static const BkExtent extents[] = {
        {0, 10, false, 2, 0}, {0, 10, false, 0, 99991}, {0, 10, false, 1, UINT64_MAX - 20}};
    BkFile file = {.path = "a", .link = "", .kind = BK_FILE_REGULAR};

    (void)data;
    g_assert_true(loads_with(self, &file));
    for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
        BkFile unsafe = file;

        unsafe.path = paths[i];
        g_assert_false(loads_with(self, &unsafe));
    }
    for (size_t i = 0; i < G_N_ELEMENTS(extents); i++) {
        g_auto(BkBuf) encoded = BK_BUF_INIT;
        BkFile outside = file;

        bk_extents_encode(&extents[i], 1, 10, &encoded);
        outside.size = 10;
        outside.extents = encoded.data;
        outside.extents_size = (uint32_t)encoded.size;
        g_assert_false(loads_with(self, &outside));
    }
    file.size = 1; /* nothing covers it */
    g_assert_false(loads_with(self, &file));
    file = (BkFile){.path = "a", .link = "", .kind = BK_FILE_REGULAR, .owner = 2};
    g_assert_false(loads_with(self, &file));
    file = (BkFile){.path = "a", .link = "", .kind = (BkFileKind)4};
    g_assert_false(loads_with(self, &file));
}

static void
test_ids(void)
{
    static const char *const wrong[] = {
        "",          "20261121T003905Z-1a2b3c4",  "20261121T003905Z-1a2b3c4d0",
        "20261121",  "20261121t003905Z-1a2b3c4d", "20261121T003905Z-1A2b3c4d",
        "2026112xT", "20261121T003905Z_1a2b3c4d", "20261121T00390.Z-1a2b3c4d"};
    char id[BK_SNAPSHOT_ID_SIZE + 1];
    char next[BK_SNAPSHOT_ID_SIZE + 1];
    g_autoptr(GError) error = NULL;

    g_assert_true(bk_snapshot_is_id(ID));
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++)
        g_assert_false(bk_snapshot_is_id(wrong[i]));
    EXPECT_DONE(bk_snapshot_make_id(INT64_C(1795221545) * BK_USEC_PER_SEC + 999999, id, &error));
    g_assert_true(bk_snapshot_is_id(id));
    g_assert_true(g_str_has_prefix(id, "20261121T003905Z-"));
    EXPECT_DONE(bk_snapshot_make_id(INT64_C(1795221545) * BK_USEC_PER_SEC, next, &error));
    g_assert_cmpstr(id, !=, next);
}

static void
test_list(RepoFixture *self, const void *data)
{
    g_autoptr(BkSnapshot) snapshot = make(BK_SNAPSHOT_COMPLETE, 1, 0, 0);
    g_autoptr(GPtrArray) ids = NULL;
    g_auto(BkBuf) rubbish = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    (void)data;
    put_as(self, snapshot, OTHER);
    put_as(self, snapshot, ID);
    put_as(self, snapshot, "20251231T235959Z-ffffffff");
    ids = bk_snapshot_list(self->source_repo, self->op, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(ids->len, ==, 3);
    g_assert_cmpstr(g_ptr_array_index(ids, 0), ==, "20251231T235959Z-ffffffff");
    g_assert_cmpstr(g_ptr_array_index(ids, 2), ==, OTHER);
    EXPECT_DONE(bk_store_put(self->store, "orders/snapshots/x", &rubbish, self->op, &error));
    EXPECT_DONE(bk_store_put(self->store, "orders/snapshots/.nfs0a1", &rubbish, self->op, &error));
    g_clear_pointer(&ids, g_ptr_array_unref);
    ids = bk_snapshot_list(self->source_repo, self->op, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(ids->len, ==, 3);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    REPO_TEST("/snapshot/round-trip", test_round_trip);
    REPO_TEST("/snapshot/large-head", test_large_head);
    REPO_TEST("/snapshot/absent", test_absent);
    REPO_TEST("/snapshot/wrong-name", test_wrong_name);
    REPO_TEST("/snapshot/every-flipped-byte", test_every_flipped_byte);
    REPO_TEST("/snapshot/every-truncation", test_every_truncation);
    REPO_TEST("/snapshot/unsound-files", test_unsound_files);
    g_test_add_func("/snapshot/ids", test_ids);
    REPO_TEST("/snapshot/list", test_list);
    return g_test_run();
}
