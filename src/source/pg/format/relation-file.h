/* relation-file.h - the names of relation files: "16384", "16384.2", "16384_vm", "16384_init",
 * "t3_16384", and where they are.
 *
 * Threads: safe. */
#pragma once
#include "base/macros.h"

typedef enum {
    BK_FORK_MAIN,
    BK_FORK_FSM,
    BK_FORK_VM,
    BK_FORK_INIT,
} BkFork;

typedef struct BkRelationFile {
    uint32_t file_node;
    BkFork fork;
    uint32_t segment;  /* of 1 GiB, unless the server was built with another size */
    bool is_temporary; /* belongs to one session */
} BkRelationFile;

/* False when `name` is not that of a relation file. */
bool bk_relation_file_parse(const char *name, BkRelationFile *parsed) BK_MUST_USE;

#define BK_TABLESPACE_DEFAULT 1663u /* OIDs that no cluster gives to anything else */
#define BK_TABLESPACE_GLOBAL  1664u

typedef struct BkRelationPath {
    uint32_t tablespace; /* OID */
    uint32_t database;   /* OID; 0 for shared relations */
    BkRelationFile name;
} BkRelationPath;

/* Parses a path in the data directory: "base/5/16384", "global/1262",
 * "pg_tblspc/16400/PG_15_202209061/5/16384.1". False when it is not that of a relation file. */
bool bk_relation_path_parse(const char *path, BkRelationPath *parsed) BK_MUST_USE;

/* The same; false also when the file is not of a main fork, or is of a temporary relation. */
bool bk_relation_path_parse_main(const char *path, BkRelationPath *parsed) BK_MUST_USE;

/* Parses the path of a tablespace's link: "pg_tblspc/16400". */
bool bk_tablespace_path_parse(const char *path, uint32_t *oid) BK_MUST_USE;
