/* snapshot-relation-names.h - the catalogs that name relations, read from a snapshot.
 *
 * Only the few files of pg_class, pg_namespace and pg_database are read, by their extents. What
 * cannot be read leaves a catalog without names: it is logged, and nothing fails.
 * Threads: belongs to one thread. */
#pragma once
#include "repo/snapshot/snapshot.h"
#include "source/pg/format/relation-names.h"

typedef struct BkSnapshotRelationNames BkSnapshotRelationNames;

/* Loads the manifest of snapshot `id`. `source_repos` (of BkSourceRepo; that of the snapshot first)
 * must outlive the result. Fails as bk_snapshot_load. */
BkSnapshotRelationNames *bk_snapshot_relation_names_load(GPtrArray *source_repos,
                                                         const BkSourceRepo *source_repo,
                                                         const char *id, unsigned major, BkOp *op,
                                                         GError **error) BK_MUST_USE;
void bk_snapshot_relation_names_free(BkSnapshotRelationNames *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkSnapshotRelationNames, bk_snapshot_relation_names_free)

/* The catalog of a database, of 0 for what all share: a new one, never NULL. */
BkRelationNames *bk_snapshot_relation_names_open(BkSnapshotRelationNames *self, uint32_t database,
                                                 BkOp *op);
