/* test-wal-blocks.c - what WAL changes: every form of block reference, created, cut off and dropped
 * files, borders of segments, and what makes a summary unusable. */
#include "source/pg/wal/wal-blocks.h"

#include "expect.h"
#include "wal-builder.h"

#define START   (5 * (BkLsn)WAL_SEGMENT)
#define NOON    (INT64_C(1795224000) * BK_USEC_PER_SEC)
#define RM_HEAP 10

static const BkForkKey table = {1663, 5, 16384, BK_FORK_MAIN};
static const BkForkKey index_key = {1663, 5, 16390, BK_FORK_MAIN};

/* A block reference: its header goes to `parts`, its data to `data`. */
typedef struct Ref {
    uint8_t id;
    uint8_t flags;
    const BkForkKey *relation; /* NULL: the same as before */
    uint32_t block;
    uint16_t data_size;
    uint16_t image_size; /* 0: none */
    uint8_t image_flags;
    bool has_hole_length;
} Ref;

static void
put_ref(BkBuf *parts, BkBuf *data, const Ref *ref)
{
    uint8_t flags = ref->flags;

    flags |= ref->image_size > 0 ? 0x10 : 0;
    flags |= ref->data_size > 0 ? 0x20 : 0;
    flags |= ref->relation == NULL ? 0x80 : 0;
    bk_wire_put_u8(parts, ref->id);
    bk_wire_put_u8(parts, flags);
    bk_wire_put_u16(parts, ref->data_size);
    if (ref->image_size > 0) {
        bk_wire_put_u16(parts, ref->image_size);
        bk_wire_put_u16(parts, 64);
        bk_wire_put_u8(parts, ref->image_flags);
        if (ref->has_hole_length)
            bk_wire_put_u16(parts, 0xF7F7);
    }
    if (ref->relation != NULL) {
        bk_wire_put_u32(parts, ref->relation->tablespace);
        bk_wire_put_u32(parts, ref->relation->database);
        bk_wire_put_u32(parts, ref->relation->file_node);
    }
    bk_wire_put_u32(parts, ref->block);
    bk_buf_extend(data, (size_t)ref->data_size + ref->image_size);
}

static BkLsn
put_record(WalBuilder *builder, const Ref *refs, size_t count, size_t main_size)
{
    g_auto(BkBuf) body = BK_BUF_INIT;
    g_auto(BkBuf) data = BK_BUF_INIT;

    for (size_t i = 0; i < count; i++)
        put_ref(&body, &data, &refs[i]);
    wal_builder_main_part(&body, main_size);
    bk_buf_append(&body, data.data, data.size);
    bk_buf_extend(&body, main_size);
    return wal_builder_body(builder, RM_HEAP, 0, 77, &body);
}

static void
put_one(WalBuilder *builder, uint32_t block)
{
    const Ref ref = {.relation = &table, .block = block, .data_size = 20};

    (void)put_record(builder, &ref, 1, 3);
}

static void
collect(const WalBuilder *builder, size_t number, BkWalInfo *info, BkWalBlocks *blocks)
{
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_wal_blocks_collect(wal_builder_segment(builder, number), WAL_SEGMENT, NULL, info,
                                      blocks, &error));
}

static bool
has(const BkWalBlocks *blocks, const BkForkKey *fork, uint32_t block)
{
    uint32_t first, count;

    return bk_block_map_next(blocks->map, fork, block, block + 1, &first, &count);
}

static void
test_references(void)
{
    static const BkForkKey vm = {1663, 5, 16384, BK_FORK_VM};
    static const BkForkKey fsm = {1663, 5, 16384, BK_FORK_FSM};
    static const BkForkKey init = {1663, 5, 16390, BK_FORK_INIT};
    static const Ref refs[] = {
        {.id = 0, .relation = &table, .block = 4},
        {.id = 1, .block = 5, .data_size = 300},
        {.id = 2, .flags = BK_FORK_VM, .block = 6, .image_size = 100},
        {.id = 7, .flags = BK_FORK_FSM, .block = 7},
        {.id = 31, .flags = BK_FORK_INIT, .relation = &index_key, .block = 8, .data_size = 1},
        {.id = 32, .flags = 0x40, .block = UINT32_MAX - 1},
    };

    for (size_t main_size = 0; main_size < 600; main_size += 199) {
        g_auto(WalBuilder) builder = {0};
        g_auto(BkWalInfo) info = {0};
        g_auto(BkWalBlocks) blocks = {0};
        BkLsn first, last;

        wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
        first = wal_builder_filler(&builder, 100);
        (void)put_record(&builder, refs, G_N_ELEMENTS(refs), main_size);
        last = wal_builder_xact(&builder, 0x00, 77, NOON);
        wal_builder_pad(&builder);
        collect(&builder, 0, &info, &blocks);
        g_assert_null(blocks.unfit);
        g_assert_cmpuint(blocks.first_prev, ==, first - 40 - 64);
        g_assert_cmpuint(blocks.last, ==, last);
        g_assert_cmpuint(info.xacts, ==, 1);
        g_assert_cmpuint(bk_block_map_count(blocks.map), ==, 5);
        g_assert_true(has(&blocks, &table, 4) && has(&blocks, &table, 5) && has(&blocks, &vm, 6));
        g_assert_true(has(&blocks, &init, 8) && has(&blocks, &index_key, UINT32_MAX - 1));
        g_assert_false(has(&blocks, &fsm, 7));
    }
}

/* What says that an image is compressed, and so has the length of its hole, changed in 15. */
static void
test_images(void)
{
    static const struct {
        uint16_t magic;
        uint8_t flags;
        bool has_hole_length;
    } cases[] = {
        {BK_WAL_MAGIC_13, 0x00, false}, {BK_WAL_MAGIC_13, 0x01, false},
        {BK_WAL_MAGIC_13, 0x02, false}, {BK_WAL_MAGIC_14, 0x03, true},
        {BK_WAL_MAGIC_14, 0x05, false}, {BK_WAL_MAGIC_13, 0x07, true},
        {BK_WAL_MAGIC_15, 0x03, false}, {BK_WAL_MAGIC_15, 0x05, true},
        {BK_WAL_MAGIC_16, 0x09, true},  {BK_WAL_MAGIC_17, 0x11, true},
        {BK_WAL_MAGIC_18, 0x13, true},  {BK_WAL_MAGIC_18, 0x14, false},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Ref refs[] = {
            {.id = 0,
             .relation = &table,
             .block = 3,
             .image_size = 7000,
             .image_flags = cases[i].flags,
             .has_hole_length = cases[i].has_hole_length},
            {.id = 1, .relation = &index_key, .block = 9},
        };
        g_auto(WalBuilder) builder = {0};
        g_auto(BkWalInfo) info = {0};
        g_auto(BkWalBlocks) blocks = {0};

        wal_builder_init(&builder, cases[i].magic, START);
        (void)put_record(&builder, refs, G_N_ELEMENTS(refs), 5);
        wal_builder_pad(&builder);
        collect(&builder, 0, &info, &blocks);
        g_assert_null(blocks.unfit);
        g_assert_true(has(&blocks, &table, 3) && has(&blocks, &index_key, 9));
    }
}

/* Parts that are no references may stand before the main data, or without any. */
static void
test_other_parts(void)
{
    for (int with_main = 0; with_main < 2; with_main++) {
        g_auto(WalBuilder) builder = {0};
        g_auto(BkWalInfo) info = {0};
        g_auto(BkWalBlocks) blocks = {0};
        g_auto(BkBuf) body = BK_BUF_INIT;
        g_auto(BkBuf) data = BK_BUF_INIT;

        put_ref(&body, &data, &(const Ref){.relation = &table, .block = 3, .data_size = 9});
        bk_wire_put_u8(&body, 253);
        bk_wire_put_u16(&body, 1);
        bk_wire_put_u8(&body, 252);
        bk_wire_put_u32(&body, 700);
        if (with_main != 0)
            wal_builder_main_part(&body, 2);
        bk_buf_append(&body, data.data, data.size);
        bk_buf_extend(&body, with_main != 0 ? 2 : 0);
        wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
        (void)wal_builder_body(&builder, RM_HEAP, 0, 700, &body);
        wal_builder_pad(&builder);
        collect(&builder, 0, &info, &blocks);
        g_assert_null(blocks.unfit);
        g_assert_true(has(&blocks, &table, 3));
    }
}

/* A record that fills pages with the images of many blocks: nobody wants it whole, its references
 * are there all the same. */
static void
test_crossing_pages(void)
{
    g_auto(WalBuilder) builder = {0};
    g_auto(BkWalInfo) info = {0};
    g_auto(BkWalBlocks) blocks = {0};
    Ref refs[33];

    for (uint8_t i = 0; i < G_N_ELEMENTS(refs); i++)
        refs[i] = (Ref){.id = i,
                        .relation = i % 2 == 0 ? &table : &index_key,
                        .block = i,
                        .image_size = 8000,
                        .image_flags = 0x05,
                        .has_hole_length = true};
    wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
    for (size_t left = 1; left < 1200; left += 97) {
        while (builder.out.size % WAL_PAGE < WAL_PAGE - left - 100)
            (void)wal_builder_filler(&builder, 40);
        (void)put_record(&builder, refs, 3, 300);
    }
    (void)put_record(&builder, refs, G_N_ELEMENTS(refs), 300);
    wal_builder_pad(&builder);
    collect(&builder, 0, &info, &blocks);
    g_assert_null(blocks.unfit);
    g_assert_cmpuint(bk_block_map_count(blocks.map), ==, 33);
}

static void
put_storage(WalBuilder *builder, uint8_t kind, const BkForkKey *key, uint32_t block, uint32_t last)
{
    g_auto(BkBuf) data = BK_BUF_INIT;

    if (kind == 0x20)
        bk_wire_put_u32(&data, block);
    bk_wire_put_u32(&data, key->tablespace);
    bk_wire_put_u32(&data, key->database);
    bk_wire_put_u32(&data, key->file_node);
    bk_wire_put_u32(&data, last);
    (void)wal_builder_record(builder, BK_WAL_RM_SMGR, kind | 1, 77, data.data, data.size);
}

static uint32_t
limit_of(const BkWalBlocks *blocks, const BkForkKey *relation, uint8_t fork)
{
    BkForkKey key = *relation;

    key.fork = fork;
    return bk_block_map_get_limit(blocks->map, &key);
}

static void
test_storage(void)
{
    g_auto(WalBuilder) builder = {0};
    g_auto(BkWalInfo) info = {0};
    g_auto(BkWalBlocks) blocks = {0};
    BkForkKey other = {1663, 5, 20000, 0};

    wal_builder_init(&builder, BK_WAL_MAGIC_13, START);
    put_storage(&builder, 0x10, &index_key, 0, BK_FORK_MAIN);
    put_storage(&builder, 0x10, &index_key, 0, BK_FORK_FSM);
    put_storage(&builder, 0x20, &table, 900, 7);
    put_storage(&builder, 0x20, &table, 800, 1);
    put_storage(&builder, 0x20, &table, 850, 1);
    put_storage(&builder, 0x20, &other, 10, 4);
    wal_builder_pad(&builder);
    collect(&builder, 0, &info, &blocks);
    g_assert_null(blocks.unfit);
    g_assert_cmpuint(limit_of(&blocks, &index_key, BK_FORK_MAIN), ==, 0);
    g_assert_cmpuint(limit_of(&blocks, &index_key, BK_FORK_FSM), ==, BK_BLOCK_NO_LIMIT);
    g_assert_cmpuint(limit_of(&blocks, &index_key, BK_FORK_VM), ==, BK_BLOCK_NO_LIMIT);
    g_assert_cmpuint(limit_of(&blocks, &table, BK_FORK_MAIN), ==, 800);
    g_assert_cmpuint(limit_of(&blocks, &table, BK_FORK_VM), ==, 0);
    g_assert_cmpuint(limit_of(&blocks, &table, BK_FORK_FSM), ==, BK_BLOCK_NO_LIMIT);
    g_assert_cmpuint(limit_of(&blocks, &other, BK_FORK_MAIN), ==, BK_BLOCK_NO_LIMIT);
}

/* The main data of a commit or abort that dropped `count` relations from 30000 on. */
static BkBuf
dropping(uint32_t count, uint32_t subxacts)
{
    BkBuf data = BK_BUF_INIT;

    bk_wire_put_u64(&data, 77);
    bk_wire_put_u32(&data, 1 | 2 | 4 | 8);
    bk_buf_extend(&data, 8);
    bk_wire_put_u32(&data, subxacts);
    bk_buf_extend(&data, (size_t)subxacts * 4);
    bk_wire_put_u32(&data, count);
    for (uint32_t i = 0; i < count; i++) {
        bk_wire_put_u32(&data, 1663);
        bk_wire_put_u32(&data, 5);
        bk_wire_put_u32(&data, 30000 + i);
    }
    bk_wire_put_u32(&data, 3);
    bk_buf_extend(&data, (size_t)3 * 16);
    return data;
}

static void
check_dropped(const BkWalBlocks *blocks, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const BkForkKey key = {1663, 5, 30000 + i, 0};

        g_assert_cmpuint(limit_of(blocks, &key, BK_FORK_MAIN), ==, 0);
        g_assert_cmpuint(limit_of(blocks, &key, BK_FORK_VM), ==, 0);
        g_assert_cmpuint(limit_of(blocks, &key, BK_FORK_INIT), ==, 0);
        g_assert_cmpuint(limit_of(blocks, &key, BK_FORK_FSM), ==, BK_BLOCK_NO_LIMIT);
    }
}

/* Commit, abort, both of prepared ones; thousands of relations, over many pages. */
static void
test_drops(void)
{
    static const uint8_t kinds[] = {0x00, 0x20, 0x30, 0x40};

    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_auto(WalBuilder) builder = {0};
        g_auto(BkWalInfo) info = {0};
        g_auto(BkWalBlocks) blocks = {0};
        g_auto(BkBuf) data = dropping(5000, 3000);

        wal_builder_init(&builder, BK_WAL_MAGIC_14, START);
        (void)wal_builder_xact(&builder, kinds[i], 700, NOON);
        (void)wal_builder_record(&builder, BK_WAL_RM_XACT, kinds[i] | 0x80, 700, data.data,
                                 data.size);
        wal_builder_pad(&builder);
        collect(&builder, 0, &info, &blocks);
        g_assert_null(blocks.unfit);
        check_dropped(&blocks, 5000);
    }
}

/* A transaction that is only prepared drops nothing yet; neither does a commit without lists. */
static void
test_prepare(void)
{
    g_auto(WalBuilder) builder = {0};
    g_auto(BkWalInfo) info = {0};
    g_auto(BkWalBlocks) blocks = {0};
    g_auto(BkBuf) data = dropping(3, 0);
    const BkForkKey key = {1663, 5, 30000, 0};

    wal_builder_init(&builder, BK_WAL_MAGIC_14, START);
    (void)wal_builder_record(&builder, BK_WAL_RM_XACT, 0x10 | 0x80, 700, data.data, data.size);
    (void)wal_builder_record(&builder, BK_WAL_RM_XACT, 0x00, 700, data.data, data.size);
    wal_builder_pad(&builder);
    collect(&builder, 0, &info, &blocks);
    g_assert_null(blocks.unfit);
    g_assert_cmpuint(limit_of(&blocks, &key, BK_FORK_MAIN), ==, BK_BLOCK_NO_LIMIT);
}

static void
put_database(WalBuilder *builder, uint8_t kind, const uint32_t *fields, size_t count)
{
    g_auto(BkBuf) data = BK_BUF_INIT;

    for (size_t i = 0; i < count; i++)
        bk_wire_put_u32(&data, fields[i]);
    (void)wal_builder_record(builder, BK_WAL_RM_DBASE, kind, 77, data.data, data.size);
}

static void
test_databases(void)
{
    static const uint32_t copy[] = {20, 1663, 1, 1663};
    static const uint32_t logged[] = {21, 1700};
    static const uint32_t drop[] = {22, 2, 1663, 1701};

    for (int is_new = 0; is_new < 2; is_new++) {
        g_auto(WalBuilder) builder = {0};
        g_auto(BkWalInfo) info = {0};
        g_auto(BkWalBlocks) blocks = {0};

        wal_builder_init(&builder, is_new != 0 ? BK_WAL_MAGIC_15 : BK_WAL_MAGIC_14, START);
        put_database(&builder, 0x00, copy, G_N_ELEMENTS(copy));
        if (is_new != 0)
            put_database(&builder, 0x10, logged, G_N_ELEMENTS(logged));
        put_database(&builder, is_new != 0 ? 0x20 : 0x10, drop, G_N_ELEMENTS(drop));
        wal_builder_pad(&builder);
        collect(&builder, 0, &info, &blocks);
        g_assert_null(blocks.unfit);
        g_assert_true(bk_block_map_is_renewed(blocks.map, 1663, 20));
        g_assert_true(bk_block_map_is_renewed(blocks.map, 1700, 21) == (is_new != 0));
        g_assert_true(bk_block_map_is_renewed(blocks.map, 1663, 22));
        g_assert_true(bk_block_map_is_renewed(blocks.map, 1701, 22));
        g_assert_false(bk_block_map_is_renewed(blocks.map, 1663, 1));
        g_assert_false(bk_block_map_is_renewed(blocks.map, 1663, 21));
    }
}

static void
test_minimal(void)
{
    for (uint32_t level = 0; level < 2; level++) {
        g_auto(WalBuilder) builder = {0};
        g_auto(BkWalInfo) info = {0};
        g_auto(BkWalBlocks) blocks = {0};

        wal_builder_init(&builder, BK_WAL_MAGIC_17, START);
        (void)wal_builder_record(&builder, BK_WAL_RM_XLOG, 0xE0, 0, &level, 4);
        wal_builder_pad(&builder);
        collect(&builder, 0, &info, &blocks);
        g_assert_cmpstr(blocks.unfit, ==, level == 0 ? "wal_level was minimal" : NULL);
    }
}

/* One record with `body`, of rmid and info. */
static const char *
unfit_of(uint8_t rmid, uint8_t info_bits, const BkBuf *body)
{
    g_auto(WalBuilder) builder = {0};
    g_auto(BkWalInfo) info = {0};
    g_auto(BkWalBlocks) blocks = {0};

    wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
    (void)wal_builder_body(&builder, rmid, info_bits, 77, body);
    wal_builder_pad(&builder);
    collect(&builder, 0, &info, &blocks);
    return blocks.unfit;
}

/* A record that is cut off anywhere, or of which a byte was changed, makes the summary unusable,
 * unless it happens to be another record: without the size of its second reference the first one's
 * data begin earlier. */
static void
test_malformed_reference(void)
{
    const Ref refs[] = {
        {.id = 0, .relation = &table, .block = 3, .image_size = 30, .data_size = 4},
        {.id = 1, .block = 4},
    };
    static const struct {
        size_t at;
        uint8_t value;
    } changes[] = {
        {0, 33},          /* no such part */
        {0, 1},           /* numbers do not ascend */
        {1, 0x34},        /* no such fork */
        {1, 0x80 | 0x30}, /* the same relation as none */
        {2, 5},           /* more data than there is */
        {4, 31},          /* a longer image */
    };
    g_auto(BkBuf) body = BK_BUF_INIT;
    g_auto(BkBuf) data = BK_BUF_INIT;
    size_t parts;

    put_ref(&body, &data, &refs[0]);
    put_ref(&body, &data, &refs[1]);
    parts = body.size;
    bk_buf_append(&body, data.data, data.size);
    g_assert_null(unfit_of(RM_HEAP, 0, &body));
    for (size_t size = 1; size < body.size; size++) {
        const BkBuf cut = {body.data, size, size};

        if (size != body.size - 8)
            g_assert_cmpstr(unfit_of(RM_HEAP, 0, &cut), ==, "a WAL record is malformed");
    }
    for (size_t i = 0; i < G_N_ELEMENTS(changes); i++) {
        uint8_t before = body.data[changes[i].at];

        body.data[changes[i].at] = changes[i].value;
        g_assert_cmpstr(unfit_of(RM_HEAP, 0, &body), ==, "a WAL record is malformed");
        body.data[changes[i].at] = before;
    }
    memset(body.data + parts - 4, 0xFF, 4); /* no block has that number */
    g_assert_cmpstr(unfit_of(RM_HEAP, 0, &body), ==, "a WAL record is malformed");
}

static void
test_malformed_contents(void)
{
    static const struct {
        uint8_t rmid, info;
        uint8_t size;
        uint8_t data[24];
    } cases[] = {
        {BK_WAL_RM_SMGR, 0x10, 12, {1}},
        {BK_WAL_RM_SMGR, 0x10, 16, {[12] = 4}},
        {BK_WAL_RM_SMGR, 0x20, 16, {1}},
        {BK_WAL_RM_DBASE, 0x00, 4, {1}},
        {BK_WAL_RM_DBASE, 0x20, 12, {[4] = 2}},
        {BK_WAL_RM_XACT, 0x00, 4, {1}},
        {BK_WAL_RM_XACT, 0x80, 8, {1}},
        {BK_WAL_RM_XACT, 0x80, 12, {[8] = 1}},
        {BK_WAL_RM_XACT, 0x80, 16, {[8] = 4, [12] = 1}},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(BkBuf) body = BK_BUF_INIT;

        wal_builder_main_part(&body, cases[i].size);
        bk_buf_append(&body, cases[i].data, cases[i].size);
        g_assert_cmpstr(unfit_of(cases[i].rmid, cases[i].info, &body), ==,
                        "a WAL record is malformed");
    }
}

static void
test_broken(void)
{
    g_auto(WalBuilder) builder = {0};
    g_auto(BkWalInfo) info = {0};
    g_auto(BkWalBlocks) blocks = {0};
    g_autoptr(GError) error = NULL;

    wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
    put_one(&builder, 4);
    builder.prev -= 8;
    put_one(&builder, 5);
    wal_builder_pad(&builder);
    collect(&builder, 0, &info, &blocks);
    g_assert_nonnull(blocks.unfit);
    bk_wal_info_clear(&info);
    bk_wal_blocks_clear(&blocks);
    EXPECT_ERROR(bk_wal_blocks_collect((const uint8_t *)"", 0, NULL, &info, &blocks, &error),
                 BK_ERROR_CORRUPT);
}

/* The summary of a whole stretch, as its users make it. */
static void
stretch(const WalBuilder *builder, BkWalBlocks *all)
{
    g_auto(BkWalInfo) left = {0};

    bk_wal_blocks_init(all);
    for (size_t i = 0; i < builder->out.size / WAL_SEGMENT; i++) {
        g_auto(BkWalBlocks) blocks = {0};
        BkWalInfo info = {0};

        collect(builder, i, &info, &blocks);
        if (i > 0) {
            bk_wal_blocks_join(all, &left, &info);
            g_assert_true(bk_wal_info_join(&left, &info));
        }
        bk_wal_blocks_merge(all, &blocks);
        bk_wal_info_clear(&left);
        left = info; /* moved */
    }
}

/* A record that is cut by the border of segments at every one of its bytes. */
static void
test_join(void)
{
    const Ref refs[] = {
        {.id = 0, .relation = &table, .block = 70, .image_size = 30, .data_size = 4},
        {.id = 1, .relation = &index_key, .block = 71},
    };

    for (size_t left = 8; left < 160; left += 8) {
        g_auto(WalBuilder) builder = {0};
        g_auto(BkWalBlocks) all = {0};
        g_auto(BkWalBlocks) alone = {0};
        g_auto(BkWalInfo) info = {0};
        BkLsn last;

        wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
        put_one(&builder, 1);
        wal_builder_fill(&builder, left);
        last = put_record(&builder, refs, G_N_ELEMENTS(refs), 20);
        if (left <= 64) {
            put_one(&builder, 2);
            last = wal_builder_xact(&builder, 0x00, 700, NOON);
        }
        wal_builder_pad(&builder);
        if (builder.out.size < 2 * WAL_SEGMENT)
            break;
        collect(&builder, 0, &info, &alone);
        g_assert_false(has(&alone, &table, 70));
        stretch(&builder, &all);
        g_assert_null(all.unfit);
        g_assert_cmpuint(all.last, ==, last);
        g_assert_cmpuint(all.first_prev, ==, START - 64);
        g_assert_true(has(&all, &table, 1) && has(&all, &table, 70) && has(&all, &index_key, 71));
        g_assert_true(has(&all, &table, 2) == (left <= 64));
    }
}

/* Records begin on multiples of eight, so that a border cuts each at some only: the edges are cut
 * here as if it had been another. */
static void
test_join_at_every_byte(void)
{
    const Ref refs[] = {
        {.id = 0, .relation = &table, .block = 70, .image_size = 30, .data_size = 4},
        {.id = 1, .relation = &index_key, .block = 71},
    };
    g_auto(WalBuilder) builder = {0};
    g_auto(BkWalInfo) left = {0};
    g_auto(BkWalInfo) right = {0};
    g_auto(BkBuf) record = BK_BUF_INIT;

    wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
    wal_builder_fill(&builder, 48);
    (void)put_record(&builder, refs, G_N_ELEMENTS(refs), 20);
    wal_builder_pad(&builder);
    for (size_t i = 0; i < 2; i++) {
        g_auto(BkWalBlocks) blocks = {0};

        collect(&builder, i, i == 0 ? &left : &right, &blocks);
    }
    bk_buf_append(&record, left.tail.bytes.data, left.tail.bytes.size);
    bk_buf_append(&record, right.lead.bytes.data, right.lead.bytes.size);
    g_assert_cmpuint(record.size, ==, left.tail.total);
    for (uint32_t cut = 1; cut < record.size; cut++) {
        g_auto(BkWalBlocks) all = {0};

        left.tail.available = cut;
        left.tail.bytes.size = right.lead.bytes.size = 0;
        bk_buf_append(&left.tail.bytes, record.data, cut);
        right.lead.rest = right.lead.available = (uint32_t)record.size - cut;
        bk_buf_append(&right.lead.bytes, record.data + cut, record.size - cut);
        bk_wal_blocks_init(&all);
        bk_wal_blocks_join(&all, &left, &right);
        g_assert_null(all.unfit);
        g_assert_cmpuint(all.last, ==, left.tail.lsn);
        g_assert_true(has(&all, &table, 70) && has(&all, &index_key, 71));
    }
}

/* A commit that drops so many relations that it fills several segments: its list is cut off by what
 * is kept at borders. With fewer, what is kept is enough. */
static void
test_join_long(void)
{
    static const struct {
        uint32_t drops, subxacts;
        bool fits;
    } cases[] = {{5000, 0, true}, {6000, 0, false}, {5, 16200, true}, {5, 16500, false}};

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(WalBuilder) builder = {0};
        g_auto(BkWalBlocks) all = {0};
        g_auto(BkBuf) data = dropping(cases[i].drops, cases[i].subxacts);

        bk_buf_extend(&data, 2 * BK_MIB);
        wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
        wal_builder_fill(&builder, 70000);
        (void)wal_builder_record(&builder, BK_WAL_RM_XACT, 0x80, 700, data.data, data.size);
        put_one(&builder, 9);
        wal_builder_pad(&builder);
        stretch(&builder, &all);
        g_assert_true(has(&all, &table, 9));
        if (cases[i].fits) {
            g_assert_null(all.unfit);
            check_dropped(&all, cases[i].drops);
        } else {
            g_assert_cmpstr(all.unfit, ==, "a WAL record is too long to be decoded");
        }
    }
}

/* A crash within the record at the border: it will never be complete, and what follows goes on. */
static void
test_join_abandoned(void)
{
    g_auto(WalBuilder) builder = {0};
    g_auto(WalBuilder) crashed = {0};
    g_auto(BkWalBlocks) all = {0};
    BkLsn prev;

    wal_builder_init(&crashed, BK_WAL_MAGIC_15, START);
    put_one(&crashed, 1);
    wal_builder_fill(&crashed, 48);
    prev = crashed.prev;
    put_one(&crashed, 70);
    wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
    bk_buf_append(&builder.out, crashed.out.data, WAL_SEGMENT);
    builder.prev = prev;
    wal_builder_page(&builder, 8, 0);
    put_one(&builder, 2);
    wal_builder_pad(&builder);
    stretch(&builder, &all);
    g_assert_null(all.unfit);
    g_assert_true(has(&all, &table, 1) && has(&all, &table, 2));
    g_assert_false(has(&all, &table, 70));
}

static void
test_gaps(void)
{
    g_auto(WalBuilder) builder = {0};
    g_auto(BkWalBlocks) all = {0};
    g_auto(BkWalBlocks) first = {0};
    g_auto(BkWalBlocks) third = {0};
    g_auto(BkWalInfo) first_info = {0};
    g_auto(BkWalInfo) third_info = {0};

    wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
    for (uint32_t i = 0; i < 3; i++) {
        put_one(&builder, i);
        wal_builder_fill(&builder, 48);
        (void)wal_builder_filler(&builder, 48);
    }
    wal_builder_pad(&builder);
    collect(&builder, 0, &first_info, &first);
    collect(&builder, 2, &third_info, &third);
    bk_wal_blocks_init(&all);
    bk_wal_blocks_merge(&all, &first);
    g_assert_null(all.unfit);
    bk_wal_blocks_join(&all, &first_info, &third_info);
    g_assert_cmpstr(all.unfit, ==, "the WAL does not continue what came before");
    all.unfit = NULL;
    bk_wal_blocks_merge(&all, &third);
    g_assert_cmpstr(all.unfit, ==, "the WAL does not continue what came before");
}

static void
test_encoding(void)
{
    g_auto(WalBuilder) builder = {0};
    g_auto(BkWalInfo) info = {0};
    g_auto(BkWalBlocks) blocks = {0};
    g_auto(BkWalBlocks) again = {0};
    g_auto(BkBuf) bytes = BK_BUF_INIT;
    g_auto(BkBuf) twice = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;
    const uint32_t level = 0;

    wal_builder_init(&builder, BK_WAL_MAGIC_17, START);
    put_one(&builder, 4);
    (void)wal_builder_record(&builder, BK_WAL_RM_XLOG, 0xE0, 0, &level, 4);
    wal_builder_pad(&builder);
    collect(&builder, 0, &info, &blocks);
    bk_wal_blocks_encode(&blocks, &bytes);
    EXPECT_DONE(bk_wal_blocks_decode(bytes.data, bytes.size, &again, &error));
    g_assert_cmpuint(again.first_prev, ==, blocks.first_prev);
    g_assert_cmpuint(again.last, ==, blocks.last);
    g_assert_cmpstr(again.unfit, ==, blocks.unfit);
    g_assert_true(has(&again, &table, 4));
    bk_wal_blocks_encode(&again, &twice);
    EXPECT_BYTES(bytes.data, bytes.size, twice.data, twice.size);
    bk_wal_blocks_clear(&again);
    for (size_t size = 0; size < bytes.size; size++)
        EXPECT_ERROR(bk_wal_blocks_decode(bytes.data, size, &again, &error), BK_ERROR_CORRUPT);
    EXPECT_ERROR(bk_wal_blocks_decode("\2", 1, &again, &error), BK_ERROR_UNSUPPORTED);
    EXPECT_ERROR(bk_wal_blocks_decode("\1\0\0\6\1\0\0", 7, &again, &error), BK_ERROR_CORRUPT);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/wal-blocks/references", test_references);
    g_test_add_func("/wal-blocks/images", test_images);
    g_test_add_func("/wal-blocks/other-parts", test_other_parts);
    g_test_add_func("/wal-blocks/crossing-pages", test_crossing_pages);
    g_test_add_func("/wal-blocks/storage", test_storage);
    g_test_add_func("/wal-blocks/drops", test_drops);
    g_test_add_func("/wal-blocks/prepare", test_prepare);
    g_test_add_func("/wal-blocks/databases", test_databases);
    g_test_add_func("/wal-blocks/minimal", test_minimal);
    g_test_add_func("/wal-blocks/malformed-reference", test_malformed_reference);
    g_test_add_func("/wal-blocks/malformed-contents", test_malformed_contents);
    g_test_add_func("/wal-blocks/broken", test_broken);
    g_test_add_func("/wal-blocks/join", test_join);
    g_test_add_func("/wal-blocks/join-at-every-byte", test_join_at_every_byte);
    g_test_add_func("/wal-blocks/join-long", test_join_long);
    g_test_add_func("/wal-blocks/join-abandoned", test_join_abandoned);
    g_test_add_func("/wal-blocks/gaps", test_gaps);
    g_test_add_func("/wal-blocks/encoding", test_encoding);
    return g_test_run();
}
