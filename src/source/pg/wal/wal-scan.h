/* wal-scan.h - walks the records of one WAL segment in memory, PostgreSQL 13 to 18.
 *
 * Memory is bounded by BK_WAL_ASSEMBLE_MAX, whatever the segment says. A segment of which nothing
 * is to be believed (no WAL page at its start, another system, another position) is an error; one
 * whose valid data ends early is not: the scan tells where and why. Threads: safe; the segment is
 * only read. */
#pragma once
#include "base/buf.h"
#include "source/pg/format/lsn.h"

#define BK_WAL_RECORD_HEADER 24
#define BK_WAL_ASSEMBLE_MAX  BK_MIB /* longest record that is put together from several pages */
#define BK_WAL_EDGE_MAX      (64 * BK_KIB) /* bytes kept of a record cut off at a segment's border */

#define BK_WAL_MAGIC_13 0xD106
#define BK_WAL_MAGIC_14 0xD10D
#define BK_WAL_MAGIC_15 0xD110
#define BK_WAL_MAGIC_16 0xD113
#define BK_WAL_MAGIC_17 0xD116
#define BK_WAL_MAGIC_18 0xD118

/* The header parts of a record, which name the blocks that it refers to, end within these. */
#define BK_WAL_PARTS_MAX BK_KIB

/* Resource managers that the scanner and its users know by number. */
#define BK_WAL_RM_XLOG   0
#define BK_WAL_RM_XACT   1
#define BK_WAL_RM_SMGR   2
#define BK_WAL_RM_DBASE  4
#define BK_WAL_RM_TBLSPC 5

#define BK_WAL_SMGR_CREATE 0x10 /* a kind of record of BK_WAL_RM_SMGR */

/* Major version that writes pages with this magic number, 0 for none of 13 to 18. */
unsigned bk_wal_magic_major(uint16_t magic);

typedef enum {
    BK_WAL_END_FULL,   /* valid to the end of the segment */
    BK_WAL_END_SWITCH, /* a switch record; the rest is padding */
    BK_WAL_END_ZERO,   /* zeros, an old page of a recycled file, or the end of a shortened file */
    BK_WAL_END_BROKEN, /* what follows contradicts itself: `reason` says how */
} BkWalEnd;

typedef struct BkWalRecord {
    BkLsn lsn;
    BkLsn end_lsn; /* where the next record may begin (8-byte aligned) */
    BkLsn prev_lsn;
    uint32_t total; /* length with the header */
    uint32_t xid;
    uint8_t rmid;
    uint8_t info;
    uint32_t crc;
    const uint8_t *data; /* its first `size` bytes, header first; valid during the call only. NULL
                            when it crosses pages and was not wanted */
    size_t size;         /* total; less of a record that crosses pages and is longer than what is
                            put together of it (see assemble_max and start_max) */
} BkWalRecord;

/* What the record's resource manager makes of the info byte. */
static inline uint8_t
bk_wal_record_kind(const BkWalRecord *record)
{
    return record->info & 0xF0;
}

/* Sets the fields that the BK_WAL_RECORD_HEADER bytes at `header` tell: total, xid, prev_lsn, info,
 * rmid, crc. */
void bk_wal_record_decode(const uint8_t *header, BkWalRecord *record);

/* Called for each record that ends in the segment and began in it. False with `error` stops. */
typedef bool (*BkWalRecordFn)(const BkWalRecord *record, void *user, GError **error);

typedef struct BkWalScanOptions {
    BkLsn expect_start_lsn;    /* 0: any */
    uint64_t expect_system_id; /* 0: any */
    uint32_t expect_timeline;  /* 0: any; otherwise no page may be of a later timeline */
    uint32_t assemble_max;     /* records of any kind up to this length (at most
                                  BK_WAL_ASSEMBLE_MAX) are put together when they cross pages; those
                                  of XLOG, XACT, SMGR and DBASE always are, up to
                                  BK_WAL_ASSEMBLE_MAX */
    uint32_t start_max;        /* and so are the first bytes of all others, at least this many (at
                                  most BK_WAL_EDGE_MAX) */
    bool verify_crc;
    BkWalRecordFn on_record; /* may be NULL */
    void *user;              /* passed to it */
} BkWalScanOptions;

/* A record that began in an earlier segment: what this one holds of it. */
typedef struct BkWalLead {
    bool abandoned;     /* this segment says that the record will never be complete: the server
                           crashed while it wrote it, and went on after it */
    uint32_t rest;      /* bytes that the first page says are still to come; 0: no such record */
    uint32_t available; /* of them, how many are in this segment */
    BkBuf bytes;        /* the first of them, at most BK_WAL_EDGE_MAX */
    BkLsn end_lsn;      /* aligned end, when available == rest */
} BkWalLead;

/* A record that goes on in the next segment. */
typedef struct BkWalTail {
    BkLsn lsn;          /* of its start; 0: no such record */
    uint32_t total;     /* length with the header */
    uint32_t available; /* of it, how many bytes there are up to the end of this segment */
    BkBuf bytes;        /* the first of them, at most BK_WAL_EDGE_MAX */
} BkWalTail;

typedef struct BkWalScan {
    uint16_t magic;
    uint32_t timeline;       /* of the last valid page: what a timeline's first segment copied from
                                its parent bears the parent's number */
    uint32_t first_timeline; /* of the first page */
    uint32_t segment_size;
    uint32_t page_size;
    uint64_t system_id;
    BkLsn start_lsn; /* of the segment */
    BkLsn end_lsn;   /* end of the last whole record (aligned); the segment's end when FULL */
    BkLsn last_lsn;  /* start of the last whole record, 0 for none */
    uint64_t records;
    BkWalEnd end;
    const char *reason; /* static text when BROKEN, otherwise NULL */
    BkWalLead lead;
    BkWalTail tail;
} BkWalScan;

void bk_wal_scan_clear(BkWalScan *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkWalScan, bk_wal_scan_clear)

/* The system identifier in the header of a segment's first page; fails as bk_wal_scan. */
bool bk_wal_scan_system_id(const uint8_t *data, size_t size, uint64_t *system_id,
                           GError **error) BK_MUST_USE;

/* Scans `size` bytes from the start of a segment file (less than a segment is taken for a file that
 * is still being written). `options` may be NULL. `scan` is overwritten; clear it also after a
 * failure. Fails with BK_ERROR_CORRUPT, BK_ERROR_UNSUPPORTED (magic number, sizes) or the error of
 * `on_record`. */
bool bk_wal_scan(const uint8_t *data, size_t size, const BkWalScanOptions *options, BkWalScan *scan,
                 GError **error) BK_MUST_USE;
