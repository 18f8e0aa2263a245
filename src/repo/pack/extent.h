/* extent.h - the places in packs that a file's bytes are in: built, encoded compactly, walked.
 *
 * The extents of a file cover it from its first byte to its last, in order. Each is a hole of zeros
 * or a run of bytes in the raw stream of one pack. In memory and in a manifest they are the same
 * few bytes each: a varint of flags and length, and where they are needed the pack and the offset.
 * Both ends keep the last packs in mind, where each was left, so that the scattered pages of an
 * increment and the runs between them in older packs cost one to three bytes (docs/format.md).
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

#define BK_EXTENT_UNIT   8192u /* lengths are told in these where they can be */
#define BK_EXTENT_RECENT 32u

/* Where a pack was left. */
typedef struct BkExtentRecent {
    uint32_t pack;
    uint64_t pack_end; /* behind its last run, in the pack */
    uint64_t file_end; /* and in the file */
} BkExtentRecent;

typedef struct BkExtentIter {
    BkWireReader reader;
    uint64_t file_offset;
    uint64_t size;
    unsigned recent_count;
    BkExtentRecent recent[BK_EXTENT_RECENT]; /* the last one used first */
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
