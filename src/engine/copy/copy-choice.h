/* copy-choice.h - chooses the snapshots that a copy transfers.
 *
 * Pure calculation. Threads: safe; nothing here has state. */
#pragma once
#include "engine/copy/copy-options.h"
#include "repo/snapshot/snapshot.h"

typedef struct BkCopyCandidate {
    const char *id;
    int64_t started_us;
    BkSnapshotState state;
} BkCopyCandidate;

/* Oldest first, to the microsecond: ids tell seconds only. For g_array_sort. */
int bk_copy_compare(const void *left, const void *right);

/* Sets in `is_chosen` which of `count` candidates, oldest first, since_us and last_of choose.
 * Returns how many. */
size_t bk_copy_choose(const BkCopyCandidate *candidates, size_t count, const BkCopyOptions *options,
                      bool *is_chosen);
