/* inventory.h - numbers and sizes of what a repository has of a source.
 *
 * Numbers and sizes are from listings; only the heads of the snapshots are read. Threads: belongs
 * to one thread. */
#pragma once
#include "engine/copy/object-index.h"
#include "repo/lease.h"

typedef struct BkInventoryTimeline {
    uint64_t system_id; /* of the cluster */
    uint32_t timeline;
    const char *first; /* segment, by name; NULL: there is none */
    const char *last;
    uint64_t files; /* segments and the small ones beside them */
    uint64_t bytes;
} BkInventoryTimeline;

typedef struct BkInventory {
    BkObjectIndex holdings; /* the names below are in it */
    size_t complete;        /* snapshots */
    size_t damaged;
    size_t unfinished;
    GPtrArray *unreadable; /* of char *: why, of the others */
    const char *oldest;    /* of the readable snapshots, unfinished ones too; NULL: there is none */
    const char *newest;
    uint64_t manifest_bytes;
    uint64_t pack_bytes;
    uint64_t wal_bytes;
    GArray *timelines; /* of BkInventoryTimeline, ascending by system identifier and timeline */
    size_t systems;    /* clusters of which there is WAL */
    BkLeaseInfo lease;
} BkInventory;

void bk_inventory_clear(BkInventory *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkInventory, bk_inventory_clear)

/* Fails as the store. */
bool bk_inventory_load(BkInventory *self, const BkSourceRepo *source_repo, BkOp *op,
                       GError **error) BK_MUST_USE;
