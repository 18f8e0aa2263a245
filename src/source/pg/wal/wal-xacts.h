/* wal-xacts.h - which committed transactions of a stretch of WAL destroyed data, and which data.
 *
 * Segments are given in order. What subtransactions and prepared transactions did counts for the
 * top-level transaction when that commits; what was rolled back is forgotten. Names come from
 * catalogs, which follow the WAL from where they were read. Memory is bounded: at most
 * BK_WAL_XACTS_MAX transactions and BK_WAL_XACTS_ITEMS_MAX relations and rows of catalogs are kept
 * of those that have not ended, and BK_WAL_CHANGES_MAX changes are told of one; what is beyond is
 * counted. Threads: belongs to one thread. */
#pragma once
#include "source/pg/format/relation-names.h"
#include "source/pg/wal/wal-change.h"
#include "source/pg/wal/wal-scan.h"

#define BK_WAL_XACTS_MAX       65536
#define BK_WAL_XACTS_ITEMS_MAX 1048576

typedef struct BkWalXact {
    uint32_t xid;
    int64_t time_us; /* of its commit */
    BkLsn lsn;       /* of its commit record */
    BkLsn before;    /* recovery that stops at this record and leaves it out has the state before */
    bool is_prepared;
    const BkWalChange *changes;
    size_t count;
    uint64_t omitted; /* changes that are not among them */
    bool is_partial;  /* not all that it did could be followed */
} BkWalXact;

typedef struct BkWalXactsOptions {
    uint64_t min_deletes; /* a transaction that deletes fewer rows in all has deleted none */
    unsigned major;
    /* The catalog of a database, of 0 for shared relations; called once for each. NULL: none. */
    BkRelationNames *(*open_catalog)(uint32_t database, void *user);
    /* Called for each transaction that did away with something. False with `error` stops. */
    bool (*on_xact)(const BkWalXact *xact, void *user, GError **error);
    void *user;
} BkWalXactsOptions;

typedef struct BkWalXacts BkWalXacts;

BkWalXacts *bk_wal_xacts_new(const BkWalXactsOptions *options);
void bk_wal_xacts_free(BkWalXacts *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkWalXacts, bk_wal_xacts_free)

/* What was found in a segment besides its transactions. */
typedef struct BkWalXactsSegment {
    int64_t min_time_us; /* of commits and aborts; 0: there was none */
    int64_t max_time_us;
    const char *reason; /* static text: why it could not be read to its end; NULL otherwise */
} BkWalXactsSegment;

/* Goes on with the next segment. Fails as bk_wal_scan, or with the error of on_xact. */
bool bk_wal_xacts_scan(BkWalXacts *self, const uint8_t *data, size_t size, BkWalXactsSegment *told,
                       GError **error) BK_MUST_USE;

/* Transactions that were not followed since there were too many at once. */
uint64_t bk_wal_xacts_untracked(const BkWalXacts *self);

/* Returns true if one of the catalogs is too large to be kept completely. */
bool bk_wal_xacts_is_full(const BkWalXacts *self);
