/* copy.h - copies sealed objects of one source from one repository to another, unchanged.
 *
 * For each chosen snapshot, oldest first, the packs that the destination lacks are put before its
 * manifest; so after a crash at any instant there are at most packs there that nothing names yet,
 * and the next run goes on from what is there. Each object is checked against its digest before it
 * is put, a pack against its name as well. Only manifests are opened, nothing is sealed again, and
 * no object is replaced. Unfinished snapshots stay where they are.
 *
 * A damaged object is reported and not copied: snapshots that need it are skipped, everything else
 * is copied. The destination's lease is held all the while, so that no deletion there takes a pack
 * for unneeded before its manifest has come. Threads: a call blocks; it starts and joins threads of
 * its own. */
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

/* Copies snapshots and, unless left out, WAL: all of it from the start of the oldest chosen
 * snapshot on, on its timeline and all later ones; where `snapshots` or `last_of` chooses single
 * ones, only what each needs from its start to its stop. Timeline histories are always copied.
 * Without any snapshot, and without a choice, all WAL is copied.
 *
 * Both source repositories must have the same keys, see bk_source_repo_create. Fails with
 * BK_ERROR_NOT_FOUND (nothing matches the choice), BK_ERROR_CONFLICT (other keys, or another object
 * under the same name, which stays as it is), BK_ERROR_BUSY (the destination's lease is held),
 * BK_ERROR_CORRUPT (damaged objects, each of them logged; the rest was copied), or as the stores.
 * `report` is filled in any case. */
bool bk_replicate(const BkSourceRepo *from, const BkSourceRepo *to, const BkCopyOptions *options,
                  BkCopyReport *report, BkOp *op, GError **error) BK_MUST_USE;
