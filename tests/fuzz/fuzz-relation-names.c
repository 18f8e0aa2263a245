/* fuzz-relation-names.c - a page of a catalog, or a map: read within bounds; every row that is told
 * lies on the page; what is found can be found again. */
#include "source/pg/format/relation-names.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_tuples(const uint8_t *page)
{
    BkPgTuple tuple = {.offset = 0};
    uint32_t sum = 0;

    while (bk_pg_page_next_tuple(page, (uint16_t)(tuple.offset + 1), &tuple)) {
        g_assert(tuple.data >= page && tuple.data + tuple.size <= page + BK_PG_PAGE_SIZE);
        for (size_t i = 0; i < tuple.size; i++)
            sum += tuple.data[i];
    }
    g_assert(sum < UINT32_MAX);
}

/* The first bytes as a row that replaces another, with any lengths. */
static void
check_rows(BkRelationNames *catalog, const uint8_t *data, size_t size)
{
    const BkRelationNamesPlace place = {0, 1}, next = {0, 2};
    const size_t used = size > 6 ? size - 6 : 0;
    BkRelationNamesRow row = {.data = data, .size = size};
    BkPgRelation relation;

    if (bk_relation_names_note_row(catalog, &place, &row, &relation))
        g_assert(bk_relation_names_oid_at(catalog, &place) == relation.oid);
    if (used == 0)
        return;
    row = (BkRelationNamesRow){
        .data = data + 6,
        .size = used,
        .prefix = data[0],
        .suffix = data[1],
        .has_old = true,
        .old = place,
    };
    if (bk_relation_names_note_row(catalog, &next, &row, &relation)) {
        bk_relation_names_put(catalog, &relation);
        g_assert(bk_relation_names_find(catalog, relation.oid) != NULL);
        bk_relation_names_remove(catalog, relation.oid);
        g_assert(bk_relation_names_find(catalog, relation.oid) == NULL);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t page[BK_PG_PAGE_SIZE] = {0};

    memcpy(page, data, MIN(size, sizeof page));
    check_tuples(page);
    for (unsigned major = 15; major <= 18; major += 3) {
        g_autoptr(BkRelationNames) catalog = bk_relation_names_new(5, major);

        bk_relation_names_set_map(catalog, data, size);
        bk_relation_names_add_relations(catalog, page, 0);
        bk_relation_names_add_names(catalog, page);
        check_rows(catalog, data, size);
    }
    return 0;
}
