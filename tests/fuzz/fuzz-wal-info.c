/* fuzz-wal-info.c - encoded information on a WAL segment: an info or an error, and what was decoded
 * encodes and decodes to itself. */
#include "source/pg/wal/wal-info.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_auto(BkWalInfo) info = {0};
    g_auto(BkWalInfo) again = {0};
    g_auto(BkBuf) once = BK_BUF_INIT;
    g_auto(BkBuf) twice = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    if (!bk_wal_info_decode(data, size, &info, &error)) {
        g_assert(bk_error_is(error, BK_ERROR_CORRUPT) || bk_error_is(error, BK_ERROR_UNSUPPORTED));
        return 0;
    }
    bk_wal_info_encode(&info, &once);
    g_assert(bk_wal_info_decode(once.data, once.size, &again, &error));
    bk_wal_info_encode(&again, &twice);
    g_assert(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0);
    (void)bk_wal_info_join(&info, &again);
    again.start_lsn = info.start_lsn + info.segment_size;
    (void)bk_wal_info_join(&info, &again);
    return 0;
}
