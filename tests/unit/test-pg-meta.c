/* test-pg-meta.c - what a snapshot says of its cluster: round trip, truncation, bounds. */
#include "expect.h"
#include "source/pg/cluster/pg-meta.h"

static void
fill(BkPgMeta *meta)
{
    bk_pg_meta_init(meta);
    meta->system_id = UINT64_MAX;
    meta->version = 150020;
    meta->control_version = 1300;
    meta->catalog_version = UINT32_MAX;
    meta->block_size = 8192;
    meta->segment_size = 16 * 1024 * 1024;
    meta->has_checksums = true;
    meta->timeline = 3;
    meta->start_lsn = 0x3000028;
    meta->redo_lsn = UINT64_MAX;
    meta->stop_lsn = 1;
    meta->stop_us = -1;
    meta->data_directory = g_strdup("/var/lib/postgresql/15/main");
    meta->backup_label = g_strdup("START WAL LOCATION: 0/3000028\n");
    bk_pg_meta_add_tablespace(meta, 16385, "fast disk", "/mnt/fast");
    bk_pg_meta_add_tablespace(meta, UINT32_MAX, "b", "/mnt/b");
    bk_pg_meta_add_damage(meta, "base/5/16384.1", UINT32_MAX);
    meta->data_mode = 0750;
    bk_pg_meta_add_left_out(meta, "log", "/var/log/postgresql");
}

static void
test_round_trip(void)
{
    g_auto(BkPgMeta) meta = {0};
    g_auto(BkPgMeta) again = {0};
    g_auto(BkBuf) once = BK_BUF_INIT;
    g_auto(BkBuf) twice = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;
    const BkPgTablespace *tablespace;
    const BkPgDamage *damage;
    const BkPgLeftOut *left_out;

    fill(&meta);
    bk_pg_meta_encode(&meta, &once);
    EXPECT_DONE(bk_pg_meta_decode(&again, &once, &error));
    bk_pg_meta_encode(&again, &twice);
    EXPECT_BYTES(twice.data, twice.size, once.data, once.size);
    g_assert_cmpuint(again.system_id, ==, meta.system_id);
    g_assert_cmpuint(again.redo_lsn, ==, meta.redo_lsn);
    g_assert_cmpint(again.stop_us, ==, -1);
    g_assert_true(again.has_checksums && !again.is_standalone);
    g_assert_cmpstr(again.tablespace_map, ==, ""); /* NULL is "" */
    g_assert_cmpstr(again.data_directory, ==, meta.data_directory);
    g_assert_cmpuint(again.tablespaces->len, ==, 2);
    tablespace = g_ptr_array_index(again.tablespaces, 0);
    g_assert_cmpuint(tablespace->oid, ==, 16385);
    g_assert_cmpstr(tablespace->name, ==, "fast disk");
    g_assert_cmpstr(tablespace->location, ==, "/mnt/fast");
    damage = g_ptr_array_index(again.damage, 0);
    g_assert_cmpstr(damage->file, ==, "base/5/16384.1");
    g_assert_cmpuint(damage->block, ==, UINT32_MAX);
    g_assert_cmpuint(again.data_mode, ==, 0750);
    left_out = g_ptr_array_index(again.left_out, 0);
    g_assert_cmpstr(left_out->path, ==, "log");
    g_assert_cmpstr(left_out->target, ==, "/var/log/postgresql");
}

static void
test_truncated_anywhere(void)
{
    g_auto(BkPgMeta) meta = {0};
    g_auto(BkBuf) out = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    fill(&meta);
    bk_pg_meta_encode(&meta, &out);
    for (size_t size = 0; size < out.size; size++) {
        g_autofree uint8_t *exact = g_memdup2(out.data, size);
        BkBuf cut = {exact, size, size};
        g_auto(BkPgMeta) again = {0};

        EXPECT_ERROR(bk_pg_meta_decode(&again, &cut, &error), BK_ERROR_CORRUPT);
        g_assert_cmpuint(again.tablespaces->len, ==, 0); /* initialised, empty */
        g_assert_cmpuint(again.system_id, ==, 0);
    }
}

static void
test_damage_is_counted_beyond_the_list(void)
{
    g_auto(BkPgMeta) meta = {0};
    g_auto(BkPgMeta) again = {0};
    g_auto(BkBuf) out = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    fill(&meta);
    for (uint32_t i = 1; i < 5000; i++)
        bk_pg_meta_add_damage(&meta, "base/5/1", i);
    bk_pg_meta_encode(&meta, &out);
    EXPECT_DONE(bk_pg_meta_decode(&again, &out, &error));
    g_assert_cmpuint(again.damaged_pages, ==, 5000);
    g_assert_cmpuint(again.damage->len, ==, BK_PG_DAMAGE_LISTED);
}

static void
test_unsound(void)
{
    g_auto(BkPgMeta) meta = {0};
    g_auto(BkPgMeta) again = {0};
    g_auto(BkBuf) out = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    fill(&meta);
    meta.segment_size = 12345;
    bk_pg_meta_encode(&meta, &out);
    EXPECT_ERROR(bk_pg_meta_decode(&again, &out, &error), BK_ERROR_CORRUPT);
    bk_pg_meta_clear(&again);
    out.size = 0;
    meta.segment_size = 1024 * 1024;
    bk_pg_meta_encode(&meta, &out);
    bk_buf_append(&out, "", 1);
    EXPECT_ERROR(bk_pg_meta_decode(&again, &out, &error), BK_ERROR_CORRUPT);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pg-meta/round-trip", test_round_trip);
    g_test_add_func("/pg-meta/truncated-anywhere", test_truncated_anywhere);
    g_test_add_func("/pg-meta/damage-beyond-the-list", test_damage_is_counted_beyond_the_list);
    g_test_add_func("/pg-meta/unsound", test_unsound);
    return g_test_run();
}
