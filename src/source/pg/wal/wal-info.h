/* wal-info.h - transactions, restore points and checkpoints in one WAL segment.
 *
 * The answers that a catalog of the archive needs without opening segments again. Times are
 * microseconds of Unix time. A record that crosses into the segment from the one before counts for
 * the segment in which it ends, once bk_wal_info_join has been told of both.
 * Threads: an info belongs to one thread, or is read only. */
#pragma once
#include "source/pg/wal/wal-record.h"

#define BK_WAL_POINTS_MAX 1024 /* restore points kept of one segment */

typedef struct BkWalInfo {
    uint16_t magic;
    uint32_t timeline; /* as in BkWalScan */
    uint32_t first_timeline;
    uint32_t segment_size;
    uint64_t system_id;
    BkLsn start_lsn;
    BkLsn end_lsn; /* end of the valid data */
    BkWalEnd end;
    uint64_t records;

    uint64_t xacts;      /* commits and aborts */
    BkWalMoment first;   /* of them, by position */
    BkWalMoment last;    /* of them, by position */
    int64_t min_time_us; /* of them, where xacts > 0; times need not rise with the position */
    int64_t max_time_us;
    uint32_t min_xid; /* of them, circularly; BK_WAL_XID_NONE when xacts is 0 */
    uint32_t max_xid;

    GArray *points;          /* of BkWalPoint, owned; NULL when there is none */
    uint32_t points_omitted; /* beyond BK_WAL_POINTS_MAX */

    BkWalCheckpoint first_checkpoint;
    BkWalCheckpoint last_checkpoint;
    BkLsn end_of_recovery;  /* 0: none */
    uint32_t recovery_from; /* that record's previous timeline */
    uint32_t recovery_to;   /* and its new one */
    bool has_drop;          /* a database or tablespace goes, see bk_wal_event_is_drop */
    bool minimal_seen;      /* a record says that wal_level is minimal */
    bool has_wal_level;     /* a record told the level */
    uint8_t wal_level;      /* the last told, BkPgWalLevel */

    BkWalLead lead;
    BkWalTail tail;
} BkWalInfo;

void bk_wal_info_clear(BkWalInfo *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkWalInfo, bk_wal_info_clear)

/* Scans a segment (see bk_wal_scan, also for the errors). `info` is overwritten and left empty on
 * failure. `options` may be NULL; its `on_record` is not called. */
bool bk_wal_info_collect(const uint8_t *data, size_t size, const BkWalScanOptions *options,
                         BkWalInfo *info, GError **error) BK_MUST_USE;

/* Counts the record that begins in `left` and ends in `right`, if there is one, for `right`: both
 * are neighbours on the path of recovery. When `right` is nothing but the middle of a long record,
 * it takes over the tail of `left`. Call it once for a pair, from left to right. Returns whether
 * they fit together: the same system, adjacent, and the record that left begins is the one that
 * right continues (or abandons, after a crash). */
bool bk_wal_info_join(const BkWalInfo *left, BkWalInfo *right);

/* Encoding: version byte, little-endian, bounded. Appends to `out`. */
void bk_wal_info_encode(const BkWalInfo *self, BkBuf *out);

/* Fails with BK_ERROR_CORRUPT or BK_ERROR_UNSUPPORTED (a newer version). `info` is overwritten and
 * left empty on failure. */
bool bk_wal_info_decode(const void *data, size_t size, BkWalInfo *info, GError **error) BK_MUST_USE;

/* Looks in a segment for the commit or abort of top-level transaction `xid`. `before` (may be NULL)
 * is the info of the segment before, for a record that crosses the border. found->lsn is 0 when it
 * is not there. Errors as bk_wal_scan. */
bool bk_wal_find_xid(const uint8_t *data, size_t size, const BkWalInfo *before, uint32_t xid,
                     BkWalMoment *found, GError **error) BK_MUST_USE;

/* The same for the first restore point named `name` at or behind `from_lsn`. */
bool bk_wal_find_point(const uint8_t *data, size_t size, const BkWalInfo *before, const char *name,
                       BkLsn from_lsn, BkWalMoment *found, GError **error) BK_MUST_USE;

/* The same for the first commit or abort at or behind `from_lsn` whose time is before `time_us`. */
bool bk_wal_find_earlier(const uint8_t *data, size_t size, const BkWalInfo *before, int64_t time_us,
                         BkLsn from_lsn, BkWalMoment *found, GError **error) BK_MUST_USE;

/* The same for the first commit or abort at or behind `from_lsn` whose time is past `time_us`:
 * there recovery to that time stops. `*commit` becomes the last commit that comes before it, and
 * stays as it is when this segment holds none. */
bool bk_wal_find_time(const uint8_t *data, size_t size, const BkWalInfo *before, int64_t time_us,
                      BkLsn from_lsn, BkWalMoment *found, BkWalMoment *commit,
                      GError **error) BK_MUST_USE;
