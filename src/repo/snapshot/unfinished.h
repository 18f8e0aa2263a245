/* unfinished.h - doing away with the manifests of backups that did not come to their end.
 *
 * Threads: safe. */
#pragma once
#include "repo/snapshot/snapshot.h"

/* Deletes one that nobody needs any more. Where it cannot be deleted (a locked bucket, a user who
 * may not) it stays for a later prune: an unfinished snapshot is a parent at most. */
void bk_unfinished_delete(const BkSourceRepo *source_repo, const char *id, BkOp *op);

/* Those that each of `source_repos` has among its `listings`, of bk_snapshot_list, and `last`,
 * which was put since ("" if none was): a new array, as long, of arrays of char *. One that cannot
 * be read is left for a later time. */
GPtrArray *bk_unfinished_find(const GPtrArray *source_repos, const GPtrArray *listings,
                              const char *last, BkOp *op);

/* Deletes what was found. */
void bk_unfinished_delete_all(const GPtrArray *source_repos, const GPtrArray *found, BkOp *op);
