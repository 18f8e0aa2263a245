/* test-archive.c - WAL files in a repository: the same content again, other content, none. */
#include "repo-fixture.h"
#include "source/pg/archive.h"
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
put(RepoFixture *self, GPtrArray *parts, const char *name, const void *data, size_t size,
    uint64_t system_id, GError **error)
{
    g_autoptr(BkArchiveWriter) writer = bk_archive_writer_new(BK_CODEC_ZSTD, 1);
    g_autofree uint8_t *copy = g_memdup2(data, size);
    BkBuf content = {copy, size, size};
    BkArchiveFile file = {.name = name, .content = &content, .is_ready = true};

    g_assert_true(bk_wal_name_parse(name, &file.parsed));
    return bk_archive_put(writer, parts, &file, system_id, self->op, error);
}

static bool
put_one(RepoFixture *self, const char *name, const void *data, size_t size, GError **error)
{
    g_autoptr(GPtrArray) parts = g_ptr_array_new();

    g_ptr_array_add(parts, self->part);
    return put(self, parts, name, data, size, 0, error);
}

static bool
get(RepoFixture *self, const BkPart *part, const char *name, BkBuf *content, GError **error)
{
    BkWalName parsed;

    g_assert_true(bk_wal_name_parse(name, &parsed));
    return bk_archive_get(part, name, &parsed, content, self->op, error);
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
    EXPECT_DONE(get(self, self->part, SEGMENT, &content, &error));
    EXPECT_BYTES(content.data, content.size, builder.out.data, WAL_SEGMENT);
    g_assert_true(bk_wal_name_parse(SEGMENT, &parsed));
    EXPECT_DONE(bk_archive_get_info(self->part, SEGMENT, &parsed, &info, self->op, &error));
    g_assert_cmpuint(info.start_lsn, ==, START);
    g_assert_cmpuint(info.min_xid, ==, 700);
    g_assert_cmpuint(info.system_id, ==, WAL_SYSTEM);
}

static void
test_refused_segments(RepoFixture *self, const void *data)
{
    g_auto(WalBuilder) builder = {0};
    g_auto(WalBuilder) newer = {0};
    g_autoptr(GPtrArray) parts = g_ptr_array_new();
    g_autoptr(GPtrArray) names = NULL;
    g_autoptr(GError) error = NULL;

    (void)data;
    build(&builder, 700);
    g_ptr_array_add(parts, self->part);
    EXPECT_ERROR(put(self, parts, SEGMENT, builder.out.data, WAL_SEGMENT, 1, &error),
                 BK_ERROR_UNFIT);
    EXPECT_ERROR(put_one(self, "000000010000000000000006", builder.out.data, WAL_SEGMENT, &error),
                 BK_ERROR_CORRUPT);
    wal_builder_init(&newer, BK_WAL_MAGIC_15, START);
    newer.timeline = 2;
    (void)wal_builder_xact(&newer, 0x00, 700, NOON);
    wal_builder_pad(&newer);
    EXPECT_ERROR(put_one(self, SEGMENT, newer.out.data, WAL_SEGMENT, &error), BK_ERROR_CORRUPT);
    EXPECT_ERROR(put_one(self, SEGMENT, builder.out.data, WAL_SEGMENT - 8192, &error),
                 BK_ERROR_CORRUPT);
    EXPECT_ERROR(put_one(self, SEGMENT, "not WAL", 7, &error), BK_ERROR_CORRUPT);
    EXPECT_ERROR(put_one(self, SEGMENT, "", 0, &error), BK_ERROR_CORRUPT);
    names = repo_fixture_names(self->store, "orders/wal/", self->op);
    g_assert_cmpuint(names->len, ==, 0);
    EXPECT_DONE(put(self, parts, SEGMENT, builder.out.data, WAL_SEGMENT, WAL_SYSTEM, &error));
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

        EXPECT_ERROR(get(self, self->part, names[i], &content, &error), BK_ERROR_NOT_FOUND);
        EXPECT_DONE(put_one(self, names[i], names[i], strlen(names[i]), &error));
        EXPECT_DONE(put_one(self, names[i], names[i], strlen(names[i]), &error));
        EXPECT_ERROR(put_one(self, names[i], names[i], 3, &error), BK_ERROR_CONFLICT);
        EXPECT_DONE(get(self, self->part, names[i], &content, &error));
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
    EXPECT_DONE(get(self, self->part, "00000002.history", &content, &error));
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
    EXPECT_ERROR(get(self, self->part, "00000003.history", &content, &error), BK_ERROR_STORE);
}

/* Each of two repositories, with the same key or not, holds what was put. */
static void
test_two_repositories(RepoFixture *self, const void *data)
{
    for (unsigned shared = 0; shared < 2; shared++) {
        g_autoptr(GPtrArray) parts = g_ptr_array_new();
        g_autoptr(BkRepository) repository = NULL;
        g_autoptr(BkPart) part = NULL;
        g_autofree char *name = g_strdup_printf("0000000%u.history", shared + 2);
        g_autoptr(GError) error = NULL;
        g_auto(BkBuf) content = BK_BUF_INIT;
        bool created;

        (void)data;
        repository = bk_repository_create(bk_store_mem_new(), "second", &self->key, &created,
                                          self->op, &error);
        part =
            bk_part_create(repository, "orders", shared != 0 ? self->part : NULL, self->op, &error);
        g_ptr_array_add(parts, self->part);
        g_ptr_array_add(parts, part);
        EXPECT_DONE(put(self, parts, name, "text", 4, 0, &error));
        EXPECT_DONE(get(self, self->part, name, &content, &error));
        EXPECT_DONE(get(self, part, name, &content, &error));
        EXPECT_BYTES(content.data, content.size, "text", 4u);
    }
}

static void
test_damaged_objects(RepoFixture *self, const void *data)
{
    static const char object_name[] = "orders/wal/00000002/00000002.history";
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    (void)data;
    EXPECT_DONE(put_one(self, "00000002.history", "text", 4, &error));
    repo_fixture_get(self->store, object_name, &object, self->op);
    for (size_t i = 0; i < object.size; i++) {
        BkBuf cut = {object.data, i, i};

        repo_fixture_overwrite(self->store, object_name, &cut, self->op);
        EXPECT_ERROR(get(self, self->part, "00000002.history", &content, &error), BK_ERROR_CORRUPT);
        object.data[i] ^= 2;
        repo_fixture_overwrite(self->store, object_name, &object, self->op);
        g_assert_false(get(self, self->part, "00000002.history", &content, &error));
        g_assert_nonnull(strstr(error->message, object_name));
        g_clear_error(&error);
        object.data[i] ^= 2;
    }
    /* The object of one file under the name of another. */
    EXPECT_DONE(bk_store_put(self->store, "orders/wal/00000003/00000003.history", &object, self->op,
                             &error));
    EXPECT_ERROR(get(self, self->part, "00000003.history", &content, &error), BK_ERROR_CORRUPT);
    EXPECT_ERROR(put_one(self, "00000003.history", "text", 4, &error), BK_ERROR_CORRUPT);
}

static void
test_list(RepoFixture *self, const void *data)
{
    g_auto(WalBuilder) builder = {0};
    g_autoptr(GPtrArray) timelines = NULL;
    g_auto(BkBuf) rubbish = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;
    const BkArchiveTimeline *timeline;

    (void)data;
    build(&builder, 700);
    EXPECT_DONE(put_one(self, SEGMENT, builder.out.data, WAL_SEGMENT, &error));
    EXPECT_DONE(put_one(self, "00000002.history", "x", 1, &error));
    EXPECT_DONE(put_one(self, "000000010000000000000005.00000028.backup", "x", 1, &error));
    /* What is no WAL file, such as an NFS client leaves behind, hides nothing. */
    EXPECT_DONE(bk_store_put(self->store, "orders/wal/00000001/x", &rubbish, self->op, &error));
    timelines = bk_archive_list(self->part, self->op, &error);
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
    REPO_TEST("/archive/segment", test_segment);
    REPO_TEST("/archive/refused-segments", test_refused_segments);
    REPO_TEST("/archive/small-files", test_small_files);
    REPO_TEST("/archive/empty-file", test_empty_file);
    REPO_TEST("/archive/store-fails", test_store_fails);
    REPO_TEST("/archive/two-repositories", test_two_repositories);
    REPO_TEST("/archive/damaged-objects", test_damaged_objects);
    REPO_TEST("/archive/list", test_list);
    return g_test_run();
}
