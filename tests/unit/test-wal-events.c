/* test-wal-events.c - what transactions did away with: rows, files, databases, by whom, and told
 * once it was committed. */
#include "source/pg/wal/wal-drops.h"
#include "source/pg/wal/wal-events.h"
#include "source/pg/wal/wal-image.h"
#include "source/pg/wal/wal-xacts.h"

#include "wal-builder.h"

#include <lz4.h>
#include <zstd.h>

#define START (7 * (BkLsn)WAL_SEGMENT)
#define NOON  (INT64_C(1795224000) * BK_USEC_PER_SEC)

enum {
    RM_STANDBY = 8,
    RM_HEAP = 10,
    HEAP_DELETE = 0x10,
    HEAP_INPLACE = 0x70,
};

static const BkForkKey table = {1663, 5, 16384, BK_FORK_MAIN};
static const BkForkKey other = {1663, 5, 16400, BK_FORK_MAIN};
static const BkForkKey class = {1663, 5, 1259, BK_FORK_MAIN};
static const BkForkKey databases = {1664, 0, 1262, BK_FORK_MAIN};

typedef struct Seen {
    BkWalXact xact[32];
    BkWalChange first[32];
    BkWalChange second[32];
    size_t count;
} Seen;

static bool
on_xact(const BkWalXact *xact, void *user, GError **error)
{
    Seen *seen = user;

    (void)error;
    g_assert_cmpuint(seen->count, <, G_N_ELEMENTS(seen->xact));
    g_assert_cmpuint(xact->count, >, 0);
    seen->xact[seen->count] = *xact;
    seen->first[seen->count] = xact->changes[0];
    if (xact->count > 1)
        seen->second[seen->count] = xact->changes[1];
    seen->count++;
    return true;
}

static BkWalXacts *
new_xacts(Seen *seen)
{
    const BkWalXactsOptions options = {
        .min_deletes = 10, .major = 15, .on_xact = on_xact, .user = seen};

    *seen = (Seen){.count = 0};
    return bk_wal_xacts_new(&options);
}

/* Scans all segments. */
static void
scan(WalBuilder *builder, BkWalXacts *xacts)
{
    wal_builder_pad(builder);
    for (size_t i = 0; (i + 1) * WAL_SEGMENT <= builder->out.size; i++) {
        BkWalXactsSegment told;
        g_autoptr(GError) error = NULL;

        g_assert_true(
            bk_wal_xacts_scan(xacts, wal_builder_segment(builder, i), WAL_SEGMENT, &told, &error));
        g_assert_no_error(error);
        g_assert_null(told.reason);
    }
}

/* A record of the heap with one block reference. */
static BkLsn
put_heap(WalBuilder *builder, uint8_t info, uint32_t xid, const BkForkKey *fork, const BkBuf *data,
         const BkBuf *main_data)
{
    g_auto(BkBuf) body = BK_BUF_INIT;

    bk_wire_put_u8(&body, 0);
    bk_wire_put_u8(&body, data->size > 0 ? 0x20 : 0);
    bk_wire_put_u16(&body, (uint16_t)data->size);
    bk_wire_put_u32(&body, fork->tablespace);
    bk_wire_put_u32(&body, fork->database);
    bk_wire_put_u32(&body, fork->file_node);
    bk_wire_put_u32(&body, 3); /* block */
    wal_builder_main_part(&body, main_data->size);
    bk_buf_append(&body, data->data, data->size);
    bk_buf_append(&body, main_data->data, main_data->size);
    return wal_builder_body(builder, RM_HEAP, info, xid, &body);
}

static BkLsn
put_delete(WalBuilder *builder, uint32_t xid, const BkForkKey *fork, uint16_t offset, uint8_t flags)
{
    g_auto(BkBuf) main_data = BK_BUF_INIT;
    const BkBuf none = BK_BUF_INIT;

    bk_wire_put_u32(&main_data, xid);
    bk_wire_put_u16(&main_data, offset);
    bk_wire_put_u8(&main_data, 0);
    bk_wire_put_u8(&main_data, flags);
    return put_heap(builder, HEAP_DELETE, xid, fork, &none, &main_data);
}

static void
put_deletes(WalBuilder *builder, uint32_t xid, const BkForkKey *fork, size_t count)
{
    for (size_t i = 0; i < count; i++)
        (void)put_delete(builder, xid, fork, 1, 0);
}

/* A row of pg_class that comes. */
static void
put_class_row(WalBuilder *builder, uint32_t xid, uint32_t oid, const char *name, uint32_t file_node,
              uint16_t offset)
{
    g_auto(BkBuf) main_data = BK_BUF_INIT;
    g_auto(BkBuf) data = BK_BUF_INIT;
    uint8_t *row;

    bk_wire_put_u16(&main_data, offset);
    bk_wire_put_u8(&main_data, 0);
    bk_wire_put_u32(&data, 0);
    bk_wire_put_u8(&data, 32);
    bk_buf_extend(&data, 32 - 23);
    row = bk_buf_extend(&data, 160);
    memcpy(row, &oid, 4);
    memcpy(row + 4, name, strlen(name));
    memcpy(row + 88, &file_node, 4);
    row[68] = 0x98;
    row[69] = 0x08;
    row[115] = 'r';
    (void)put_heap(builder, 0, xid, &class, &data, &main_data);
}

/* Commit or abort with its lists. */
static BkLsn
put_end(WalBuilder *builder, uint8_t kind, uint32_t xid, uint32_t sub, const BkForkKey *dropped)
{
    g_auto(BkBuf) data = BK_BUF_INIT;
    bool prepared = kind == 0x30 || kind == 0x40;

    bk_wire_put_u64(&data, (uint64_t)(NOON - INT64_C(946684800) * BK_USEC_PER_SEC));
    bk_wire_put_u32(&data, (sub != 0 ? 2 : 0) | (dropped != NULL ? 4 : 0) | (prepared ? 16 : 0));
    if (sub != 0) {
        bk_wire_put_u32(&data, 1);
        bk_wire_put_u32(&data, sub);
    }
    if (dropped != NULL) {
        bk_wire_put_u32(&data, 1);
        bk_wire_put_u32(&data, dropped->tablespace);
        bk_wire_put_u32(&data, dropped->database);
        bk_wire_put_u32(&data, dropped->file_node);
    }
    if (prepared)
        bk_wire_put_u32(&data, xid);
    return wal_builder_record(builder, BK_WAL_RM_XACT, kind | 0x80, prepared ? 0 : xid, data.data,
                              data.size);
}

static void
put_running(WalBuilder *builder, uint32_t oldest)
{
    const uint32_t numbers[] = {0, 0, 0, 1000, oldest, 0};

    (void)wal_builder_record(builder, RM_STANDBY, 0x10, 0, numbers, sizeof numbers);
}

/* What was committed is told, with what its subtransactions did; what was rolled back is not. */
static void
test_credit(void)
{
    g_auto(WalBuilder) builder = {0};
    Seen seen;
    g_autoptr(BkWalXacts) xacts = new_xacts(&seen);
    BkLsn lsn;

    wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
    put_deletes(&builder, 101, &table, 6); /* a subtransaction of 100 */
    put_deletes(&builder, 100, &table, 5);
    put_deletes(&builder, 102, &table, 50); /* one that is rolled back */
    put_deletes(&builder, 110, &table, 20); /* a transaction that is rolled back */
    put_deletes(&builder, 120, &table, 9);  /* too few */
    put_deletes(&builder, 130, &table, 12); /* prepared */
    (void)put_end(&builder, 0x20, 102, 0, NULL);
    (void)put_end(&builder, 0x20, 110, 0, NULL);
    lsn = put_end(&builder, 0x00, 100, 101, NULL);
    (void)put_end(&builder, 0x00, 120, 0, NULL);
    put_running(&builder, 130);
    (void)put_end(&builder, 0x30, 130, 0, NULL);
    scan(&builder, xacts);
    g_assert_cmpuint(seen.count, ==, 2);
    g_assert_cmpuint(seen.xact[0].xid, ==, 100);
    g_assert_cmpuint(seen.xact[0].lsn, ==, lsn);
    g_assert_cmpuint(seen.xact[0].before, ==, lsn);
    g_assert_cmpint(seen.xact[0].time_us, ==, NOON);
    g_assert_cmpint(seen.first[0].kind, ==, BK_WAL_DELETED);
    g_assert_cmpuint(seen.first[0].rows, ==, 11);
    g_assert_cmpuint(seen.first[0].file_node, ==, 16384);
    g_assert_cmpuint(seen.xact[1].xid, ==, 130);
    g_assert_true(seen.xact[1].is_prepared);
    g_assert_cmpuint(seen.first[1].rows, ==, 12);
}

/* A tentative insertion that is taken back, a row that moves to another partition, and rows of
 * catalogs are no deletions. */
static void
test_no_deletions(void)
{
    g_auto(WalBuilder) builder = {0};
    Seen seen;
    g_autoptr(BkWalXacts) xacts = new_xacts(&seen);
    const BkForkKey attributes = {1663, 5, 1249, BK_FORK_MAIN};

    wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
    for (int i = 0; i < 20; i++) {
        (void)put_delete(&builder, 100, &table, 1, 1 << 3);
        (void)put_delete(&builder, 100, &table, 1, 1 << 4);
        (void)put_delete(&builder, 100, &attributes, 1, 0);
    }
    (void)put_end(&builder, 0x00, 100, 0, NULL);
    scan(&builder, xacts);
    g_assert_cmpuint(seen.count, ==, 0);
}

/* Transactions that a crash has ended are forgotten: their numbers come again, after a while. */
static void
test_crashed(void)
{
    g_auto(WalBuilder) builder = {0};
    Seen seen;
    g_autoptr(BkWalXacts) xacts = new_xacts(&seen);

    wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
    put_deletes(&builder, 100, &table, 20);
    put_running(&builder, 101);
    (void)put_end(&builder, 0x00, 100, 0, NULL);
    scan(&builder, xacts);
    g_assert_cmpuint(seen.count, ==, 0);
}

/* Rows of pg_class say what became of a file: dropped, truncated, rewritten; and by which name. */
static void
test_files(void)
{
    g_auto(WalBuilder) builder = {0};
    Seen seen;
    g_autoptr(BkWalXacts) xacts = new_xacts(&seen);

    wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
    put_class_row(&builder, 100, 20000, "orders", 16384, 1);
    put_class_row(&builder, 100, 20001, "items", 16400, 2);
    (void)put_end(&builder, 0x00, 100, 0, NULL);
    (void)put_delete(&builder, 101, &class, 1, 0);
    (void)put_end(&builder, 0x00, 101, 0, &table);
    put_class_row(&builder, 102, 20009, "pg_temp_20001", 16401, 3);
    (void)put_delete(&builder, 102, &class, 3, 0);
    (void)put_end(&builder, 0x00, 102, 0, &other);
    (void)put_end(&builder, 0x00, 103, 0, &other);
    scan(&builder, xacts);
    g_assert_cmpuint(seen.count, ==, 3);
    g_assert_cmpint(seen.first[0].kind, ==, BK_WAL_DROPPED);
    g_assert_cmpstr(seen.first[0].relation, ==, "orders");
    g_assert_cmpstr(seen.first[0].schema, ==, "public");
    g_assert_cmpint(seen.first[1].kind, ==, BK_WAL_REWRITTEN);
    g_assert_cmpstr(seen.first[1].relation, ==, "items");
    g_assert_cmpint(seen.first[2].kind, ==, BK_WAL_DROPPED); /* nothing else is known */
}

static BkLsn
put_inplace(WalBuilder *builder, uint16_t offset, int32_t connections)
{
    g_auto(BkBuf) main_data = BK_BUF_INIT;
    g_auto(BkBuf) row = BK_BUF_INIT;

    bk_wire_put_u16(&main_data, offset);
    bk_buf_extend(&row, 80);
    bk_wire_put_u32(&row, (uint32_t)connections);
    bk_buf_extend(&row, 20);
    return put_heap(builder, HEAP_INPLACE, 0, &databases, &row, &main_data);
}

/* A stop within a drop is found, from its first record on and up to its commit, which is not
 * replayed. */
static void
check_drops(const WalBuilder *builder, BkLsn mark, BkLsn files)
{
    g_autoptr(BkWalDrops) drops = bk_wal_drops_new();
    BkWalDrop drop;
    BkLsn commit;

    for (size_t i = 0; (i + 1) * WAL_SEGMENT <= builder->out.size; i++)
        g_assert_true(bk_wal_drops_scan(drops, wal_builder_segment(builder, i), WAL_SEGMENT, NULL));
    g_assert_false(bk_wal_drops_find(drops, mark, &drop));
    g_assert_true(bk_wal_drops_find(drops, mark + 1, &drop));
    g_assert_cmpuint(drop.lsn, ==, mark);
    g_assert_cmpuint(drop.xid, ==, 100);
    g_assert_cmpuint(drop.oid, ==, 16390);
    g_assert_false(drop.is_tablespace);
    commit = drop.end;
    g_assert_cmpuint(commit, >, mark);
    g_assert_true(bk_wal_drops_find(drops, commit, &drop));
    g_assert_false(bk_wal_drops_find(drops, commit + 1, &drop));
    g_assert_true(bk_wal_drops_find(drops, files + 1, &drop));
    g_assert_cmpuint(drop.lsn, ==, files);
    g_assert_cmpuint(drop.xid, ==, 101);
    g_assert_cmpuint(bk_wal_drops_count_commits(drops, &drop, UINT64_MAX), ==, 0);
    drop.lsn = mark;
    g_assert_cmpuint(bk_wal_drops_count_commits(drops, &drop, UINT64_MAX), ==, 1);
    g_assert_cmpuint(bk_wal_drops_record_at(drops, mark + 1), >, mark);
    g_assert_cmpuint(bk_wal_drops_record_at(drops, UINT64_MAX), ==, 0);
    g_assert_false(bk_wal_drops_find(drops, UINT64_MAX, &drop));
}

/* A database is lost before the transaction commits: recovery must stop at its mark, or where its
 * files go. */
static void
test_database(void)
{
    g_auto(WalBuilder) builder = {0};
    Seen seen;
    g_autoptr(BkWalXacts) xacts = new_xacts(&seen);
    const uint32_t drop[] = {16390, 1, 1663};
    BkLsn mark, files;

    wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
    (void)put_inplace(&builder, 4, -2); /* of another one */
    mark = put_inplace(&builder, 5, -2);
    (void)put_inplace(&builder, 5, -1); /* VACUUM's */
    (void)put_delete(&builder, 100, &databases, 5, 0);
    (void)wal_builder_record(&builder, BK_WAL_RM_DBASE, 0x20, 100, drop, sizeof drop);
    (void)put_end(&builder, 0x00, 100, 0, NULL);
    (void)put_delete(&builder, 101, &databases, 6, 0);
    files = wal_builder_record(&builder, BK_WAL_RM_DBASE, 0x20, 101, drop, sizeof drop);
    (void)put_end(&builder, 0x00, 101, 0, NULL);
    /* To another tablespace: in no transaction. */
    (void)wal_builder_record(&builder, BK_WAL_RM_DBASE, 0x20, 0, drop, sizeof drop);
    scan(&builder, xacts);
    check_drops(&builder, mark, files);
    g_assert_cmpuint(seen.count, ==, 2);
    g_assert_cmpint(seen.first[0].kind, ==, BK_WAL_DATABASE_DROPPED);
    g_assert_cmpuint(seen.first[0].database, ==, 16390);
    g_assert_cmpuint(seen.xact[0].before, ==, mark);
    g_assert_cmpuint(seen.xact[1].before, ==, files);
}

/* A commit that crosses from one segment into the next counts, wherever it is cut. */
static void
test_border(void)
{
    for (size_t left = 8; left <= 72; left += 8) {
        g_auto(WalBuilder) builder = {0};
        Seen seen;
        g_autoptr(BkWalXacts) xacts = new_xacts(&seen);

        wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
        put_deletes(&builder, 100, &table, 20);
        wal_builder_fill(&builder, left);
        (void)put_end(&builder, 0x00, 100, 99, &other);
        put_deletes(&builder, 101, &table, 20);
        (void)put_end(&builder, 0x00, 101, 0, NULL);
        scan(&builder, xacts);
        g_assert_cmpuint(seen.count, ==, 2);
        g_assert_cmpuint(seen.xact[0].count, ==, 2);
        g_assert_cmpint(seen.first[0].kind, ==, BK_WAL_DROPPED);
        g_assert_cmpuint(seen.second[0].rows, ==, 20);
        g_assert_cmpuint(seen.xact[1].xid, ==, 101);
    }
}

/* Of what one transaction did so much is told; the rest is counted. */
static void
test_bounds(void)
{
    g_auto(WalBuilder) builder = {0};
    Seen seen;
    g_autoptr(BkWalXacts) xacts = new_xacts(&seen);

    wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
    for (uint32_t i = 0; i < BK_WAL_CHANGES_MAX + 7; i++) {
        const BkForkKey each = {1663, 5, 20000 + i, BK_FORK_MAIN};

        (void)put_delete(&builder, 100, &each, 1, 0);
    }
    (void)put_end(&builder, 0x00, 100, 0, NULL);
    for (uint32_t i = 0; i < BK_WAL_XACTS_MAX + 3; i++)
        (void)put_delete(&builder, 1000 + i, &table, 1, 0);
    scan(&builder, xacts);
    g_assert_cmpuint(seen.count, ==, 1);
    g_assert_cmpuint(seen.xact[0].count, ==, BK_WAL_CHANGES_MAX);
    g_assert_cmpuint(seen.xact[0].omitted, ==, 7);
    g_assert_cmpuint(bk_wal_xacts_untracked(xacts), ==, 3);
}

/* A page with a hole, compressed in each way, comes back. */
static void
test_images(void)
{
    enum { HOLE_AT = 100, HOLE_SIZE = 4000, KEPT = BK_PG_PAGE_SIZE - HOLE_SIZE };
    uint8_t page[BK_PG_PAGE_SIZE], kept[KEPT], packed[2 * KEPT], restored[BK_PG_PAGE_SIZE];
    BkWalContent content = {.image = packed, .hole_at = HOLE_AT, .hole_size = HOLE_SIZE};

    for (size_t i = 0; i < sizeof page; i++)
        page[i] = (uint8_t)(i / 7);
    memset(page + HOLE_AT, 0, HOLE_SIZE);
    memcpy(kept, page, HOLE_AT);
    memcpy(kept + HOLE_AT, page + HOLE_AT + HOLE_SIZE, KEPT - HOLE_AT);

    memcpy(packed, kept, KEPT);
    content.image_size = KEPT;
    g_assert_true(bk_wal_content_restore(&content, restored));
    g_assert_true(memcmp(page, restored, sizeof page) == 0);
    content.image_size = KEPT - 1;
    g_assert_false(bk_wal_content_restore(&content, restored));

    content.method = BK_WAL_IMAGE_LZ4;
    content.image_size =
        (size_t)LZ4_compress_default((char *)kept, (char *)packed, KEPT, sizeof packed);
    g_assert_true(bk_wal_content_restore(&content, restored));
    g_assert_true(memcmp(page, restored, sizeof page) == 0);

    content.method = BK_WAL_IMAGE_ZSTD;
    content.image_size = ZSTD_compress(packed, sizeof packed, kept, KEPT, 1);
    g_assert_true(bk_wal_content_restore(&content, restored));
    g_assert_true(memcmp(page, restored, sizeof page) == 0);
}

/* The server's own compression: bytes as they are, short and long repetitions, which may overlap.
 */
static void
test_pglz(void)
{
    /* "ab", then 8189 bytes from 2 back: 30 times 273 of them at most at once. */
    g_auto(BkBuf) packed = BK_BUF_INIT;
    uint8_t restored[BK_PG_PAGE_SIZE];
    BkWalContent content = {.method = BK_WAL_IMAGE_PGLZ};
    size_t left = BK_PG_PAGE_SIZE - 2;

    for (unsigned item = 0; left > 0; item++) {
        size_t length = MIN(left, 273);

        if (item % 8 == 0)
            bk_wire_put_u8(&packed, item == 0 ? 0xFC : 0xFF);
        if (item < 2) {
            bk_wire_put_u8(&packed, (uint8_t)('a' + item));
            continue;
        }
        if (left - length > 0 && left - length < 3)
            length -= 3;
        bk_wire_put_u8(&packed, (uint8_t)(length < 18 ? length - 3 : 15));
        bk_wire_put_u8(&packed, 2);
        if (length >= 18)
            bk_wire_put_u8(&packed, (uint8_t)(length - 18));
        left -= length;
    }
    content.image = packed.data;
    content.image_size = packed.size;
    g_assert_true(bk_wal_content_restore(&content, restored));
    for (size_t i = 0; i < sizeof restored; i++)
        g_assert_cmpuint(restored[i], ==, 'a' + i % 2);
    content.image_size--;
    g_assert_false(bk_wal_content_restore(&content, restored));
    packed.data[4] = 3; /* further back than there is */
    g_assert_false(bk_wal_content_restore(&content, restored));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/wal-events/credit", test_credit);
    g_test_add_func("/wal-events/no-deletions", test_no_deletions);
    g_test_add_func("/wal-events/crashed", test_crashed);
    g_test_add_func("/wal-events/files", test_files);
    g_test_add_func("/wal-events/database", test_database);
    g_test_add_func("/wal-events/border", test_border);
    g_test_add_func("/wal-events/bounds", test_bounds);
    g_test_add_func("/wal-events/images", test_images);
    g_test_add_func("/wal-events/pglz", test_pglz);
    return g_test_run();
}
