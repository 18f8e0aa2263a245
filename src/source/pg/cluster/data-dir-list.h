/* data-dir-list.h - the files of a data directory to copy, without those that PostgreSQL's manual
 * leaves out.
 *
 * Reference: "Continuous Archiving and Point-in-Time Recovery", "Making a Base Backup Using the Low
 * Level API", and "Database File Layout".
 * Threads: a tree belongs to one thread, or is read only. */
#pragma once
#include "base/op.h"
#include "source/pg/cluster/control.h"
#include "source/pg/cluster/pg-meta.h"
#include "source/source.h"

typedef struct BkDataDirList {
    GPtrArray *files;    /* of BkSourceFile, in byte order of their paths, which are relative to the
                            data directory; a tablespace's are under pg_tblspc/OID/. Files of data
                            pages have their size, and the block of the fork that is the first */
    GPtrArray *left_out; /* of BkSourceFile: links that were not followed */
    uint64_t bytes;      /* of all regular files */
} BkDataDirList;

void bk_data_dir_list_clear(BkDataDirList *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkDataDirList, bk_data_dir_list_clear)

/* Returns true for what is in a data directory and no part of the cluster: what a restore moved
 * aside there ("backstay-before-restore-STAMP"), and a file system's lost+found. */
bool bk_data_dir_list_is_apart(const char *name);

/* Lists the data directory `root` of the cluster that `control` is of, as its owner. What vanishes
 * meanwhile is left out. Of symbolic links those of tablespaces, and pg_wal on a disk of its own,
 * are followed; any other is left out and listed as such, like PostgreSQL's base backup does, and
 * one in the place of what no server can do without fails with BK_ERROR_UNFIT. Of a tablespace's
 * directory only the directory of this cluster is listed: other versions have theirs beside it.
 * pg_control is listed too: the copier takes it last. Fails with BK_ERROR_DENIED, the full path and
 * what to do when something cannot be read, with BK_ERROR_UNFIT when a link leads to a directory
 * that it is in itself. */
bool bk_data_dir_list_list(const char *root, const BkPgControl *control, BkDataDirList *tree,
                           BkOp *op, GError **error) BK_MUST_USE;

/* Looks once more into the directories of databases below `root`, and marks the files of relations
 * that turn out to be unlogged: an index has its init fork only when it has been built. With such a
 * file in the copy recovery would end with the server failing to make it from the init fork that
 * replay creates. */
bool bk_data_dir_list_leave_out_unlogged(BkDataDirList *self, const char *root,
                                         GError **error) BK_MUST_USE;

/* Adds to `meta` the tablespaces of the tree that it does not have yet, such as one that was being
 * created when the server was asked. Their names are their OIDs. */
void bk_data_dir_list_add_tablespaces(const BkDataDirList *self, BkPgMeta *meta);
