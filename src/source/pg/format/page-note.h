/* page-note.h - LSN and layout of some data pages, recorded in a snapshot, so that the next backup
 * can compare pages that it calls unchanged without reading the pack that they are in.
 *
 * Noted is what only logged changes alter: the LSN and the layout. The rows may differ in hints,
 * which are not logged. Threads: safe; nothing here has state. */
#pragma once
#include "base/buf.h"
#include "source/pg/format/lsn.h"

typedef struct BkPageNote {
    uint64_t offset; /* in the file; a multiple of BK_PG_PAGE_SIZE */
    uint64_t rank;   /* drawn at random when the page was stored: the lowest notes are kept */
    BkLsn lsn;
    uint16_t lower;
    uint16_t upper;
    uint16_t special;
    bool is_all_visible;
} BkPageNote;

/* Notes the page (BK_PG_PAGE_SIZE bytes) at `offset`. False for one without a trustworthy LSN. */
bool bk_page_note_take(const uint8_t *page, uint64_t offset, uint64_t rank,
                       BkPageNote *note) BK_MUST_USE;

/* Returns true if the page can be the one that was noted. That a page is all-visible is set by a
 * logged change, and may be cleared with one or without. */
bool bk_page_note_fits(const BkPageNote *note, const uint8_t *page);

/* Appends `count` notes of one file, sorted by offset, in the form of docs/format.md. */
void bk_page_notes_encode(const BkPageNote *notes, size_t count, BkBuf *out);

/* Appends the notes to `notes` (of BkPageNote), sorted by offset. Fails with BK_ERROR_CORRUPT. */
bool bk_page_notes_decode(const uint8_t *data, size_t size, GArray *notes,
                          GError **error) BK_MUST_USE;
