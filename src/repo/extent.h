/* extent.h - the places in packs that hold a file: built, encoded compactly, walked.
 *
 * The extents of a file cover it from its first byte to its last, in order. Each is a hole of zeros
 * or a run of bytes in the raw stream of one pack. In memory and in a manifest they are the same
 * few bytes each: varint (length * 2 + is_hole), and unless it is a hole zigzag (pack - previous
 * pack) and zigzag (offset in pack - end of the previous run when it is the same pack, else
 * offset).
 * Threads: an encoder or iterator belongs to one thread; encoded extents may be shared. */
#pragma once
#include "codec/wire.h"

typedef struct BkExtent {
    uint64_t file_offset;
    uint64_t length;
    bool is_hole;
    uint32_t pack;        /* index in the snapshot's table of packs */
    uint64_t pack_offset; /* in the raw stream of the pack */
} BkExtent;

/* Appends the encoded form of `count` extents to `out`. Neighbours that continue each other are
 * joined, a gap before an extent becomes a hole, and so does what is missing up to `size`. They
 * must be in order, must not overlap, and must end at or before `size`. */
void bk_extents_encode(const BkExtent *extents, size_t count, uint64_t size, BkBuf *out);

typedef struct BkExtentIter {
    BkWireReader reader;
    uint64_t file_offset;
    uint64_t size;
    uint32_t pack;
    uint64_t pack_end;
} BkExtentIter;

/* Walks `encoded` (borrowed) of a file of `size` bytes. */
void bk_extent_iter_init(BkExtentIter *self, const uint8_t *encoded, size_t encoded_size,
                         uint64_t size);

/* The next extent; false at the end, or where the bytes are malformed. */
bool bk_extent_iter_next(BkExtentIter *self, BkExtent *extent);

/* Appends to `merged` (of BkExtent, its content is replaced) the extents of a file of `size` bytes
 * of which `count` ranges (`over`: in order, not overlapping, within `size`) are new and the others
 * are those of `base` (at its start). What neither knows is left out. */
void bk_extents_overlay(const BkExtent *over, size_t count, BkExtentIter base, uint64_t size,
                        GArray *merged);

/* After the last: do the extents cover the file exactly, and is nothing left? */
bool bk_extent_iter_is_complete(const BkExtentIter *self);
