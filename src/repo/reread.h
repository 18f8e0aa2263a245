/* reread.h - reads an object again from its original when it does not authenticate.
 *
 * In a bucket that keeps versions, who stole the writer's credentials may put rubbish on top of an
 * object, but the first version is still there; what a local cache holds may have been damaged; and
 * what came over a network may have been spoilt on the way.
 * Threads: functions are safe from any thread. */
#pragma once
#include "store/store.h"

/* `*cause` is why an object could not be used that was read from `store`, and `*tries` how often
 * that has happened to this reader: 0 at first, counted here. Returns true, with `*cause` cleared,
 * when that was damage and reading it again is worth it: always the first time where bytes come
 * over a network, which may have spoilt them, and later as long as the store has another answer.
 * The count is the reader's own, since another thread may have read the same object at the same
 * time and have found the other answer first. */
bool bk_reread_is_worth(BkStore *store, const char *name, unsigned *tries, GError **cause,
                        BkOp *op);
