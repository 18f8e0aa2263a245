/* inventory.c - numbers and sizes of what a repository has of a source. */
#include "engine/copy/inventory.h"

#include "repo/snapshot/snapshot-manifest.h"
#include "repo/targets/source-spec.h"
#include "repo/targets/targets.h"

void
bk_inventory_clear(BkInventory *self)
{
    bk_object_index_clear(&self->holdings);
    g_clear_pointer(&self->unreadable, g_ptr_array_unref);
    g_clear_pointer(&self->timelines, g_array_unref);
    bk_lease_info_clear(&self->lease);
}

static void
count_state(BkInventory *self, BkSnapshotState state)
{
    switch (state) {
    case BK_SNAPSHOT_COMPLETE:
        self->complete++;
        break;
    case BK_SNAPSHOT_DAMAGED:
        self->damaged++;
        break;
    case BK_SNAPSHOT_UNFINISHED:
        self->unfinished++;
        break;
    }
}

/* Ids tell seconds only. */
typedef struct Bounds {
    int64_t oldest_us;
    int64_t newest_us;
} Bounds;

static void
note_inventory_bounds(BkInventory *self, const char *id, int64_t started_us, Bounds *bounds)
{
    if (self->oldest == NULL || started_us < bounds->oldest_us) {
        self->oldest = id;
        bounds->oldest_us = started_us;
    }
    if (self->newest == NULL || started_us >= bounds->newest_us) {
        self->newest = id;
        bounds->newest_us = started_us;
    }
}

static bool
count_inventory_snapshots(BkInventory *self, const BkSourceRepo *source_repo, BkOp *op,
                          GError **error)
{
    const GArray *snapshots = self->holdings.snapshots;
    Bounds bounds = {0};

    for (guint i = 0; i < snapshots->len; i++) {
        const BkHeldObject *held = bk_held_at(snapshots, i);
        const BkSnapshotEntry entry = bk_held_snapshot(held);
        g_auto(BkSnapshotHead) head = {.id = ""};
        g_autoptr(GError) cause = NULL;

        self->manifest_bytes += held->size;
        if (bk_snapshot_load_head(source_repo, &entry, &head, op, &cause)) {
            count_state(self, head.state);
            note_inventory_bounds(self, held->base, head.started_us, &bounds);
            continue;
        }
        if (!bk_targets_is_at_fault(cause) && !bk_error_is(cause, BK_ERROR_NOT_FOUND))
            return bk_propagate(error, &cause);
        g_ptr_array_add(self->unreadable, g_strdup(cause->message));
    }
    return true;
}

/* Files come by cluster and timeline. */
static BkInventoryTimeline *
timeline_of(BkInventory *self, const BkHeldObject *file)
{
    guint count = self->timelines->len;
    const BkInventoryTimeline *last =
        count > 0 ? &g_array_index(self->timelines, BkInventoryTimeline, count - 1) : NULL;
    BkInventoryTimeline added = {.system_id = file->system_id, .timeline = file->wal.timeline};

    self->systems += last == NULL || last->system_id != file->system_id;
    if (last == NULL || last->system_id != file->system_id || last->timeline != file->wal.timeline)
        g_array_append_val(self->timelines, added);
    return &g_array_index(self->timelines, BkInventoryTimeline, self->timelines->len - 1);
}

static void
count_objects(BkInventory *self)
{
    const BkObjectIndex *holdings = &self->holdings;

    for (guint i = 0; i < holdings->packs->len; i++)
        self->pack_bytes += bk_held_at(holdings->packs, i)->size;
    for (guint i = 0; i < holdings->wal->len; i++) {
        const BkHeldObject *file = bk_held_at(holdings->wal, i);
        BkInventoryTimeline *timeline = timeline_of(self, file);

        timeline->files++;
        timeline->bytes += file->size;
        self->wal_bytes += file->size;
        if (file->wal.kind != BK_WAL_SEGMENT)
            continue;
        if (timeline->first == NULL)
            timeline->first = file->base;
        timeline->last = file->base;
    }
}

bool
bk_inventory_load(BkInventory *self, const BkSourceRepo *source_repo, BkOp *op, GError **error)
{
    *self = (BkInventory){
        .unreadable = g_ptr_array_new_with_free_func(g_free),
        .timelines = g_array_new(FALSE, FALSE, sizeof(BkInventoryTimeline)),
    };
    bk_object_index_init(&self->holdings);
    if (!bk_object_index_load(&self->holdings, source_repo, op, error) ||
        !count_inventory_snapshots(self, source_repo, op, error) ||
        !bk_lease_read(source_repo, &self->lease, op, error))
        return false;
    count_objects(self);
    return true;
}
