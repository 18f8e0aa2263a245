/* wal-lock.h - keeps the WAL that a snapshot needs locked, in stores that lock.
 *
 * Promise: that of object-lock.h, for the WAL.
 * Threads: a call starts and joins threads of its own. */
#pragma once
#include "repo/snapshot/object-lock.h"

/* Extends the locks of the WAL from the snapshot's start to its stop, which was archived while it
 * was made, when that took until the next quarter; and that of its timeline's history file, which
 * may be older, when the locks of the keys are due: to be called before bk_object_lock_keys. Fails
 * as bk_store_retain. */
bool bk_wal_lock_extend(BkObjectLock *self, const BkObjectLockRequest *request, BkOp *op,
                        GError **error) BK_MUST_USE;
