/* wal-change.h - what a committed transaction did to one relation or database.
 *
 * Threads: plain data. */
#pragma once
#include "source/pg/format/relation-names.h"

#define BK_WAL_CHANGES_MAX 256 /* of one transaction */

typedef enum {
    BK_WAL_DROPPED,
    BK_WAL_TRUNCATED,
    BK_WAL_REWRITTEN, /* VACUUM FULL, CLUSTER, ALTER TABLE …: all rows written to a new file */
    BK_WAL_DELETED,   /* many rows */
    BK_WAL_DATABASE_DROPPED,
} BkWalChangeKind;

/* What became of one relation or database. */
typedef struct BkWalChange {
    BkWalChangeKind kind;
    uint32_t database; /* OID; 0 of a shared relation */
    uint32_t tablespace;
    uint32_t file_node; /* of the file that is gone, or whose rows are; 0: it had none */
    uint32_t oid;       /* of the relation; 0: not known */
    uint64_t rows;      /* DELETED */
    char database_name[BK_PG_NAME_SIZE]; /* "": not known, as of the names below */
    char schema[BK_PG_NAME_SIZE];
    char relation[BK_PG_NAME_SIZE];
    uint32_t new_file_node; /* TRUNCATED, REWRITTEN: the file since then; 0: not known */
} BkWalChange;
