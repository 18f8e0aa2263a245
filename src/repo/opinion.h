/* opinion.h - a second opinion on an object that is not what was put.
 *
 * In a bucket that keeps versions, who stole the writer's credentials may put rubbish on top of an
 * object, but the first version is still there; and what a local cache holds may have been damaged.
 * Threads: functions are safe from any thread. */
#pragma once
#include "store/store.h"

/* `*cause` is why an object could not be used that was read from `store`. True, and `*cause`
 * cleared, when that was damage and the store has another answer: then reading it again is worth
 * it. It is once at most. */
bool bk_opinion_differs(BkStore *store, const char *name, GError **cause, BkOp *op);
