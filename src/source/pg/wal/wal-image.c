/* wal-image.c - what a WAL record contains of a block that it refers to: an image of the page, and
 * data about the change. */
#include "source/pg/wal/wal-image.h"

#include "source/pg/format/page.h"

#include <lz4.h>
#include <string.h>
#include <zstd.h>

/* Of a block reference, and of its image. */
enum {
    REF_HAS_IMAGE = 0x10,
    REF_SAME_RELATION = 0x80,
    RELATION_SIZE = 12,
    IMAGE_HAS_HOLE = 0x01,
    IMAGE_COMPRESSED_14 = 0x02, /* up to 14; then there is a bit for each method */
    IMAGE_PGLZ = 0x04,
    IMAGE_LZ4 = 0x08,
    IMAGE_ZSTD = 0x10,
};

enum {
    PGLZ_LENGTH_MIN = 3,
    PGLZ_LENGTH_LONG = 18, /* a byte follows with more */
};

/* The pieces of a page that the server's own compression has: bytes as they are, and places further
 * back with a length. */
typedef struct Expansion {
    BkWalCursor from;
    uint8_t *to;
    size_t size;
    size_t done;
} Expansion;

static bool
expand_piece(Expansion *self, bool is_place)
{
    const uint8_t *at = self->from.next;
    size_t length, back;

    if (!bk_wal_skip(&self->from, is_place ? 2 : 1))
        return false;
    if (!is_place) {
        self->to[self->done++] = at[0];
        return true;
    }
    length = (size_t)(at[0] & 0x0F) + PGLZ_LENGTH_MIN;
    back = (size_t)(at[0] & 0xF0) << 4 | at[1];
    if (length == PGLZ_LENGTH_LONG) {
        at = self->from.next;
        if (!bk_wal_skip(&self->from, 1))
            return false;
        length += at[0];
    }
    if (back == 0 || back > self->done || length > self->size - self->done)
        return false;
    for (; length > 0; length--, self->done++)
        self->to[self->done] = self->to[self->done - back]; /* it may read what it writes */
    return true;
}

/* A byte of eight marks comes before each eight pieces. */
static bool
expand_pglz(Expansion *self)
{
    uint8_t marks = 0;

    for (unsigned piece = 0; self->done < self->size; piece++, marks >>= 1) {
        if (piece % 8 == 0) {
            const uint8_t *at = self->from.next;

            if (!bk_wal_skip(&self->from, 1))
                return false;
            marks = at[0];
        }
        if (!expand_piece(self, (marks & 1) != 0))
            return false;
    }
    return self->from.left == 0;
}

static bool
expand_image(const BkWalContent *self, uint8_t *to, size_t size)
{
    Expansion pglz = {.from = {self->image, self->image_size}, .to = to, .size = size};

    switch (self->method) {
    case BK_WAL_IMAGE_PLAIN:
        if (self->image_size != size)
            return false;
        memcpy(to, self->image, size);
        return true;
    case BK_WAL_IMAGE_PGLZ:
        return expand_pglz(&pglz);
    case BK_WAL_IMAGE_LZ4:
        return LZ4_decompress_safe((const char *)self->image, (char *)to, (int)self->image_size,
                                   (int)size) == (int)size;
    case BK_WAL_IMAGE_ZSTD:
        return ZSTD_decompress(to, size, self->image, self->image_size) == size;
    }
    return false;
}

bool
bk_wal_content_restore(const BkWalContent *self, uint8_t *page)
{
    const size_t hole_end = (size_t)self->hole_at + self->hole_size;

    if (self->image == NULL || self->image_size > BK_PG_PAGE_SIZE || hole_end > BK_PG_PAGE_SIZE ||
        !expand_image(self, page, BK_PG_PAGE_SIZE - self->hole_size))
        return false;
    if (self->hole_size > 0) {
        memmove(page + hole_end, page + self->hole_at, BK_PG_PAGE_SIZE - hole_end);
        memset(page + self->hole_at, 0, self->hole_size);
    }
    return true;
}

/* The header of an image: length, offset of the hole, flags; the length of a hole in a compressed
 * one follows. Returns its size. */
static size_t
decode_image(const uint8_t *at, uint16_t magic, BkWalContent *content)
{
    const uint8_t flags = at[4];

    content->image_size = bk_bytes_u16(at);
    content->hole_at = bk_bytes_u16(at + 2);
    if (magic < BK_WAL_MAGIC_15)
        content->method =
            (flags & IMAGE_COMPRESSED_14) != 0 ? BK_WAL_IMAGE_PGLZ : BK_WAL_IMAGE_PLAIN;
    else if ((flags & IMAGE_PGLZ) != 0)
        content->method = BK_WAL_IMAGE_PGLZ;
    else if ((flags & IMAGE_LZ4) != 0)
        content->method = BK_WAL_IMAGE_LZ4;
    else if ((flags & IMAGE_ZSTD) != 0)
        content->method = BK_WAL_IMAGE_ZSTD;
    if ((flags & IMAGE_HAS_HOLE) == 0)
        return 5;
    if (content->method == BK_WAL_IMAGE_PLAIN) {
        content->hole_size =
            (uint16_t)(BK_PG_PAGE_SIZE - MIN(content->image_size, BK_PG_PAGE_SIZE));
        return 5;
    }
    content->hole_size = bk_bytes_u16(at + 5);
    return 7;
}

bool
bk_wal_content_find(const BkWalRecord *record, uint16_t magic, const BkWalParts *parts,
                    unsigned index, BkWalContent *content)
{
    const uint8_t *at = record->data + BK_WAL_RECORD_HEADER;
    const uint8_t *end =
        parts->main_data.left > 0 ? parts->main_data.next : record->data + record->size;
    size_t total = 0, before = 0;

    *content = (BkWalContent){.size = 0};
    if (index >= parts->refs_count)
        return false;
    /* Taking the record apart has shown that all these headers are there. */
    for (unsigned i = 0; i < parts->refs_count; i++) {
        BkWalContent each = {.size = bk_bytes_u16(at + 2)};
        const uint8_t flags = at[1];

        at += 4;
        if ((flags & REF_HAS_IMAGE) != 0)
            at += decode_image(at, magic, &each);
        at += (flags & REF_SAME_RELATION) != 0 ? 4 : 4 + RELATION_SIZE;
        if (i == index) {
            *content = each;
            before = total;
        }
        total += each.image_size + each.size;
    }
    /* All contents stand before the main data, which is there as soon as a byte of it is. */
    if ((parts->main_data.left == 0 && record->size < record->total) || (size_t)(end - at) < total)
        return false;
    at = end - total + before;
    content->image = content->image_size > 0 ? at : NULL;
    content->data = content->size > 0 ? at + content->image_size : NULL;
    return true;
}
