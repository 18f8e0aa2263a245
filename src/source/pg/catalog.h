/* catalog.h - the names of relations, read from the pages of pg_class and its like and kept up to
 * date by what the WAL says of their rows. PostgreSQL 13 to 18.
 *
 * A catalog begins with the pages of a snapshot, which may be torn or hold versions of a row that
 * no one sees any more: what cannot be is passed over, and of several versions the likeliest is
 * taken. From there on bk_catalog_note_* follow each row from place to place, and bk_catalog_put
 * and bk_catalog_remove say what has become visible. Memory is bounded by BK_CATALOG_ROWS_MAX rows,
 * and that of catalogs which share a count by BK_CATALOG_ALL_MAX; what is beyond has no name.
 * Threads: a catalog belongs to one thread. */
#pragma once
#include "base/buf.h"
#include "source/pg/page.h"

#define BK_PG_NAME_SIZE        64 /* with the zero byte */
#define BK_PG_FIRST_USER_OID   16384u
#define BK_PG_DATABASE_OID     1262u
#define BK_PG_CLASS_OID        1259u
#define BK_PG_SCHEMAS_OID      2615u /* pg_namespace */
#define BK_PG_LARGE_OBJECT_OID 2613u
#define BK_CATALOG_ROWS_MAX    ((size_t)200000)
#define BK_CATALOG_ALL_MAX     ((size_t)2000000)
#define BK_CATALOG_HEAD_SIZE   120 /* bytes of a row that tell what is kept of it */

/* A row of pg_class. */
typedef struct BkPgRelation {
    uint32_t oid;
    uint32_t schema;    /* OID */
    uint32_t file_node; /* 0: it has none, or is mapped */
    uint32_t tablespace;
    char kind;        /* relkind: r, i, S, t, v, m, c, f, p, I */
    char persistence; /* p, u (not logged), t (of a session) */
    char name[BK_PG_NAME_SIZE];
} BkPgRelation;

/* A version of a row on a page. */
typedef struct BkPgTuple {
    uint16_t offset; /* its line pointer's number, from 1 */
    uint32_t xmin;
    uint32_t xmax;
    uint16_t infomask;
    const uint8_t *data; /* its columns, in the page */
    size_t size;
} BkPgTuple;

/* The first version of a row on `page` (BK_PG_PAGE_SIZE bytes) whose line pointer is `from` (>= 1)
 * or later. False at the end, and when the page is none. */
bool bk_pg_page_next_tuple(const uint8_t *page, uint16_t from, BkPgTuple *tuple) BK_MUST_USE;

/* Decodes the columns of a row of pg_class. False when they are too short or cannot be. */
bool bk_pg_relation_decode(const uint8_t *data, size_t size, unsigned major,
                           BkPgRelation *relation) BK_MUST_USE;

/* Finds the file of a mapped relation in the content of a pg_filenode.map. False when it is not
 * there or the file is damaged. */
bool bk_pg_map_find(const uint8_t *map, size_t size, uint32_t oid, uint32_t *file_node) BK_MUST_USE;

/* The relations and schemas of one database; of database 0, the names of the databases. */
typedef struct BkCatalog BkCatalog;

BkCatalog *bk_catalog_new(uint32_t database, unsigned major);
void bk_catalog_free(BkCatalog *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkCatalog, bk_catalog_free)

/* Counts what the catalog holds in `*total` too, which must outlive it. */
void bk_catalog_share(BkCatalog *self, size_t *total);

/* A catalog like `from`, of a database that is made as a copy. */
BkCatalog *bk_catalog_copy(const BkCatalog *from, uint32_t database);

/* The files of pg_class, of pg_namespace and (of database 0) pg_database: at first the numbers of a
 * new cluster. A map that says otherwise makes the places of rows unknown. */
void bk_catalog_set_map(BkCatalog *self, const uint8_t *map, size_t size);
uint32_t bk_catalog_class_node(const BkCatalog *self);
uint32_t bk_catalog_schemas_node(const BkCatalog *self);
uint32_t bk_catalog_databases_node(const BkCatalog *self);

/* Adds what a page of pg_class holds; one of pg_namespace; one of pg_database. */
void bk_catalog_add_relations(BkCatalog *self, const uint8_t *page, uint32_t block);
void bk_catalog_add_names(BkCatalog *self, const uint8_t *page);

/* A schema's or database's name, from its row's columns. */
void bk_catalog_note_name(BkCatalog *self, const uint8_t *data, size_t size);

/* Where a row of pg_class is. */
typedef struct BkCatalogPlace {
    uint32_t block;
    uint16_t offset;
} BkCatalogPlace;

/* The new version of a row, as far as the WAL tells it. */
typedef struct BkCatalogRow {
    const uint8_t *data; /* its columns, without the first `prefix` and the last `suffix` bytes */
    size_t size;
    size_t prefix;
    size_t suffix;
    bool has_old; /* it replaces a row, of which it has `prefix` and `suffix` */
    BkCatalogPlace old;
} BkCatalogRow;

/* Notes that the row is at `place` now, and decodes it. False when it cannot be known. */
bool bk_catalog_note_row(BkCatalog *self, const BkCatalogPlace *place, const BkCatalogRow *row,
                         BkPgRelation *relation) BK_MUST_USE;

/* OID of the relation whose row is at `place`, 0 when that is unknown. */
uint32_t bk_catalog_oid_at(const BkCatalog *self, const BkCatalogPlace *place);

/* The row at `place` is of no more use. */
void bk_catalog_forget_place(BkCatalog *self, const BkCatalogPlace *place);

/* What is visible: a relation comes or changes, or goes. */
void bk_catalog_put(BkCatalog *self, const BkPgRelation *relation);
void bk_catalog_remove(BkCatalog *self, uint32_t oid);

/* NULL when there is none. Holds until the catalog changes. */
const BkPgRelation *bk_catalog_find(const BkCatalog *self, uint32_t oid);
const BkPgRelation *bk_catalog_find_file(const BkCatalog *self, uint32_t file_node);
const char *bk_catalog_find_name(const BkCatalog *self, uint32_t oid); /* of a schema, database */

/* Were rows left out, because there are too many? */
bool bk_catalog_is_full(const BkCatalog *self);
