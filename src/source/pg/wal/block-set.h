/* block-set.h - a set of block numbers: what block-map.h holds for each fork.
 *
 * Stretches of 65,536 blocks are kept apart, each in the smallest of three forms: a sorted array of
 * two bytes a block, a sorted array of four bytes a run, or a bitmap of 8 KiB.
 * Threads: a set belongs to one thread, or is read only. */
#pragma once
#include "base/macros.h"

#define BK_BLOCK_STRETCH UINT32_C(65536)

/* Blocks first to last of a stretch. */
typedef struct BkBlockRun {
    uint16_t first;
    uint16_t last;
} BkBlockRun;

typedef struct BkBlockStretch BkBlockStretch;

typedef struct BkBlockSet {
    BkBlockStretch *stretches; /* owned, ascending */
    uint32_t size;
    uint32_t capacity;
    uint32_t recent; /* index of the one that was added to last */
} BkBlockSet;

void bk_block_set_clear(BkBlockSet *self);

/* Adds a block (not UINT32_MAX); was it new? Adding one by one is quickest in a bitmap: `*spare` is
 * how many stretches may still become one early. */
bool bk_block_set_add(BkBlockSet *self, uint32_t block, unsigned *spare);

/* Adds runs of the stretch that begins at block `number` * BK_BLOCK_STRETCH, which ascend and do
 * not touch each other. Returns how many blocks were new. */
uint64_t bk_block_set_add_runs(BkBlockSet *self, uint16_t number, const BkBlockRun *runs,
                               size_t count, unsigned *spare);

/* The first run of blocks in [from, end), as bk_block_map_next. */
bool bk_block_set_next(const BkBlockSet *self, uint32_t from, uint32_t end, uint32_t *first,
                       uint32_t *count) BK_MUST_USE;

/* Called for each stretch in order with its runs, as bk_block_set_add_runs takes them. */
typedef void (*BkBlockSetVisit)(uint16_t number, const BkBlockRun *runs, size_t count, void *data);

void bk_block_set_visit(const BkBlockSet *self, BkBlockSetVisit visit, void *data);
