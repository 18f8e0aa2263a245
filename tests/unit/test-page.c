#include "source/pg/format/page.h"

#include <string.h>

static void
fill_pattern(uint8_t *page)
{
    for (size_t i = 0; i < BK_PG_PAGE_SIZE; i++)
        page[i] = (uint8_t)(i * 7 + (i >> 8));
}

static void
set_checksum(uint8_t *page, uint32_t block)
{
    uint16_t checksum = GUINT16_TO_LE(bk_pg_page_checksum(page, block));

    memcpy(page + 8, &checksum, sizeof checksum);
}

/* Numbers that a server of version 15 computed for the pattern (page_checksum of pageinspect). */
static void
test_vectors(void)
{
    uint8_t page[BK_PG_PAGE_SIZE];

    fill_pattern(page);
    g_assert_cmpuint(bk_pg_page_checksum(page, 0), ==, 15923);
    g_assert_cmpuint(bk_pg_page_checksum(page, BK_PG_SEGMENT_BLOCKS), ==, 15925);
    g_assert_cmpuint(bk_pg_page_checksum(page, 0x7FFFFFFF), ==, 16846);
}

static void
test_header(void)
{
    uint8_t page[BK_PG_PAGE_SIZE];
    BkPgPage header;

    fill_pattern(page);
    bk_pg_page_decode(page, &header);
    g_assert_cmphex(header.lsn, ==, UINT64_C(0x150E0700312A231C));
    g_assert_cmphex(header.checksum, ==, 0x3F38);
    g_assert_cmphex(header.flags, ==, 0x4D46);
    g_assert_cmphex(header.lower, ==, 0x5B54);
    g_assert_cmphex(header.upper, ==, 0x6962);
    g_assert_cmphex(header.special, ==, 0x7770);
    g_assert_cmphex(header.size, ==, 0x8500);
    g_assert_cmphex(header.version, ==, 0x7E);
}

/* Every byte counts, and so does the place of the page. */
static void
test_verify(void)
{
    uint8_t page[BK_PG_PAGE_SIZE];
    BkPgPageResult result;

    fill_pattern(page);
    set_checksum(page, 5);
    g_assert_true(bk_pg_page_verify(page, 5, &result));
    g_assert_cmpuint(result.stored, ==, result.computed);
    g_assert_false(bk_pg_page_verify(page, 6, NULL));
    for (size_t i = 0; i < BK_PG_PAGE_SIZE; i++) {
        page[i] ^= 1;
        g_assert_false(bk_pg_page_verify(page, 5, NULL));
        page[i] ^= 1;
    }
}

static void
test_new(void)
{
    uint8_t page[BK_PG_PAGE_SIZE] = {0};
    BkPgPageResult result;

    g_assert_true(bk_pg_page_verify(page, 9, &result));
    g_assert_true(result.is_new);
    g_assert_cmpuint(result.lsn, ==, 0);
    page[BK_PG_PAGE_SIZE - 1] = 1;
    g_assert_false(bk_pg_page_verify(page, 9, &result));
    set_checksum(page, 9);
    g_assert_false(bk_pg_page_verify(page, 9, &result));
}

/* The run says the same as page after page, at any alignment of the data. */
static void
test_run(void)
{
    const size_t pages = 130;
    const uint32_t first = BK_PG_SEGMENT_BLOCKS - 10;
    g_autofree uint8_t *memory = g_malloc0(pages * BK_PG_PAGE_SIZE + 8);

    for (size_t shift = 0; shift < 3; shift++) {
        uint8_t *data = memory + shift;
        uint64_t bad[3] = {UINT64_MAX, UINT64_MAX, UINT64_MAX};
        size_t count = 0;

        for (size_t i = 0; i < pages; i++) {
            uint8_t *page = data + i * BK_PG_PAGE_SIZE;

            fill_pattern(page);
            page[100] = (uint8_t)i;
            set_checksum(page, first + (uint32_t)i);
            if (i % 7 == 3)
                page[5000] ^= 1;
            if (i % 11 == 4)
                memset(page, 0, BK_PG_PAGE_SIZE);
        }
        count = bk_pg_pages_verify(data, pages, first, bad);
        for (size_t i = 0; i < pages; i++) {
            bool is_bad = (bad[i / 64] >> (i % 64) & 1) != 0;

            g_assert_cmpint(
                is_bad, !=,
                bk_pg_page_verify(data + i * BK_PG_PAGE_SIZE, first + (uint32_t)i, NULL));
            g_assert_cmpint(is_bad, ==, i % 7 == 3 && i % 11 != 4);
            count -= is_bad ? 1 : 0;
        }
        g_assert_cmpuint(count, ==, 0);
        g_assert_cmphex(bad[2] >> 2, ==, 0);
    }
}

/* A header whose LSN may be believed, but for what a case makes of it. */
typedef struct HeaderCase {
    uint64_t lsn;
    uint16_t lower;
    uint16_t upper;
    uint16_t special;
    uint16_t size_version;
    bool is_trusted;
} HeaderCase;

static void
put_u16(uint8_t *page, size_t at, uint16_t value)
{
    value = GUINT16_TO_LE(value);
    memcpy(page + at, &value, sizeof value);
}

static void
put_lsn(uint8_t *page, uint64_t lsn)
{
    for (size_t i = 0; i < 4; i++) {
        page[i] = (uint8_t)(lsn >> (32 + 8 * i)); /* the upper half comes first */
        page[4 + i] = (uint8_t)(lsn >> (8 * i));
    }
}

static void
test_get_lsn(void)
{
    static const HeaderCase cases[] = {
        {UINT64_C(0x123456789A), 24, 8000, 8192, 8192 | 4, true},
        {BK_MIB, 24, 24, 24, 8192 | 4, true},
        {UINT64_MAX, 8192, 8192, 8192, 8192 | 4, true},
        {UINT64_C(1) << 32, 40, 8000, 8176, 8192 | 3, true},
        {BK_MIB - 1, 24, 8000, 8192, 8192 | 4, false}, /* no place in the WAL */
        {1, 24, 8000, 8192, 8192 | 4, false},
        {0, 24, 8000, 8192, 8192 | 4, false},   /* has none: made without WAL */
        {BK_MIB, 24, 0, 8192, 8192 | 4, false}, /* new */
        {BK_MIB, 0, 0, 0, 0, false},
        {BK_MIB, 23, 8000, 8192, 8192 | 4, false}, /* in the header */
        {BK_MIB, 8000, 7999, 8192, 8192 | 4, false},
        {BK_MIB, 24, 8177, 8176, 8192 | 4, false},
        {BK_MIB, 24, 8000, 8193, 8192 | 4, false},
        {BK_MIB, 24, UINT16_MAX, UINT16_MAX, 8192 | 4, false},
        {BK_MIB, 24, 8000, 8192, 4096 | 4, false},
        {BK_MIB, 24, 8000, 8192, 0, false},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint8_t page[BK_PG_PAGE_SIZE];
        BkLsn lsn;

        fill_pattern(page); /* neither checksum nor contents matter */
        put_lsn(page, cases[i].lsn);
        put_u16(page, 12, cases[i].lower);
        put_u16(page, 14, cases[i].upper);
        put_u16(page, 16, cases[i].special);
        put_u16(page, 18, cases[i].size_version);
        g_assert_true(bk_pg_page_get_lsn(page, &lsn) == cases[i].is_trusted);
        g_assert_true(!cases[i].is_trusted || lsn == cases[i].lsn);
    }
}

static void
test_all_visible(void)
{
    uint8_t page[BK_PG_PAGE_SIZE];

    for (unsigned flags = 0; flags < 16; flags++) {
        fill_pattern(page);
        put_u16(page, 10, (uint16_t)(flags | 0xFFF0));
        g_assert_true(bk_pg_page_is_all_visible(page) == ((flags & 4) != 0));
    }
}

/* Headers of noise: what is believed holds together. */
static void
test_get_lsn_of_noise(void)
{
    uint8_t page[BK_PG_PAGE_SIZE] = {0};
    unsigned trusted = 0;

    for (unsigned round = 0; round < 200000; round++) {
        BkPgPage header;
        BkLsn lsn;

        for (size_t at = 0; at < 20; at += 2)
            put_u16(page, at, (uint16_t)g_test_rand_int_range(0, at < 12 ? 65536 : 8400));
        put_u16(page, 18, g_test_rand_bit() ? 8192 | 4 : (uint16_t)g_test_rand_int());
        bk_pg_page_decode(page, &header);
        if (!bk_pg_page_get_lsn(page, &lsn))
            continue;
        trusted++;
        g_assert_cmpuint(lsn, ==, header.lsn);
        g_assert_cmpuint(header.lower, >=, 24);
        g_assert_cmpuint(header.lower, <=, header.upper);
        g_assert_cmpuint(header.upper, <=, header.special);
        g_assert_cmpuint(header.special, <=, BK_PG_PAGE_SIZE);
        g_assert_cmpuint(header.size, ==, BK_PG_PAGE_SIZE);
    }
    g_assert_cmpuint(trusted, >, 1000);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/page/vectors", test_vectors);
    g_test_add_func("/page/header", test_header);
    g_test_add_func("/page/verify", test_verify);
    g_test_add_func("/page/new", test_new);
    g_test_add_func("/page/run", test_run);
    g_test_add_func("/page/get-lsn", test_get_lsn);
    g_test_add_func("/page/all-visible", test_all_visible);
    g_test_add_func("/page/get-lsn-of-noise", test_get_lsn_of_noise);
    return g_test_run();
}
