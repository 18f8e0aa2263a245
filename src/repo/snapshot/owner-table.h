/* owner-table.h - the owners of files on their way into a snapshot, each with its names once.
 *
 * Threads: belongs to one thread. */
#pragma once
#include "repo/snapshot/snapshot.h"

typedef struct BkOwnerTable BkOwnerTable;

BkOwnerTable *bk_owner_table_new(BkSnapshot *snapshot); /* borrowed */
void bk_owner_table_free(BkOwnerTable *self);           /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkOwnerTable, bk_owner_table_free)

/* The snapshot's index of an owner, added when it is new. */
uint32_t bk_owner_table_find(BkOwnerTable *self, uint32_t uid, uint32_t gid);
