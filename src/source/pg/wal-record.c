#include "source/pg/wal-record.h"

#include "source/pg/bytes.h"

enum {
    RMGR_INFO = 0xF0, /* what a resource manager may use of the info byte */
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

/* Marks of the header parts of a record that come before its main data. */
enum {
    PART_TOPLEVEL_XID = 252,
    PART_ORIGIN = 253,
    PART_MAIN_LONG = 254,
    PART_MAIN_SHORT = 255,
};

#define UNIX_TIME_OF_2000_US (INT64_C(946684800) * BK_USEC_PER_SEC)

/* Bytes of outside, taken from the front. */
typedef struct Cursor {
    const uint8_t *next;
    size_t left;
} Cursor;

static bool
skip(Cursor *cursor, uint64_t size)
{
    if (size > cursor->left)
        return false;
    cursor->next += size;
    cursor->left -= (size_t)size;
    return true;
}

static bool
take_u32(Cursor *cursor, uint32_t *value)
{
    if (cursor->left < 4)
        return false;
    *value = bk_bytes_u32(cursor->next);
    return skip(cursor, 4);
}

/* A count and that many items. */
static bool
skip_list(Cursor *cursor, uint32_t item_size)
{
    uint32_t count;

    return take_u32(cursor, &count) && skip(cursor, (uint64_t)count * item_size);
}

/* Main data of a record without block references: the records that are decoded here have none. */
static bool
find_main(const BkWalRecord *record, Cursor *main_data)
{
    Cursor cursor = {record->data, record->size};

    if (record->data == NULL || !skip(&cursor, BK_WAL_RECORD_HEADER))
        return false;
    while (cursor.left > 0) {
        size_t head = 0, length = 0;

        switch (cursor.next[0]) {
        case PART_TOPLEVEL_XID:
            head = 5;
            break;
        case PART_ORIGIN:
            head = 3;
            break;
        case PART_MAIN_LONG:
            if (cursor.left < 5)
                return false;
            length = bk_bytes_u32(cursor.next + 1);
            head = 5;
            break;
        case PART_MAIN_SHORT:
            if (cursor.left < 2)
                return false;
            length = cursor.next[1];
            head = 2;
            break;
        default:
            return false;
        }
        if (!skip(&cursor, head))
            return false;
        if (length > 0) {
            *main_data = (Cursor){cursor.next, MIN(length, cursor.left)};
            return true;
        }
    }
    return false;
}

static bool
find_xlog_main(const BkWalRecord *record, uint8_t kind, size_t size, const uint8_t **main_data)
{
    Cursor cursor;

    if (record->rmid != BK_WAL_RM_XLOG || (record->info & RMGR_INFO) != kind)
        return false;
    if (!find_main(record, &cursor) || cursor.left < size)
        return false;
    *main_data = cursor.next;
    return true;
}

/* Microseconds since 2000 to those since 1970. */
static int64_t
time_at(const uint8_t *at)
{
    int64_t time_us;

    if (__builtin_add_overflow((int64_t)bk_bytes_u64(at), UNIX_TIME_OF_2000_US, &time_us))
        return INT64_MAX;
    return time_us;
}

/* The transaction that a commit or abort prepared ends: its own header names none. */
static uint32_t
prepared_xid(Cursor cursor, uint8_t info, uint16_t magic)
{
    const uint32_t stats_item = magic >= BK_WAL_MAGIC_18 ? 16 : 12;
    uint32_t xinfo, xid;

    if ((info & XACT_HAS_XINFO) == 0 || !take_u32(&cursor, &xinfo))
        return BK_WAL_XID_NONE;
    if ((xinfo & XINFO_DATABASE) != 0 && !skip(&cursor, 8))
        return BK_WAL_XID_NONE;
    if ((xinfo & XINFO_SUBXACTS) != 0 && !skip_list(&cursor, 4))
        return BK_WAL_XID_NONE;
    if ((xinfo & XINFO_RELATIONS) != 0 && !skip_list(&cursor, 12))
        return BK_WAL_XID_NONE;
    if ((xinfo & XINFO_DROPPED_STATS) != 0 && !skip_list(&cursor, stats_item))
        return BK_WAL_XID_NONE;
    if ((xinfo & XINFO_INVALIDATIONS) != 0 && !skip_list(&cursor, 16))
        return BK_WAL_XID_NONE;
    if ((xinfo & XINFO_TWO_PHASE) == 0 || !take_u32(&cursor, &xid))
        return BK_WAL_XID_NONE;
    return xid;
}

bool
bk_wal_record_xact(const BkWalRecord *record, uint16_t magic, BkWalMoment *moment)
{
    uint8_t kind = record->info & XACT_KIND;
    bool prepared = kind == XACT_COMMIT_PREPARED || kind == XACT_ABORT_PREPARED;
    Cursor cursor;
    const uint8_t *start;

    if (record->rmid != BK_WAL_RM_XACT || (kind != XACT_COMMIT && kind != XACT_ABORT && !prepared))
        return false;
    if (!find_main(record, &cursor))
        return false;
    start = cursor.next;
    if (!skip(&cursor, 8))
        return false;
    *moment = (BkWalMoment){
        .lsn = record->lsn,
        .end_lsn = record->end_lsn,
        .time_us = time_at(start),
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
        .time_us = time_at(main_data),
    };
    memcpy(point->name, main_data + 8, sizeof point->name - 1);
    return true;
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
