/* wal-mark.c - identifies a WAL history by one record of it. */
#include "source/pg/wal/wal-mark.h"

static bool
note_mark_record(const BkWalRecord *record, void *user, GError **error)
{
    BkWalMark *mark = user;

    (void)error;
    if (record->lsn == mark->lsn)
        mark->crc = record->crc;
    return true;
}

bool
bk_wal_mark_find(const uint8_t *data, size_t size, BkLsn lsn, BkWalMark *mark)
{
    g_auto(BkWalScan) scan = {0};
    BkWalMark found = {.lsn = lsn};
    const BkWalScanOptions options = {.on_record = note_mark_record, .user = &found};

    *mark = (BkWalMark){.lsn = 0};
    if (!bk_wal_scan(data, size, &options, &scan, NULL) || found.crc == 0)
        return false;
    *mark = found;
    return true;
}
