/* wal-wait.h - waits until the archive holds the WAL that a snapshot needs.
 *
 * Threads: the call blocks. */
#pragma once
#include "repo/repository.h"
#include "source/pg/server.h"

/* Waits until each of `parts` has every segment from start to stop of `meta`. BK_ERROR_TIMEOUT when
 * none arrives for `timeout_us`; the message then says what the server's archiver failed with. */
bool bk_wal_wait(GPtrArray *parts, const BkPgMeta *meta, BkServer *server, int64_t timeout_us,
                 BkOp *op, GError **error) BK_MUST_USE;
