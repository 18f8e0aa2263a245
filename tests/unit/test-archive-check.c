/* test-archive-check.c - what is not what its name says does not get into an archive. */
#include "expect.h"
#include "source/pg/archive/archive-check.h"
#include "wal-builder.h"

#define START (5 * (BkLsn)WAL_SEGMENT)
#define NOON  (INT64_C(1795224000) * BK_USEC_PER_SEC)

static bool
check(const char *name, const void *data, size_t size, uint64_t system_id, GError **error)
{
    g_autofree uint8_t *copy = g_memdup2(data, size);
    const BkBuf content = {copy, size, size};
    BkArchiveFile file = {.name = name, .content = &content, .is_ready = true};
    g_auto(BkWalInfo) info = {0};
    g_auto(BkWalBlocks) blocks = {0};

    g_assert_true(bk_wal_name_parse(name, &file.parsed));
    return file.parsed.kind == BK_WAL_SEGMENT
               ? bk_archive_check_segment(&file, system_id, &info, &blocks, error)
               : bk_archive_check_other(&file, system_id, error);
}

static void
expect_refused(const char *name, const void *data, size_t size, const char *reason)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(check(name, data, size, WAL_SYSTEM, &error));
    g_assert_error(error, BK_ERROR, (int)BK_ERROR_UNFIT);
    if (strstr(error->message, reason) == NULL || strstr(error->message, name) == NULL)
        g_error("\"%s\" in: %s", reason, error->message);
    g_assert_null(bk_error_hint(error)); /* the advice for a damaged repository is none for this */
}

static void
test_segments(void)
{
    g_autofree uint8_t *zeros = g_malloc0(WAL_SEGMENT);
    g_auto(WalBuilder) builder = {0};
    g_autoptr(GError) error = NULL;

    wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
    (void)wal_builder_xact(&builder, 0x00, 700, NOON);
    wal_builder_pad(&builder);
    EXPECT_DONE(check("000000010000000000000005", builder.out.data, WAL_SEGMENT, 0, &error));
    EXPECT_DONE(
        check("000000010000000000000005.partial", builder.out.data, WAL_SEGMENT, 0, &error));
    for (unsigned i = 0; i < 2; i++) {
        const char *name = i == 0 ? "000000010000000000000005" : "000000010000000000000005.partial";
        const char *other =
            i == 0 ? "000000010000000000000006" : "000000010000000000000006.partial";

        expect_refused(name, zeros, WAL_SEGMENT, "contains only zeros");
        expect_refused(name, "", 0, "it is empty");
        expect_refused(name, "not WAL", 7, "only 7 bytes");
        expect_refused(name, builder.out.data, WAL_SEGMENT / 2, "bytes instead of");
        expect_refused(other, builder.out.data, WAL_SEGMENT, "another segment");
        g_assert_false(check(name, builder.out.data, WAL_SEGMENT, 1, &error));
        g_assert_nonnull(strstr(error->message, "belongs to system"));
        g_clear_error(&error);
    }
}

static void
test_histories(void)
{
    static const char good[] = "1\t0/3000000\tno recovery target specified\n";
    g_autofree uint8_t *zeros = g_malloc0(64);
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(check("00000002.history", good, strlen(good), 0, &error));
    expect_refused("00000002.history", "", 0, "it is empty");
    expect_refused("00000002.history", zeros, 64, "contains only zeros");
    expect_refused("00000002.history", "garbage\n", 8, "line 1");
    expect_refused("00000002.history", "\n# nothing\n", 11, "names no timeline");
    expect_refused("00000001.history", good, strlen(good), "out of order");
    expect_refused("00000002.history", good, 3, "line 1");
}

static void
test_backup_histories(void)
{
    static const char name[] = "000000010000000000000005.00000028.backup";
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(check(name, "START WAL LOCATION: 0/5000028", 29, 0, &error));
    expect_refused(name, "", 0, "it is empty");
    expect_refused(name, "STOP", 4, "not a backup history");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/archive-check/segments", test_segments);
    g_test_add_func("/archive-check/histories", test_histories);
    g_test_add_func("/archive-check/backup-histories", test_backup_histories);
    return g_test_run();
}
