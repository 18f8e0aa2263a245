/* inventory-report.c - the report of "repo list". */
#include "engine/reports/inventory-report.h"

#include "engine/reports/fields.h"

typedef struct SourceView {
    char *name;
    uint64_t snapshots, unreadable, packs, wal_files;
    const BkLeaseInfo *lease; /* NULL if nobody holds it */
    BkInventory inventory;
} SourceView;

static const BkField snapshots_fields[] = {
    BK_COUNT(SourceView, snapshots, "count"),
    BK_BYTES(SourceView, inventory.manifest_bytes, "bytes"),
    BK_COUNT(SourceView, inventory.complete, "complete"),
    BK_COUNT(SourceView, inventory.damaged, "damaged"),
    BK_COUNT(SourceView, inventory.unfinished, "unfinished"),
    BK_COUNT(SourceView, unreadable, "unreadable"),
    BK_TEXT(SourceView, inventory.oldest, "oldest"),
    BK_TEXT(SourceView, inventory.newest, "newest"),
    BK_FIELD_END,
};

static const BkField packs_fields[] = {
    BK_COUNT(SourceView, packs, "count"),
    BK_BYTES(SourceView, inventory.pack_bytes, "bytes"),
    BK_FIELD_END,
};

static const BkField timeline_fields[] = {
    BK_ID(BkInventoryTimeline, system_id, "system_identifier"),
    BK_COUNT(BkInventoryTimeline, timeline, "timeline"),
    BK_TEXT(BkInventoryTimeline, first, "first"),
    BK_TEXT(BkInventoryTimeline, last, "last"),
    BK_COUNT(BkInventoryTimeline, files, "files"),
    BK_BYTES(BkInventoryTimeline, bytes, "bytes"),
    BK_FIELD_END,
};

static const BkField wal_fields[] = {
    BK_COUNT(SourceView, wal_files, "files"),
    BK_BYTES(SourceView, inventory.wal_bytes, "bytes"),
    BK_ARRAY(SourceView, inventory.timelines, "timelines", timeline_fields),
    BK_FIELD_END,
};

static const BkField source_fields[] = {
    BK_TEXT(SourceView, name, "name"),
    {.name = "snapshots", .kind = BK_FIELD_OBJECT, .fields = snapshots_fields},
    {.name = "packs", .kind = BK_FIELD_OBJECT, .fields = packs_fields},
    {.name = "wal", .kind = BK_FIELD_OBJECT, .fields = wal_fields},
    BK_POINTER(SourceView, lease, "lease", bk_lease_fields),
    BK_FIELD_END,
};

static const BkField total_fields[] = {
    BK_COUNT(BkInventoryReport, total.snapshots, "snapshots"),
    BK_COUNT(BkInventoryReport, total.packs, "packs"),
    BK_COUNT(BkInventoryReport, total.wal_files, "wal_files"),
    BK_BYTES(BkInventoryReport, total.bytes, "bytes"),
    BK_FIELD_END,
};

static const BkField report_fields[] = {
    BK_TEXT(BkInventoryReport, name, "name"),
    BK_TEXT(BkInventoryReport, location, "location"),
    BK_TEXT(BkInventoryReport, id, "id"),
    BK_LIST(BkInventoryReport, sources, "sources", source_fields),
    {.name = "total", .kind = BK_FIELD_OBJECT, .fields = total_fields},
    BK_FIELD_END,
};

static const BkTextRow source_below[] = {
    {.label = "snapshots",
     .text = "{snapshots.count}[, {+snapshots.damaged} damaged][, {+snapshots.unfinished} "
             "unfinished][, {+snapshots.unreadable} unreadable][; {snapshots.oldest} to "
             "{snapshots.newest}]"},
    {.label = "packs", .text = "{packs.count}, {packs.bytes}"},
    {.label = "WAL",
     .field = "wal.timelines",
     .text = "timeline {timeline}: {files:file}, {bytes}[; {first} to {last}]; cluster "
             "{system_identifier}"},
    {.label = "held by", .field = "lease", .text = "{holder}[{dead?, which has died}]"},
    BK_TEXT_END,
};

static const BkTextRow report_below[] = {
    {.field = "sources", .text = "{name}", .rows = source_below},
    {.text = "total: {total.snapshots:snapshot}, {total.packs:pack}, {total.wal_files:WAL file}, "
             "{total.bytes}"},
    BK_TEXT_END,
};

static const BkTextRow report_rows[] = {
    {.text = "{name}: {location}", .rows = report_below},
    BK_TEXT_END,
};

const BkReportKind bk_inventory_report = {report_fields, report_rows, NULL};

static void
free_source_view(void *data)
{
    SourceView *view = data;

    g_free(view->name);
    bk_inventory_clear(&view->inventory);
    g_free(view);
}

void
bk_inventory_report_init(BkInventoryReport *self, const char *name, const char *location,
                         const char *id)
{
    *self = (BkInventoryReport){
        .name = g_strdup(name),
        .location = g_strdup(location),
        .id = g_strdup(id),
        .sources = g_ptr_array_new_with_free_func(free_source_view),
    };
}

void
bk_inventory_report_clear(BkInventoryReport *self)
{
    g_free(self->name);
    g_free(self->location);
    g_free(self->id);
    g_clear_pointer(&self->sources, g_ptr_array_unref);
}

void
bk_inventory_report_add(BkInventoryReport *self, const char *source, BkInventory *inventory)
{
    SourceView *view = g_new0(SourceView, 1);

    view->name = g_strdup(source);
    view->inventory = *inventory;
    *inventory = (BkInventory){.oldest = NULL};
    view->snapshots = view->inventory.holdings.snapshots->len;
    view->unreadable = view->inventory.unreadable->len;
    view->packs = view->inventory.holdings.packs->len;
    view->wal_files = view->inventory.holdings.wal->len;
    view->lease = view->inventory.lease.is_held ? &view->inventory.lease : NULL;
    self->total.snapshots += view->snapshots;
    self->total.packs += view->packs;
    self->total.wal_files += view->wal_files;
    self->total.bytes +=
        view->inventory.manifest_bytes + view->inventory.pack_bytes + view->inventory.wal_bytes;
    g_ptr_array_add(self->sources, view);
}
