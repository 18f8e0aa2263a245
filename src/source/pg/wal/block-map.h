/* block-map.h - which blocks of which relation forks may differ from an older copy of a cluster.
 *
 * A map is a union: adding to it is commutative, and what it says too much costs reading only. Per
 * fork it holds the blocks that WAL records refer to, and a limit: at and above it nothing may be
 * taken from the older copy (the fork was created, truncated or dropped since). Per database and
 * tablespace it may say that everything is new. Memory is about two bytes a block, less where
 * blocks are dense. Threads: a map belongs to one thread, or is read only. */
#pragma once
#include "base/buf.h"
#include "source/pg/format/relation-file.h"

#define BK_BLOCK_NO_LIMIT UINT32_MAX

/* One fork of one relation, by the numbers that stand in WAL records. */
typedef struct BkForkKey {
    uint32_t tablespace; /* OID; 1663 is pg_default, 1664 pg_global */
    uint32_t database;   /* OID; 0 for shared relations */
    uint32_t file_node;
    uint8_t fork; /* BkFork */
} BkForkKey;

typedef struct BkBlockMap BkBlockMap;

BkBlockMap *bk_block_map_new(void);
void bk_block_map_free(BkBlockMap *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkBlockMap, bk_block_map_free)

void bk_block_map_add(BkBlockMap *self, const BkForkKey *fork, uint32_t block);

/* Lowers the limit of a fork to `block`. */
void bk_block_map_limit(BkBlockMap *self, const BkForkKey *fork, uint32_t block);

/* Everything of the database in the tablespace is new. */
void bk_block_map_renew(BkBlockMap *self, uint32_t tablespace, uint32_t database);

/* The directory of a database in a tablespace, by numbers. */
typedef struct BkDatabaseDirectory {
    uint32_t tablespace;
    uint32_t database;
} BkDatabaseDirectory;

/* A directory that was made as a copy of the files of another one (CREATE DATABASE by file copy,
 * ALTER DATABASE SET TABLESPACE): replay copies it again, from what it finds there. */
typedef struct BkDatabaseCopy {
    BkDatabaseDirectory from;
    BkDatabaseDirectory to;
} BkDatabaseCopy;

/* Notes a copy, and that everything in `to` is new. */
void bk_block_map_copy(BkBlockMap *self, const BkDatabaseCopy *copy);

/* The copies, in order of their numbers: a new array of BkDatabaseCopy. */
GArray *bk_block_map_get_copies(const BkBlockMap *self);

/* Returns true if the map has anything about files in this directory. */
bool bk_block_map_is_touched(const BkBlockMap *self, const BkDatabaseDirectory *directory);

bool bk_block_map_is_renewed(const BkBlockMap *self, uint32_t tablespace, uint32_t database);
uint32_t bk_block_map_get_limit(const BkBlockMap *self, const BkForkKey *fork);

/* The first run of added blocks in [from, end): sets `*first` and `*count` (joined as far as they
 * follow each other). False when there is none. */
bool bk_block_map_next(const BkBlockMap *self, const BkForkKey *fork, uint32_t from, uint32_t end,
                       uint32_t *first, uint32_t *count) BK_MUST_USE;

/* How many blocks were added, of all forks. */
uint64_t bk_block_map_count(const BkBlockMap *self);

/* Adds what `other` (not `self`) says. */
void bk_block_map_merge(BkBlockMap *self, const BkBlockMap *other);

/* Encoding: version byte, renewed databases, copies (from version 2), then forks in order of their
 * keys, delta-coded runs.
 * Maps that say the same are encoded to the same bytes. Appends to `out`. */
void bk_block_map_encode(const BkBlockMap *self, BkBuf *out);

/* Adds what was encoded to the map. Whatever the bytes say, the map grows by no more than about 40
 * times their size: a run ends where a stretch of 65,536 blocks ends. Fails with BK_ERROR_CORRUPT
 * or BK_ERROR_UNSUPPORTED (a newer version); the map may then have got a part of it. */
bool bk_block_map_decode(BkBlockMap *self, const void *data, size_t size,
                         GError **error) BK_MUST_USE;
