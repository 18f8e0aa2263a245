/* copy-options.h - what a copy is asked for, and what it reports.
 *
 * Threads: plain data. */
#pragma once
#include "repo/lease.h"

typedef enum {
    BK_REPLICATE_ALL,
    BK_REPLICATE_DAY,
    BK_REPLICATE_WEEK, /* from Monday on */
    BK_REPLICATE_MONTH,
    BK_REPLICATE_YEAR,
} BkCopyPeriod;

typedef struct BkCopyOptions {
    const char *const *snapshots; /* ids, NULL-terminated; NULL: all that the next two choose */
    int64_t since_us;             /* only snapshots begun at or after it; 0: all */
    BkCopyPeriod last_of;         /* only the last complete one of each period in UTC; where there
                                          is none, the last damaged one */
    bool without_wal;
    bool break_lease; /* take the destination's lease from a running owner */
    unsigned workers; /* at least 1; each holds one object in memory */
    BkLease *lease;   /* of the destination, held by the caller; NULL: it is taken, and released */
} BkCopyOptions;

typedef struct BkCopyReport {
    uint64_t snapshots, packs, wal_files; /* copied */
    uint64_t present;                     /* objects needed that were there already */
    uint64_t bytes;                       /* of all objects copied */
    uint64_t damaged;                     /* objects not copied, as they are not what was written */
    uint64_t left_out;                    /* snapshots not copied because of them */
} BkCopyReport;
