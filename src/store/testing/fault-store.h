/* fault-store.h - a store that fails when told to, around another one: for tests.
 *
 * A failure after the effect is what a lost answer looks like: the object is put or deleted, and
 * the caller does not know it. Threads: as store.h; arming is safe at any time. */
#pragma once
#include "store/store.h"

typedef enum {
    BK_STORE_OPERATION_PUT,
    BK_STORE_OPERATION_GET,
    BK_STORE_OPERATION_STAT,
    BK_STORE_OPERATION_LIST,
    BK_STORE_OPERATION_DELETE,
    BK_STORE_OPERATION_COUNT
} BkStoreOperation;

/* Takes ownership of `inner`. Nothing fails until a fault is armed. */
BkStore *bk_store_fault_new(BkStore *inner);

/* Of the calls of `operation` from now on the `nth` (from 1) fails with `code`, before or after it
 * has had its effect; the next ones work again. Arming again replaces what was armed for it. */
void bk_store_fault_arm(BkStore *store, BkStoreOperation operation, unsigned nth, BkErrorCode code,
                        bool after_effect);
