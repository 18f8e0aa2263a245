/* file-copy-ddl.h - whether databases copied file by file during a backup make its snapshot wrong.
 *
 * For CREATE DATABASE by file copy and ALTER DATABASE SET TABLESPACE, replay copies the files of a
 * directory again, from what the snapshot has of it. The backup may have read that directory later
 * than the server copied it, or not at all since it was gone. PostgreSQL's own base backups share
 * this. Threads: a call starts and joins threads of its own. */
#pragma once
#include "base/op.h"
#include "source/pg/cluster/pg-meta.h"

typedef struct BkFileCopyDdlRequest {
    GPtrArray *source_repos; /* of BkSourceRepo: the repositories that may have the WAL */
    const char *data_dir;    /* of the running server */
    const BkPgMeta *meta;    /* of the backup, which has ended on the server */
    unsigned workers;
} BkFileCopyDdlRequest;

/* Reads the WAL from start to stop. `*is_overtaken`: a directory was copied that changed, too, or
 * the WAL does not tell. False when a repository cannot be asked, or `op` ended. */
bool bk_file_copy_ddl_find(const BkFileCopyDdlRequest *request, bool *is_overtaken, BkOp *op,
                           GError **error) BK_MUST_USE;
