/* prefetch.h - WAL segments that were fetched before the server asked for them.
 *
 * They wait in a directory beside the place where the server wants its files, so that giving one is
 * a rename. A lock shows whether a process is filling the directory. Threads: belongs to one
 * thread. */
#pragma once
#include "base/op.h"

typedef struct BkPrefetch BkPrefetch;

/* The directory that belongs to `path` and to the archive that `archive` (any text) stands for: the
 * same name is another segment in another archive. Makes nothing yet. */
BkPrefetch *bk_prefetch_new(const char *path, const char *archive);
void bk_prefetch_free(BkPrefetch *self); /* releases the lock; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkPrefetch, bk_prefetch_free)

/* Moves `name` to `path` when it is there, or waits for it while another process is about to fetch
 * it. `*taken` is set if it was. */
bool bk_prefetch_take(BkPrefetch *self, const char *name, const char *path, bool *taken, BkOp *op,
                      GError **error) BK_MUST_USE;

/* Becomes the one that fills the directory; false when another process is. Removes what is older
 * than `name`, which recovery has passed. */
bool bk_prefetch_lock(BkPrefetch *self, const char *name);

/* Removes what waits there, and what earlier boots left: recovery has ended. A process that is just
 * filling the directory is waited for, though not for long. */
void bk_prefetch_discard(BkPrefetch *self);

/* Says that segments up to `name` are being fetched, so that callers wait for them. */
bool bk_prefetch_announce(BkPrefetch *self, const char *name, GError **error) BK_MUST_USE;

bool bk_prefetch_has(const BkPrefetch *self, const char *name);

/* Keeps a fetched segment. */
bool bk_prefetch_put(BkPrefetch *self, const char *name, const void *data, size_t size,
                     GError **error) BK_MUST_USE;
