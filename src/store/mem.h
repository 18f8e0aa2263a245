/* mem.h - the store driver that keeps objects in memory: for unit tests. */
#pragma once
#include "store/store.h"

BkStore *bk_store_mem_new(void);
