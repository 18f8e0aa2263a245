/* fuzz-wal-events.c - a record of any resource manager and version: told within bounds; and
 * segments, followed as transactions. */
#include "source/pg/format/page.h"
#include "source/pg/wal/wal-drops.h"
#include "source/pg/wal/wal-events.h"
#include "source/pg/wal/wal-xacts.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint16_t magics[] = {BK_WAL_MAGIC_13, BK_WAL_MAGIC_15, BK_WAL_MAGIC_18};

static void
check_lists(const BkWalEvent *event, const BkWalRecord *record)
{
    for (size_t i = 0; i < event->subxacts.count; i++)
        (void)bk_wal_list_xid(&event->subxacts, i);
    for (size_t i = 0; i < event->files.count; i++)
        (void)bk_wal_list_file(&event->files, i);
    g_assert(event->subxacts.count * 4 <= record->size);
    g_assert(event->files.count * 12 <= record->size);
}

static void
check_record(const BkWalRecord *record, uint16_t magic)
{
    uint8_t page[BK_PG_PAGE_SIZE];
    BkWalParts parts;
    BkWalEvent event;
    BkRelationNamesRow row;

    if (bk_wal_record_parts(record, magic, &parts) == BK_WAL_MALFORMED)
        return;
    bk_wal_event_decode(record, magic, &parts, &event);
    check_lists(&event, record);
    if ((event.kind == BK_WAL_EVENT_INSERT || event.kind == BK_WAL_EVENT_UPDATE ||
         event.kind == BK_WAL_EVENT_INPLACE) &&
        bk_wal_event_find_row(record, magic, &parts, &event, page, &row)) {
        uint32_t sum = 0;

        for (size_t i = 0; i < row.size; i++)
            sum += row.data[i];
        g_assert(sum < UINT32_MAX && row.size <= MAX(record->size, sizeof page));
    }
}

static bool
on_xact(const BkWalXact *xact, void *user, GError **error)
{
    (void)user;
    (void)error;
    g_assert(xact->count > 0 && xact->count <= BK_WAL_CHANGES_MAX);
    g_assert(xact->before <= xact->lsn);
    return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const BkWalXactsOptions options = {.min_deletes = 1, .major = 15, .on_xact = on_xact};
    g_autoptr(BkWalXacts) xacts = bk_wal_xacts_new(&options);
    g_autoptr(BkWalDrops) drops = bk_wal_drops_new();
    BkWalXactsSegment told;
    BkWalDrop drop;
    bool ok = true;

    if (size >= BK_WAL_RECORD_HEADER) {
        /* Whole, and the beginning of a longer one. */
        for (size_t i = 0; i < 2 * G_N_ELEMENTS(magics); i++) {
            BkWalRecord record = {.lsn = 64, .end_lsn = 128, .data = data, .size = size};

            bk_wal_record_decode(data, &record);
            record.total = (uint32_t)(i % 2 == 0 ? size : MAX(record.total, size));
            check_record(&record, magics[i / 2]);
        }
    }
    for (int i = 0; ok && i < 2; i++)
        ok = bk_wal_xacts_scan(xacts, data, size, &told, NULL);
    if (bk_wal_drops_scan(drops, data, size, NULL) && bk_wal_drops_find(drops, UINT64_MAX, &drop))
        g_assert(drop.lsn != 0 && drop.xid != 0 && drop.end == 0);
    return 0;
}
