#include "source/pg/page.h"

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

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/page/vectors", test_vectors);
    g_test_add_func("/page/header", test_header);
    g_test_add_func("/page/verify", test_verify);
    g_test_add_func("/page/new", test_new);
    g_test_add_func("/page/run", test_run);
    return g_test_run();
}
