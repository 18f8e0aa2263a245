/* relation-names.h - the names of relations, read from the pages of pg_class, pg_namespace and
 * pg_database, and kept up to date from the WAL. PostgreSQL 13 to 18.
 *
 * A catalog begins with the pages of a snapshot, which may be torn or hold versions of a row that
 * no one sees any more: what cannot be is passed over, and of several versions the likeliest is
 * taken. From there on bk_relation_names_note_* follow each row from place to place, and
 * bk_relation_names_put and bk_relation_names_remove say what has become visible. Memory is bounded
 * by BK_RELATION_NAMES_ROWS_MAX rows, and that of catalogs which share a count by
 * BK_RELATION_NAMES_ALL_MAX; what is beyond has no name. Threads: a catalog belongs to one thread.
 */
#pragma once
#include "base/buf.h"
#include "source/pg/format/page.h"

#define BK_PG_NAME_SIZE             64 /* with the zero byte */
#define BK_PG_FIRST_USER_OID        16384u
#define BK_PG_DATABASE_OID          1262u
#define BK_PG_CLASS_OID             1259u
#define BK_PG_SCHEMAS_OID           2615u /* pg_namespace */
#define BK_PG_LARGE_OBJECT_OID      2613u
#define BK_RELATION_NAMES_ROWS_MAX  ((size_t)200000)
#define BK_RELATION_NAMES_ALL_MAX   ((size_t)2000000)
#define BK_RELATION_NAMES_HEAD_SIZE 120 /* bytes of a row that tell what is kept of it */

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
typedef struct BkRelationNames BkRelationNames;

BkRelationNames *bk_relation_names_new(uint32_t database, unsigned major);
void bk_relation_names_free(BkRelationNames *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkRelationNames, bk_relation_names_free)

/* Counts what the catalog holds in `*total` too, which must outlive it. */
void bk_relation_names_share(BkRelationNames *self, size_t *total);

/* A catalog like `from`, of a database that is made as a copy. */
BkRelationNames *bk_relation_names_copy(const BkRelationNames *from, uint32_t database);

/* The files of pg_class, of pg_namespace and (of database 0) pg_database: at first the numbers of a
 * new cluster. A map that says otherwise makes the places of rows unknown. */
void bk_relation_names_set_map(BkRelationNames *self, const uint8_t *map, size_t size);
uint32_t bk_relation_names_class_node(const BkRelationNames *self);
uint32_t bk_relation_names_schemas_node(const BkRelationNames *self);
uint32_t bk_relation_names_databases_node(const BkRelationNames *self);

/* Adds what a page of pg_class holds; one of pg_namespace; one of pg_database. */
void bk_relation_names_add_relations(BkRelationNames *self, const uint8_t *page, uint32_t block);
void bk_relation_names_add_names(BkRelationNames *self, const uint8_t *page);

/* A schema's or database's name, from its row's columns. */
void bk_relation_names_note_name(BkRelationNames *self, const uint8_t *data, size_t size);

/* Where a row of pg_class is. */
typedef struct BkRelationNamesPlace {
    uint32_t block;
    uint16_t offset;
} BkRelationNamesPlace;

/* The new version of a row, as far as the WAL has it. */
typedef struct BkRelationNamesRow {
    const uint8_t *data; /* its columns, without the first `prefix` and the last `suffix` bytes */
    size_t size;
    size_t prefix;
    size_t suffix;
    bool has_old; /* it replaces a row, of which it has `prefix` and `suffix` */
    BkRelationNamesPlace old;
} BkRelationNamesRow;

/* Notes that the row is at `place` now, and decodes it. False when it cannot be known. */
bool bk_relation_names_note_row(BkRelationNames *self, const BkRelationNamesPlace *place,
                                const BkRelationNamesRow *row, BkPgRelation *relation) BK_MUST_USE;

/* OID of the relation whose row is at `place`, 0 when that is unknown. */
uint32_t bk_relation_names_oid_at(const BkRelationNames *self, const BkRelationNamesPlace *place);

/* The row at `place` is of no more use. */
void bk_relation_names_forget_place(BkRelationNames *self, const BkRelationNamesPlace *place);

/* What is visible: a relation comes or changes, or goes. */
void bk_relation_names_put(BkRelationNames *self, const BkPgRelation *relation);
void bk_relation_names_remove(BkRelationNames *self, uint32_t oid);

/* NULL when there is none. Holds until the catalog changes. */
const BkPgRelation *bk_relation_names_find(const BkRelationNames *self, uint32_t oid);
const BkPgRelation *bk_relation_names_find_file(const BkRelationNames *self, uint32_t file_node);
const char *bk_relation_names_find_name(const BkRelationNames *self,
                                        uint32_t oid); /* of a schema, database */

/* Returns true if rows were left out because there are too many. */
bool bk_relation_names_is_full(const BkRelationNames *self);
