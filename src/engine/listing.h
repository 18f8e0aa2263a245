/* listing.h - the snapshots of a source over all its repositories.
 *
 * Threads: belongs to one thread. */
#pragma once
#include "engine/lines.h"

typedef struct BkListedSnapshot {
    const BkPastSnapshot *snapshot; /* in the past of the first repository that has it */
    GPtrArray *repositories;        /* of const char *: which ones have it */
} BkListedSnapshot;

typedef struct BkListing {
    BkParts parts;
    GPtrArray *pasts; /* of BkPast, one a part that could be read; parts.failed has the others */
    GPtrArray *snapshots; /* of BkListedSnapshot, by line and position; the living line's newest
                             last */
    BkLines lines;        /* of all pasts, as far as their archives are loaded */
} BkListing;

void bk_listing_clear(BkListing *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkListing, bk_listing_clear)

/* Loads what every repository that can be asked holds of the source: its snapshots, and with the
 * archive its windows; then the server is asked on which timeline it is, where that matters. */
bool bk_listing_load(const BkSourceSpec *source, BkPastArchive archive, BkListing *listing,
                     BkOp *op, GError **error) BK_MUST_USE;
