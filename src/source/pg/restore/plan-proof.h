/* plan-proof.h - checks that the snapshot of a plan can be restored, before anything is changed.
 *
 * The manifest is loaded, which proves every byte of it. Packs are opened by the code that a
 * restore reads them with, up to 64 of them, evenly spread; when there are more, listings tell that
 * all are there with their sizes. What lies inside of packs is proven when it is read. Threads: the
 * call starts threads, and joins them. */
#pragma once
#include "repo/snapshot/snapshot.h"
#include "repo/targets/source-spec.h"

/* The repositories of `source_repos` (of BkSourceRepo) that hold the same objects as the one at
 * `first`, that one first: a new array, which owns none. */
GPtrArray *bk_plan_proof_order(const GPtrArray *source_repos, guint first);

/* Loads a snapshot of which each object is whole in one of `source_repos`. That the first one has
 * the manifest damaged, and another one serves, is logged. Fails with the error of the first, or
 * that of a pack that no repository has. */
BkSnapshot *bk_plan_proof_load(const GPtrArray *source_repos, const char *id, unsigned workers,
                               BkOp *op, GError **error) BK_MUST_USE;

/* Returns true if an error of bk_plan_proof_load is that snapshot's own, so that another one may be
 * restored. */
bool bk_plan_proof_is_of_snapshot(const GError *error);
