/* posix.h - the store driver for a directory.
 *
 * An object is a file under the root at its own name. It is written to a temporary file, synced,
 * linked under its name without replacing, and the directory is synced. A leftover of a crash is a
 * temporary file under ".tmp/", which no listing shows and which later writers remove. What is made
 * gets owner, group and the group's rights from the directory (store/posix-owner.h).
 * Threads: as store.h; opening is safe at any time. */
#pragma once
#include "store/store.h"

/* Opens the directory `path`. With `create` it is made (mode 0700) when it is not there; without,
 * its absence fails with BK_ERROR_ABSENT. */
BkStore *bk_store_posix_open(const char *path, bool create, GError **error) BK_MUST_USE;
