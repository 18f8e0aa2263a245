/* pack-map.h - which ranges of each pack are needed by which file: the extents of a snapshot,
 * inverted.
 *
 * Threads: built by one thread, then read only. */
#pragma once
#include "repo/snapshot/snapshot.h"

typedef struct BkPackUse {
    uint32_t pack;
    uint32_t file; /* index among the snapshot's files */
    uint64_t pack_offset;
    uint64_t file_offset;
    uint64_t length;
} BkPackUse;

typedef struct BkPackMap {
    GArray *needs; /* BkPackUse, by pack and place in it */
    GArray *holes; /* BkPackUse without a pack: zeros of a file */
    GArray *packs; /* guint: index in `needs` where each needed pack begins */
} BkPackMap;

void bk_pack_map_clear(BkPackMap *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkPackMap, bk_pack_map_clear)

/* Collects the needs of `count` files of `snapshot` from `first` on, but not of the one at path
 * `skip` (may be NULL). */
void bk_pack_map_collect(BkPackMap *self, const BkSnapshot *snapshot, size_t first, size_t count,
                         const char *skip);

/* The needs of the `index`-th needed pack. */
const BkPackUse *bk_pack_map_of_pack(const BkPackMap *self, size_t index, size_t *count);
