/* stop-check.h - whether recovery can stop at a position without leaving a database half dropped.
 *
 * Threads: the calls block. */
#pragma once
#include "source/pg/history/recovery-index.h"
#include "source/pg/wal/wal-drops.h"

/* Recovery stops before the first record at or behind `lsn`, or right after it. */
typedef struct BkStopPosition {
    BkLsn lsn;
    bool is_inclusive;
} BkStopPosition;

typedef struct BkStopCheck {
    BkWalDrop drop;   /* under way at the position; lsn 0: none */
    uint64_t commits; /* of other transactions between `drop` and the position */
} BkStopCheck;

/* Checks a position on `path`, which begins at `snapshot` and goes on past the position as far as
 * there is WAL. The heads of the segments around it tell whether anything was dropped; only then
 * are segments read whole. WAL that only the snapshot holds, a standalone one, is read out of it.
 * What recovery itself does not read, before the snapshot or behind the position, may be damaged: a
 * warning then says that less is known. */
bool bk_stop_check(const BkRecoveryIndex *past, const BkRecoveryIndexSnapshot *snapshot,
                   const BkWindowPath *path, const BkStopPosition *position, BkStopCheck *check,
                   BkOp *op, GError **error) BK_MUST_USE;
