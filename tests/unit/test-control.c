#include "source/pg/cluster/control.h"

#include "codec/crc32c.h"

#include <string.h>

#define SIZE 512

static void
put_u32(uint8_t *file, size_t at, uint32_t value)
{
    value = GUINT32_TO_LE(value);
    memcpy(file + at, &value, sizeof value);
}

static void
put_u64(uint8_t *file, size_t at, uint64_t value)
{
    value = GUINT64_TO_LE(value);
    memcpy(file + at, &value, sizeof value);
}

static void
seal(uint8_t *file, size_t crc_at)
{
    put_u32(file, crc_at, bk_crc32c(0, file, crc_at));
}

static void
fill(uint8_t *file, uint32_t version, uint32_t catalog)
{
    memset(file, 0, SIZE);
    put_u64(file, 0, UINT64_C(7710425677334803374));
    put_u32(file, 8, version);
    put_u32(file, 12, catalog);
    put_u32(file, 16, BK_PG_STATE_IN_PRODUCTION);
    put_u64(file, 24, 1795224255);
    put_u64(file, 32, 0xA000060);
    put_u64(file, 40, 0xA000028);
    put_u32(file, 48, 3);
    put_u32(file, 52, 2);
    put_u64(file, 136, 0xB000000);
    put_u32(file, 172, BK_PG_WAL_REPLICA);
    put_u32(file, 216, 8192);
    put_u32(file, 220, 131072);
    put_u32(file, 224, 8192);
    put_u32(file, 228, 16 << 20);
    put_u32(file, 252, 1);
}

static void
test_versions(void)
{
    static const struct {
        uint32_t version, catalog;
        unsigned major;
        size_t crc_at;
    } known[] = {
        {1300, 202007201, 13, 288}, {1300, 202107181, 14, 288}, {1300, 202209061, 15, 288},
        {1300, 202307071, 16, 288}, {1700, 202406281, 17, 288}, {1800, 202506291, 18, 292},
        {1300, 202209062, 0, 288},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(known); i++) {
        uint8_t file[SIZE];
        BkPgControl control;
        g_autoptr(GError) error = NULL;

        fill(file, known[i].version, known[i].catalog);
        seal(file, known[i].crc_at);
        g_assert_true(bk_pg_control_decode(file, SIZE, &control, &error));
        g_assert_cmpuint(control.major, ==, known[i].major);
        g_assert_cmpuint(control.system_id, ==, UINT64_C(7710425677334803374));
        g_assert_cmpint(control.state, ==, BK_PG_STATE_IN_PRODUCTION);
        g_assert_cmpint(control.time_us, ==, INT64_C(1795224255000000));
        g_assert_cmphex(control.checkpoint, ==, 0xA000060);
        g_assert_cmphex(control.redo, ==, 0xA000028);
        g_assert_cmpuint(control.timeline, ==, 3);
        g_assert_cmpuint(control.prev_timeline, ==, 2);
        g_assert_cmphex(control.min_recovery, ==, 0xB000000);
        g_assert_cmpint(control.wal_level, ==, BK_PG_WAL_REPLICA);
        g_assert_cmpuint(control.wal_segment_size, ==, 16 << 20);
        g_assert_cmpuint(control.relation_segment_blocks, ==, 131072);
        g_assert_cmpuint(control.checksum_version, ==, 1);
    }
}

static void
expect_refused(const uint8_t *file, size_t size, BkErrorCode code)
{
    BkPgControl control;
    g_autoptr(GError) error = NULL;

    g_assert_false(bk_pg_control_decode(file, size, &control, &error));
    g_assert_true(bk_error_is(error, code));
}

static void
expect_refused_value(size_t at, uint32_t value, BkErrorCode code)
{
    uint8_t file[SIZE];

    fill(file, 1300, 202209061);
    put_u32(file, at, value);
    seal(file, 288);
    expect_refused(file, SIZE, code);
}

static void
test_refused(void)
{
    uint8_t file[SIZE];

    fill(file, 1300, 202209061);
    seal(file, 288);
    expect_refused(file, 295, BK_ERROR_CORRUPT);
    for (size_t at = 0; at < 288; at++) {
        bool is_version = at >= 8 && at < 12;

        file[at] ^= 0x10;
        expect_refused(file, SIZE, is_version ? BK_ERROR_UNSUPPORTED : BK_ERROR_CORRUPT);
        file[at] ^= 0x10;
    }
    expect_refused_value(8, 1201, BK_ERROR_UNSUPPORTED);
    expect_refused_value(8, GUINT32_SWAP_LE_BE(1300), BK_ERROR_UNSUPPORTED);
    expect_refused_value(16, 7, BK_ERROR_CORRUPT);
    expect_refused_value(172, 3, BK_ERROR_CORRUPT);
    expect_refused_value(216, 0, BK_ERROR_CORRUPT);
    expect_refused_value(220, 0, BK_ERROR_CORRUPT);
    expect_refused_value(224, 8191, BK_ERROR_CORRUPT);
    expect_refused_value(228, 0, BK_ERROR_CORRUPT);
}

static void
test_state_names(void)
{
    g_assert_cmpstr(bk_pg_state_name(BK_PG_STATE_IN_PRODUCTION), ==, "in production");
    g_assert_cmpstr(bk_pg_state_name((BkPgState)99), ==, "unknown");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/control/versions", test_versions);
    g_test_add_func("/control/refused", test_refused);
    g_test_add_func("/control/state-names", test_state_names);
    return g_test_run();
}
