/* cache.h - a local cache of the beginnings of objects, and of notes, for a remote store.
 *
 * bk_store_get_start answers from the directory when it can; all else goes to the store itself.
 * What is kept are the store's own bytes, which whoever uses them authenticates:
 * bk_store_reread_original drops them. So nothing is trusted that is found there, and nothing is
 * secret. Beginnings of more than 64 KiB are not kept, and a directory of more than 4096 files is
 * emptied. A directory that is not ours alone, or cannot be written, means that nothing is kept.
 * Files are not synced: a torn one is dropped like any other damage. Threads: as store.h. */
#pragma once
#include "store/store.h"

/* `inner` is owned by the result. */
BkStore *bk_store_cache_new(BkStore *inner, const char *directory);
