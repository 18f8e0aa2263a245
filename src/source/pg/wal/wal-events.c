/* wal-events.c - what single WAL records do to relations, files and databases: rows deleted, files
 * created, catalogs changed, transactions ended. */
#include "source/pg/wal/wal-events.h"

#include "source/pg/wal/wal-image.h"
#include "source/pg/wal/wal-record.h"

enum {
    RM_MAP = 7,
    RM_STANDBY = 8,
    RM_HEAP = 10,
};

enum {
    XLOG_IMAGES = 0xB0,
    HEAP_KIND = 0x70, /* the highest bit says that the page is made anew */
    HEAP_INSERT = 0x00,
    HEAP_DELETE = 0x10,
    HEAP_UPDATE = 0x20,
    HEAP_HOT_UPDATE = 0x40,
    HEAP_INPLACE = 0x70,
    COPY_FILES = 0x00,
    TABLESPACE_DROP = 0x10,
    MAP_UPDATE = 0x00,
    STANDBY_RUNNING = 0x10,
};

/* Why a row is deleted that no one has deleted: a tentative insertion is taken back, or an update
 * moves it to another partition. */
enum {
    DELETE_TENTATIVE = 1 << 3,
    DELETE_MOVED = 1 << 4,
};

enum {
    UPDATE_HAS_PREFIX = 1 << 5,
    UPDATE_HAS_SUFFIX = 1 << 6,
};

enum {
    XACT_KIND = 0x70,
    XACT_COMMIT_PREPARED = 0x30,
    XACT_ABORT_PREPARED = 0x40,
    XACT_HAS_XINFO = 0x80, /* flags follow that tell which lists there are */
    XINFO_DATABASE = 1 << 0,
    XINFO_SUBXACTS = 1 << 1,
    FILE_SIZE = 12, /* tablespace, database, file node */
};

#define ROW_HEADER     5 /* what a record keeps of a row; its last byte tells where columns begin */
#define ROW_FIXED_PART 23 /* of the header that is on the page */

bool
bk_wal_event_may_be(const BkWalRecord *record)
{
    switch (record->rmid) {
    case BK_WAL_RM_XLOG:
        return bk_wal_record_kind(record) == XLOG_IMAGES;
    case BK_WAL_RM_XACT:
    case BK_WAL_RM_SMGR:
    case BK_WAL_RM_DBASE:
    case BK_WAL_RM_TBLSPC:
    case RM_MAP:
    case RM_STANDBY:
    case RM_HEAP:
        return true;
    default:
        return false;
    }
}

static BkForkKey
read_fork_key(const uint8_t *at)
{
    return (BkForkKey){bk_bytes_u32(at), bk_bytes_u32(at + 4), bk_bytes_u32(at + 8), BK_FORK_MAIN};
}

static void
decode_heap(const BkWalRecord *record, const BkWalParts *parts, BkWalEvent *event)
{
    const uint8_t *main_data = parts->main_data.next;
    const size_t size = parts->main_data.left;

    if (parts->refs_count == 0 || size < 2)
        return;
    event->fork = parts->refs[0].fork;
    event->block = parts->refs[0].block;
    event->offset = bk_bytes_u16(main_data);
    switch (record->info & HEAP_KIND) {
    case HEAP_INSERT:
        event->kind = BK_WAL_EVENT_INSERT;
        break;
    case HEAP_DELETE:
        if (size < 8 || (main_data[7] & (DELETE_TENTATIVE | DELETE_MOVED)) != 0)
            return;
        event->kind = BK_WAL_EVENT_DELETE;
        event->offset = bk_bytes_u16(main_data + 4);
        break;
    case HEAP_UPDATE:
    case HEAP_HOT_UPDATE:
        if (size < 14)
            return;
        event->kind = BK_WAL_EVENT_UPDATE;
        event->old_offset = bk_bytes_u16(main_data + 4);
        event->old_block = parts->refs_count > 1 ? parts->refs[1].block : event->block;
        event->offset = bk_bytes_u16(main_data + 12);
        event->flags = main_data[7];
        break;
    case HEAP_INPLACE:
        event->kind = BK_WAL_EVENT_INPLACE;
        break;
    default:
        break;
    }
}

/* Behind a shortened header of the row and its map of nulls. */
static bool
find_columns(BkWalCursor cursor, const BkWalEvent *event, BkRelationNamesRow *row)
{
    const uint8_t *at = cursor.next;

    if (event->kind == BK_WAL_EVENT_UPDATE && (event->flags & UPDATE_HAS_PREFIX) != 0) {
        if (!bk_wal_skip(&cursor, 2))
            return false;
        row->prefix = bk_bytes_u16(at);
        at = cursor.next;
    }
    if (event->kind == BK_WAL_EVENT_UPDATE && (event->flags & UPDATE_HAS_SUFFIX) != 0) {
        if (!bk_wal_skip(&cursor, 2))
            return false;
        row->suffix = bk_bytes_u16(at);
    }
    if (event->kind != BK_WAL_EVENT_INPLACE) {
        at = cursor.next;
        if (!bk_wal_skip(&cursor, ROW_HEADER) || at[ROW_HEADER - 1] < ROW_FIXED_PART ||
            !bk_wal_skip(&cursor, at[ROW_HEADER - 1] - ROW_FIXED_PART))
            return false;
    }
    row->data = cursor.next;
    row->size = cursor.left;
    return true;
}

bool
bk_wal_event_find_row(const BkWalRecord *record, uint16_t magic, const BkWalParts *parts,
                      const BkWalEvent *event, uint8_t *page, BkRelationNamesRow *row)
{
    BkWalContent content;
    BkPgTuple tuple;

    *row = (BkRelationNamesRow){
        .has_old = event->kind == BK_WAL_EVENT_UPDATE,
        .old = {event->old_block, event->old_offset},
    };
    if (!bk_wal_content_find(record, magic, parts, 0, &content))
        return false;
    if (content.data != NULL)
        return find_columns((BkWalCursor){content.data, content.size}, event, row);
    if (event->offset == 0 || !bk_wal_content_restore(&content, page) ||
        !bk_pg_page_next_tuple(page, event->offset, &tuple) || tuple.offset != event->offset)
        return false;
    row->data = tuple.data;
    row->size = tuple.size;
    return true;
}

/* A database that is being dropped allows -2 connections. */
bool
bk_wal_event_may_invalidate(const BkWalRecord *record, uint16_t magic, const BkWalParts *parts,
                            const BkWalEvent *event, uint8_t *page)
{
    const size_t limit_at = magic < BK_WAL_MAGIC_15 ? 208 : 80;
    BkRelationNamesRow row;

    return !bk_wal_event_find_row(record, magic, parts, event, page, &row) ||
           row.size < limit_at + 4 || (int32_t)bk_bytes_u32(row.data + limit_at) == -2;
}

bool
bk_wal_event_may_drop(const BkWalRecord *record)
{
    return record->rmid == BK_WAL_RM_DBASE || record->rmid == BK_WAL_RM_TBLSPC ||
           (record->rmid == RM_HEAP && (record->info & HEAP_KIND) == HEAP_INPLACE);
}

/* Rows of shared catalogs that are written over in place are those of pg_database. */
static bool
is_mark(const BkWalRecord *record, uint16_t magic, const BkWalParts *parts, const BkWalEvent *event)
{
    uint8_t page[BK_PG_PAGE_SIZE];

    return event->kind == BK_WAL_EVENT_INPLACE && event->fork.tablespace != 0 &&
           event->fork.database == 0 &&
           bk_wal_event_may_invalidate(record, magic, parts, event, page);
}

bool
bk_wal_event_is_drop(const BkWalRecord *record, uint16_t magic)
{
    BkWalParts parts;
    BkWalEvent event;

    if (!bk_wal_event_may_drop(record))
        return false;
    if (record->data == NULL || bk_wal_record_parts(record, magic, &parts) == BK_WAL_MALFORMED)
        return true;
    bk_wal_event_decode(record, magic, &parts, &event);
    if (event.kind == BK_WAL_EVENT_DROP_DATABASE || event.kind == BK_WAL_EVENT_DROP_TABLESPACE)
        return record->xid != BK_WAL_XID_NONE;
    return is_mark(record, magic, &parts, &event);
}

/* Since 15 there are two ways to create a database, and dropping one has another number. */
static void
decode_database(const BkWalRecord *record, uint16_t magic, const BkWalParts *parts,
                BkWalEvent *event)
{
    const uint8_t drop = magic < BK_WAL_MAGIC_15 ? 0x10 : 0x20;
    const uint8_t *main_data = parts->main_data.next;

    if (parts->main_data.left < 8)
        return;
    event->database = bk_bytes_u32(main_data);
    if (bk_wal_record_kind(record) == drop) {
        event->kind = BK_WAL_EVENT_DROP_DATABASE;
    } else if (bk_wal_record_kind(record) == COPY_FILES && parts->main_data.left >= 16) {
        event->kind = BK_WAL_EVENT_COPY_DATABASE;
        event->from = bk_bytes_u32(main_data + 8);
    }
}

/* The lists that come first in a commit or abort; as much of them as is there. */
static void
decode_lists(const BkWalRecord *record, const BkWalParts *parts, BkWalEvent *event)
{
    BkWalCursor cursor = parts->main_data;
    const uint8_t *files = NULL;
    uint32_t count = 0, xinfo = 0;

    event->is_cut = bk_wal_record_drops(record, parts, &files, &count) != BK_WAL_READ;
    if (files != NULL && count > 0) {
        size_t left = (size_t)(parts->main_data.next + parts->main_data.left - files);

        event->files = (BkWalList){files, MIN(count, left / FILE_SIZE)};
    }
    if (!bk_wal_skip(&cursor, 8) || !bk_wal_take_u32(&cursor, &xinfo) ||
        ((xinfo & XINFO_DATABASE) != 0 && !bk_wal_skip(&cursor, 8)) ||
        (xinfo & XINFO_SUBXACTS) == 0 || !bk_wal_take_u32(&cursor, &count))
        return;
    event->subxacts = (BkWalList){cursor.next, MIN(count, cursor.left / 4)};
}

static void
decode_xact(const BkWalRecord *record, uint16_t magic, const BkWalParts *parts, BkWalEvent *event)
{
    const uint8_t kind = record->info & XACT_KIND;
    BkWalMoment moment;

    if (!bk_wal_record_xact(record, magic, &moment))
        return;
    event->kind = moment.commit ? BK_WAL_EVENT_COMMIT : BK_WAL_EVENT_ABORT;
    event->xid = moment.xid;
    event->time_us = moment.time_us;
    event->is_prepared = kind == XACT_COMMIT_PREPARED || kind == XACT_ABORT_PREPARED;
    if ((record->info & XACT_HAS_XINFO) != 0)
        decode_lists(record, parts, event);
}

void
bk_wal_event_decode(const BkWalRecord *record, uint16_t magic, const BkWalParts *parts,
                    BkWalEvent *event)
{
    const uint8_t *main_data = parts->main_data.next;
    const size_t size = parts->main_data.left;
    const uint8_t kind = bk_wal_record_kind(record);

    *event = (BkWalEvent){.kind = BK_WAL_EVENT_NONE, .xid = record->xid};
    if (record->rmid == RM_HEAP) {
        decode_heap(record, parts, event);
    } else if (record->rmid == BK_WAL_RM_XACT) {
        decode_xact(record, magic, parts, event);
    } else if (record->rmid == BK_WAL_RM_DBASE) {
        decode_database(record, magic, parts, event);
    } else if (record->rmid == BK_WAL_RM_TBLSPC && kind == TABLESPACE_DROP && size >= 4) {
        event->kind = BK_WAL_EVENT_DROP_TABLESPACE;
        event->database = bk_bytes_u32(main_data);
    } else if (record->rmid == BK_WAL_RM_XLOG && kind == XLOG_IMAGES) {
        event->kind = BK_WAL_EVENT_IMAGES;
    } else if (record->rmid == BK_WAL_RM_SMGR && kind == BK_WAL_SMGR_CREATE && size >= 16) {
        event->kind = BK_WAL_EVENT_CREATE_FILE;
        event->fork = read_fork_key(main_data);
        event->fork.fork = main_data[12];
    } else if (record->rmid == RM_MAP && kind == MAP_UPDATE && size > 12) {
        event->kind = BK_WAL_EVENT_MAP;
        event->database = bk_bytes_u32(main_data);
        event->data = main_data + 12;
        event->size = size - 12;
    } else if (record->rmid == RM_STANDBY && kind == STANDBY_RUNNING && size >= 20) {
        event->kind = BK_WAL_EVENT_RUNNING;
        event->xid = bk_bytes_u32(main_data + 16);
    }
}

uint32_t
bk_wal_list_xid(const BkWalList *list, size_t index)
{
    return bk_bytes_u32(list->items + index * 4);
}

BkForkKey
bk_wal_list_file(const BkWalList *list, size_t index)
{
    return read_fork_key(list->items + index * FILE_SIZE);
}
