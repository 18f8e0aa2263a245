/* repack.h - chooses the packs of the parent that a backup rewrites: what is in use of them is
 * read from the source and stored again, so that they can be deleted with the earlier snapshots.
 *
 * These are packs that a repository has lost, packs of which less than half is still in use, and,
 * if a period is set, day by day the oldest ones, so that no pack in use is older than it. Threads:
 * safe. */
#pragma once
#include "source/selection.h"

typedef struct BkRepackRequest {
    GPtrArray *source_repos; /* of BkSourceRepo: their packs must be there */
    const BkSnapshot *parent;
    const uint64_t *live; /* bytes in use of each of the parent's packs */
    int64_t period_us;    /* 0: none */
    int64_t now_us;
} BkRepackRequest;

/* An array of a bool for each of the parent's packs, owned by the caller (g_free). NULL with
 * `error` when a repository could not be listed. */
bool *bk_repack_choose(const BkRepackRequest *request, BkOp *op, GError **error) BK_MUST_USE;
