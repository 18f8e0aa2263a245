/* base.h - what a backup builds upon: its parent snapshot, and what is known to have changed since.
 *
 * The parent is the newest snapshot, finished or not, that every required repository has and that
 * lies in this cluster's own past; those of the source's other clusters count for nothing. Whatever
 * is in doubt leads to more reading, never to less: from the WAL's word (increment) to comparing
 * every page (compared) to trusting nothing (full).
 * Threads: belongs to one thread. */
#pragma once
#include "engine/changes.h"
#include "repo/snapshot.h"
#include "source/pg/block-map.h"
#include "source/pg/meta.h"

typedef struct BkBaseRequest {
    GPtrArray *parts;   /* of BkPart, in the required repositories */
    GPtrArray *entries; /* snapshots of the first one, of bk_snapshot_list; they are put in order */
    const char *data_dir;
    const BkPgMeta *now; /* of the backup that has just started */
    unsigned workers;
    bool is_full; /* asked for */
} BkBaseRequest;

typedef struct BkBase {
    BkSnapshotMode mode;
    char *why;                  /* it is not an increment; NULL when it is */
    BkSnapshot *snapshot;       /* the parent; NULL when full */
    BkPgMeta meta;              /* of the parent */
    BkBlockMap *map;            /* when an increment */
    BkArchivedSegment archived; /* while it is looked for */
} BkBase;

void bk_base_clear(BkBase *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkBase, bk_base_clear)

/* Finds it. `base` is overwritten; clear it also after a failure: of the repositories, or when `op`
 * ended. */
bool bk_base_find(const BkBaseRequest *request, BkBase *base, BkOp *op, GError **error) BK_MUST_USE;

/* Nothing is trusted any more, because of `why` (taken over). */
void bk_base_distrust(BkBase *self, char *why);
