/* wal-sequence.c - the records of segments that are scanned one after another, in the order of the
 * path of recovery. */
#include "source/pg/wal/wal-sequence.h"

#include "source/pg/wal/wal-info-priv.h"

void
bk_wal_sequence_clear(BkWalSequence *self)
{
    bk_wal_info_clear(&self->before);
    bk_wal_scan_clear(&self->scan);
    self->has_before = false;
}

/* The record that goes over from the segment before comes first. */
static bool
take_border(BkWalSequence *self, GError **error)
{
    const BkWalInfo now = {
        .magic = self->scan.magic,
        .system_id = self->scan.system_id,
        .segment_size = self->scan.segment_size,
        .start_lsn = self->scan.start_lsn,
        .lead = self->scan.lead, /* borrowed */
    };
    g_auto(BkBuf) bytes = BK_BUF_INIT;
    BkWalRecord record;

    self->is_first = false;
    return !self->has_before || !bk_wal_info_fits(&self->before, &now) ||
           !bk_wal_info_border(&self->before, &now, &bytes, &record) ||
           self->on_record(&record, self->user, error);
}

static bool
pass_record(const BkWalRecord *record, void *user, GError **error)
{
    BkWalSequence *self = user;

    return (!self->is_first || take_border(self, error)) &&
           self->on_record(record, self->user, error);
}

bool
bk_wal_sequence_scan(BkWalSequence *self, const uint8_t *data, size_t size, GError **error)
{
    const BkWalScanOptions options = {
        .assemble_max = BK_WAL_EDGE_MAX,
        .start_max = BK_WAL_PARTS_MAX,
        .on_record = pass_record,
        .user = self,
    };
    BkWalInfo info = {.magic = 0};

    self->is_first = true;
    bk_wal_scan_clear(&self->scan);
    if (!bk_wal_scan(data, size, &options, &self->scan, error) ||
        (self->is_first && !take_border(self, error)))
        return false;
    bk_wal_info_take(&info, &self->scan);
    if (self->has_before)
        (void)bk_wal_info_join(&self->before, &info);
    bk_wal_info_clear(&self->before);
    self->before = info;
    self->has_before = true;
    return true;
}
