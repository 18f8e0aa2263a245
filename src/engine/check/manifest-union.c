/* manifest-union.c - the packs and the WAL that the manifests of one or more source repositories
 * name. */
#include "engine/check/manifest-union.h"

#include "engine/copy/copied-objects.h"
#include "repo/snapshot/snapshot-manifest.h"

#include <string.h>

void
bk_manifest_union_init(BkManifestUnion *self)
{
    *self = (BkManifestUnion){
        .packs = g_array_new(FALSE, FALSE, sizeof(BkNamedPack)),
        .spans = g_array_new(FALSE, FALSE, sizeof(BkWalSpan)),
        .damage = g_ptr_array_new_with_free_func(g_free),
        .unfinished = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
        .pack_names = g_hash_table_new(g_str_hash, g_str_equal),
        .names = g_string_chunk_new((gsize)64 * 1024),
    };
}

void
bk_manifest_union_clear(BkManifestUnion *self)
{
    g_clear_pointer(&self->packs, g_array_unref);
    g_clear_pointer(&self->spans, g_array_unref);
    g_clear_pointer(&self->damage, g_ptr_array_unref);
    g_clear_pointer(&self->unfinished, g_hash_table_unref);
    g_clear_pointer(&self->pack_names, g_hash_table_unref);
    g_clear_pointer(&self->names, g_string_chunk_free);
}

static void
add_manifest_packs(BkManifestUnion *self, const BkSourceRepo *source_repo, BkSnapshot *snapshot)
{
    size_t count;
    const BkPackRef *packs = bk_snapshot_packs(snapshot, &count);

    for (size_t i = 0; i < count; i++) {
        g_autofree char *name = bk_pack_object_name(source_repo, packs[i].name);
        BkNamedPack pack = {.size = packs[i].size};

        if (g_hash_table_contains(self->pack_names, name))
            continue;
        pack.name = g_string_chunk_insert(self->names, name);
        pack.snapshot = g_string_chunk_insert_const(self->names, bk_snapshot_head(snapshot)->id);
        (void)g_hash_table_add(self->pack_names, (void *)(uintptr_t)pack.name);
        g_array_append_val(self->packs, pack);
    }
}

static bool
add_span(BkManifestUnion *self, const BkSnapshotHead *head, GError **error)
{
    BkWalSpan span;

    if (!bk_wal_span_init(&span, head, error))
        return false;
    g_array_append_val(self->spans, span);
    return true;
}

static bool
add_to_union(BkManifestUnion *self, const BkSourceRepo *source_repo, const char *id, BkOp *op,
             GError **error)
{
    g_autoptr(BkSnapshot) snapshot = bk_snapshot_load(source_repo, id, op, error);
    bool is_unfinished;

    if (snapshot == NULL)
        return false;
    is_unfinished = bk_snapshot_head(snapshot)->state == BK_SNAPSHOT_UNFINISHED;
    if (is_unfinished)
        (void)g_hash_table_add(self->unfinished, g_strdup(id));
    else if (!add_span(self, bk_snapshot_head(snapshot), error))
        return false;
    self->count++;
    if (!is_unfinished || !self->only_finished)
        add_manifest_packs(self, source_repo, snapshot);
    return true;
}

bool
bk_manifest_union_load(BkManifestUnion *self, const BkSourceRepo *source_repo,
                       const GArray *snapshots, BkOp *op, GError **error)
{
    uint64_t bytes = 0;

    for (guint i = 0; i < snapshots->len; i++)
        bytes += bk_held_at(snapshots, i)->size;
    bk_op_begin_phase(op, "reading manifests", bytes);
    for (guint i = 0; i < snapshots->len; i++) {
        const BkHeldObject *held = bk_held_at(snapshots, i);
        g_autoptr(GError) cause = NULL;

        if (!add_to_union(self, source_repo, held->base, op, &cause)) {
            if (!bk_copied_objects_is_damage(cause))
                return bk_propagate(error, &cause);
            if (!bk_error_is(cause, BK_ERROR_NOT_FOUND))
                g_ptr_array_add(self->damage, g_strdup(cause->message));
        }
        bk_op_advance(op, held->size);
    }
    return true;
}
