/* changes.h - what changed in a cluster between two of its moments, by the word of its WAL.
 *
 * The summaries of the archived segments are added up; what is not archived yet is read from the
 * server's own pg_wal. The records of neighbours must link up, so that WAL of another history under
 * the same names is noticed. Threads: a call starts and joins threads of its own. */
#pragma once
#include "base/op.h"
#include "source/pg/block-map.h"
#include "source/pg/meta.h"

typedef struct BkChangesRequest {
    GPtrArray *parts;     /* of BkPart: the repositories that may have the WAL */
    const char *data_dir; /* of the running server */
    const BkPgMeta *from; /* the older snapshot: everything since its start LSN */
    const BkPgMeta *to;   /* this backup, on the same timeline: up to its start LSN */
    unsigned workers;
} BkChangesRequest;

/* Sets `*map` (owned by the caller), or leaves it NULL and tells `*why` (owned, too) nobody may
 * rely on the WAL for this. False only when `op` ended. */
bool bk_changes_find(const BkChangesRequest *request, BkBlockMap **map, char **why, BkOp *op,
                     GError **error) BK_MUST_USE;
