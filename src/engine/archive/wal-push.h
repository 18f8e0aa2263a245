/* wal-push.h - archives WAL files: the work of archive_command.
 *
 * Promise: true means that every required repository of the source holds the file durably, with
 * this content. Those of best effort get it next, in as much of a few seconds as they need; what
 * they do not get then is for a backup or a copy to bring. The server calls for one file after
 * another; since more are usually ready by then, one call archives several in parallel, and the
 * calls for those then find them there. While one repository fails, so does the call, but the
 * others get what is ready. With the first file of a new timeline comes what pg_wal has of its
 * ancestors and the archive lacks (wal-fill.h). Nothing but the repository says that a file is
 * archived: there is no local state that could be wrong. Threads: the call blocks and starts
 * threads of its own. */
#pragma once
#include "repo/targets/source-spec.h"

/* Archives the file `path` (%p of archive_command), and on the way other files that the server has
 * marked ready; only the outcome of `path` counts. Fails with BK_ERROR_USAGE for a name that is
 * none of a WAL file, BK_ERROR_CONFLICT, BK_ERROR_UNFIT (the file is not what its name says, or of
 * another cluster), BK_ERROR_TIMEOUT (nothing moved for the source's time-out), or as the stores.
 */
bool bk_wal_push(const BkSourceSpec *source, const char *path, BkOp *op,
                 GError **error) BK_MUST_USE;
