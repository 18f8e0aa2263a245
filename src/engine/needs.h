/* needs.h - what of each pack is needed by which file: a snapshot's extents turned around.
 *
 * Threads: built by one thread, then read only. */
#pragma once
#include "repo/snapshot.h"

typedef struct BkNeed {
    uint32_t pack;
    uint32_t file; /* index among the snapshot's files */
    uint64_t pack_offset;
    uint64_t file_offset;
    uint64_t length;
} BkNeed;

typedef struct BkNeeds {
    GArray *needs; /* BkNeed, by pack and place in it */
    GArray *holes; /* BkNeed without a pack: zeros of a file */
    GArray *packs; /* guint: index in `needs` where each needed pack begins */
} BkNeeds;

void bk_needs_clear(BkNeeds *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkNeeds, bk_needs_clear)

/* Collects the needs of `count` files of `snapshot` from `first` on, but not of the one at path
 * `skip` (may be NULL). */
void bk_needs_collect(BkNeeds *self, const BkSnapshot *snapshot, size_t first, size_t count,
                      const char *skip);

/* The needs of the `index`-th needed pack. */
const BkNeed *bk_needs_of_pack(const BkNeeds *self, size_t index, size_t *count);
