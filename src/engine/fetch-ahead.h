/* fetch-ahead.h - WAL segments that were fetched before the server asked for them.
 *
 * They wait in a folder beside the place where the server wants its files, so that giving one is a
 * rename. A lock tells whether a process is filling the folder.
 * Threads: belongs to one thread. */
#pragma once
#include "base/op.h"

typedef struct BkFetchAhead BkFetchAhead;

/* The folder that belongs to `path` and to the archive that `archive` (any text) stands for: the
 * same name is another segment in another archive. Makes nothing yet. */
BkFetchAhead *bk_fetch_ahead_new(const char *path, const char *archive);
void bk_fetch_ahead_free(BkFetchAhead *self); /* releases the lock; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkFetchAhead, bk_fetch_ahead_free)

/* Moves `name` to `path` when it is there, or waits for it while another process is about to fetch
 * it.
 * `*taken` tells whether it was. */
bool bk_fetch_ahead_take(BkFetchAhead *self, const char *name, const char *path, bool *taken,
                         BkOp *op, GError **error) BK_MUST_USE;

/* Becomes the one that fills the folder; false when another process is. Removes what is older than
 * `name`, which recovery has passed. */
bool bk_fetch_ahead_lock(BkFetchAhead *self, const char *name);

/* Removes what waits there, and what earlier boots left: recovery has ended. A process that is just
 * filling the folder is waited for, though not for long. */
void bk_fetch_ahead_discard(BkFetchAhead *self);

/* Says that segments up to `name` are being fetched, so that callers wait for them. */
bool bk_fetch_ahead_announce(BkFetchAhead *self, const char *name, GError **error) BK_MUST_USE;

bool bk_fetch_ahead_has(const BkFetchAhead *self, const char *name);

/* Keeps a fetched segment. */
bool bk_fetch_ahead_put(BkFetchAhead *self, const char *name, const void *data, size_t size,
                        GError **error) BK_MUST_USE;
