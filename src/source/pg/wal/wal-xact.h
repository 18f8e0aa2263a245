/* wal-xact.h - what one transaction has done so far, and what came of it when it commits.
 *
 * Threads: belongs to one thread. */
#pragma once
#include "source/pg/wal/wal-change.h"
#include "source/pg/wal/wal-events.h"

/* The catalogs that were opened. */
typedef struct BkWalCatalogs {
    GHashTable *table;     /* database -> BkRelationNames */
    BkRelationNames *last; /* of database last_database; NULL: none */
    uint32_t last_database;
    size_t held; /* rows, of all of them */
    unsigned major;
    BkRelationNames *(*open)(uint32_t database, void *user);
    void *user;
} BkWalCatalogs;

#define BK_WAL_CATALOGS_MAX 4096 /* databases beyond these share one without names */

/* Opens it where that was not done; never NULL. */
BkRelationNames *bk_wal_catalogs_get(BkWalCatalogs *self, uint32_t database);

/* The catalog of `database` is that from now on; takes it over. */
void bk_wal_catalogs_set(BkWalCatalogs *self, uint32_t database, BkRelationNames *catalog);

/* What it did to a file. */
typedef struct FileUse {
    BkForkKey file;
    uint64_t rows; /* deleted */
    bool is_created;
} FileUse;

typedef enum {
    ROW_ADDED,
    ROW_CHANGED,
    ROW_DELETED,
} RowOpKind;

/* What it did to a row of pg_class. */
typedef struct RowOp {
    BkLsn lsn;
    RowOpKind kind;
    uint32_t database;
    uint32_t oid; /* 0: not known */
    BkRelationNamesPlace at;
    BkRelationNamesPlace old;
    BkPgRelation *relation; /* as it is now; NULL: not known. Owned by the transaction */
} RowOp;

typedef struct Xact {
    uint32_t xid;
    GHashTable *files; /* set of FileUse */
    FileUse *last;     /* of them, or NULL */
    GArray *ops;       /* RowOp */
    uint32_t database; /* that it drops */
    BkLsn database_lsn;
    BkLsn mark_lsn;  /* where that database was marked as being dropped; 0: it was not */
    bool has_map;    /* it gave a mapped catalog another file */
    bool is_partial; /* something was left out */
} Xact;

Xact *bk_wal_xact_new(uint32_t xid);
void bk_wal_xact_free(Xact *self);
uint64_t bk_wal_xact_items(const Xact *self); /* files and rows */

FileUse *bk_wal_xact_find_file(Xact *self, const BkForkKey *file); /* or NULL */
FileUse *bk_wal_xact_add_file(Xact *self, const BkForkKey *file);
void bk_wal_xact_add_op(Xact *self, const RowOp *op); /* copies the relation */

/* Moves all that `sub` did to `self`. */
void bk_wal_xact_merge(Xact *self, Xact *sub);

/* What happened to relations and databases. */
typedef struct BkWalVerdict BkWalVerdict;
void bk_wal_verdict_free(BkWalVerdict *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkWalVerdict, bk_wal_verdict_free)

/* Judges a transaction (NULL: one of which nothing is known) whose commit drops `files`, by the
 * catalogs as they were before it. */
BkWalVerdict *bk_wal_xact_judge(Xact *xact, const BkWalList *files, BkWalCatalogs *catalogs,
                                uint64_t min_deletes);
const BkWalChange *bk_wal_verdict_changes(const BkWalVerdict *self, size_t *count,
                                          uint64_t *omitted);

/* Makes what it did to catalogs visible, or forgets it. */
void bk_wal_xact_apply(const Xact *self, BkWalCatalogs *catalogs, bool committed);
