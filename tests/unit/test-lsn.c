#include "source/pg/format/lsn.h"

#include <string.h>

static void
test_positions(void)
{
    static const char *const bad[] = {"",     "0",     "/",    "0/",          "/0",
                                      "0/0 ", " 0/0",  "0/G",  "123456789/0", "0/123456789",
                                      "0/-1", "0x0/0", "+0/0", "0//0"};
    char text[BK_LSN_TEXT_SIZE];
    BkLsn lsn;

    g_assert_true(bk_lsn_parse("0/3000028", &lsn));
    g_assert_cmpuint(lsn, ==, 0x3000028);
    g_assert_cmpstr(bk_lsn_format(lsn, text), ==, "0/3000028");
    g_assert_true(bk_lsn_parse("ffFFffff/FFFFFFFF", &lsn));
    g_assert_cmpuint(lsn, ==, UINT64_MAX);
    g_assert_cmpstr(bk_lsn_format(lsn, text), ==, "FFFFFFFF/FFFFFFFF");
    g_assert_cmpstr(bk_lsn_format(0, text), ==, "0/0");
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
        g_assert_false(bk_lsn_parse(bad[i], &lsn));
}

static void
test_names(void)
{
    BkWalName name;
    uint64_t segno;

    g_assert_true(bk_wal_name_parse("00000001000000000000000A", &name));
    g_assert_cmpint(name.kind, ==, BK_WAL_SEGMENT);
    g_assert_cmpuint(name.timeline, ==, 1);
    g_assert_true(bk_wal_name_segno(&name, 16 * (uint32_t)BK_MIB, &segno));
    g_assert_cmpuint(segno, ==, 10);
    g_assert_true(bk_wal_name_parse("000000FF00000002000000FF.partial", &name));
    g_assert_cmpint(name.kind, ==, BK_WAL_PARTIAL);
    g_assert_true(bk_wal_name_segno(&name, 16 * (uint32_t)BK_MIB, &segno));
    g_assert_cmpuint(segno, ==, 0x2FF);
    g_assert_false(bk_wal_name_segno(&name, 32 * (uint32_t)BK_MIB, &segno));
    g_assert_true(bk_wal_name_parse("00000002.history", &name));
    g_assert_cmpint(name.kind, ==, BK_WAL_HISTORY);
    g_assert_cmpuint(name.timeline, ==, 2);
    g_assert_false(bk_wal_name_segno(&name, 16 * (uint32_t)BK_MIB, &segno));
    g_assert_true(bk_wal_name_parse("000000010000000000000003.00D00028.backup", &name));
    g_assert_cmpint(name.kind, ==, BK_WAL_BACKUP);
    g_assert_cmphex(name.backup_offset, ==, 0xD00028);
}

/* What is not exactly a name of the server's is none: no other case, length, or directory. */
static void
test_bad_names(void)
{
    static const char *const bad[] = {
        "",
        "1",
        "00000001",
        "00000000000000000000000A",
        "00000001000000000000000a",
        "00000001000000000000000",
        "0000000100000000000000012",
        "00000001000000000000000G",
        "000000010000000000000003.partia",
        "000000010000000000000003.partial.gz",
        "000000010000000000000003.backup",
        "000000010000000000000003.0000028.backup",
        "000000010000000000000003.00000028.backup2",
        "000000010000000000000003.0000002g.backup",
        "000000010000000000000003_00000028.backup",
        "00000000.history",
        "0000002.history",
        "000000002.history",
        "00000002.HISTORY",
        "0000000a.history",
        "../00000001000000000000000A",
        "0000000100000000/0000000A",
        "00000001000000000000000A ",
        "00000001000000000000000A\n",
        " 0000001000000000000000A",
        "+0000001000000000000000A",
    };
    BkWalName name;

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
        g_assert_false(bk_wal_name_parse(bad[i], &name));
}

static void
test_segment_names(void)
{
    char text[BK_WAL_NAME_SIZE];
    char history[BK_WAL_HISTORY_NAME_SIZE];

    g_assert_cmpstr(bk_wal_segment_name(3, 0x2FF, 16 * (uint32_t)BK_MIB, text), ==,
                    "0000000300000002000000FF");
    g_assert_cmpstr(bk_wal_segment_name(1, 0x2FF, (uint32_t)BK_GIB, text), ==,
                    "00000001000000BF00000003");
    g_assert_cmpstr(bk_wal_history_name(0x1A, history), ==, "0000001A.history");
    for (uint32_t size = (uint32_t)BK_MIB; size <= BK_GIB; size *= 2)
        for (uint64_t segno = 1; segno < UINT64_MAX / size / 5; segno = segno * 5 + 3) {
            BkWalName name = bk_wal_name_of_segment(7, segno, size, text);
            char same[BK_WAL_NAME_SIZE];
            uint64_t again;

            g_assert_true(bk_wal_segment_size_is_valid(size));
            g_assert_cmpstr(text, ==, bk_wal_segment_name(7, segno, size, same));
            g_assert_true(bk_wal_name_segno(&name, size, &again));
            g_assert_cmpuint(again, ==, segno);
            g_assert_cmpuint(bk_wal_segment_of(segno * size + size - 1, size), ==, segno);
        }
    g_assert_false(bk_wal_segment_size_is_valid(0));
    g_assert_false(bk_wal_segment_size_is_valid(BK_MIB / 2));
    g_assert_false(bk_wal_segment_size_is_valid(3 * BK_MIB));
    g_assert_false(bk_wal_segment_size_is_valid(2 * BK_GIB));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/lsn/positions", test_positions);
    g_test_add_func("/lsn/names", test_names);
    g_test_add_func("/lsn/bad-names", test_bad_names);
    g_test_add_func("/lsn/segment-names", test_segment_names);
    return g_test_run();
}
