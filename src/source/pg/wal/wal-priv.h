/* wal-priv.h - what the readers of WAL share: the parts of a record, and what joins two segments.
 *
 * Threads: safe; nothing here has state. */
#pragma once
#include "source/pg/format/bytes.h"
#include "source/pg/wal/block-map.h"
#include "source/pg/wal/wal-info.h"

#define BK_WAL_REFS_MAX 33 /* block references of one record: their numbers are 0 to 32 */

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

/* The relations that a commit or abort, prepared or not, dropped: `*count` times 12 bytes of
 * tablespace, database and file node at `*relations`. Of other records, none. */
BkWalReading bk_wal_record_drops(const BkWalRecord *record, const BkWalParts *parts,
                                 const uint8_t **relations, uint32_t *count) BK_MUST_USE;

/* Returns true if bk_wal_info_note makes anything of such a record. */
bool bk_wal_info_wants(const BkWalRecord *record);

/* Counts a record for `info`, whose magic is set. */
void bk_wal_info_note(BkWalInfo *info, const BkWalRecord *record);

/* Sets what a scan tells as a whole, and takes over its edges. */
void bk_wal_info_take(BkWalInfo *info, BkWalScan *scan);

/* Returns true if the segments follow each other and the second continues what the first began. */
bool bk_wal_info_fits(const BkWalInfo *left, const BkWalInfo *right);

/* The start of the record that goes from `left` to `right`, which fit, as much as was kept of it:
 * `bytes` holds it. False when no record ends in `right` that began before it. */
bool bk_wal_info_border(const BkWalInfo *left, const BkWalInfo *right, BkBuf *bytes,
                        BkWalRecord *record);
