/* wal-record.c - the contents of WAL records: their parts, and commits, aborts, restore points,
 * checkpoints, ends of recovery, changes of wal_level.
 *
 * The layout of a record, as XLogRecordAssemble writes it:
 *
 *   header (24 bytes)   total length, xid, prev LSN, info, rmid, CRC
 *   parts, each led by one byte:
 *     0..32   a block reference: fork and flags, length of data; [image header]; [relation]; block
 *     252     top-level xid    253  origin    254, 255  main data, long or short: always the last
 *   images and data of the block references, in their order
 *   main data           what the resource manager (rmid) knows how to read
 *
 * bk_wal_record_parts walks the parts without a table of record types: lengths alone tell where
 * they end, so records of extensions and of later minor versions are walked as well. "Announced"
 * is the sum of what the parts say will follow; it must equal what is left, otherwise the record
 * is malformed.
 *
 * A record may be there in part (it continues in the next segment, or more was not kept). So a
 * reading has three outcomes: READ; CUT, the bytes that are there do not reach as far, which is no
 * error; and MALFORMED, the bytes contradict each other, after which nothing is derived from the
 * record.
 *
 * A commit or abort has its time first, so that a short beginning is enough for time and outcome;
 * then optional lists in a fixed order (XINFO_*), then, of a prepared transaction, its xid near
 * the end: the header of its commit names none. Versions differ in the size of the items of one
 * list only. */
#include "source/pg/wal/wal-record.h"

enum {
    XACT_KIND = 0x70,
    XACT_HAS_XINFO = 0x80,
};

enum {
    XACT_COMMIT = 0x00,
    XACT_ABORT = 0x20,
    XACT_COMMIT_PREPARED = 0x30,
    XACT_ABORT_PREPARED = 0x40,
};

enum {
    XLOG_CHECKPOINT_SHUTDOWN = 0x00,
    XLOG_CHECKPOINT_ONLINE = 0x10,
    XLOG_PARAMETER_CHANGE = 0x60,
    XLOG_RESTORE_POINT = 0x70,
    XLOG_END_OF_RECOVERY = 0x90,
    XLOG_CHECKPOINT_REDO = 0xE0,
};

/* Which optional parts a commit or abort has, in the order in which they follow. */
enum {
    XINFO_DATABASE = 1 << 0,
    XINFO_SUBXACTS = 1 << 1,
    XINFO_RELATIONS = 1 << 2,
    XINFO_INVALIDATIONS = 1 << 3,
    XINFO_TWO_PHASE = 1 << 4,
    XINFO_DROPPED_STATS = 1 << 8,
};

#define UNIX_TIME_OF_2000_US (INT64_C(946684800) * BK_USEC_PER_SEC)

/* A count and that many items. */
static bool
skip_list(BkWalCursor *cursor, uint32_t item_size)
{
    uint32_t count;

    return bk_wal_take_u32(cursor, &count) && bk_wal_skip(cursor, (uint64_t)count * item_size);
}

/* Main data of a record without block references: the records that are decoded here have none. */
static bool
find_main(const BkWalRecord *record, BkWalCursor *main_data)
{
    BkWalParts parts;

    if (bk_wal_record_parts(record, 0, &parts) != BK_WAL_READ || parts.refs_count > 0)
        return false;
    *main_data = parts.main_data;
    return main_data->left > 0;
}

static bool
find_xlog_main(const BkWalRecord *record, uint8_t kind, size_t size, const uint8_t **main_data)
{
    BkWalCursor cursor;

    if (record->rmid != BK_WAL_RM_XLOG || bk_wal_record_kind(record) != kind)
        return false;
    if (!find_main(record, &cursor) || cursor.left < size)
        return false;
    *main_data = cursor.next;
    return true;
}

/* Microseconds since 2000 to those since 1970. */
static int64_t
get_record_time(const uint8_t *at)
{
    int64_t time_us;

    if (__builtin_add_overflow((int64_t)bk_bytes_u64(at), UNIX_TIME_OF_2000_US, &time_us))
        return INT64_MAX;
    return time_us;
}

/* Behind the time of a commit or abort: which optional parts there are, and past those before the
 * list of dropped relations. */
static bool
skip_to_drops(BkWalCursor *cursor, uint8_t info, uint32_t *xinfo)
{
    *xinfo = 0;
    if ((info & XACT_HAS_XINFO) == 0)
        return true;
    return bk_wal_take_u32(cursor, xinfo) &&
           ((*xinfo & XINFO_DATABASE) == 0 || bk_wal_skip(cursor, 8)) &&
           ((*xinfo & XINFO_SUBXACTS) == 0 || skip_list(cursor, 4));
}

/* The transaction that a commit or abort prepared ends: its own header names none. */
static uint32_t
prepared_xid(BkWalCursor cursor, uint8_t info, uint16_t magic)
{
    const uint32_t stats_item = magic >= BK_WAL_MAGIC_18 ? 16 : 12;
    uint32_t xinfo, xid;

    if (!skip_to_drops(&cursor, info, &xinfo))
        return BK_WAL_XID_NONE;
    if ((xinfo & XINFO_RELATIONS) != 0 && !skip_list(&cursor, BK_WAL_RELATION_SIZE))
        return BK_WAL_XID_NONE;
    if ((xinfo & XINFO_DROPPED_STATS) != 0 && !skip_list(&cursor, stats_item))
        return BK_WAL_XID_NONE;
    if ((xinfo & XINFO_INVALIDATIONS) != 0 && !skip_list(&cursor, 16))
        return BK_WAL_XID_NONE;
    if ((xinfo & XINFO_TWO_PHASE) == 0 || !bk_wal_take_u32(&cursor, &xid))
        return BK_WAL_XID_NONE;
    return xid;
}

/* Is it the end of a transaction, prepared or not? */
static bool
ends_xact(const BkWalRecord *record)
{
    switch (record->info & XACT_KIND) {
    case XACT_COMMIT:
    case XACT_ABORT:
    case XACT_COMMIT_PREPARED:
    case XACT_ABORT_PREPARED:
        return record->rmid == BK_WAL_RM_XACT;
    default:
        return false;
    }
}

BkWalReading
bk_wal_record_drops(const BkWalRecord *record, const BkWalParts *parts, const uint8_t **relations,
                    uint32_t *count)
{
    const BkWalReading otherwise = record->size < record->total ? BK_WAL_CUT : BK_WAL_MALFORMED;
    BkWalCursor cursor = parts->main_data;
    uint32_t xinfo;

    *count = 0;
    if (!ends_xact(record))
        return BK_WAL_READ;
    if (!bk_wal_skip(&cursor, 8) || !skip_to_drops(&cursor, record->info, &xinfo))
        return otherwise;
    if ((xinfo & XINFO_RELATIONS) == 0)
        return BK_WAL_READ;
    if (!bk_wal_take_u32(&cursor, count))
        return otherwise;
    *relations = cursor.next;
    return bk_wal_skip(&cursor, (uint64_t)*count * BK_WAL_RELATION_SIZE) ? BK_WAL_READ : otherwise;
}

bool
bk_wal_record_xact(const BkWalRecord *record, uint16_t magic, BkWalMoment *moment)
{
    uint8_t kind = record->info & XACT_KIND;
    bool prepared = kind == XACT_COMMIT_PREPARED || kind == XACT_ABORT_PREPARED;
    BkWalCursor cursor;
    const uint8_t *start;

    if (!ends_xact(record) || !find_main(record, &cursor))
        return false;
    start = cursor.next;
    if (!bk_wal_skip(&cursor, 8))
        return false;
    *moment = (BkWalMoment){
        .lsn = record->lsn,
        .end_lsn = record->end_lsn,
        .time_us = get_record_time(start),
        .xid = prepared ? prepared_xid(cursor, record->info, magic) : record->xid,
        .commit = kind == XACT_COMMIT || kind == XACT_COMMIT_PREPARED,
    };
    return true;
}

bool
bk_wal_record_point(const BkWalRecord *record, BkWalPoint *point)
{
    const uint8_t *main_data;

    if (!find_xlog_main(record, XLOG_RESTORE_POINT, 8 + BK_WAL_POINT_NAME_SIZE, &main_data))
        return false;
    *point = (BkWalPoint){
        .lsn = record->lsn,
        .end_lsn = record->end_lsn,
        .time_us = get_record_time(main_data),
    };
    memcpy(point->name, main_data + 8, sizeof point->name - 1);
    return true;
}

/* Where a checkpoint tells of transactions, 13 to 18. When none was active it says so by no id, and
 * at a shutdown none is. */
#define CHECKPOINT_NEXT_XID   24
#define CHECKPOINT_ACTIVE_XID 80

static void
take_xids(const BkWalRecord *record, BkWalCheckpoint *checkpoint)
{
    const uint8_t kind = checkpoint->shutdown ? XLOG_CHECKPOINT_SHUTDOWN : XLOG_CHECKPOINT_ONLINE;
    const uint8_t *main_data;

    if (!find_xlog_main(record, kind, CHECKPOINT_ACTIVE_XID + 4, &main_data))
        return;
    checkpoint->next_xid = bk_bytes_u32(main_data + CHECKPOINT_NEXT_XID);
    checkpoint->active_xid = bk_bytes_u32(main_data + CHECKPOINT_ACTIVE_XID);
    if (checkpoint->active_xid == BK_WAL_XID_NONE)
        checkpoint->active_xid = checkpoint->shutdown ? checkpoint->next_xid : BK_WAL_XID_NONE;
}

bool
bk_wal_record_checkpoint(const BkWalRecord *record, BkWalCheckpoint *checkpoint)
{
    const uint8_t *main_data;
    bool shutdown = find_xlog_main(record, XLOG_CHECKPOINT_SHUTDOWN, 12, &main_data);

    if (!shutdown && !find_xlog_main(record, XLOG_CHECKPOINT_ONLINE, 12, &main_data))
        return false;
    *checkpoint = (BkWalCheckpoint){
        .lsn = record->lsn,
        .redo = bk_bytes_u64(main_data),
        .timeline = bk_bytes_u32(main_data + 8),
        .shutdown = shutdown,
    };
    take_xids(record, checkpoint);
    return true;
}

bool
bk_wal_record_end_of_recovery(const BkWalRecord *record, uint32_t *timeline,
                              uint32_t *prev_timeline)
{
    const uint8_t *main_data;

    if (!find_xlog_main(record, XLOG_END_OF_RECOVERY, 16, &main_data))
        return false;
    *timeline = bk_bytes_u32(main_data + 8);
    *prev_timeline = bk_bytes_u32(main_data + 12);
    return true;
}

bool
bk_wal_record_wal_level(const BkWalRecord *record, uint16_t magic, uint8_t *level)
{
    static const struct {
        uint16_t since; /* magic number of the first version that tells it here */
        uint8_t kind;
        uint8_t at;
    } places[] = {
        {BK_WAL_MAGIC_13, XLOG_PARAMETER_CHANGE, 20},
        {BK_WAL_MAGIC_17, XLOG_CHECKPOINT_REDO, 0},
        {BK_WAL_MAGIC_17, XLOG_CHECKPOINT_SHUTDOWN, 20},
        {BK_WAL_MAGIC_17, XLOG_CHECKPOINT_ONLINE, 20},
        {BK_WAL_MAGIC_17, XLOG_END_OF_RECOVERY, 16},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        const uint8_t *main_data;
        uint32_t value;

        if (magic < places[i].since ||
            !find_xlog_main(record, places[i].kind, places[i].at + 4u, &main_data))
            continue;
        value = bk_bytes_u32(main_data + places[i].at);
        *level = (uint8_t)MIN(value, UINT8_MAX);
        return true;
    }
    return false;
}
