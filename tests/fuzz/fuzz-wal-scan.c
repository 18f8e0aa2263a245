/* fuzz-wal-scan.c - a WAL segment: scanned within bounds or refused; what is told of it survives
 * its encoding; joining it with a neighbour made of itself stays within bounds too. */
#include "source/pg/wal/wal-info.h"
#include "source/pg/wal/wal-mark.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Totals {
    uint64_t records;
    BkLsn end_lsn;
} Totals;

static bool
on_record(const BkWalRecord *record, void *user, GError **error)
{
    Totals *totals = user;
    uint32_t sum = 0;

    (void)error;
    g_assert(record->lsn >= totals->end_lsn && record->end_lsn > record->lsn);
    g_assert(record->data == NULL || record->size >= BK_WAL_RECORD_HEADER);
    for (size_t i = 0; record->data != NULL && i < record->size; i++)
        sum += record->data[i];
    totals->records += sum == 0 ? 0 : 1;
    totals->end_lsn = record->end_lsn;
    return true;
}

static void
check_edges(const BkWalLead *lead, const BkWalTail *tail)
{
    g_assert(lead->bytes.size <= MIN(lead->available, BK_WAL_EDGE_MAX));
    g_assert(lead->available <= lead->rest);
    g_assert(tail->bytes.size <= MIN(tail->available, BK_WAL_EDGE_MAX));
    g_assert(tail->available <= tail->total);
}

static bool
scan(const uint8_t *data, size_t size, const BkWalScanOptions *options)
{
    g_auto(BkWalScan) result = {0};
    g_autoptr(GError) error = NULL;
    Totals totals = {0};
    BkWalScanOptions own = *options;
    bool ok;

    own.on_record = on_record;
    own.user = &totals;
    ok = bk_wal_scan(data, size, &own, &result, &error);
    g_assert(ok == (error == NULL));
    if (!ok)
        return false;
    g_assert((result.end == BK_WAL_END_BROKEN) == (result.reason != NULL));
    g_assert(result.end_lsn >= result.start_lsn);
    g_assert(result.end_lsn <= result.start_lsn + result.segment_size);
    g_assert(result.records >= totals.records);
    check_edges(&result.lead, &result.tail);
    return true;
}

static void
check_encoding(const BkWalInfo *info)
{
    g_auto(BkBuf) once = BK_BUF_INIT;
    g_auto(BkBuf) twice = BK_BUF_INIT;
    g_auto(BkWalInfo) again = {0};
    g_autoptr(GError) error = NULL;

    bk_wal_info_encode(info, &once);
    g_assert(bk_wal_info_decode(once.data, once.size, &again, &error));
    bk_wal_info_encode(&again, &twice);
    g_assert(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0);
}

/* What looks for one record stays within the segment. */
static void
check_search(const uint8_t *data, size_t size, const BkWalInfo *info)
{
    const BkLsn end = info->start_lsn + info->segment_size;
    BkWalMoment found, commit = {0};
    BkWalMark mark;

    g_assert(bk_wal_find_time(data, size, info, info->min_time_us, 0, &found, &commit, NULL));
    g_assert(found.lsn < end && commit.lsn < end);
    g_assert(bk_wal_find_earlier(data, size, info, info->max_time_us, 0, &found, NULL));
    g_assert(found.lsn < end);
    if (info->last.lsn != 0 && bk_wal_mark_find(data, size, info->last.lsn, &mark))
        g_assert(mark.lsn == info->last.lsn);
}

static void
check_info(const uint8_t *data, size_t size)
{
    g_auto(BkWalInfo) left = {0};
    g_auto(BkWalInfo) right = {0};
    BkWalMoment found;

    g_assert(bk_wal_info_collect(data, size, NULL, &left, NULL));
    g_assert(bk_wal_info_collect(data, size, NULL, &right, NULL));
    check_encoding(&left);
    g_assert(bk_wal_find_point(data, size, &left, "alpha", 0, &found, NULL));
    g_assert(bk_wal_find_xid(data, size, &left, right.last.xid, &found, NULL));
    g_assert(right.xacts == 0 || found.lsn != 0);
    check_search(data, size, &left);
    left.start_lsn = right.start_lsn - left.segment_size;
    right.lead.rest = right.lead.available = (uint32_t)right.lead.bytes.size;
    left.tail.available = left.tail.total - MIN(left.tail.total, right.lead.rest);
    (void)bk_wal_info_join(&left, &right);
    check_edges(&right.lead, &right.tail);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const BkWalScanOptions lax = {0};
    const BkWalScanOptions strict = {.verify_crc = true, .assemble_max = BK_WAL_ASSEMBLE_MAX};

    (void)scan(data, size, &strict);
    if (scan(data, size, &lax))
        check_info(data, size);
    return 0;
}
