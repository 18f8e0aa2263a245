/* test-relation-names.c - names of relations: from pages, and followed from place to place. */
#include "source/pg/format/relation-names.h"

#include "codec/crc32c.h"
#include "codec/wire.h"

#include <string.h>

#define ROW_SIZE 160

enum {
    XMIN_COMMITTED = 0x0100,
    XMIN_INVALID = 0x0200,
    XMAX_COMMITTED = 0x0400,
    XMAX_INVALID = 0x0800,
};

/* The columns of a row of pg_class. */
static void
make_row(uint8_t row[ROW_SIZE], unsigned major, uint32_t oid, const char *name, uint32_t file_node)
{
    memset(row, 0, ROW_SIZE);
    memcpy(row, &oid, 4);
    (void)g_strlcpy((char *)row + 4, name, BK_PG_NAME_SIZE);
    row[68] = 0x98; /* schema 2200 */
    row[69] = 0x08;
    memcpy(row + 88, &file_node, 4);
    row[major >= 18 ? 118 : 114] = 'u';
    row[major >= 18 ? 119 : 115] = 'r';
    memset(row + 130, 0xCD, ROW_SIZE - 130);
}

static void
make_page(uint8_t *page)
{
    memset(page, 0, BK_PG_PAGE_SIZE);
    page[12] = 24; /* where line pointers end */
    page[14] = 0x00;
    page[15] = 0x20; /* where rows begin: at the end */
    page[16] = 0x00;
    page[17] = 0x20;
    page[18] = 0x04; /* size and version */
    page[19] = 0x20;
}

/* Adds a version of a row; returns its line pointer's number. */
static uint16_t
add_version(uint8_t *page, const uint8_t *row, uint32_t xmin, uint32_t xmax, uint16_t infomask)
{
    uint16_t lower, upper;
    uint32_t line;
    uint8_t *at;

    memcpy(&lower, page + 12, 2);
    memcpy(&upper, page + 14, 2);
    upper = (uint16_t)(upper - (ROW_SIZE + 32));
    at = page + upper;
    memcpy(at, &xmin, 4);
    memcpy(at + 4, &xmax, 4);
    memcpy(at + 20, &infomask, 2);
    at[22] = 32;
    memcpy(at + 32, row, ROW_SIZE);
    line = (uint32_t)upper | 1u << 15 | (uint32_t)(ROW_SIZE + 32) << 17;
    memcpy(page + lower, &line, 4);
    lower = (uint16_t)(lower + 4);
    memcpy(page + 12, &lower, 2);
    memcpy(page + 14, &upper, 2);
    return (uint16_t)((lower - 24) / 4);
}

static void
add_relation(uint8_t *page, uint32_t oid, const char *name, uint32_t file_node, uint32_t xmax,
             uint16_t infomask)
{
    uint8_t row[ROW_SIZE];

    make_row(row, 15, oid, name, file_node);
    (void)add_version(page, row, 100, xmax, infomask);
}

static void
test_relation_decode(void)
{
    const unsigned majors[] = {13, 14, 15, 16, 17, 18};
    uint8_t row[ROW_SIZE];
    BkPgRelation relation;

    for (size_t i = 0; i < G_N_ELEMENTS(majors); i++) {
        make_row(row, majors[i], 16384, "orders", 16390);
        g_assert_true(bk_pg_relation_decode(row, sizeof row, majors[i], &relation));
        g_assert_cmpuint(relation.oid, ==, 16384);
        g_assert_cmpuint(relation.file_node, ==, 16390);
        g_assert_cmpuint(relation.schema, ==, 2200);
        g_assert_cmpint(relation.kind, ==, 'r');
        g_assert_cmpint(relation.persistence, ==, 'u');
        g_assert_cmpstr(relation.name, ==, "orders");
        for (size_t size = 0; size < 116; size++)
            g_assert_false(bk_pg_relation_decode(row, size, majors[i], &relation));
    }
    memset(row + 4, 'x', BK_PG_NAME_SIZE); /* without an end */
    g_assert_false(bk_pg_relation_decode(row, sizeof row, 18, &relation));
}

/* Of several versions of a row, the one that is seen gives the name; dead ones give none. */
static void
test_versions(void)
{
    g_autoptr(BkRelationNames) catalog = bk_relation_names_new(5, 15);
    uint8_t page[BK_PG_PAGE_SIZE];

    make_page(page);
    add_relation(page, 20000, "now", 20002, 0, XMIN_COMMITTED | XMAX_INVALID);
    add_relation(page, 20000, "before", 20000, 101, XMIN_COMMITTED);
    add_relation(page, 20001, "never", 20001, 0, XMIN_INVALID | XMAX_INVALID);
    add_relation(page, 20003, "gone", 20003, 101, XMIN_COMMITTED | XMAX_COMMITTED);
    add_relation(page, 20004, "going", 20004, 101, XMIN_COMMITTED);
    bk_relation_names_add_relations(catalog, page, 7);
    g_assert_cmpstr(bk_relation_names_find(catalog, 20000)->name, ==, "now");
    g_assert_cmpuint(bk_relation_names_find_file(catalog, 20002)->oid, ==, 20000);
    g_assert_null(bk_relation_names_find_file(catalog, 20000));
    g_assert_null(bk_relation_names_find(catalog, 20001));
    g_assert_null(bk_relation_names_find(catalog, 20003));
    g_assert_cmpstr(bk_relation_names_find(catalog, 20004)->name, ==, "going");
    g_assert_cmpuint(bk_relation_names_oid_at(catalog, &(BkRelationNamesPlace){7, 2}), ==, 20000);
    g_assert_cmpuint(bk_relation_names_oid_at(catalog, &(BkRelationNamesPlace){7, 6}), ==, 0);
    g_assert_cmpstr(bk_relation_names_find_name(catalog, 2200), ==, "public");
    bk_relation_names_remove(catalog, 20000);
    g_assert_null(bk_relation_names_find_file(catalog, 20002));
}

/* A page that cannot be is passed over, whatever it says. */
static void
test_torn_pages(void)
{
    g_autoptr(BkRelationNames) catalog = bk_relation_names_new(5, 15);
    uint8_t page[BK_PG_PAGE_SIZE];
    uint32_t seed = 1;

    for (int round = 0; round < 2000; round++) {
        make_page(page);
        for (uint32_t i = 0; i < 20; i++)
            add_relation(page, 20000 + i, "orders", 20000 + i, 0, XMAX_INVALID);
        for (int i = 0; i < 40; i++) {
            seed = seed * 1103515245 + 12345;
            page[(seed >> 8) % (i % 2 == 0 ? 120 : BK_PG_PAGE_SIZE)] = (uint8_t)(seed >> 4);
        }
        bk_relation_names_add_relations(catalog, page, (uint32_t)round);
        bk_relation_names_add_names(catalog, page);
    }
}

/* What an update leaves out because the row before has it is taken from there: at the beginning, at
 * the end, also when the rows differ in length. */
static void
test_update(void)
{
    g_autoptr(BkRelationNames) catalog = bk_relation_names_new(5, 15);
    uint8_t first[ROW_SIZE], second[ROW_SIZE];
    const BkRelationNamesPlace old = {3, 9}, new = {3, 10}, third = {4, 1};
    BkRelationNamesRow row = {.data = first, .size = sizeof first};
    BkPgRelation relation;

    make_row(first, 15, 20000, "orders", 20000);
    make_row(second, 15, 20000, "orders", 20009);
    g_assert_true(bk_relation_names_note_row(catalog, &old, &row, &relation));
    row = (BkRelationNamesRow){
        .data = second + 88, .size = 2, .prefix = 88, .suffix = 70, .has_old = true, .old = old};
    g_assert_true(bk_relation_names_note_row(catalog, &new, &row, &relation));
    g_assert_cmpuint(relation.file_node, ==, 20009);
    g_assert_cmpstr(relation.name, ==, "orders");
    g_assert_cmpuint(bk_relation_names_oid_at(catalog, &new), ==, 20000);
    /* Ten bytes more behind the columns that are looked at. */
    row = (BkRelationNamesRow){
        .data = second + 4, .size = 146, .prefix = 4, .suffix = 20, .has_old = true, .old = new};
    memcpy(second + 4, "renamed", 8);
    g_assert_true(bk_relation_names_note_row(catalog, &third, &row, &relation));
    g_assert_cmpstr(relation.name, ==, "renamed");
    row.old = (BkRelationNamesPlace){99, 1};
    g_assert_false(bk_relation_names_note_row(catalog, &third, &row, &relation));
    g_assert_cmpuint(bk_relation_names_oid_at(catalog, &third), ==, 0);
}

static void
make_map(BkBuf *map, size_t room, uint32_t oid, uint32_t file_node)
{
    bk_wire_put_u32(map, 0x592717);
    bk_wire_put_u32(map, 2);
    bk_wire_put_u32(map, 1249);
    bk_wire_put_u32(map, 1249);
    bk_wire_put_u32(map, oid);
    bk_wire_put_u32(map, file_node);
    bk_buf_extend(map, (room - 2) * 8);
    bk_wire_put_u32(map, bk_crc32c(0, map->data, map->size));
    if (room == 62)
        bk_buf_extend(map, 4);
}

static void
test_map(void)
{
    for (size_t room = 62; room <= 64; room += 2) {
        g_auto(BkBuf) map = BK_BUF_INIT;
        g_autoptr(BkRelationNames) catalog = bk_relation_names_new(5, 15);
        uint32_t node;

        make_map(&map, room, BK_PG_CLASS_OID, 30000);
        g_assert_true(bk_pg_map_find(map.data, map.size, BK_PG_CLASS_OID, &node));
        g_assert_cmpuint(node, ==, 30000);
        g_assert_false(bk_pg_map_find(map.data, map.size, 1, &node));
        g_assert_cmpuint(bk_relation_names_class_node(catalog), ==, BK_PG_CLASS_OID);
        bk_relation_names_set_map(catalog, map.data, map.size);
        g_assert_cmpuint(bk_relation_names_class_node(catalog), ==, 30000);
        map.data[20] ^= 1;
        g_assert_false(bk_pg_map_find(map.data, map.size, BK_PG_CLASS_OID, &node));
        for (size_t size = 0; size < 500; size++)
            g_assert_false(bk_pg_map_find(map.data, size, BK_PG_CLASS_OID, &node));
    }
}

/* Memory is bounded, and it is said that something was left out. */
static void
test_bound(void)
{
    g_autoptr(BkRelationNames) catalog = bk_relation_names_new(5, 15);
    BkPgRelation relation = {.kind = 'r', .name = "many"};

    for (uint32_t i = 0; i < BK_RELATION_NAMES_ROWS_MAX + 10; i++) {
        relation.oid = relation.file_node = 20000 + i;
        bk_relation_names_put(catalog, &relation);
    }
    g_assert_true(bk_relation_names_is_full(catalog));
    g_assert_nonnull(bk_relation_names_find(catalog, 20000 + BK_RELATION_NAMES_ROWS_MAX - 1));
    g_assert_null(bk_relation_names_find(catalog, 20000 + BK_RELATION_NAMES_ROWS_MAX));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/relation-names/relation-decode", test_relation_decode);
    g_test_add_func("/relation-names/versions", test_versions);
    g_test_add_func("/relation-names/torn-pages", test_torn_pages);
    g_test_add_func("/relation-names/update", test_update);
    g_test_add_func("/relation-names/map", test_map);
    g_test_add_func("/relation-names/bound", test_bound);
    return g_test_run();
}
