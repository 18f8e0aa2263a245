#include "source/pg/wal/wal-info.h"

#include "base/fd.h"
#include "wal-builder.h"

#include <fcntl.h>

#define START (5 * (BkLsn)WAL_SEGMENT)
#define NOON  (INT64_C(1795224000) * BK_USEC_PER_SEC)

static void
collect(const WalBuilder *builder, size_t number, BkWalInfo *info)
{
    const BkWalScanOptions options = {.verify_crc = true};
    g_autoptr(GError) error = NULL;

    g_assert_true(bk_wal_info_collect(wal_builder_segment(builder, number), WAL_SEGMENT, &options,
                                      info, &error));
}

static void
test_xacts(void)
{
    g_auto(WalBuilder) builder = {0};
    g_auto(BkWalInfo) info = {0};
    BkLsn first, last;

    wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
    wal_builder_filler(&builder, 3000);
    first = wal_builder_xact(&builder, 0x00, UINT32_MAX - 1, NOON);
    wal_builder_xact(&builder, 0x20, 4, NOON + 5);
    wal_builder_xact(&builder, 0x10, 9000, NOON + 900); /* only prepared */
    last = wal_builder_xact(&builder, 0x20, UINT32_MAX, NOON + 3);
    wal_builder_pad(&builder);
    collect(&builder, 0, &info);
    g_assert_cmpuint(info.xacts, ==, 3);
    g_assert_cmpuint(info.first.lsn, ==, first);
    g_assert_true(info.first.commit);
    g_assert_cmpint(info.first.time_us, ==, NOON);
    g_assert_cmpuint(info.last.lsn, ==, last);
    g_assert_false(info.last.commit);
    g_assert_cmpuint(info.last.end_lsn, ==, info.end_lsn);
    g_assert_cmpint(info.max_time_us, ==, NOON + 5);
    g_assert_cmpint(info.min_time_us, ==, NOON);
    g_assert_cmpuint(info.min_xid, ==, UINT32_MAX - 1); /* numbers go round */
    g_assert_cmpuint(info.max_xid, ==, 4);
    g_assert_cmpint(info.end, ==, BK_WAL_END_ZERO);
}

/* The transaction that a commit prepared ends stands behind lists, whose items differ by version.
 */
static void
test_prepared(void)
{
    static const struct {
        uint16_t magic;
        size_t stats_size;
    } known[] = {{BK_WAL_MAGIC_15, 12}, {BK_WAL_MAGIC_17, 12}, {BK_WAL_MAGIC_18, 16}};

    for (size_t i = 0; i < G_N_ELEMENTS(known); i++) {
        g_auto(WalBuilder) builder = {0};
        g_auto(BkWalInfo) info = {0};
        g_auto(BkBuf) data = BK_BUF_INIT;

        bk_wire_put_u64(&data, 77);
        bk_wire_put_u32(&data, 1 | 2 | 4 | 8 | 16 | 256);
        bk_buf_extend(&data, 8);
        bk_wire_put_u32(&data, 3);
        bk_buf_extend(&data, 3 * 4);
        bk_wire_put_u32(&data, 2);
        bk_buf_extend(&data, 2 * 12);
        bk_wire_put_u32(&data, 5);
        bk_buf_extend(&data, 5 * known[i].stats_size);
        bk_wire_put_u32(&data, 1);
        bk_buf_extend(&data, 16);
        bk_wire_put_u32(&data, 4711);
        wal_builder_init(&builder, known[i].magic, START);
        wal_builder_record(&builder, BK_WAL_RM_XACT, 0x30 | 0x80, 0, data.data, data.size);
        /* One whose lists go past its end has a time and no transaction. */
        data.data[8 + 4 + 8 + 2] = 0xFF;
        wal_builder_record(&builder, BK_WAL_RM_XACT, 0x40 | 0x80, 0, data.data, data.size);
        wal_builder_pad(&builder);
        collect(&builder, 0, &info);
        g_assert_cmpuint(info.xacts, ==, 2);
        g_assert_cmpuint(info.first.xid, ==, 4711);
        g_assert_cmpuint(info.last.xid, ==, BK_WAL_XID_NONE);
        g_assert_cmpuint(info.max_xid, ==, 4711);
    }
}

#define NEXT_XID 700u

static void
put_resume_point(WalBuilder *builder, uint8_t info, BkLsn redo, uint32_t wal_level)
{
    g_auto(BkBuf) data = BK_BUF_INIT;

    bk_wire_put_u64(&data, redo);
    bk_wire_put_u32(&data, 1);
    bk_wire_put_u32(&data, 1);
    bk_wire_put_u32(&data, 1);
    bk_wire_put_u32(&data, wal_level);
    bk_wire_put_u64(&data, NEXT_XID);
    bk_buf_extend(&data, 80 - data.size);
    bk_wire_put_u32(&data, info == 0x10 ? NEXT_XID - 10 : 0); /* none runs at a shutdown */
    bk_buf_extend(&data, 88 - data.size);
    wal_builder_record(builder, BK_WAL_RM_XLOG, info, 0, data.data, data.size);
}

static void
test_xlog(void)
{
    g_auto(WalBuilder) builder = {0};
    g_auto(BkWalInfo) info = {0};
    g_auto(BkBuf) data = BK_BUF_INIT;

    wal_builder_init(&builder, BK_WAL_MAGIC_17, START);
    put_resume_point(&builder, 0x10, START + 40, 1);
    wal_builder_point(&builder, "before the release", NOON);
    wal_builder_point(&builder, "after", NOON + 1);
    put_resume_point(&builder, 0x00, START + 80, 0);
    bk_wire_put_u64(&data, 5);
    bk_wire_put_u32(&data, 3);
    bk_wire_put_u32(&data, 2);
    bk_wire_put_u64(&data, 2);
    wal_builder_record(&builder, BK_WAL_RM_XLOG, 0x90, 0, data.data, data.size);
    wal_builder_pad(&builder);
    collect(&builder, 0, &info);
    g_assert_cmpuint(info.first_checkpoint.redo, ==, START + 40);
    g_assert_false(info.first_checkpoint.shutdown);
    g_assert_cmpuint(info.last_checkpoint.redo, ==, START + 80);
    g_assert_true(info.last_checkpoint.shutdown);
    g_assert_cmpuint(info.first_checkpoint.next_xid, ==, NEXT_XID);
    g_assert_cmpuint(info.first_checkpoint.active_xid, ==, NEXT_XID - 10);
    g_assert_cmpuint(info.last_checkpoint.active_xid, ==, NEXT_XID);
    g_assert_cmpuint(info.points->len, ==, 2);
    g_assert_cmpstr(g_array_index(info.points, BkWalPoint, 0).name, ==, "before the release");
    g_assert_cmpint(g_array_index(info.points, BkWalPoint, 1).time_us, ==, NOON + 1);
    g_assert_cmpuint(info.recovery_from, ==, 2);
    g_assert_cmpuint(info.recovery_to, ==, 3);
    g_assert_true(info.minimal_seen);
    g_assert_true(info.has_wal_level);
    g_assert_cmpuint(info.wal_level, ==, 2);
}

/* Before 17 checkpoints do not tell the level; a change of parameters does. */
static void
test_wal_level(void)
{
    g_auto(WalBuilder) builder = {0};
    g_auto(BkWalInfo) info = {0};
    g_auto(BkBuf) data = BK_BUF_INIT;

    wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
    put_resume_point(&builder, 0x10, START + 40, 0);
    wal_builder_pad(&builder);
    collect(&builder, 0, &info);
    g_assert_false(info.has_wal_level);
    bk_wal_info_clear(&info);
    builder.out.size = WAL_PAGE;
    wal_builder_clear(&builder);
    wal_builder_init(&builder, BK_WAL_MAGIC_13, START);
    bk_buf_extend(&data, 28);
    wal_builder_record(&builder, BK_WAL_RM_XLOG, 0x60, 0, data.data, data.size);
    wal_builder_pad(&builder);
    collect(&builder, 0, &info);
    g_assert_true(info.minimal_seen);
}

/* A commit that crosses the border at any byte counts for the segment in which it ends. */
static void
test_join(void)
{
    for (size_t left = 8; left <= 40; left += 8) {
        g_auto(WalBuilder) builder = {0};
        g_auto(BkWalInfo) first = {0};
        g_auto(BkWalInfo) second = {0};
        BkWalMoment commit = {.lsn = 0};
        BkWalMoment found;
        BkLsn lsn;

        wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
        wal_builder_xact(&builder, 0x00, 500, NOON - 1);
        wal_builder_fill(&builder, left);
        lsn = wal_builder_xact(&builder, 0x00, 501, NOON);
        wal_builder_xact(&builder, 0x00, 502, NOON + 1);
        wal_builder_pad(&builder);
        collect(&builder, 0, &first);
        collect(&builder, 1, &second);
        g_assert_true(bk_wal_info_join(&first, &second));
        if (left == 40) /* it ends with the segment */
            g_assert_cmpuint(first.xacts, ==, 2);
        g_assert_cmpuint(first.xacts + second.xacts, ==, 3);
        if (left < 40) {
            g_assert_cmpuint(second.first.lsn, ==, lsn);
            g_assert_cmpuint(second.first.xid, ==, 501);
            g_assert_cmpint(second.first.time_us, ==, NOON);
        }
        g_assert_cmpuint(second.last.xid, ==, 502);

        g_assert_true(bk_wal_find_xid(wal_builder_segment(&builder, 1), WAL_SEGMENT, &first, 501,
                                      &found, NULL));
        g_assert_cmpuint(found.lsn, ==, left < 40 ? lsn : 0);
        g_assert_true(bk_wal_find_xid(wal_builder_segment(&builder, 1), WAL_SEGMENT, NULL, 502,
                                      &found, NULL));
        g_assert_cmpint(found.time_us, ==, NOON + 1);
        g_assert_true(bk_wal_find_time(wal_builder_segment(&builder, 1), WAL_SEGMENT, &first,
                                       NOON - 1, 0, &found, &commit, NULL));
        g_assert_cmpuint(found.xid, ==, left < 40 ? 501 : 502);
        g_assert_cmpuint(commit.lsn, ==, 0);
        g_assert_true(bk_wal_find_time(wal_builder_segment(&builder, 1), WAL_SEGMENT, &first, NOON,
                                       0, &found, &commit, NULL));
        g_assert_cmpuint(found.xid, ==, 502);
        g_assert_cmpuint(commit.xid, ==, left < 40 ? 501 : 0);
    }
}

static void
test_join_point(void)
{
    g_auto(WalBuilder) builder = {0};
    g_auto(BkWalInfo) first = {0};
    g_auto(BkWalInfo) second = {0};
    BkWalMoment found;
    BkLsn lsn;

    wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
    wal_builder_fill(&builder, 48);
    lsn = wal_builder_point(&builder, "twice", NOON);
    wal_builder_point(&builder, "twice", NOON + 1);
    wal_builder_pad(&builder);
    collect(&builder, 0, &first);
    collect(&builder, 1, &second);
    g_assert_true(bk_wal_info_join(&first, &second));
    g_assert_cmpuint(second.points->len, ==, 2);
    g_assert_cmpuint(g_array_index(second.points, BkWalPoint, 0).lsn, ==, lsn);
    g_assert_true(bk_wal_find_point(wal_builder_segment(&builder, 1), WAL_SEGMENT, &first, "twice",
                                    0, &found, NULL));
    g_assert_cmpuint(found.lsn, ==, lsn);
    g_assert_true(bk_wal_find_point(wal_builder_segment(&builder, 1), WAL_SEGMENT, &first, "once",
                                    0, &found, NULL));
    g_assert_cmpuint(found.lsn, ==, 0);
}

/* A commit of more than a segment (a great many subtransactions) is found at its end. */
static void
test_join_long(void)
{
    g_auto(WalBuilder) builder = {0};
    g_auto(BkBuf) data = BK_BUF_INIT;
    BkWalInfo infos[4] = {0};
    BkLsn lsn;

    bk_wire_put_u64(&data, 77);
    bk_buf_extend(&data, 2 * BK_MIB + BK_MIB / 2);
    wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
    wal_builder_fill(&builder, 100000);
    lsn = wal_builder_record(&builder, BK_WAL_RM_XACT, 0x00, 600, data.data, data.size);
    wal_builder_pad(&builder);
    g_assert_cmpuint(builder.out.size, ==, 4 * WAL_SEGMENT);
    for (size_t i = 0; i < 4; i++)
        collect(&builder, i, &infos[i]);
    for (size_t i = 1; i < 4; i++)
        g_assert_true(bk_wal_info_join(&infos[i - 1], &infos[i]));
    g_assert_cmpuint(infos[1].xacts + infos[2].xacts, ==, 0);
    g_assert_cmpuint(infos[3].xacts, ==, 1);
    g_assert_cmpuint(infos[3].first.lsn, ==, lsn);
    g_assert_cmpuint(infos[3].first.xid, ==, 600);
    g_assert_cmpuint(infos[3].first.end_lsn, ==, infos[3].lead.end_lsn);
    for (size_t i = 0; i < 4; i++)
        bk_wal_info_clear(&infos[i]);
}

static void
test_not_neighbours(void)
{
    g_auto(WalBuilder) builder = {0};
    g_auto(BkWalInfo) first = {0};
    g_auto(BkWalInfo) second = {0};
    g_auto(BkWalInfo) third = {0};

    wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
    wal_builder_fill(&builder, 48);
    wal_builder_filler(&builder, 400);
    wal_builder_fill(&builder, 80);
    wal_builder_filler(&builder, 400);
    wal_builder_pad(&builder);
    collect(&builder, 0, &first);
    collect(&builder, 1, &second);
    collect(&builder, 2, &third);
    g_assert_false(bk_wal_info_join(&first, &third));
    g_assert_false(bk_wal_info_join(&second, &first));
    third.lead.rest++;
    g_assert_false(bk_wal_info_join(&second, &third));
    third.lead.rest--;
    g_assert_true(bk_wal_info_join(&second, &third));
    second.system_id++;
    g_assert_false(bk_wal_info_join(&first, &second));
}

static void
test_encoding(void)
{
    g_auto(WalBuilder) builder = {0};
    g_auto(BkWalInfo) info = {0};
    g_auto(BkWalInfo) again = {0};
    g_auto(BkBuf) encoded = BK_BUF_INIT;
    g_auto(BkBuf) twice = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    wal_builder_init(&builder, BK_WAL_MAGIC_17, START);
    wal_builder_xact(&builder, 0x00, 700, -5);
    wal_builder_point(&builder, "point", NOON);
    put_resume_point(&builder, 0x10, START + 40, 1);
    wal_builder_fill(&builder, 200);
    wal_builder_filler(&builder, 900);
    wal_builder_pad(&builder);
    collect(&builder, 0, &info);
    bk_wal_info_encode(&info, &encoded);
    g_assert_true(bk_wal_info_decode(encoded.data, encoded.size, &again, &error));
    bk_wal_info_encode(&again, &twice);
    g_assert_cmpuint(encoded.size, ==, twice.size);
    g_assert_true(memcmp(encoded.data, twice.data, twice.size) == 0);
    g_assert_cmpint(again.first.time_us, ==, -5);
    g_assert_cmpuint(again.points->len, ==, 1);
    g_assert_cmpuint(again.first_checkpoint.next_xid, ==, NEXT_XID);
    g_assert_cmpuint(again.last_checkpoint.active_xid, ==, NEXT_XID - 10);
    g_assert_cmpuint(again.tail.bytes.size, ==, 200);
    for (size_t size = 0; size < encoded.size; size++) {
        g_auto(BkWalInfo) cut = {0};
        g_autoptr(GError) cut_error = NULL;

        g_assert_false(bk_wal_info_decode(encoded.data, size, &cut, &cut_error));
        g_assert_true(bk_error_is(cut_error, BK_ERROR_CORRUPT));
    }
    bk_wal_info_clear(&again);
    encoded.data[0] = 2;
    g_assert_false(bk_wal_info_decode(encoded.data, encoded.size, &again, &error));
    g_assert_true(bk_error_is(error, BK_ERROR_UNSUPPORTED));
}

static void
test_many_points(void)
{
    g_auto(WalBuilder) builder = {0};
    g_auto(BkWalInfo) info = {0};

    wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
    for (int i = 0; i < BK_WAL_POINTS_MAX + 5; i++)
        wal_builder_point(&builder, "p", NOON + i);
    wal_builder_pad(&builder);
    collect(&builder, 0, &info);
    g_assert_cmpuint(info.points->len, ==, BK_WAL_POINTS_MAX);
    g_assert_cmpuint(info.points_omitted, ==, 5);
}

static void
read_seed(const char *directory, const char *name, BkBuf *content)
{
    g_autofree char *path = g_build_filename("tests/fuzz/corpus", directory, name, NULL);
    g_autoptr(GError) error = NULL;

    if (!bk_file_read(AT_FDCWD, path, BK_MIB, content, &error))
        g_error("%s", error->message);
}

/* Those of "wal-info" are the present encoding of those of "wal-scan", and those of "wal-head" end
 * with it, and no extensions: otherwise their replay stops before it comes to what it is there for.
 */
static void
test_seeds(void)
{
    g_autoptr(GDir) dir = g_dir_open("tests/fuzz/corpus/wal-scan", 0, NULL);
    unsigned count = 0;
    const char *name;

    g_assert_nonnull(dir);
    while ((name = g_dir_read_name(dir)) != NULL) {
        g_auto(BkBuf) wal = BK_BUF_INIT;
        g_auto(BkBuf) seed = BK_BUF_INIT;
        g_auto(BkBuf) head = BK_BUF_INIT;
        g_auto(BkBuf) encoded = BK_BUF_INIT;
        g_auto(BkWalInfo) info = {0};

        if (!g_str_has_prefix(name, "pg"))
            continue;
        read_seed("wal-scan", name, &wal);
        read_seed("wal-info", name, &seed);
        read_seed("wal-head", name, &head);
        g_assert_true(bk_wal_info_collect(wal.data, wal.size, NULL, &info, NULL));
        bk_wal_info_encode(&info, &encoded);
        if (seed.size != encoded.size || memcmp(seed.data, encoded.data, seed.size) != 0 ||
            head.size <= seed.size || head.data[head.size - 1] != 0 ||
            memcmp(head.data + head.size - 1 - seed.size, seed.data, seed.size) != 0)
            g_error("seed \"%s\" is stale: run build/tests/write-seeds tests/fuzz/corpus", name);
        count++;
    }
    g_assert_cmpuint(count, >=, 6);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/wal-info/xacts", test_xacts);
    g_test_add_func("/wal-info/prepared", test_prepared);
    g_test_add_func("/wal-info/xlog", test_xlog);
    g_test_add_func("/wal-info/wal-level", test_wal_level);
    g_test_add_func("/wal-info/join", test_join);
    g_test_add_func("/wal-info/join-point", test_join_point);
    g_test_add_func("/wal-info/join-long", test_join_long);
    g_test_add_func("/wal-info/not-neighbours", test_not_neighbours);
    g_test_add_func("/wal-info/encoding", test_encoding);
    g_test_add_func("/wal-info/many-points", test_many_points);
    g_test_add_func("/wal-info/seeds", test_seeds);
    return g_test_run();
}
