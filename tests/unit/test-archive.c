/* test-archive.c - WAL files in a repository: the same content again, other content, none. */
#include "repo-fixture.h"
#include "source/pg/archive/archive.h"
#include "wal-builder.h"

#define START (5 * (BkLsn)WAL_SEGMENT)
#define NOON  (INT64_C(1795224000) * BK_USEC_PER_SEC)

static void
build(WalBuilder *builder, uint32_t xid)
{
    wal_builder_init(builder, BK_WAL_MAGIC_15, START);
    (void)wal_builder_xact(builder, 0x00, xid, NOON);
    wal_builder_pad(builder);
}

static bool
put(RepoFixture *self, GPtrArray *source_repos, const char *name, const void *data, size_t size,
    uint64_t system_id, GError **error)
{
    g_autoptr(BkArchiveWriter) writer = bk_archive_writer_new(BK_CODEC_ZSTD, 1);
    g_autofree uint8_t *copy = g_memdup2(data, size);
    BkBuf content = {copy, size, size};
    BkArchiveFile file = {.name = name, .content = &content, .is_ready = true};

    g_assert_true(bk_wal_name_parse(name, &file.parsed));
    return bk_archive_put(writer, source_repos, &file, system_id, self->op, error);
}

static bool
put_one(RepoFixture *self, const char *name, const void *data, size_t size, GError **error)
{
    g_autoptr(GPtrArray) source_repos = g_ptr_array_new();

    g_ptr_array_add(source_repos, self->source_repo);
    return put(self, source_repos, name, data, size, WAL_SYSTEM, error);
}

static bool
get(RepoFixture *self, const BkSourceRepo *source_repo, const char *name, BkBuf *content,
    GError **error)
{
    BkWalName parsed;

    g_assert_true(bk_wal_name_parse(name, &parsed));
    return bk_archive_get(source_repo, WAL_SYSTEM, name, &parsed, content, self->op, error);
}

#define SEGMENT "000000010000000000000005"

static void
test_segment(RepoFixture *self, const void *data)
{
    g_auto(WalBuilder) builder = {0};
    g_auto(WalBuilder) other = {0};
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_auto(BkWalInfo) info = {0};
    g_autoptr(GError) error = NULL;
    BkWalName parsed;

    (void)data;
    build(&builder, 700);
    build(&other, 701);
    EXPECT_DONE(put_one(self, SEGMENT, builder.out.data, WAL_SEGMENT, &error));
    EXPECT_DONE(put_one(self, SEGMENT, builder.out.data, WAL_SEGMENT, &error));
    EXPECT_ERROR(put_one(self, SEGMENT, other.out.data, WAL_SEGMENT, &error), BK_ERROR_CONFLICT);
    EXPECT_DONE(get(self, self->source_repo, SEGMENT, &content, &error));
    EXPECT_BYTES(content.data, content.size, builder.out.data, WAL_SEGMENT);
    g_assert_true(bk_wal_name_parse(SEGMENT, &parsed));
    EXPECT_DONE(bk_archive_get_info(self->source_repo, WAL_SYSTEM, SEGMENT, &parsed, &info,
                                    self->op, &error));
    g_assert_cmpuint(info.start_lsn, ==, START);
    g_assert_cmpuint(info.min_xid, ==, 700);
    g_assert_cmpuint(info.system_id, ==, WAL_SYSTEM);
}

static void
test_refused_segments(RepoFixture *self, const void *data)
{
    g_auto(WalBuilder) builder = {0};
    g_auto(WalBuilder) newer = {0};
    g_autoptr(GPtrArray) source_repos = g_ptr_array_new();
    g_autoptr(GPtrArray) names = NULL;
    g_autoptr(GError) error = NULL;

    (void)data;
    build(&builder, 700);
    g_ptr_array_add(source_repos, self->source_repo);
    EXPECT_ERROR(put(self, source_repos, SEGMENT, builder.out.data, WAL_SEGMENT, 1, &error),
                 BK_ERROR_UNFIT);
    EXPECT_ERROR(put_one(self, "000000010000000000000006", builder.out.data, WAL_SEGMENT, &error),
                 BK_ERROR_UNFIT);
    wal_builder_init(&newer, BK_WAL_MAGIC_15, START);
    newer.timeline = 2;
    (void)wal_builder_xact(&newer, 0x00, 700, NOON);
    wal_builder_pad(&newer);
    EXPECT_ERROR(put_one(self, SEGMENT, newer.out.data, WAL_SEGMENT, &error), BK_ERROR_UNFIT);
    EXPECT_ERROR(put_one(self, SEGMENT, builder.out.data, WAL_SEGMENT - 8192, &error),
                 BK_ERROR_UNFIT);
    EXPECT_ERROR(put_one(self, SEGMENT, "not WAL", 7, &error), BK_ERROR_UNFIT);
    EXPECT_ERROR(put_one(self, SEGMENT, "", 0, &error), BK_ERROR_UNFIT);
    names = repo_fixture_names(self->store, "orders/wal/", self->op);
    g_assert_cmpuint(names->len, ==, 0);
    EXPECT_DONE(
        put(self, source_repos, SEGMENT, builder.out.data, WAL_SEGMENT, WAL_SYSTEM, &error));
}

static void
test_small_files(RepoFixture *self, const void *data)
{
    static const char *const names[] = {"00000002.history",
                                        "000000010000000000000005.00000028.backup",
                                        "000000010000000000000006.partial"};
    g_autoptr(GError) error = NULL;

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_auto(BkBuf) content = BK_BUF_INIT;

        EXPECT_ERROR(get(self, self->source_repo, names[i], &content, &error), BK_ERROR_NOT_FOUND);
        EXPECT_DONE(put_one(self, names[i], names[i], strlen(names[i]), &error));
        EXPECT_DONE(put_one(self, names[i], names[i], strlen(names[i]), &error));
        EXPECT_ERROR(put_one(self, names[i], names[i], 3, &error), BK_ERROR_CONFLICT);
        EXPECT_DONE(get(self, self->source_repo, names[i], &content, &error));
        EXPECT_BYTES(content.data, content.size, names[i], strlen(names[i]));
    }
}

static void
test_empty_file(RepoFixture *self, const void *data)
{
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    (void)data;
    EXPECT_DONE(put_one(self, "00000002.history", NULL, 0, &error));
    EXPECT_DONE(put_one(self, "00000002.history", NULL, 0, &error));
    EXPECT_DONE(get(self, self->source_repo, "00000002.history", &content, &error));
    g_assert_cmpuint(content.size, ==, 0);
}

/* An answer that was lost is not a conflict when the file is put again, and an archive that could
 * not be asked does not say that it has none. */
static void
test_store_fails(RepoFixture *self, const void *data)
{
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    (void)data;
    bk_store_fault_arm(self->store, BK_STORE_OPERATION_PUT, 1, BK_ERROR_STORE, true);
    EXPECT_ERROR(put_one(self, "00000002.history", "x", 1, &error), BK_ERROR_STORE);
    EXPECT_DONE(put_one(self, "00000002.history", "x", 1, &error));
    bk_store_fault_arm(self->store, BK_STORE_OPERATION_GET, 1, BK_ERROR_STORE, false);
    EXPECT_ERROR(get(self, self->source_repo, "00000003.history", &content, &error),
                 BK_ERROR_STORE);
}

/* Each of two repositories, with the same key or not, holds what was put. */
static void
test_two_repositories(RepoFixture *self, const void *data)
{
    for (unsigned shared = 0; shared < 2; shared++) {
        g_autoptr(GPtrArray) source_repos = g_ptr_array_new();
        g_autoptr(BkRepository) repository = NULL;
        g_autoptr(BkSourceRepo) source_repo = NULL;
        g_autofree char *name = g_strdup_printf("0000000%u.history", shared + 2);
        g_autoptr(GError) error = NULL;
        g_auto(BkBuf) content = BK_BUF_INIT;
        bool created;

        (void)data;
        repository = bk_repository_create(bk_store_mem_new(), "second", &self->key, &created,
                                          self->op, &error);
        source_repo = bk_source_repo_create(
            repository, "orders", shared != 0 ? self->source_repo : NULL, self->op, &error);
        g_ptr_array_add(source_repos, self->source_repo);
        g_ptr_array_add(source_repos, source_repo);
        EXPECT_DONE(put(self, source_repos, name, "text", 4, WAL_SYSTEM, &error));
        EXPECT_DONE(get(self, self->source_repo, name, &content, &error));
        EXPECT_DONE(get(self, source_repo, name, &content, &error));
        EXPECT_BYTES(content.data, content.size, "text", 4u);
    }
}

static void
test_damaged_objects(RepoFixture *self, const void *data)
{
    static const char object_name[] = "orders/wal/" WAL_SYSTEM_DIGITS "/00000002/00000002.history";
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    (void)data;
    EXPECT_DONE(put_one(self, "00000002.history", "text", 4, &error));
    repo_fixture_get(self->store, object_name, &object, self->op);
    for (size_t i = 0; i < object.size; i++) {
        BkBuf cut = {object.data, i, i};

        repo_fixture_overwrite(self->store, object_name, &cut, self->op);
        EXPECT_ERROR(get(self, self->source_repo, "00000002.history", &content, &error),
                     BK_ERROR_CORRUPT);
        object.data[i] ^= 2;
        repo_fixture_overwrite(self->store, object_name, &object, self->op);
        g_assert_false(get(self, self->source_repo, "00000002.history", &content, &error));
        g_assert_nonnull(strstr(error->message, object_name));
        g_clear_error(&error);
        object.data[i] ^= 2;
    }
    /* The object of one file under the name of another. */
    EXPECT_DONE(bk_store_put(self->store,
                             "orders/wal/" WAL_SYSTEM_DIGITS "/00000003/00000003.history", &object,
                             self->op, &error));
    EXPECT_ERROR(get(self, self->source_repo, "00000003.history", &content, &error),
                 BK_ERROR_CORRUPT);
    EXPECT_ERROR(put_one(self, "00000003.history", "text", 4, &error), BK_ERROR_CORRUPT);
}

#define OBJECT "orders/wal/" WAL_SYSTEM_DIGITS "/00000001/0000000100000000/" SEGMENT

/* Another number for each, in no order. */
static uint32_t
scattered(uint32_t number)
{
    number = (number + 1) * UINT32_C(2654435761);
    number = (number ^ (number >> 15)) * UINT32_C(2246822519);
    return number ^ (number >> 13);
}

/* `count` records of 33 references each, to blocks anywhere. */
static void
build_blocks(WalBuilder *builder, unsigned count)
{
    uint32_t number = 0;

    wal_builder_init(builder, BK_WAL_MAGIC_15, START);
    for (unsigned i = 0; i < count; i++) {
        g_auto(BkBuf) body = BK_BUF_INIT;

        for (uint8_t id = 0; id < 33; id++) {
            bk_wire_put_u8(&body, id);
            bk_wire_put_u8(&body, id == 0 ? 0x40 : 0xC0);
            bk_wire_put_u16(&body, 0);
            if (id == 0) {
                bk_wire_put_u32(&body, 1663);
                bk_wire_put_u32(&body, 5);
                bk_wire_put_u32(&body, 16384);
            }
            bk_wire_put_u32(&body, scattered(number++));
        }
        (void)wal_builder_body(builder, 10, 0, 700, &body);
    }
    wal_builder_pad(builder);
}

static bool
get_blocks(RepoFixture *self, BkWalInfo *info, BkWalBlocks *blocks, GError **error)
{
    BkWalName parsed;

    g_assert_true(bk_wal_name_parse(SEGMENT, &parsed));
    return bk_archive_get_blocks(self->source_repo, WAL_SYSTEM, SEGMENT, &parsed, info, blocks,
                                 self->op, error);
}

static void
expect_blocks(RepoFixture *self, uint64_t count)
{
    g_auto(BkWalInfo) info = {0};
    g_auto(BkWalBlocks) blocks = {0};
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(get_blocks(self, &info, &blocks, &error));
    g_assert_cmpuint(info.start_lsn, ==, START);
    g_assert_null(blocks.unfit);
    g_assert_cmpuint(bk_block_map_count(blocks.map), ==, count);
}

/* Puts a segment uncompressed, so that its summary is long. */
static bool
put_stored(RepoFixture *self, const BkBuf *content, GError **error)
{
    g_autoptr(BkArchiveWriter) writer = bk_archive_writer_new(BK_CODEC_STORED, 0);
    g_autoptr(GPtrArray) source_repos = g_ptr_array_new();
    BkArchiveFile file = {.name = SEGMENT, .content = content, .is_ready = true};

    g_ptr_array_add(source_repos, self->source_repo);
    g_assert_true(bk_wal_name_parse(SEGMENT, &file.parsed));
    return bk_archive_put(writer, source_repos, &file, WAL_SYSTEM, self->op, error);
}

/* What a segment changes is told from its head and summary alone, also from a summary longer than
 * what is read at first. */
static void
test_blocks(RepoFixture *self, const void *data)
{
    static const unsigned counts[] = {1, 30, 3000};

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(counts); i++) {
        g_auto(WalBuilder) builder = {0};
        g_auto(BkBuf) object = BK_BUF_INIT;
        g_auto(BkBuf) content = BK_BUF_INIT;
        g_auto(BkWalInfo) info = {0};
        g_auto(BkWalBlocks) blocks = {0};
        g_autoptr(GError) error = NULL;

        build_blocks(&builder, counts[i]);
        g_assert_cmpuint(builder.out.size, ==, WAL_SEGMENT);
        EXPECT_ERROR(get_blocks(self, &info, &blocks, &error), BK_ERROR_NOT_FOUND);
        EXPECT_DONE(put_stored(self, &builder.out, &error));
        expect_blocks(self, counts[i] * UINT64_C(33));
        EXPECT_DONE(get(self, self->source_repo, SEGMENT, &content, &error));
        EXPECT_BYTES(content.data, content.size, builder.out.data, WAL_SEGMENT);
        bk_store_fault_arm(self->store, BK_STORE_OPERATION_GET, 1, BK_ERROR_STORE, false);
        EXPECT_ERROR(get_blocks(self, &info, &blocks, &error), BK_ERROR_STORE);
        if (counts[i] == 3000) { /* the rest of the summary cannot be read */
            bk_store_fault_arm(self->store, BK_STORE_OPERATION_GET, 2, BK_ERROR_STORE, false);
            EXPECT_ERROR(get_blocks(self, &info, &blocks, &error), BK_ERROR_STORE);
        }
        EXPECT_DONE(bk_store_delete(self->store, OBJECT, self->op, &error));
    }
}

/* Without its summary a segment is what it was: it is read whole, and summarised anew. */
static void
test_damaged_summary(RepoFixture *self, const void *data)
{
    g_auto(WalBuilder) builder = {0};
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;
    BkFrame head = {0}, summary = {0};

    (void)data;
    build_blocks(&builder, 2);
    EXPECT_DONE(put_one(self, SEGMENT, builder.out.data, WAL_SEGMENT, &error));
    repo_fixture_get(self->store, OBJECT, &object, self->op);
    head.data = object.data + BK_SEAL_HEADER_SIZE;
    head.size = object.size - BK_SEAL_HEADER_SIZE;
    EXPECT_DONE(bk_frame_measure(&head, &error));
    summary.data = head.data + head.size;
    summary.size = object.size - BK_SEAL_HEADER_SIZE - head.size;
    EXPECT_DONE(bk_frame_measure(&summary, &error));
    for (size_t i = 4; i < summary.size; i += 5) {
        uint8_t *at = object.data + (summary.data - object.data) + i;

        *at ^= 2;
        repo_fixture_overwrite(self->store, OBJECT, &object, self->op);
        expect_blocks(self, 66);
        EXPECT_DONE(get(self, self->source_repo, SEGMENT, &content, &error));
        EXPECT_BYTES(content.data, content.size, builder.out.data, WAL_SEGMENT);
        *at ^= 2;
    }
    for (size_t i = 0; i < 4; i++) { /* its length: then no frame behind it is found */
        object.data[(size_t)(summary.data - object.data) + i] ^= 2;
        repo_fixture_overwrite(self->store, OBJECT, &object, self->op);
        EXPECT_ERROR(get(self, self->source_repo, SEGMENT, &content, &error), BK_ERROR_CORRUPT);
        object.data[(size_t)(summary.data - object.data) + i] ^= 2;
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    REPO_TEST("/archive/segment", test_segment);
    REPO_TEST("/archive/refused-segments", test_refused_segments);
    REPO_TEST("/archive/small-files", test_small_files);
    REPO_TEST("/archive/empty-file", test_empty_file);
    REPO_TEST("/archive/store-fails", test_store_fails);
    REPO_TEST("/archive/two-repositories", test_two_repositories);
    REPO_TEST("/archive/damaged-objects", test_damaged_objects);
    REPO_TEST("/archive/blocks", test_blocks);
    REPO_TEST("/archive/damaged-summary", test_damaged_summary);
    return g_test_run();
}
