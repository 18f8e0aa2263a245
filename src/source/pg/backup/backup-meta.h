/* backup-meta.h - what a snapshot records of the server and of its data directory before it is
 * read.
 *
 * Threads: safe; nothing here has state. */
#pragma once
#include "source/pg/cluster/pg-meta.h"
#include "source/pg/cluster/server.h"

/* Fills `meta` from `facts` and from the data directory `data_dir`: version, sizes, modes, where
 * pg_wal is. Fails with BK_ERROR_UNFIT if the directory is not that of the server, or as files do.
 */
bool bk_backup_meta_fill(BkPgMeta *meta, const BkServerFacts *facts, const char *data_dir,
                         GError **error) BK_MUST_USE;

/* Sets by which record of the WAL the next backup will know that this snapshot is of its own past:
 * that of the checkpoint at `checkpoint`. Without one, which is logged, it reads everything. */
void bk_backup_meta_set_mark(BkPgMeta *meta, const char *data_dir, BkLsn checkpoint);
