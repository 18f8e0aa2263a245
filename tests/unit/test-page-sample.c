/* test-page-sample.c - which pages a sample keeps: all of few, and of many each with the same
 * chance, however they came in. */
#include "expect.h"
#include "source/pg/backup/page-sample.h"
#include "source/pg/format/page.h"

#include <string.h>

#define PAGES 64u /* of a chunk */

static uint8_t *
make_chunk(void)
{
    const uint16_t words[6] = {0, 0, 24, 8000, 8192, 8192 | 4};
    uint8_t *chunk = g_malloc0((size_t)PAGES * BK_PG_PAGE_SIZE);

    for (size_t i = 0; i < PAGES; i++) {
        chunk[i * BK_PG_PAGE_SIZE + 7] = 2; /* LSN 0/2000000 */
        memcpy(chunk + i * BK_PG_PAGE_SIZE + 8, words, sizeof words);
    }
    return chunk;
}

static GArray *
get(BkPageSample *sample, const BkSourceFile *file)
{
    GArray *notes = g_array_new(FALSE, FALSE, sizeof(BkPageNote));

    bk_page_sample_get(sample, file, notes);
    return notes;
}

static void
test_few(void)
{
    const BkSourceFile files[2] = {{.path = NULL}};
    g_autoptr(BkPageSample) sample = bk_page_sample_new();
    g_autofree uint8_t *chunk = make_chunk();
    g_autoptr(GArray) first = NULL;
    g_autoptr(GArray) second = NULL;

    memset(chunk + 3 * BK_PG_PAGE_SIZE, 0, BK_PG_PAGE_SIZE);
    bk_page_sample_draw(sample, &files[1], chunk, (size_t)PAGES * BK_PG_PAGE_SIZE, 0);
    /* From the middle of a page on, to the middle of one. */
    bk_page_sample_draw(sample, &files[0], chunk + 100, (size_t)2 * BK_PG_PAGE_SIZE, 100);
    first = get(sample, &files[0]);
    second = get(sample, &files[1]);
    g_assert_cmpuint(first->len, ==, 1);
    g_assert_cmpuint(g_array_index(first, BkPageNote, 0).offset, ==, BK_PG_PAGE_SIZE);
    g_assert_cmpuint(second->len, ==, PAGES - 1);
    for (guint i = 0; i < second->len; i++)
        g_assert_cmpuint(g_array_index(second, BkPageNote, i).offset / BK_PG_PAGE_SIZE, ==,
                         i < 3 ? i : i + 1);
}

/* Some 51 of each file are expected. That a file gets less than 8 or more than 120 of them happens
 * in one of 10^9 runs. */
static void
test_many(void)
{
    const BkSourceFile files[10] = {{.path = NULL}};
    BkPageSample *workers[3];
    g_autoptr(BkPageSample) all = bk_page_sample_new();
    g_autofree uint8_t *chunk = make_chunk();
    guint total = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(workers); i++)
        workers[i] = bk_page_sample_new();
    for (size_t i = 0; i < 400; i++)
        bk_page_sample_draw(workers[i % 7 == 0 ? 0 : 1 + i % 2], &files[i / 40], chunk,
                            (size_t)PAGES * BK_PG_PAGE_SIZE, i % 40 * PAGES * BK_PG_PAGE_SIZE);
    for (size_t i = 0; i < G_N_ELEMENTS(workers); i++) {
        bk_page_sample_merge(all, workers[i]);
        bk_page_sample_free(workers[i]);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autoptr(GArray) notes = get(all, &files[i]);

        g_assert_cmpuint(notes->len, >=, 8);
        g_assert_cmpuint(notes->len, <=, 120);
        for (guint j = 1; j < notes->len; j++)
            g_assert_cmpuint(g_array_index(notes, BkPageNote, j - 1).offset, <,
                             g_array_index(notes, BkPageNote, j).offset);
        total += notes->len;
    }
    g_assert_cmpuint(total, ==, BK_PAGE_SAMPLE_SIZE);
}

/* Notes that have a rank compete with it. */
static void
test_ranks(void)
{
    const BkSourceFile file = {.path = NULL};
    g_autoptr(BkPageSample) sample = bk_page_sample_new();
    g_autoptr(GArray) notes = NULL;

    for (uint64_t i = 0; i < (uint64_t)10 * BK_PAGE_SAMPLE_SIZE; i++) {
        const uint64_t rank = i * 7919 % (10 * BK_PAGE_SAMPLE_SIZE);

        bk_page_sample_add(sample, &file, &(BkPageNote){.offset = i, .rank = rank});
    }
    notes = get(sample, &file);
    g_assert_cmpuint(notes->len, ==, BK_PAGE_SAMPLE_SIZE);
    for (guint i = 0; i < notes->len; i++)
        g_assert_cmpuint(g_array_index(notes, BkPageNote, i).rank, <, BK_PAGE_SAMPLE_SIZE);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/page-sample/few", test_few);
    g_test_add_func("/page-sample/many", test_many);
    g_test_add_func("/page-sample/ranks", test_ranks);
    return g_test_run();
}
