/* replica-lag.h - how each repository of a source stands against the others: what it lacks.
 *
 * Threads: belongs to one thread. */
#pragma once
#include "source/pg/history/snapshot-list.h"

typedef struct BkReplicaLag {
    const char *name; /* of the source's */
    bool is_required;
    char *why; /* it could not be asked, and nothing else is known; NULL: it was */
    size_t snapshots;
    size_t missing_snapshots;  /* that another one has */
    uint64_t missing_segments; /* the same, from the start of its own first snapshot on */
    uint32_t timeline;         /* of the current cluster, the newest of which it has WAL */
    BkLsn archived_lsn;        /* where that ends; 0: it has none */
    bool is_behind; /* it lacks the newest snapshot, or WAL that is not just being archived */
} BkReplicaLag;

/* An array of BkReplicaLag, one for each repository of the source, in its order. */
GPtrArray *bk_replica_lag_find(const BkSourceSpec *source, const BkListing *listing,
                               int64_t now_us);

/* What it lacks, for people: "lacks 2 snapshots and 1 WAL segment", or "". A new string. */
char *bk_replica_lag_describe(const BkReplicaLag *self);
