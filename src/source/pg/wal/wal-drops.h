/* wal-drops.h - transactions whose work on files is replayed before their commit, 13 to 18.
 *
 * DROP DATABASE and DROP TABLESPACE remove directories by a record of their own. Recovery that
 * stops between that record and the commit leaves a database or tablespace in the catalogs whose
 * files are gone; a database's row is marked as invalid even earlier, in place and in no
 * transaction. What ALTER DATABASE SET TABLESPACE removes comes after its commit, in no
 * transaction, and is none of these. Segments are given in order. Threads: belongs to one thread.
 */
#pragma once
#include "source/pg/wal/wal-info.h"

typedef struct BkWalDrop {
    BkLsn lsn; /* of the first record that must not be replayed without the commit; 0: none */
    BkLsn end; /* of the commit record's start; 0: not seen */
    uint32_t xid;
    uint32_t oid; /* of the database or tablespace; 0: its files are still there */
    bool is_tablespace;
} BkWalDrop;

typedef struct BkWalDrops BkWalDrops;

BkWalDrops *bk_wal_drops_new(void);
void bk_wal_drops_free(BkWalDrops *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkWalDrops, bk_wal_drops_free)

/* Goes on with the next segment. Fails as bk_wal_scan. */
bool bk_wal_drops_scan(BkWalDrops *self, const uint8_t *data, size_t size,
                       GError **error) BK_MUST_USE;

/* Returns true if a drop has begun and has not ended in what was scanned. */
bool bk_wal_drops_is_open(const BkWalDrops *self);

/* Forgets drops that cannot be under way at `lsn`: they had ended before, or begin behind it as
 * transactions from `next_xid` on do (BK_WAL_XID_NONE: unknown). Returns true if there are others,
 * and takes the oldest of their transactions into `*xid`. */
bool bk_wal_drops_find_suspect(BkWalDrops *self, BkLsn lsn, uint32_t next_xid, uint32_t *xid);

/* Where the first record at or behind `lsn` began, of those scanned; 0: there is none. */
BkLsn bk_wal_drops_record_at(const BkWalDrops *self, BkLsn lsn);

/* Finds the drop that is under way for recovery that replays all records before `stop` and none
 * from there on: of several the one to stop before, so that none is. Returns false if there is
 * none. */
bool bk_wal_drops_find(const BkWalDrops *self, BkLsn stop, BkWalDrop *drop);

/* How many other transactions committed from the drop's position on and before `stop`. */
uint64_t bk_wal_drops_count_commits(const BkWalDrops *self, const BkWalDrop *drop, BkLsn stop);
