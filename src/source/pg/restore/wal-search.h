/* wal-search.h - finds a transaction or a restore point in archived WAL.
 *
 * Threads: the calls block. */
#pragma once
#include "source/pg/history/recovery-index.h"
#include "source/pg/restore/recovery-target.h"

/* Looks along `path`, from `from_lsn` to `to_lsn`, for what an XID or NAME target means. found->lsn
 * is 0 when it is not there. Segments are read whole only where their heads say that they may hold
 * it. */
bool bk_wal_search(const BkRecoveryIndex *past, const BkWindowPath *path, BkLsn from_lsn,
                   BkLsn to_lsn, const BkRecoveryTarget *target, BkWalMoment *found, BkOp *op,
                   GError **error) BK_MUST_USE;

/* Where recovery to a time stops, and what it comes to. */
typedef struct BkWalStop {
    BkWalMoment stop;   /* the transaction that ends it; lsn 0: none is later */
    BkWalMoment commit; /* the last one that is replayed; lsn 0: none since the snapshot */
} BkWalStop;

/* Looks along `path` for the first transaction from `from_lsn` on that ended past `time_us`. */
bool bk_wal_search_time(const BkRecoveryIndex *past, const BkWindowPath *path, BkLsn from_lsn,
                        int64_t time_us, BkWalStop *stop, BkOp *op, GError **error) BK_MUST_USE;

/* Looks along `path` for the first transaction from `from_lsn` on that ended before `time_us`:
 * behind a later one it tells that the server's clock ran backwards. `*lsn` is 0 when there is
 * none. */
bool bk_wal_search_earlier(const BkRecoveryIndex *past, const BkWindowPath *path, BkLsn from_lsn,
                           int64_t time_us, BkLsn *lsn, BkOp *op, GError **error) BK_MUST_USE;

/* The same on a long way, of which no more than about `heads_max` segments are looked at, evenly
 * spread, and the last: what begins and ends between two of them is not seen. */
bool bk_wal_search_earlier_far(const BkRecoveryIndex *past, const BkWindowPath *path,
                               BkLsn from_lsn, int64_t time_us, uint64_t heads_max, BkLsn *lsn,
                               BkOp *op, GError **error) BK_MUST_USE;

/* Cuts a path so that it ends with the segment that holds the byte before `lsn`. */
void bk_window_path_cut(BkWindowPath *path, BkLsn lsn, uint32_t segment_size);
