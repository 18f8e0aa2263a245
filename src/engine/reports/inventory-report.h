/* inventory-report.h - the report of "repo list" about one repository.
 *
 * Threads: belongs to one thread. */
#pragma once
#include "engine/copy/inventory.h"
#include "report/text.h"

typedef struct BkInventoryReport {
    char *name, *location, *id;
    GPtrArray *sources; /* of views of BkInventory */
    struct {
        uint64_t snapshots, packs, wal_files, bytes;
    } total;
} BkInventoryReport;

/* Copies the texts. */
void bk_inventory_report_init(BkInventoryReport *self, const char *name, const char *location,
                              const char *id);
void bk_inventory_report_clear(BkInventoryReport *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkInventoryReport, bk_inventory_report_clear)

/* Adds a source; takes what is in `inventory`, which is empty after it. */
void bk_inventory_report_add(BkInventoryReport *self, const char *source, BkInventory *inventory);

extern const BkReportKind bk_inventory_report; /* of a BkInventoryReport */
