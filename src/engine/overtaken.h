/* overtaken.h - whether what happened during a backup makes its snapshot wrong.
 *
 * For CREATE DATABASE by file copy and ALTER DATABASE SET TABLESPACE, replay copies the files of a
 * folder again, from what the snapshot has of it. The backup may have read that folder later than
 * the server copied it, or not at all since it was gone. PostgreSQL's own base backups share this.
 * Threads: a call starts and joins threads of its own. */
#pragma once
#include "base/op.h"
#include "source/pg/meta.h"

typedef struct BkOvertakenRequest {
    GPtrArray *parts;     /* of BkPart: the repositories that may have the WAL */
    const char *data_dir; /* of the running server */
    const BkPgMeta *meta; /* of the backup, which has ended on the server */
    unsigned workers;
} BkOvertakenRequest;

/* Reads the WAL from start to stop. `*is_overtaken`: a folder was copied that changed, too, or the
 * WAL does not tell. False when a repository cannot be asked, or `op` ended. */
bool bk_overtaken_find(const BkOvertakenRequest *request, bool *is_overtaken, BkOp *op,
                       GError **error) BK_MUST_USE;
