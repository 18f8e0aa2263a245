/* test-page-note.c - notes of pages: what they hold, what fits them, their encoding. */
#include "expect.h"
#include "source/pg/format/page-note.h"
#include "source/pg/format/page.h"

#include <string.h>

/* A page with a sound header, last changed at `lsn`. */
static void
make_page(uint8_t *page, uint32_t lsn, uint16_t flags)
{
    const uint16_t words[6] = {0, flags, 24, 8000, 8192, 8192 | 4};

    memset(page, 7, BK_PG_PAGE_SIZE);
    memset(page, 0, 4);
    memcpy(page + 4, &lsn, 4);
    memcpy(page + 8, words, sizeof words);
}

static void
test_fits(void)
{
    static const size_t fields[] = {4, 12, 14, 16}; /* LSN, lower, upper, special */
    uint8_t page[BK_PG_PAGE_SIZE], other[BK_PG_PAGE_SIZE];
    BkPageNote note;

    make_page(page, 0x2000000, 0);
    g_assert_true(bk_page_note_take(page, 81920, 5, &note));
    g_assert_cmpuint(note.offset, ==, 81920);
    g_assert_cmpuint(note.rank, ==, 5);
    g_assert_cmpuint(note.lsn, ==, 0x2000000);
    g_assert_true(bk_page_note_fits(&note, page));
    memcpy(other, page, sizeof other);
    memset(other + 4000, 9, 100); /* hints */
    g_assert_true(bk_page_note_fits(&note, other));
    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
        memcpy(other, page, sizeof other);
        other[fields[i]] ^= 8;
        g_assert_false(bk_page_note_fits(&note, other));
    }
    make_page(other, 0x2000000, 4); /* became all-visible */
    g_assert_false(bk_page_note_fits(&note, other));
    g_assert_true(bk_page_note_take(other, 0, 0, &note));
    g_assert_true(bk_page_note_fits(&note, page)); /* is not any more */
}

static void
test_pages_without_lsn(void)
{
    uint8_t page[BK_PG_PAGE_SIZE] = {0};
    BkPageNote note;

    g_assert_false(bk_page_note_take(page, 0, 0, &note));
    make_page(page, 1, 0); /* of an index that was built */
    g_assert_false(bk_page_note_take(page, 0, 0, &note));
}

static const BkPageNote some[] = {
    {0, 0, 0x2000000, 24, 8000, 8192, false},
    {BK_PG_PAGE_SIZE, UINT64_MAX, UINT64_MAX, UINT16_MAX, 0, 0, true},
    {UINT64_C(900) << 30, 1, 0x123456789, 30, 40, 50, false},
};

static void
test_encoding(void)
{
    g_autoptr(GArray) notes = g_array_new(FALSE, FALSE, sizeof(BkPageNote));
    g_auto(BkBuf) encoded = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_page_notes_decode(NULL, 0, notes, &error));
    g_assert_cmpuint(notes->len, ==, 0);
    bk_page_notes_encode(some, G_N_ELEMENTS(some), &encoded);
    EXPECT_DONE(bk_page_notes_decode(encoded.data, encoded.size, notes, &error));
    g_assert_cmpuint(notes->len, ==, G_N_ELEMENTS(some));
    for (guint i = 0; i < notes->len; i++) {
        const BkPageNote *note = &g_array_index(notes, BkPageNote, i);

        g_assert_true(note->offset == some[i].offset && note->rank == some[i].rank &&
                      note->lsn == some[i].lsn && note->lower == some[i].lower &&
                      note->upper == some[i].upper && note->special == some[i].special &&
                      note->is_all_visible == some[i].is_all_visible);
    }
}

static void
test_malformed(void)
{
    g_autoptr(GArray) notes = g_array_new(FALSE, FALSE, sizeof(BkPageNote));
    g_auto(BkBuf) encoded = BK_BUF_INIT;
    const uint8_t far[10] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 0, 0};

    bk_page_notes_encode(some, 1, &encoded);
    for (size_t size = 1; size < encoded.size; size++) {
        g_autoptr(GError) error = NULL;

        EXPECT_ERROR(bk_page_notes_decode(encoded.data, size, notes, &error), BK_ERROR_CORRUPT);
    }
    {
        g_autoptr(GError) error = NULL;

        EXPECT_ERROR(bk_page_notes_decode(far, sizeof far, notes, &error), BK_ERROR_CORRUPT);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/page-note/fits", test_fits);
    g_test_add_func("/page-note/pages-without-lsn", test_pages_without_lsn);
    g_test_add_func("/page-note/encoding", test_encoding);
    g_test_add_func("/page-note/malformed", test_malformed);
    return g_test_run();
}
