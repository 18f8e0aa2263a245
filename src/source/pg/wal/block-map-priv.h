/* block-map-priv.h - the inside of a block map, for its encoding.
 *
 * Threads: as block-map.h. */
#pragma once
#include "source/pg/wal/block-map.h"
#include "source/pg/wal/block-set.h"

/* One fork of one relation. */
typedef struct BkForkBlocks {
    uint64_t place; /* tablespace and database, in order of keys */
    uint64_t file;  /* file node and fork */
    BkBlockSet blocks;
    uint32_t limit;
    uint32_t recent; /* block that was added last; UINT32_MAX: none */
} BkForkBlocks;

#define BK_BLOCK_MAP_RECENT 64

struct BkBlockMap {
    GHashTable *forks;   /* of BkForkBlocks, owned */
    GHashTable *renewed; /* of uint64_t: tablespace and database */
    GHashTable *copies;  /* of BkDatabaseCopy */
    BkForkBlocks *recent[BK_BLOCK_MAP_RECENT];
    uint64_t count;
    unsigned spare_bitmaps; /* what adding may still waste memory on for speed */
};

/* The tablespace is the upper half. */
static inline uint64_t
bk_block_map_place(uint32_t tablespace, uint32_t database)
{
    return ((uint64_t)tablespace << 32) | database;
}

/* Their order: of BkDatabaseCopy. */
int bk_database_copy_compare(const void *a, const void *b);

/* The blocks of a fork, which get into the map when they are not there. */
BkForkBlocks *bk_block_map_fork(BkBlockMap *self, const BkForkKey *fork);
