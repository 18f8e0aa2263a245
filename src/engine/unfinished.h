/* unfinished.h - doing away with the manifests of backups that did not come to their end.
 *
 * Threads: safe. */
#pragma once
#include "repo/snapshot.h"

/* Deletes one that nobody needs any more. Where it cannot be deleted (a locked bucket, a user who
 * may not) it stays for a later prune: an unfinished snapshot is a parent at most. */
void bk_unfinished_delete(const BkPart *part, const char *id, BkOp *op);

/* Deletes all that a part has. `finished` is one that is known to be none. */
void bk_unfinished_delete_all(const BkPart *part, const char *finished, BkOp *op);
