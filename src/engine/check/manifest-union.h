/* manifest-union.h - the packs and the WAL that the manifests of one or more source repositories
 * name.
 *
 * Each manifest is read whole, one after the other, and forgotten. Threads: belongs to one thread.
 */
#pragma once
#include "engine/copy/object-index.h"
#include "source/pg/archive/wal-span.h"

typedef struct BkNamedPack {
    const char *name; /* of the object */
    uint64_t size;
    const char *snapshot; /* the first that names it, by id */
} BkNamedPack;

typedef struct BkManifestUnion {
    bool only_finished;     /* takes nothing from unfinished ones */
    size_t count;           /* that decoded, unfinished ones too */
    GArray *packs;          /* of BkNamedPack, each once */
    GArray *spans;          /* of BkWalSpan: the WAL of finished ones */
    GPtrArray *damage;      /* of char *: what is wrong with the others */
    GHashTable *unfinished; /* of ids */
    GHashTable *pack_names; /* of all packs */
    GStringChunk *names;
} BkManifestUnion;

void bk_manifest_union_init(BkManifestUnion *self);
void bk_manifest_union_clear(BkManifestUnion *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkManifestUnion, bk_manifest_union_clear)

/* Adds the manifests of `source_repo` that `snapshots` (of BkHeldObject) lists. Fails when they
 * cannot be asked for; a damaged one is among `damage`, and one that was deleted meanwhile is
 * nothing. */
bool bk_manifest_union_load(BkManifestUnion *self, const BkSourceRepo *source_repo,
                            const GArray *snapshots, BkOp *op, GError **error) BK_MUST_USE;
