/* repack.h - which packs of the parent a backup gives up: what lives in them is read from the
 * source and stored anew, so that they can be deleted with the snapshots before.
 *
 * Given up are packs that a repository has lost, packs of which less than half is still in use, and
 * with a period set, day by day the oldest ones, so that nothing in use is ever older than it.
 * Threads: safe. */
#pragma once
#include "source/pg/backup/selection.h"

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
