#include "source/pg/wal/wal-scan.h"

#include "wal-builder.h"

#define START (3 * (BkLsn)WAL_SEGMENT)

typedef struct Seen {
    BkLsn lsn[4096];
    uint32_t total[4096];
    size_t with_data;
    size_t count;
} Seen;

static bool
on_record(const BkWalRecord *record, void *user, GError **error)
{
    Seen *seen = user;

    (void)error;
    g_assert_cmpuint(seen->count, <, G_N_ELEMENTS(seen->lsn));
    seen->lsn[seen->count] = record->lsn;
    seen->total[seen->count] = record->total;
    seen->count++;
    if (record->data != NULL) {
        g_assert_cmpuint(GUINT32_FROM_LE(*(const uint32_t *)(const void *)record->data), ==,
                         record->total);
        seen->with_data++;
    }
    return true;
}

static const BkWalScanOptions strict = {.verify_crc = true, .assemble_max = BK_WAL_ASSEMBLE_MAX};

/* All that is to be known, told to `seen`. */
static BkWalScanOptions
strict_into(Seen *seen)
{
    BkWalScanOptions options = strict;

    options.on_record = on_record;
    options.user = seen;
    return options;
}

static void
test_versions(void)
{
    static const uint16_t magics[] = {0xD106, 0xD10D, 0xD110, 0xD113, 0xD116, 0xD118};

    for (size_t i = 0; i < G_N_ELEMENTS(magics); i++) {
        g_auto(WalBuilder) builder = {0};
        g_auto(BkWalScan) scan = {0};
        g_autoptr(GError) error = NULL;

        g_assert_cmpuint(bk_wal_magic_major(magics[i]), ==, 13 + i);
        wal_builder_init(&builder, magics[i], START);
        wal_builder_filler(&builder, 100);
        wal_builder_pad(&builder);
        g_assert_true(bk_wal_scan(builder.out.data, builder.out.size, &strict, &scan, &error));
        g_assert_cmpuint(scan.records, ==, 1);
        g_assert_cmpint(scan.end, ==, BK_WAL_END_ZERO);
        g_assert_cmpuint(scan.end_lsn, ==, START + 40 + 104);
        g_assert_cmpuint(scan.system_id, ==, WAL_SYSTEM);
    }
    g_assert_cmpuint(bk_wal_magic_major(0xD119), ==, 0);
}

/* Every length of record at every distance from a page's end is found where it was put. */
static void
test_crossing(void)
{
    g_autofree Seen *seen = g_new0(Seen, 1);
    g_autofree BkLsn *expected = g_new0(BkLsn, 4096);
    const BkWalScanOptions options = strict_into(seen);

    for (size_t length = 24; length < 20000; length = length < 100 ? length + 3 : length * 2) {
        g_auto(WalBuilder) builder = {0};
        g_auto(BkWalScan) scan = {0};
        size_t count = 0;

        if ((length > 24 && length < 27) || (length > 280 && length < 285))
            continue;
        wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
        for (; builder.out.size < 40 * WAL_PAGE && count < 4000; count += 2) {
            expected[count] = wal_builder_filler(&builder, 32 + 8 * (count % 7));
            if (length == 24)
                expected[count + 1] = wal_builder_record(&builder, 10, 0, 5, NULL, 0);
            else
                expected[count + 1] = wal_builder_filler(&builder, length);
        }
        wal_builder_pad(&builder);
        seen->count = seen->with_data = 0;
        g_assert_true(bk_wal_scan(builder.out.data, builder.out.size, &options, &scan, NULL));
        g_assert_cmpuint(seen->count, ==, count);
        g_assert_cmpuint(seen->with_data, ==, count);
        g_assert_true(memcmp(seen->lsn, expected, count * sizeof *expected) == 0);
    }
}

static void
test_not_assembled(void)
{
    g_auto(WalBuilder) builder = {0};
    g_auto(BkWalScan) scan = {0};
    g_autofree Seen *seen = g_new0(Seen, 1);
    g_autofree uint8_t *body = g_malloc0(50000);
    const BkWalScanOptions options = {.on_record = on_record, .user = seen};

    wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
    wal_builder_filler(&builder, 50000);
    wal_builder_record(&builder, BK_WAL_RM_XACT, 0, 5, body, 50000);
    wal_builder_pad(&builder);
    g_assert_true(bk_wal_scan(builder.out.data, builder.out.size, &options, &scan, NULL));
    g_assert_cmpuint(seen->count, ==, 2);
    g_assert_cmpuint(seen->with_data, ==, 1);
}

static void
test_switch(void)
{
    g_auto(WalBuilder) builder = {0};
    g_auto(BkWalScan) scan = {0};

    wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
    wal_builder_filler(&builder, 100);
    wal_builder_record(&builder, BK_WAL_RM_XLOG, 0x40, 0, NULL, 0);
    wal_builder_pad(&builder);
    g_assert_true(bk_wal_scan(builder.out.data, WAL_SEGMENT, &strict, &scan, NULL));
    g_assert_cmpint(scan.end, ==, BK_WAL_END_SWITCH);
    g_assert_cmpuint(scan.end_lsn, ==, START + 40 + 104 + 24);
}

/* A record over the border is the tail of one segment and the lead of the next, wherever it is
 * cut. */
static void
test_edges(void)
{
    for (size_t left = 8; left < 400; left += 8) {
        g_auto(WalBuilder) builder = {0};
        g_auto(BkWalScan) first = {0};
        g_auto(BkWalScan) second = {0};
        BkLsn lsn;

        wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
        wal_builder_fill(&builder, left);
        lsn = wal_builder_filler(&builder, 1000);
        wal_builder_pad(&builder);
        g_assert_true(
            bk_wal_scan(wal_builder_segment(&builder, 0), WAL_SEGMENT, &strict, &first, NULL));
        g_assert_true(
            bk_wal_scan(wal_builder_segment(&builder, 1), WAL_SEGMENT, &strict, &second, NULL));
        g_assert_cmpint(first.end, ==, BK_WAL_END_FULL);
        g_assert_cmpuint(first.end_lsn, ==, START + WAL_SEGMENT);
        g_assert_cmpuint(first.tail.lsn, ==, lsn);
        g_assert_cmpuint(first.tail.total, ==, 1000);
        g_assert_cmpuint(first.tail.available, ==, left);
        g_assert_cmpuint(first.tail.bytes.size, ==, left);
        g_assert_cmpuint(second.lead.rest, ==, 1000 - left);
        g_assert_cmpuint(second.lead.available, ==, 1000 - left);
        g_assert_cmpuint(second.lead.end_lsn, ==, START + WAL_SEGMENT + 40 + 1000 - left);
        g_assert_cmpuint(second.records, ==, 0);
    }
}

/* A record of more than a segment: its middle is lead through and through, and what is kept of it
 * is bounded. */
static void
test_long_record(void)
{
    g_auto(WalBuilder) builder = {0};
    g_auto(BkWalScan) scan = {0};

    wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
    wal_builder_filler(&builder, 2 * BK_MIB + BK_MIB / 2);
    wal_builder_pad(&builder);
    g_assert_true(bk_wal_scan(wal_builder_segment(&builder, 0), WAL_SEGMENT, &strict, &scan, NULL));
    g_assert_cmpuint(scan.tail.bytes.size, ==, BK_WAL_EDGE_MAX);
    bk_wal_scan_clear(&scan);
    g_assert_true(bk_wal_scan(wal_builder_segment(&builder, 1), WAL_SEGMENT, &strict, &scan, NULL));
    g_assert_cmpuint(scan.lead.available, <, scan.lead.rest);
    g_assert_cmpuint(scan.lead.bytes.size, ==, BK_WAL_EDGE_MAX);
    g_assert_cmpint(scan.end, ==, BK_WAL_END_FULL);
    g_assert_cmpuint(scan.end_lsn, ==, scan.start_lsn + WAL_SEGMENT);
    g_assert_cmpuint(scan.tail.lsn, ==, 0);
}

/* After a crash the server goes on at the next page and says so. */
static void
test_abandoned(void)
{
    g_auto(WalBuilder) builder = {0};
    g_auto(BkWalScan) scan = {0};
    g_autofree Seen *seen = g_new0(Seen, 1);
    const BkWalScanOptions options = strict_into(seen);
    BkLsn first, second, prev;

    wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
    first = wal_builder_filler(&builder, 8000);
    prev = builder.prev;
    wal_builder_filler(&builder, 1000);
    builder.out.size = WAL_PAGE;
    builder.prev = prev;
    wal_builder_begin(&builder, 8);
    second = wal_builder_filler(&builder, 100);
    wal_builder_pad(&builder);
    g_assert_true(bk_wal_scan(builder.out.data, WAL_SEGMENT, &options, &scan, NULL));
    g_assert_cmpuint(seen->count, ==, 2);
    g_assert_cmpuint(seen->lsn[0], ==, first);
    g_assert_cmpuint(seen->lsn[1], ==, second);
    g_assert_cmpint(scan.end, ==, BK_WAL_END_ZERO);
}

static void
expect_broken(const uint8_t *data, BkLsn end_lsn, const char *reason)
{
    g_auto(BkWalScan) scan = {0};

    g_assert_true(bk_wal_scan(data, WAL_SEGMENT, &strict, &scan, NULL));
    g_assert_cmpint(scan.end, ==, BK_WAL_END_BROKEN);
    g_assert_cmpstr(scan.reason, ==, reason);
    g_assert_cmpuint(scan.end_lsn, ==, end_lsn);
}

static void
test_broken(void)
{
    g_auto(WalBuilder) builder = {0};
    BkLsn second;
    size_t at;

    wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
    wal_builder_filler(&builder, 100);
    second = wal_builder_filler(&builder, 9000);
    wal_builder_filler(&builder, 100);
    wal_builder_pad(&builder);
    at = (size_t)(second - START);

    builder.out.data[at + 60] ^= 1;
    expect_broken(builder.out.data, second, "a record does not match its checksum");
    builder.out.data[at + 60] ^= 1;
    builder.out.data[at + 8] ^= 8;
    expect_broken(builder.out.data, second, "a record does not link to the previous one");
    builder.out.data[at + 8] ^= 8;
    builder.out.data[at + 17] = 60;
    expect_broken(builder.out.data, second, "a record is of an unknown resource manager");
    builder.out.data[at + 17] = 10;
    builder.out.data[at + 3] = 0x70;
    expect_broken(builder.out.data, second, "a record's length is impossible");
    builder.out.data[at + 3] = 0;
    builder.out.data[WAL_PAGE + 16] ^= 8;
    expect_broken(builder.out.data, second, "a record is not continued on the next page");
    builder.out.data[WAL_PAGE + 16] ^= 8;
    builder.out.data[WAL_PAGE + 3] = 0x10;
    expect_broken(builder.out.data, second, "a page header is malformed");
}

/* A recycled file holds older pages behind its end, and a shortened file nothing. */
static void
test_unfinished(void)
{
    g_auto(WalBuilder) builder = {0};
    g_auto(BkWalScan) scan = {0};

    wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
    for (int i = 0; i < 12; i++)
        wal_builder_filler(&builder, 4000);
    for (size_t size = 40; size < builder.out.size; size += 8) {
        g_assert_true(bk_wal_scan(builder.out.data, size, &strict, &scan, NULL));
        g_assert_cmpint(scan.end, ==, BK_WAL_END_ZERO);
        g_assert_cmpuint(scan.end_lsn, <=, START + size);
        bk_wal_scan_clear(&scan);
    }
    wal_builder_pad(&builder);
    builder.out.data[3 * WAL_PAGE + 8 + 3] ^= 1; /* the position of page 3 */
    g_assert_true(bk_wal_scan(builder.out.data, WAL_SEGMENT, &strict, &scan, NULL));
    g_assert_cmpint(scan.end, ==, BK_WAL_END_ZERO);
    g_assert_cmpuint(scan.end_lsn, <, START + (3 * WAL_PAGE));
}

static void
expect_refused(const uint8_t *data, size_t size, const BkWalScanOptions *options, BkErrorCode code)
{
    g_auto(BkWalScan) scan = {0};
    g_autoptr(GError) error = NULL;

    g_assert_false(bk_wal_scan(data, size, options, &scan, &error));
    g_assert_true(bk_error_is(error, code));
}

static void
test_refused(void)
{
    g_auto(WalBuilder) builder = {0};
    const BkWalScanOptions system = {.expect_system_id = 1};
    const BkWalScanOptions start = {.expect_start_lsn = START + WAL_SEGMENT};
    const BkWalScanOptions timeline = {.expect_timeline = 1};

    wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
    builder.timeline = 2;
    wal_builder_filler(&builder, 100);
    wal_builder_pad(&builder);
    expect_refused(builder.out.data, WAL_SEGMENT, &system, BK_ERROR_CORRUPT);
    expect_refused(builder.out.data, WAL_SEGMENT, &start, BK_ERROR_CORRUPT);
    expect_refused(builder.out.data, WAL_SEGMENT, &timeline, BK_ERROR_CORRUPT);
    expect_refused(builder.out.data, 39, NULL, BK_ERROR_CORRUPT);
    expect_refused(builder.out.data + WAL_PAGE, WAL_PAGE, NULL, BK_ERROR_CORRUPT);
    builder.out.data[0] = 0x98; /* a version after 18 */
    expect_refused(builder.out.data, WAL_SEGMENT, NULL, BK_ERROR_UNSUPPORTED);
    builder.out.data[0] = 0x10;
    builder.out.data[34] = 0x18; /* a segment size that is no power of two */
    expect_refused(builder.out.data, WAL_SEGMENT, NULL, BK_ERROR_CORRUPT);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/wal-scan/versions", test_versions);
    g_test_add_func("/wal-scan/crossing", test_crossing);
    g_test_add_func("/wal-scan/not-assembled", test_not_assembled);
    g_test_add_func("/wal-scan/switch", test_switch);
    g_test_add_func("/wal-scan/edges", test_edges);
    g_test_add_func("/wal-scan/long-record", test_long_record);
    g_test_add_func("/wal-scan/abandoned", test_abandoned);
    g_test_add_func("/wal-scan/broken", test_broken);
    g_test_add_func("/wal-scan/unfinished", test_unfinished);
    g_test_add_func("/wal-scan/refused", test_refused);
    return g_test_run();
}
