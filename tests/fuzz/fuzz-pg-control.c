/* fuzz-pg-control.c - pg_control: values within their ranges, or an error. The checksum is put
 * right as well, so that what is behind it is reached. */
#include "source/pg/cluster/control.h"

#include "codec/crc32c.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
decode(const uint8_t *data, size_t size)
{
    BkPgControl control;
    g_autoptr(GError) error = NULL;

    if (!bk_pg_control_decode(data, size, &control, &error)) {
        g_assert(bk_error_is(error, BK_ERROR_CORRUPT) || bk_error_is(error, BK_ERROR_UNSUPPORTED));
        return;
    }
    g_assert(bk_wal_segment_size_is_valid(control.wal_segment_size));
    g_assert(control.wal_level <= BK_PG_WAL_LOGICAL);
    g_assert(strcmp(bk_pg_state_name(control.state), "unknown") != 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t crc_places[] = {288, 292};

    decode(data, size);
    for (size_t i = 0; i < G_N_ELEMENTS(crc_places) && size >= 296; i++) {
        g_autofree uint8_t *sealed = g_memdup2(data, size);
        uint32_t crc = GUINT32_TO_LE(bk_crc32c(0, sealed, crc_places[i]));

        memcpy(sealed + crc_places[i], &crc, sizeof crc);
        decode(sealed, size);
    }
    return 0;
}
