/* wal-parts.h - a record of WAL taken apart: the blocks that it refers to, and its main data.
 *
 * Threads: safe; nothing here has state. */
#pragma once
#include "source/pg/format/bytes.h"
#include "source/pg/wal/block-map.h"
#include "source/pg/wal/wal-scan.h"

#define BK_WAL_REFS_MAX      33 /* block references of one record: their numbers are 0 to 32 */
#define BK_WAL_RELATION_SIZE 12 /* bytes of tablespace, database and file node */

/* Bytes of outside, taken from the front. */
typedef struct BkWalCursor {
    const uint8_t *next;
    size_t left;
} BkWalCursor;

static inline bool
bk_wal_skip(BkWalCursor *cursor, uint64_t size)
{
    if (size > cursor->left)
        return false;
    cursor->next += size;
    cursor->left -= (size_t)size;
    return true;
}

static inline bool
bk_wal_take_u32(BkWalCursor *cursor, uint32_t *value)
{
    if (cursor->left < 4)
        return false;
    *value = bk_bytes_u32(cursor->next);
    return bk_wal_skip(cursor, 4);
}

typedef enum {
    BK_WAL_READ,      /* all that was asked for */
    BK_WAL_CUT,       /* the bytes given of the record end before */
    BK_WAL_MALFORMED, /* the record contradicts itself */
} BkWalReading;

/* A block that a record refers to. */
typedef struct BkWalRef {
    BkForkKey fork;
    uint32_t block;
} BkWalRef;

typedef struct BkWalParts {
    BkWalCursor main_data; /* as far as the record's bytes are given */
    unsigned refs_count;
    BkWalRef refs[BK_WAL_REFS_MAX];
} BkWalParts;

/* Takes a record apart; its first BK_WAL_PARTS_MAX bytes are enough for the references. `magic`
 * matters only for records with block references. */
BkWalReading bk_wal_record_parts(const BkWalRecord *record, uint16_t magic,
                                 BkWalParts *parts) BK_MUST_USE;
