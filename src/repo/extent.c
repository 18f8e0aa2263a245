#include "repo/extent.h"

typedef struct Encoder {
    BkBuf *out;
    BkExtent pending;
    bool has_pending;
    uint32_t pack;
    uint64_t pack_end;
} Encoder;

static void
flush(Encoder *encoder)
{
    const BkExtent *extent = &encoder->pending;

    if (!encoder->has_pending)
        return;
    bk_wire_put_varint(encoder->out, extent->length << 1 | extent->is_hole);
    if (!extent->is_hole) {
        uint64_t base = extent->pack == encoder->pack ? encoder->pack_end : 0;

        bk_wire_put_zigzag(encoder->out, (int64_t)extent->pack - (int64_t)encoder->pack);
        bk_wire_put_zigzag(encoder->out, (int64_t)(extent->pack_offset - base));
        encoder->pack = extent->pack;
        encoder->pack_end = extent->pack_offset + extent->length;
    }
    encoder->has_pending = false;
}

static bool
continues(const BkExtent *left, const BkExtent *right)
{
    if (left->is_hole || right->is_hole)
        return left->is_hole && right->is_hole;
    return left->pack == right->pack && left->pack_offset + left->length == right->pack_offset;
}

static void
add(Encoder *encoder, const BkExtent *extent)
{
    if (extent->length == 0)
        return;
    if (encoder->has_pending && continues(&encoder->pending, extent)) {
        encoder->pending.length += extent->length;
        return;
    }
    flush(encoder);
    encoder->pending = *extent;
    encoder->has_pending = true;
}

void
bk_extents_encode(const BkExtent *extents, size_t count, uint64_t size, BkBuf *out)
{
    Encoder encoder = {.out = out};
    uint64_t at = 0;

    for (size_t i = 0; i < count; i++) {
        const BkExtent *extent = &extents[i];

        g_assert(extent->file_offset >= at && extent->length <= size - extent->file_offset);
        add(&encoder, &(BkExtent){.length = extent->file_offset - at, .is_hole = true});
        add(&encoder, extent);
        at = extent->file_offset + extent->length;
    }
    add(&encoder, &(BkExtent){.length = size - at, .is_hole = true});
    flush(&encoder);
}

void
bk_extent_iter_init(BkExtentIter *self, const uint8_t *encoded, size_t encoded_size, uint64_t size)
{
    *self = (BkExtentIter){.size = size};
    bk_wire_reader_init(&self->reader, encoded, encoded_size);
}

bool
bk_extent_iter_next(BkExtentIter *self, BkExtent *extent)
{
    uint64_t head;
    int64_t pack;
    uint64_t base;

    if (self->reader.failed || bk_wire_left(&self->reader) == 0)
        return false;
    head = bk_wire_get_varint(&self->reader);
    *extent = (BkExtent){
        .file_offset = self->file_offset,
        .length = head >> 1,
        .is_hole = (head & 1) != 0,
    };
    if (extent->length == 0 || extent->length > self->size - self->file_offset)
        self->reader.failed = true;
    if (!extent->is_hole) {
        /* A difference that cannot be is cut to one that leads out of range, and not beyond. */
        pack = bk_wire_get_zigzag(&self->reader);
        pack = (int64_t)self->pack + CLAMP(pack, -(INT64_C(1) << 33), INT64_C(1) << 33);
        if (pack < 0 || pack > UINT32_MAX)
            self->reader.failed = true;
        base = pack == (int64_t)self->pack ? self->pack_end : 0;
        extent->pack = (uint32_t)pack;
        extent->pack_offset = base + (uint64_t)bk_wire_get_zigzag(&self->reader);
        self->pack = extent->pack;
        if (__builtin_add_overflow(extent->pack_offset, extent->length, &self->pack_end))
            self->reader.failed = true;
    }
    if (self->reader.failed)
        return false;
    self->file_offset += extent->length;
    return true;
}

/* Appends what `base` says of [from, end). `current` is its extent at hand; a length of 0: none. */
static void
append_base(GArray *merged, BkExtentIter *base, BkExtent *current, uint64_t from, uint64_t end)
{
    while (from < end) {
        uint64_t current_end = current->file_offset + current->length;
        BkExtent part = *current;

        if (current_end <= from) {
            if (!bk_extent_iter_next(base, current))
                return;
            continue;
        }
        part.file_offset = from;
        part.length = MIN(current_end, end) - from;
        part.pack_offset += from - current->file_offset;
        g_array_append_val(merged, part);
        from += part.length;
    }
}

void
bk_extents_overlay(const BkExtent *over, size_t count, BkExtentIter base, uint64_t size,
                   GArray *merged)
{
    BkExtent current = {.length = 0};
    uint64_t at = 0;

    g_array_set_size(merged, 0);
    for (size_t i = 0; i < count; i++) {
        append_base(merged, &base, &current, at, over[i].file_offset);
        g_array_append_val(merged, over[i]);
        at = over[i].file_offset + over[i].length;
    }
    append_base(merged, &base, &current, at, size);
}

bool
bk_extent_iter_is_complete(const BkExtentIter *self)
{
    return !self->reader.failed && bk_wire_left(&self->reader) == 0 &&
           self->file_offset == self->size;
}
