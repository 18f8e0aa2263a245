/* snapshot-list.h - the snapshots of a source over all its repositories.
 *
 * Threads: belongs to one thread. */
#pragma once
#include "repo/targets/targets.h"
#include "source/pg/history/systems.h"

typedef struct BkListedSnapshot {
    const BkRecoveryIndexSnapshot *snapshot; /* in the past of the first repository that has it */
    GPtrArray *repositories;                 /* of const char *: which ones have it */
} BkListedSnapshot;

typedef struct BkListing {
    BkTargets targets;
    BkSystems systems;
    GPtrArray *pasts; /* of BkRecoveryIndex, of the current cluster: one for each part that could be
                         read; parts.failed has the others */
    BkLines *lines;   /* of the current cluster, as far as its archives are loaded */
    GPtrArray *snapshots; /* of BkListedSnapshot, by cluster, line and position; the newest of the
                             current cluster's living line last */
} BkListing;

/* Repositories that could not be asked, and what is unreadable: a new list of BkProblem. */
GPtrArray *bk_listing_find_problems(const BkListing *self);

void bk_listing_clear(BkListing *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkListing, bk_listing_clear)

/* The cluster of that system identifier, for 0 the current one. NULL: BK_ERROR_NOT_FOUND. */
BkSystem *bk_listing_find_system(const BkListing *self, const char *source, uint64_t system_id,
                                 GError **error) BK_MUST_USE;

/* Loads what every repository that can be asked holds of the source: its snapshots, and with the
 * archive its windows; then the server is asked on which timeline it is, where that matters. */
bool bk_listing_load(const BkSourceSpec *source, BkRecoveryIndexArchive archive, BkListing *listing,
                     BkOp *op, GError **error) BK_MUST_USE;
