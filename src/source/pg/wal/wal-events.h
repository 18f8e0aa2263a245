/* wal-events.h - what single WAL records do to relations, files and databases: rows deleted, files
 * created, catalogs changed, transactions ended. PostgreSQL 13 to 18.
 *
 * Only the beginning of a record may be there: what that does not tell is left out, and a list that
 * is cut off says so. Pointers lead into the record. Threads: safe; nothing here has state. */
#pragma once
#include "source/pg/format/relation-names.h"
#include "source/pg/wal/wal-parts.h"

typedef enum {
    BK_WAL_EVENT_NONE,
    BK_WAL_EVENT_INSERT, /* of a row of `fork`, in `block` */
    BK_WAL_EVENT_UPDATE,
    BK_WAL_EVENT_DELETE,
    BK_WAL_EVENT_INPLACE,         /* a row is written over, in no transaction */
    BK_WAL_EVENT_CREATE_FILE,     /* `fork` */
    BK_WAL_EVENT_DROP_DATABASE,   /* `database`; also when it moves to another tablespace */
    BK_WAL_EVENT_DROP_TABLESPACE, /* `database` is its OID */
    BK_WAL_EVENT_COPY_DATABASE,   /* `database` is made of the files of `from` */
    BK_WAL_EVENT_IMAGES,          /* whole pages, such as of a database that is made as a copy */
    BK_WAL_EVENT_MAP,             /* the map of `database` is now `data` */
    BK_WAL_EVENT_RUNNING,         /* no transaction older than `xid` goes on */
    BK_WAL_EVENT_COMMIT,
    BK_WAL_EVENT_ABORT,
} BkWalEventKind;

/* Numbers that a commit or abort lists. */
typedef struct BkWalList {
    const uint8_t *items; /* little-endian */
    size_t count;
} BkWalList;

typedef struct BkWalEvent {
    BkWalEventKind kind;
    uint32_t xid;
    BkForkKey fork;
    uint32_t block;
    uint16_t offset;     /* line pointer of the new version, or of the deleted one */
    uint16_t old_offset; /* UPDATE: of the replaced one */
    uint32_t old_block;
    uint8_t flags; /* the record's own */
    uint32_t database;
    uint32_t from;
    const uint8_t *data;
    size_t size;
    /* COMMIT, ABORT: */
    int64_t time_us;
    bool is_prepared;   /* it was, before */
    bool is_cut;        /* the lists are not whole */
    BkWalList subxacts; /* 4 bytes each */
    BkWalList files;    /* dropped: 12 bytes each, see bk_wal_list_file */
} BkWalEvent;

/* Returns true if the record's resource manager is one whose records matter. */
bool bk_wal_event_may_be(const BkWalRecord *record) BK_MUST_USE;

/* Decodes a record that has been taken apart into `parts`. */
void bk_wal_event_decode(const BkWalRecord *record, uint16_t magic, const BkWalParts *parts,
                         BkWalEvent *event);

/* Finds the columns of the row that an INSERT, UPDATE or INPLACE writes: in the record, or on the
 * image of the page in it, for which `page` (BK_PG_PAGE_SIZE bytes) is used. False when they are
 * not there. */
bool bk_wal_event_find_row(const BkWalRecord *record, uint16_t magic, const BkWalParts *parts,
                           const BkWalEvent *event, uint8_t *page,
                           BkRelationNamesRow *row) BK_MUST_USE;

/* Returns true if an INPLACE on a row of pg_database may mark the database as invalid, which is the
 * first thing that dropping it does: the row says so, or cannot be read. `page` as above. */
bool bk_wal_event_may_invalidate(const BkWalRecord *record, uint16_t magic, const BkWalParts *parts,
                                 const BkWalEvent *event, uint8_t *page) BK_MUST_USE;

/* Returns true if bk_wal_event_is_drop may say so of such a record. */
bool bk_wal_event_may_drop(const BkWalRecord *record);

/* Returns true if the record removes the directories of a database or tablespace within a
 * transaction, and so before its commit, or may mark a database as invalid before that. */
bool bk_wal_event_is_drop(const BkWalRecord *record, uint16_t magic);

uint32_t bk_wal_list_xid(const BkWalList *list, size_t index);
BkForkKey bk_wal_list_file(const BkWalList *list, size_t index); /* of the main fork */
