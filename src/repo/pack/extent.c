/* extent.c - the places in packs that a file's bytes are in: built, encoded compactly, walked. */
#include "repo/pack/extent.h"

#include <string.h>

/* The flags of an extent's first number; above them is the length. */
enum {
    IS_HOLE = 1 << 0,
    IN_BYTES = 1 << 1, /* the length is; otherwise in units */
    HOLE_SHIFT = 2,
    PACK_SHIFT = 2,
    PLACE_SHIFT = 4,
    RUN_SHIFT = 6,
    FLAG_MASK = 3,
};

/* Which pack. */
enum {
    PACK_LAST,   /* the one used last */
    PACK_BEFORE, /* the one used before that */
    PACK_RECENT, /* a byte follows: its index among the recent ones */
    PACK_OTHER,  /* its number follows, as a difference to the last one's, and the offset */
};

/* Where in the pack; not for PACK_OTHER. */
enum {
    PLACE_BEHIND,  /* right behind the pack's last run: pages that were stored together */
    PLACE_IN_STEP, /* as far on in the pack as in the file: a run that was interrupted */
    PLACE_OTHER,   /* the difference to PLACE_IN_STEP follows */
};

typedef struct Encoder {
    BkBuf *out;
    BkExtent pending;
    bool has_pending;
    unsigned recent_count;
    BkExtentRecent recent[BK_EXTENT_RECENT];
} Encoder;

/* Puts a run's pack, which is at `index` (`*count`: nowhere), in front. */
static void
note_recent(BkExtentRecent *recent, unsigned *count, unsigned index, const BkExtent *run)
{
    if (index == *count && *count < BK_EXTENT_RECENT)
        (*count)++;
    memmove(recent + 1, recent, MIN(index, BK_EXTENT_RECENT - 1) * sizeof *recent);
    recent[0] = (BkExtentRecent){
        .pack = run->pack,
        .pack_end = run->pack_offset + run->length,
        .file_end = run->file_offset + run->length,
    };
}

static uint64_t
in_step(const BkExtentRecent *recent, uint64_t file_offset)
{
    return recent->pack_end + (file_offset - recent->file_end);
}

static void
put_run(Encoder *encoder, const BkExtent *run, uint64_t length, unsigned unit_flag)
{
    const BkExtentRecent *recent = encoder->recent;
    uint64_t step;
    unsigned index = 0;
    unsigned pack, place;

    while (index < encoder->recent_count && recent[index].pack != run->pack)
        index++;
    if (index == encoder->recent_count) {
        int64_t base = index > 0 ? recent[0].pack : 0;

        bk_wire_put_varint(encoder->out,
                           length << RUN_SHIFT | PACK_OTHER << PACK_SHIFT | unit_flag);
        bk_wire_put_zigzag(encoder->out, (int64_t)run->pack - base);
        bk_wire_put_varint(encoder->out, run->pack_offset);
    } else {
        step = in_step(&recent[index], run->file_offset);
        pack = index < PACK_RECENT ? index : PACK_RECENT;
        place = run->pack_offset == recent[index].pack_end ? PLACE_BEHIND
                : run->pack_offset == step                 ? PLACE_IN_STEP
                                                           : PLACE_OTHER;
        bk_wire_put_varint(encoder->out, length << RUN_SHIFT | place << PLACE_SHIFT |
                                             pack << PACK_SHIFT | unit_flag);
        if (pack == PACK_RECENT)
            bk_wire_put_u8(encoder->out, (uint8_t)index);
        if (place == PLACE_OTHER)
            bk_wire_put_zigzag(encoder->out, (int64_t)(run->pack_offset - step));
    }
    note_recent(encoder->recent, &encoder->recent_count, index, run);
}

static void
flush_encoded_run(Encoder *encoder)
{
    const BkExtent *extent = &encoder->pending;
    bool is_even = extent->length % BK_EXTENT_UNIT == 0;
    uint64_t length = is_even ? extent->length / BK_EXTENT_UNIT : extent->length;
    unsigned unit_flag = is_even ? 0 : IN_BYTES;

    if (!encoder->has_pending)
        return;
    if (extent->is_hole)
        bk_wire_put_varint(encoder->out, length << HOLE_SHIFT | unit_flag | IS_HOLE);
    else
        put_run(encoder, extent, length, unit_flag);
    encoder->has_pending = false;
}

static bool
continues_extent(const BkExtent *left, const BkExtent *right)
{
    if (left->is_hole || right->is_hole)
        return left->is_hole && right->is_hole;
    return left->pack == right->pack && left->pack_offset + left->length == right->pack_offset;
}

static void
add_encoded_extent(Encoder *encoder, const BkExtent *extent)
{
    if (extent->length == 0)
        return;
    if (encoder->has_pending && continues_extent(&encoder->pending, extent)) {
        encoder->pending.length += extent->length;
        return;
    }
    flush_encoded_run(encoder);
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
        add_encoded_extent(&encoder,
                           &(BkExtent){.length = extent->file_offset - at, .is_hole = true});
        add_encoded_extent(&encoder, extent);
        at = extent->file_offset + extent->length;
    }
    add_encoded_extent(&encoder, &(BkExtent){.length = size - at, .is_hole = true});
    flush_encoded_run(&encoder);
}

void
bk_extent_iter_init(BkExtentIter *self, const uint8_t *encoded, size_t encoded_size, uint64_t size)
{
    *self = (BkExtentIter){.size = size};
    bk_wire_reader_init(&self->reader, encoded, encoded_size);
}

/* The place of a run of another pack than the recent ones. */
static void
get_other_pack(BkExtentIter *self, BkExtent *extent)
{
    int64_t difference = bk_wire_get_zigzag(&self->reader);
    int64_t pack = self->recent_count > 0 ? self->recent[0].pack : 0;

    if (__builtin_add_overflow(pack, difference, &pack) || pack < 0 || pack > UINT32_MAX)
        self->reader.failed = true;
    extent->pack = (uint32_t)pack;
    extent->pack_offset = bk_wire_get_varint(&self->reader);
}

/* The place of a run of a recent pack, whose index is returned. */
static unsigned
get_recent_pack(BkExtentIter *self, unsigned pack, unsigned place, BkExtent *extent)
{
    unsigned index = pack == PACK_RECENT ? bk_wire_get_u8(&self->reader) : pack;

    if (index >= self->recent_count) {
        self->reader.failed = true;
        return 0;
    }
    extent->pack = self->recent[index].pack;
    extent->pack_offset = self->recent[index].pack_end;
    if (place != PLACE_BEHIND)
        extent->pack_offset = in_step(&self->recent[index], extent->file_offset);
    if (place == PLACE_OTHER)
        extent->pack_offset += (uint64_t)bk_wire_get_zigzag(&self->reader);
    else if (place > PLACE_OTHER)
        self->reader.failed = true;
    return index;
}

static void
get_extent_run(BkExtentIter *self, uint64_t head, BkExtent *extent)
{
    unsigned pack = head >> PACK_SHIFT & FLAG_MASK;
    unsigned place = head >> PLACE_SHIFT & FLAG_MASK;
    unsigned index = self->recent_count;
    uint64_t end;

    if (pack == PACK_OTHER)
        get_other_pack(self, extent);
    else
        index = get_recent_pack(self, pack, place, extent);
    if (pack == PACK_OTHER && place != 0)
        self->reader.failed = true;
    if (__builtin_add_overflow(extent->pack_offset, extent->length, &end) || end > INT64_MAX)
        self->reader.failed = true; /* before the pack's start, or nowhere */
    if (!self->reader.failed)
        note_recent(self->recent, &self->recent_count, index, extent);
}

bool
bk_extent_iter_next(BkExtentIter *self, BkExtent *extent)
{
    uint64_t head;

    if (self->reader.failed || bk_wire_left(&self->reader) == 0)
        return false;
    head = bk_wire_get_varint(&self->reader);
    *extent = (BkExtent){
        .file_offset = self->file_offset,
        .length = head >> ((head & IS_HOLE) != 0 ? HOLE_SHIFT : RUN_SHIFT),
        .is_hole = (head & IS_HOLE) != 0,
    };
    if ((head & IN_BYTES) == 0 &&
        __builtin_mul_overflow(extent->length, BK_EXTENT_UNIT, &extent->length))
        self->reader.failed = true;
    if (extent->length == 0 || extent->length > self->size - self->file_offset)
        self->reader.failed = true;
    if (!extent->is_hole && !self->reader.failed)
        get_extent_run(self, head, extent);
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
        BkExtent source_repo = *current;

        if (current_end <= from) {
            if (!bk_extent_iter_next(base, current))
                return;
            continue;
        }
        source_repo.file_offset = from;
        source_repo.length = MIN(current_end, end) - from;
        source_repo.pack_offset += from - current->file_offset;
        g_array_append_val(merged, source_repo);
        from += source_repo.length;
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
