/* chown-map.h - owner, group and mode of restored files.
 *
 * All files of a cluster belong to one user: that of pg_control, by his name on this machine, else
 * by his number. Root writes as that user, so that no chown is needed, and a snapshot cannot make a
 * file of anybody else's: one that belonged to somebody else becomes his, and its group loses what
 * others did not have. The group of a file comes back where the user is in it. No file gets a bit
 * that runs it as somebody else. Anyone but root owns what he restores.
 * Threads: belongs to one thread. */
#pragma once
#include "base/identity.h"
#include "repo/extract/owned-directory.h"
#include "repo/snapshot/snapshot.h"

#include <sys/stat.h>

/* Who an owner of a snapshot is on this machine: the user and the group of that name, otherwise of
 * that number. */
BkPathOwner bk_chown_map_resolve(const BkOwner *owner);

typedef struct BkChownMap BkChownMap;

/* `owner` is the cluster's, an index of the snapshot's owners. */
BkChownMap *bk_chown_map_new(const BkSnapshot *snapshot, uint32_t owner);
void bk_chown_map_free(BkChownMap *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkChownMap, bk_chown_map_free)

/* The cluster's owner on this machine. */
BkPathOwner bk_chown_map_cluster(const BkChownMap *self);

/* Gives the open file or directory the mode and group of `file`, as far as above; to be called as
 * the cluster's owner. */
bool bk_chown_map_apply(BkChownMap *self, int fd, const BkFile *file, GError **error) BK_MUST_USE;

/* Logs what was not as in the snapshot. */
void bk_chown_map_warn(const BkChownMap *self);
