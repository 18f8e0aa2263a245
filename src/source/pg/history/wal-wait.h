/* wal-wait.h - waits until the archive has the WAL that a snapshot needs.
 *
 * Threads: the call blocks. */
#pragma once
#include "repo/repository.h"
#include "source/pg/cluster/server.h"

typedef struct BkWalWait {
    GPtrArray *source_repos; /* of BkSourceRepo */
    const char *data_dir;    /* where the server has written the WAL */
    BkServer *server;        /* to be asked why none arrives; may be NULL */
    int64_t timeout_us;
} BkWalWait;

/* Waits until each part has every segment from start to stop of `meta`. Fails with BK_ERROR_SERVER
 * once the server's archiver has failed in three attempts since the wait began, with its own error;
 * with BK_ERROR_TIMEOUT when none arrives in time; and with BK_ERROR_CONFLICT when the archive
 * holds something else than the server has written: a cluster that was brought back to an earlier
 * state without a new timeline writes segments anew that its former future has archived. */
bool bk_wal_wait(const BkWalWait *wait, const BkPgMeta *meta, BkOp *op, GError **error) BK_MUST_USE;
