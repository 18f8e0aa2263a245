/* wal-blocks.h - the blocks that a stretch of WAL changes, by the block references of its records,
 * 13 to 18.
 *
 * Reference: "Write-Ahead Log Internals" in the manual, and the layout of records as the servers'
 * headers give it (access/xlogrecord.h, storage_xlog.h, dbcommands_xlog.h, xact.h). A record that
 * crosses from one segment into the next counts for neither until bk_wal_blocks_join is told of
 * both. What cannot be summarized (wal_level minimal, a record that is malformed or was too long to
 * keep) makes the summary unusable and says why. Threads: a summary belongs to one thread, or is
 * read only. */
#pragma once
#include "source/pg/wal/block-map.h"
#include "source/pg/wal/wal-info.h"

typedef struct BkWalBlocks {
    BkBlockMap *map;   /* owned */
    BkLsn first_prev;  /* where the first record that begins here says the one before it began */
    BkLsn last;        /* where the last whole record that begins here began; 0: none */
    const char *unfit; /* static text why the map cannot be relied on, else NULL */
} BkWalBlocks;

/* Returns true if it is unusable because its records do not follow each other: WAL of two
 * histories. */
bool bk_wal_blocks_is_apart(const BkWalBlocks *self);

void bk_wal_blocks_init(BkWalBlocks *self);
void bk_wal_blocks_clear(BkWalBlocks *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkWalBlocks, bk_wal_blocks_clear)

/* Takes one record of WAL with `magic`; called for each in order. */
void bk_wal_blocks_note(BkWalBlocks *self, const BkWalRecord *record, uint16_t magic);

/* Scans a whole or still growing segment: its info and its blocks at once. `options` as for
 * bk_wal_info_collect. Both outputs are overwritten, and empty on failure. A scan that ends BROKEN
 * makes the blocks unfit. */
bool bk_wal_blocks_collect(const uint8_t *data, size_t size, const BkWalScanOptions *options,
                           BkWalInfo *info, BkWalBlocks *blocks, GError **error) BK_MUST_USE;

/* Adds the record that begins in `left` and ends in `right`, if there is one, to `blocks` (those of
 * the whole stretch), and carries on a record longer than `right` as bk_wal_info_join does: call
 * this before that, with the same arguments. Unfit when the two do not fit together, or when what
 * was kept of the record is not enough. */
void bk_wal_blocks_join(BkWalBlocks *blocks, const BkWalInfo *left, const BkWalInfo *right);

/* Adds the blocks of `other` (the stretch that follows): unfit when the records do not link up. */
void bk_wal_blocks_merge(BkWalBlocks *self, const BkWalBlocks *other);

/* Encoding: version byte, first_prev, last, unfit (a number), map. */
void bk_wal_blocks_encode(const BkWalBlocks *self, BkBuf *out);
bool bk_wal_blocks_decode(const void *data, size_t size, BkWalBlocks *blocks,
                          GError **error) BK_MUST_USE;
