/* wal-parts.c - takes the headers of a WAL record apart. */
#include "source/pg/wal/wal-parts.h"

/* Marks of the header parts of a record that come before its main data. */
enum {
    PART_TOPLEVEL_XID = 252,
    PART_ORIGIN = 253,
    PART_MAIN_LONG = 254,
    PART_MAIN_SHORT = 255,
};

/* Of a block reference: its fork, and what else its header has. */
enum {
    REF_FORK = 0x0F,
    REF_HAS_IMAGE = 0x10,
    REF_SAME_RELATION = 0x80,
};

#define IMAGE_HAS_HOLE 0x01

/* Header parts of a record while they are gone through. */
typedef struct Walk {
    const BkWalRecord *record;
    BkWalCursor cursor;
    uint16_t magic;
    uint64_t announced;    /* bytes of data behind the header parts */
    int last_id;           /* of a block reference; they ascend */
    const BkForkKey *fork; /* of the last block reference, or NULL */
} Walk;

/* What it means that the bytes do not suffice. */
static BkWalReading
tell_missing_bytes(const Walk *walk)
{
    return walk->record->size < walk->record->total ? BK_WAL_CUT : BK_WAL_MALFORMED;
}

/* The header of a page's image: length, offset of the hole, flags; the length of a hole in a
 * compressed one follows. The flags changed their meaning in 15. */
static bool
skip_image(Walk *walk)
{
    const uint8_t compressed = walk->magic >= BK_WAL_MAGIC_15 ? 0x04 | 0x08 | 0x10 : 0x02;
    const uint8_t *at = walk->cursor.next;

    if (!bk_wal_skip(&walk->cursor, 5))
        return false;
    walk->announced += bk_bytes_u16(at);
    return (at[4] & compressed) == 0 || (at[4] & IMAGE_HAS_HOLE) == 0 ||
           bk_wal_skip(&walk->cursor, 2);
}

/* Number, fork and flags, length of data; then what the flags say. */
static BkWalReading
take_ref(Walk *walk, BkWalRef *ref)
{
    const uint8_t *at = walk->cursor.next;
    uint8_t flags;

    if (!bk_wal_skip(&walk->cursor, 4))
        return tell_missing_bytes(walk);
    flags = at[1];
    walk->announced += bk_bytes_u16(at + 2);
    if (at[0] <= walk->last_id || (flags & REF_FORK) > BK_FORK_INIT ||
        ((flags & REF_SAME_RELATION) != 0 && walk->fork == NULL))
        return BK_WAL_MALFORMED;
    walk->last_id = at[0];
    if ((flags & REF_HAS_IMAGE) != 0 && !skip_image(walk))
        return tell_missing_bytes(walk);
    if ((flags & REF_SAME_RELATION) == 0) {
        at = walk->cursor.next;
        if (!bk_wal_skip(&walk->cursor, BK_WAL_RELATION_SIZE))
            return tell_missing_bytes(walk);
        ref->fork.tablespace = bk_bytes_u32(at);
        ref->fork.database = bk_bytes_u32(at + 4);
        ref->fork.file_node = bk_bytes_u32(at + 8);
    } else {
        ref->fork = *walk->fork;
    }
    ref->fork.fork = flags & REF_FORK;
    walk->fork = &ref->fork;
    if (!bk_wal_take_u32(&walk->cursor, &ref->block))
        return tell_missing_bytes(walk);
    return ref->block == UINT32_MAX ? BK_WAL_MALFORMED : BK_WAL_READ;
}

/* A part that is no block reference. */
static BkWalReading
take_part(Walk *walk, uint32_t *main_size)
{
    const uint8_t *at = walk->cursor.next;
    size_t size;

    switch (at[0]) {
    case PART_TOPLEVEL_XID:
    case PART_MAIN_LONG:
        size = 5;
        break;
    case PART_ORIGIN:
        size = 3;
        break;
    case PART_MAIN_SHORT:
        size = 2;
        break;
    default:
        return BK_WAL_MALFORMED;
    }
    if (!bk_wal_skip(&walk->cursor, size))
        return tell_missing_bytes(walk);
    if (at[0] == PART_MAIN_LONG)
        *main_size = bk_bytes_u32(at + 1);
    else if (at[0] == PART_MAIN_SHORT)
        *main_size = at[1];
    walk->announced += *main_size;
    return BK_WAL_READ;
}

BkWalReading
bk_wal_record_parts(const BkWalRecord *record, uint16_t magic, BkWalParts *parts)
{
    Walk walk = {.record = record, .magic = magic, .last_id = -1};
    BkWalReading reading = BK_WAL_READ;
    uint32_t to_come, main_size = 0;

    parts->refs_count = 0;
    parts->main_data = (BkWalCursor){0};
    if (record->data == NULL || record->size < BK_WAL_RECORD_HEADER)
        return BK_WAL_CUT;
    if (record->size > record->total)
        return BK_WAL_MALFORMED;
    walk.cursor =
        (BkWalCursor){record->data + BK_WAL_RECORD_HEADER, record->size - BK_WAL_RECORD_HEADER};
    to_come = record->total - BK_WAL_RECORD_HEADER;
    /* The main data's part is the last; without one the lengths tell where the parts end. */
    while (main_size == 0 && to_come > walk.announced && reading == BK_WAL_READ) {
        size_t before = walk.cursor.left;

        if (before == 0)
            return tell_missing_bytes(&walk);
        if (walk.cursor.next[0] >= BK_WAL_REFS_MAX)
            reading = take_part(&walk, &main_size);
        else
            reading = take_ref(&walk, &parts->refs[parts->refs_count++]);
        to_come -= (uint32_t)(before - walk.cursor.left);
    }
    if (reading != BK_WAL_READ)
        return reading;
    if (to_come != walk.announced)
        return BK_WAL_MALFORMED;
    if (record->total - main_size < record->size)
        parts->main_data = (BkWalCursor){record->data + record->total - main_size,
                                         record->size - (record->total - main_size)};
    return BK_WAL_READ;
}
