/* wal-record.h - the contents of WAL records: their parts, and commits, aborts, restore points,
 * checkpoints, ends of recovery, changes of wal_level.
 *
 * Every decoder stays within record->size bytes and works on the beginning of a record too, as far
 * as that tells: the time of a commit is at its start, the transaction of a prepared one near its
 * end. Times are microseconds of Unix time. Threads: safe; nothing here has state. */
#pragma once
#include "source/pg/wal/wal-parts.h"

#define BK_WAL_POINT_NAME_SIZE 64 /* of a restore point, with the zero byte */
#define BK_WAL_XID_NONE        0

/* A record with a time: commit, abort or restore point. */
typedef struct BkWalMoment {
    BkLsn lsn;     /* of its start; 0: none */
    BkLsn end_lsn; /* aligned end */
    int64_t time_us;
    uint32_t xid; /* BK_WAL_XID_NONE for a restore point */
    bool commit;  /* not an abort */
} BkWalMoment;

typedef struct BkWalPoint {
    char name[BK_WAL_POINT_NAME_SIZE];
    BkLsn lsn;
    BkLsn end_lsn;
    int64_t time_us;
} BkWalPoint;

typedef struct BkWalCheckpoint {
    BkLsn lsn; /* 0: none */
    BkLsn redo;
    uint32_t timeline;
    bool shutdown;
    uint32_t next_xid;   /* transactions before it had begun by then; BK_WAL_XID_NONE: not told */
    uint32_t active_xid; /* all before it had ended by then; BK_WAL_XID_NONE: not told */
} BkWalCheckpoint;

/* Decodes a commit or abort, prepared or not, of the version that writes `magic`. False when the
 * record is something else or too short to tell. The xid is BK_WAL_XID_NONE when the record ends
 * before it. */
bool bk_wal_record_xact(const BkWalRecord *record, uint16_t magic, BkWalMoment *moment) BK_MUST_USE;

/* Decodes a restore point; false as above. */
bool bk_wal_record_point(const BkWalRecord *record, BkWalPoint *point) BK_MUST_USE;

/* Decodes a checkpoint (not its redo marker); false as above. */
bool bk_wal_record_checkpoint(const BkWalRecord *record, BkWalCheckpoint *checkpoint) BK_MUST_USE;

/* Decodes an end of recovery: the timeline that begins and the one that it left; false as above. */
bool bk_wal_record_end_of_recovery(const BkWalRecord *record, uint32_t *timeline,
                                   uint32_t *prev_timeline) BK_MUST_USE;

/* Finds the wal_level (BkPgWalLevel) in a record that tells it: a change of parameters, and from 17
 * on checkpoints, their redo markers and ends of recovery. False when there is none. */
bool bk_wal_record_wal_level(const BkWalRecord *record, uint16_t magic, uint8_t *level) BK_MUST_USE;

/* The relations that a commit or abort, prepared or not, dropped: `*count` times 12 bytes of
 * tablespace, database and file node at `*relations`. Of other records, none. */
BkWalReading bk_wal_record_drops(const BkWalRecord *record, const BkWalParts *parts,
                                 const uint8_t **relations, uint32_t *count) BK_MUST_USE;
