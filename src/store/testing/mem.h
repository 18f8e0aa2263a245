/* mem.h - the store driver that keeps objects in memory: for unit tests.
 *
 * Threads: as store.h. */
#pragma once
#include "store/store.h"

BkStore *bk_store_mem_new(void);
