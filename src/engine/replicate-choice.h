/* replicate-choice.h - which snapshots a copy takes.
 *
 * Pure calculation. Threads: safe; nothing here has state. */
#pragma once
#include "engine/replicate.h"
#include "repo/snapshot.h"

typedef struct BkReplicateCandidate {
    const char *id;
    int64_t started_us;
    BkSnapshotState state;
} BkReplicateCandidate;

/* Oldest first, to the microsecond: ids tell seconds only. For g_array_sort. */
int bk_replicate_compare(const void *left, const void *right);

/* Sets in `is_chosen` which of `count` candidates, oldest first, since_us and last_of choose.
 * Returns how many. */
size_t bk_replicate_choose(const BkReplicateCandidate *candidates, size_t count,
                           const BkReplicateOptions *options, bool *is_chosen);
