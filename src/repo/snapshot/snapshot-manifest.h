/* snapshot-manifest.h - manifests: snapshots as sealed objects in a repository.
 *
 * A manifest is a sealed object "SOURCE/snapshots/ID"; its existence means that the snapshot is
 * complete, since it is put after every pack it names is durable. Its frames are sections: first
 * the head, then the table of packs, then the files with their extents. Head, rows and files end
 * with extension areas (codec/extension.h): what is not known is passed over, or, where it is
 * critical, refused with BK_ERROR_UNSUPPORTED.
 * Threads: as snapshot.h. */
#pragma once
#include "repo/snapshot/snapshot.h"

/* Encodes and seals the manifest. */
bool bk_snapshot_seal(const BkSnapshot *self, const BkSourceRepo *source_repo, BkBuf *object,
                      GError **error) BK_MUST_USE;

/* Puts a sealed manifest under its name. */
bool bk_snapshot_put(const BkSourceRepo *source_repo, const char *id, const BkBuf *object, BkOp *op,
                     GError **error) BK_MUST_USE;

/* Deletes the manifest of a snapshot; an absent one is fine. Packs stay. */
bool bk_snapshot_delete(const BkSourceRepo *source_repo, const char *id, BkOp *op,
                        GError **error) BK_MUST_USE;

/* Loads a whole manifest and checks that every extent lies in a pack of its table. Fails with
 * BK_ERROR_NOT_FOUND (no such snapshot), BK_ERROR_CORRUPT, or as the store. */
BkSnapshot *bk_snapshot_load(const BkSourceRepo *source_repo, const char *id, BkOp *op,
                             GError **error) BK_MUST_USE;

/* The same; the manifest as it is stored, every byte of it proven, replaces the content of
 * `object`.
 */
BkSnapshot *bk_snapshot_load_sealed(const BkSourceRepo *source_repo, const char *id, BkBuf *object,
                                    BkOp *op, GError **error) BK_MUST_USE;

/* A snapshot as a listing shows it. */
typedef struct BkSnapshotEntry {
    char id[BK_SNAPSHOT_ID_SIZE + 1];
    uint64_t size; /* of its manifest; 0: not known, the store is asked */
} BkSnapshotEntry;

/* Keeps a sealed manifest that was put, the last of its source, in the store's local cache. */
void bk_snapshot_note(const BkSourceRepo *source_repo, const BkBuf *object);

/* Loads the manifest that a listing shows. One that this host noted is not asked for again when it
 * has the listed size and is proven, every byte of it, to be the one of this name. Fails as load.
 */
BkSnapshot *bk_snapshot_load_listed(const BkSourceRepo *source_repo, const BkSnapshotEntry *entry,
                                    BkOp *op, GError **error) BK_MUST_USE;

/* Reads the head alone, by one small request, and proves by it that the manifest is of the length
 * that it was sealed with: one that was cut off is BK_ERROR_CORRUPT. Fails as load. */
bool bk_snapshot_load_head(const BkSourceRepo *source_repo, const BkSnapshotEntry *entry,
                           BkSnapshotHead *head, BkOp *op, GError **error) BK_MUST_USE;

/* The snapshots of a part, oldest first: an array of BkSnapshotEntry *. */
GPtrArray *bk_snapshot_list(const BkSourceRepo *source_repo, BkOp *op, GError **error) BK_MUST_USE;
