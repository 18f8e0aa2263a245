/* fuzz-page-note.c - notes of pages: decoded in order or an error, and what was decoded encodes and
 * decodes to itself. */
#include "source/pg/format/page-note.h"
#include "source/pg/format/page.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
encode(const GArray *notes, BkBuf *out)
{
    bk_page_notes_encode((const BkPageNote *)(const void *)notes->data, notes->len, out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t page[BK_PG_PAGE_SIZE];
    g_autoptr(GArray) notes = g_array_new(FALSE, FALSE, sizeof(BkPageNote));
    g_autoptr(GArray) again = g_array_new(FALSE, FALSE, sizeof(BkPageNote));
    g_auto(BkBuf) once = BK_BUF_INIT;
    g_auto(BkBuf) twice = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    if (!bk_page_notes_decode(data, size, notes, &error)) {
        g_assert(bk_error_is(error, BK_ERROR_CORRUPT));
        return 0;
    }
    for (guint i = 0; i < notes->len; i++) {
        const BkPageNote *note = &g_array_index(notes, BkPageNote, i);

        g_assert(note->offset % BK_PG_PAGE_SIZE == 0 && note->offset <= INT64_MAX);
        g_assert(i == 0 || g_array_index(notes, BkPageNote, i - 1).offset < note->offset);
        (void)bk_page_note_fits(note, page);
    }
    encode(notes, &once);
    g_assert(bk_page_notes_decode(once.data, once.size, again, &error));
    encode(again, &twice);
    g_assert(once.size == twice.size &&
             (once.size == 0 || memcmp(once.data, twice.data, once.size) == 0));
    return 0;
}
