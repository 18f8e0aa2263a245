/* owner-map.h - to whom restored files are given.
 *
 * Root gives each file to its owner in the snapshot: the user of that name on this machine, else
 * the same number. Anyone else owns what he restores. Threads: a map is read only once it is made.
 */
#pragma once
#include "repo/snapshot.h"

typedef struct BkOwnerMap BkOwnerMap;

BkOwnerMap *bk_owner_map_new(const BkSnapshot *snapshot);
void bk_owner_map_free(BkOwnerMap *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkOwnerMap, bk_owner_map_free)

/* Gives the open file to owner `index` of the snapshot, when that is to be done. */
bool bk_owner_map_give(const BkOwnerMap *self, int fd, uint32_t index, GError **error) BK_MUST_USE;

/* The same by name, for what cannot be opened; a link itself, not what it leads to. */
bool bk_owner_map_give_at(const BkOwnerMap *self, int dir, const char *path, uint32_t index,
                          GError **error) BK_MUST_USE;
