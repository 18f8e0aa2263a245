/* hard-links.h - which names of a file tree are of the same file, with bounded memory.
 *
 * A file is forgotten when all of its names were seen. When there is no more memory, further files
 * are not remembered, and each of their names is taken for a file of its own.
 * Threads: belongs to one thread. */
#pragma once
#include "repo/snapshot/file-extension.h"

#define BK_HARD_LINKS_MEMORY ((size_t)256 << 20)

typedef struct BkHardLinks BkHardLinks;

/* `memory`: bytes at most. */
BkHardLinks *bk_hard_links_new(size_t memory);
void bk_hard_links_free(BkHardLinks *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkHardLinks, bk_hard_links_free)

/* Sets `*first` to a new string, the path at which the same file was added before, or to NULL when
 * this is the first one: then it is remembered. `count` is how many names the file has. Returns
 * false if there is no memory to remember it. */
bool bk_hard_links_add(BkHardLinks *self, const BkFileIdentity *identity, uint64_t count,
                       const char *path, char **first);
