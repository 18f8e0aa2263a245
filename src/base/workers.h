/* workers.h - a team of threads for one task, all of which end before the call returns.
 *
 * The first error cancels the others (through the operation they are given) and is what the call
 * reports.
 * Threads: the call itself blocks; `work` runs in `count` threads at once. */
#pragma once
#include "base/op.h"

/* `index` is 0 to count - 1; `op` is a child of the caller's. False with `error` set to fail. */
typedef bool (*BkWork)(unsigned index, void *data, BkOp *op, GError **error);

/* Runs `work` in `count` (>= 1) threads, waits for all, and passes on the first error. Signals are
 * blocked in the threads, so that the main thread receives them. */
bool bk_workers_run(unsigned count, BkWork work, void *data, BkOp *op, GError **error) BK_MUST_USE;
