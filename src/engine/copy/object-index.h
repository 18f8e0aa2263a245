/* object-index.h - the objects of one source in one repository, by kind: names and sizes, from
 * listings.
 *
 * Objects of the same source have the same names in every repository, so that two indexes compare
 * by name. Threads: loaded by one thread, then read only. */
#pragma once
#include "repo/snapshot/snapshot-manifest.h"
#include "source/pg/format/lsn.h"

typedef struct BkHeldObject {
    const char *name; /* of the object */
    const char *base; /* of that, what follows the last slash: a snapshot's id, a WAL file's name */
    uint64_t size;
    BkWalName wal; /* of a WAL file, and the cluster that it is of */
    uint64_t system_id;
} BkHeldObject;

typedef struct BkObjectIndex {
    GArray *snapshots; /* of BkHeldObject, in order of their names, and so are the others */
    GArray *packs;
    GArray *wal;
    GPtrArray *strange; /* of char *: names that have no place there */
    GStringChunk *names;
} BkObjectIndex;

/* Empty, as for a source that the repository has nothing of. */
void bk_object_index_init(BkObjectIndex *self);
void bk_object_index_clear(BkObjectIndex *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkObjectIndex, bk_object_index_clear)

/* Lists what `source_repo` holds into an empty `self`: a few requests for each thousand objects.
 * Snapshots are listed before packs and WAL: what a listed one needs is listed, whatever is put
 * meanwhile. */
bool bk_object_index_load(BkObjectIndex *self, const BkSourceRepo *source_repo, BkOp *op,
                          GError **error) BK_MUST_USE;

/* A held snapshot, for bk_snapshot_load_head. */
BkSnapshotEntry bk_held_snapshot(const BkHeldObject *snapshot);

/* One of the arrays by index, and the object of that name in it, or NULL. */
const BkHeldObject *bk_held_at(const GArray *objects, guint index);
const BkHeldObject *bk_held_find(const GArray *objects, const char *name);
