/* snapshot-wal.h - the WAL that a standalone snapshot contains, read from its packs.
 *
 * Nothing is read before the first segment is asked for. Threads: belongs to one thread. */
#pragma once
#include "source/pg/history/recovery-index.h"

typedef struct BkSnapshotWal BkSnapshotWal;

/* Of `snapshot` in `past`; both must outlive it. */
BkSnapshotWal *bk_snapshot_wal_new(const BkRecoveryIndex *past,
                                   const BkRecoveryIndexSnapshot *snapshot);
void bk_snapshot_wal_free(BkSnapshotWal *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkSnapshotWal, bk_snapshot_wal_free)

/* The content of segment `segno`. Fails with BK_ERROR_CORRUPT when the snapshot lacks it, or as
 * bk_snapshot_load and bk_extract_read. */
bool bk_snapshot_wal_get(BkSnapshotWal *self, uint64_t segno, BkBuf *content, BkOp *op,
                         GError **error) BK_MUST_USE;

/* What the head of an archived segment would tell of it. */
bool bk_snapshot_wal_get_info(BkSnapshotWal *self, uint64_t segno, BkWalInfo *info, BkOp *op,
                              GError **error) BK_MUST_USE;
