/* parent.h - the parent snapshot of an incremental backup, and what is known to have changed
 * since.
 *
 * The parent is the newest snapshot, finished or not, that every required repository has and that
 * lies in this cluster's own past; those of the source's other clusters count for nothing. Any
 * doubt leads to more reading, never to less: from an incremental backup by the WAL, to a full scan
 * that compares LSNs, to a full backup that reuses nothing. Threads: belongs to one thread. */
#pragma once
#include "repo/snapshot/snapshot.h"
#include "source/pg/backup/changes.h"
#include "source/pg/cluster/pg-meta.h"
#include "source/pg/wal/block-map.h"

typedef struct BkParentRequest {
    GPtrArray *source_repos; /* of BkSourceRepo, in the required repositories */
    GPtrArray *entries; /* snapshots of the first one, of bk_snapshot_list; they are put in order */
    const char *data_dir;
    const BkPgMeta *now; /* of the backup that has just started */
    unsigned workers;
    bool is_full; /* asked for */
} BkParentRequest;

typedef struct BkParent {
    BkSnapshotMode mode;
    char *why;                  /* it is not an increment; NULL when it is */
    BkSnapshot *snapshot;       /* the parent; NULL when full */
    BkPgMeta meta;              /* of the parent */
    BkBlockMap *map;            /* when an increment */
    BkArchivedSegment archived; /* while it is looked for */
} BkParent;

void bk_parent_clear(BkParent *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkParent, bk_parent_clear)

/* Finds it. `base` is overwritten; clear it also after a failure: of the repositories, or when `op`
 * ended. */
bool bk_parent_find(const BkParentRequest *request, BkParent *base, BkOp *op,
                    GError **error) BK_MUST_USE;

/* Nothing is trusted any more, because of `why` (takes ownership). */
void bk_parent_distrust(BkParent *self, char *why);
