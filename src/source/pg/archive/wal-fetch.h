/* wal-fetch.h - fetches WAL files from the archive: the work of restore_command.
 *
 * A file appears at its path whole or not at all. Never is a file of
 * another cluster handed out that has the same name. The server asks for one after another, so
 * after each the next ones are fetched in the background, into the directory ".backstay-ahead"
 * beside the file; a later call only has to rename. Promise: "not in the archive"
 * (BK_ERROR_NOT_FOUND) is said only when every repository was asked and answered so, and none shows
 * that the WAL goes on behind the segment (wal-hole.h); anything else is another error. One
 * exception: a repository of best effort that does not answer is passed by for what is behind
 * `reach`. Threads: the call blocks; it may leave a process behind that fetches ahead and ends by
 * itself. */
#pragma once
#include "repo/targets/source-spec.h"
#include "source/pg/format/lsn.h"

typedef struct BkWalFetch {
    const char *name;       /* of the file */
    const char *path;       /* where to write it */
    uint64_t system_id;     /* of the cluster that asks; 0: told by pg_control of the data directory
                               in whose pg_wal `path` is, or by the archive, if it has one cluster */
    unsigned ahead;         /* segments behind it to fetch in the background */
    const BkWalName *until; /* the last segment that recovery needs: one behind it that is missing
                               or cannot be read is absent. NULL if recovery goes to the end of the
                               WAL */
    const BkWalName *reach; /* a segment: the last position and the highest timeline that a restore
                               has planned with; NULL: unknown */
} BkWalFetch;

/* Fetches a file. Fails with BK_ERROR_USAGE for a name of a wrong form, BK_ERROR_NOT_FOUND,
 * BK_ERROR_ABSENT (a hole: later WAL is there; not said to a standby, nor of a segment that lies
 * beside `path`), BK_ERROR_STORE (a repository could not be asked), BK_ERROR_CORRUPT,
 * BK_ERROR_UNFIT (nothing tells which of several clusters is meant), or as files do. A segment that
 * may be on its way into the archive is waited for, up to 10 seconds. */
bool bk_wal_fetch(const BkSourceSpec *source, const BkWalFetch *request, BkOp *op,
                  GError **error) BK_MUST_USE;
