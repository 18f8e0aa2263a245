/* snapshot-catalog.h - the catalogs that name relations, read out of a snapshot.
 *
 * Only the few files of pg_class, pg_namespace and pg_database are read, by their extents. What
 * cannot be read leaves a catalog without names: it is logged, and nothing fails.
 * Threads: belongs to one thread. */
#pragma once
#include "repo/snapshot.h"
#include "source/pg/catalog.h"

typedef struct BkSnapshotCatalog BkSnapshotCatalog;

/* Loads the manifest of snapshot `id`. `parts` (of BkPart; that of the snapshot first) must outlive
 * the result. Fails as bk_snapshot_load. */
BkSnapshotCatalog *bk_snapshot_catalog_load(GPtrArray *parts, const BkPart *part, const char *id,
                                            unsigned major, BkOp *op, GError **error) BK_MUST_USE;
void bk_snapshot_catalog_free(BkSnapshotCatalog *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkSnapshotCatalog, bk_snapshot_catalog_free)

/* The catalog of a database, of 0 for what all share: a new one, never NULL. */
BkCatalog *bk_snapshot_catalog_open(BkSnapshotCatalog *self, uint32_t database, BkOp *op);
