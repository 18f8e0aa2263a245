/* page-note.c - LSN and layout of some data pages, recorded in a snapshot, so that the next backup
 * can compare pages that it calls unchanged without reading the pack that they are in. */
#include "source/pg/format/page-note.h"

#include "codec/wire.h"
#include "source/pg/format/page.h"

#define MAX_BLOCKS ((uint64_t)INT64_MAX / BK_PG_PAGE_SIZE)

bool
bk_page_note_take(const uint8_t *page, uint64_t offset, uint64_t rank, BkPageNote *note)
{
    BkPgPage header;
    BkLsn lsn;

    if (!bk_pg_page_get_lsn(page, &lsn))
        return false;
    bk_pg_page_decode(page, &header);
    *note = (BkPageNote){
        .offset = offset,
        .rank = rank,
        .lsn = lsn,
        .lower = header.lower,
        .upper = header.upper,
        .special = header.special,
        .is_all_visible = bk_pg_page_is_all_visible(page),
    };
    return true;
}

bool
bk_page_note_fits(const BkPageNote *note, const uint8_t *page)
{
    BkPgPage header;

    bk_pg_page_decode(page, &header);
    return header.lsn == note->lsn && header.lower == note->lower && header.upper == note->upper &&
           header.special == note->special &&
           (note->is_all_visible || !bk_pg_page_is_all_visible(page));
}

void
bk_page_notes_encode(const BkPageNote *notes, size_t count, BkBuf *out)
{
    uint64_t next = 0;

    for (size_t i = 0; i < count; i++) {
        const BkPageNote *note = &notes[i];
        uint64_t block = note->offset / BK_PG_PAGE_SIZE;

        bk_wire_put_varint(out, block - next);
        next = block + 1;
        bk_wire_put_u64(out, note->rank);
        bk_wire_put_varint(out, note->lsn);
        bk_wire_put_u16(out, note->lower);
        bk_wire_put_u16(out, note->upper);
        bk_wire_put_u16(out, note->special);
        bk_wire_put_u8(out, note->is_all_visible);
    }
}

bool
bk_page_notes_decode(const uint8_t *data, size_t size, GArray *notes, GError **error)
{
    BkWireReader reader;
    uint64_t next = 0;

    bk_wire_reader_init(&reader, data, size);
    while (bk_wire_left(&reader) > 0 && bk_wire_is_ok(&reader)) {
        uint64_t block = next + bk_wire_get_bounded(&reader, MAX_BLOCKS - next);
        BkPageNote note = {
            .offset = block * BK_PG_PAGE_SIZE,
            .rank = bk_wire_get_u64(&reader),
            .lsn = bk_wire_get_varint(&reader),
            .lower = bk_wire_get_u16(&reader),
            .upper = bk_wire_get_u16(&reader),
            .special = bk_wire_get_u16(&reader),
            .is_all_visible = bk_wire_get_u8(&reader) != 0,
        };

        if (block == MAX_BLOCKS)
            reader.failed = true;
        next = block + 1;
        g_array_append_val(notes, note);
    }
    return bk_wire_end(&reader, "notes of pages", error);
}
