/* owners.h - the owners of files on their way into a snapshot, each with its names once.
 *
 * Threads: belongs to one thread. */
#pragma once
#include "repo/snapshot.h"

typedef struct BkOwners BkOwners;

BkOwners *bk_owners_new(BkSnapshot *snapshot); /* borrowed */
void bk_owners_free(BkOwners *self);           /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkOwners, bk_owners_free)

/* The snapshot's index of an owner, added when it is new. */
uint32_t bk_owners_find(BkOwners *self, uint32_t uid, uint32_t gid);
