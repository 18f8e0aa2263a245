/* plan-choice.h - the plan of a restore from several repositories.
 *
 * Promise: the plan goes by what all of them have together, as recovery does, which asks each for a
 * segment (wal-fetch.h): a repository that lacks something, has it damaged or cannot be asked hides
 * nothing that another one has. The snapshot is one that no repository has to be believed for
 * (plan-proof.h).
 * Threads: belongs to one thread. */
#pragma once
#include "source/pg/history/systems.h"
#include "source/pg/restore/plan-request.h"

typedef struct BkPlanChoice {
    guint source_repo;      /* index of the first one that has the plan's snapshot */
    BkSystems systems;      /* of all that could be asked */
    const BkSystem *system; /* the cluster that the plan leads along */
    BkPlan plan;
    BkSnapshot *snapshot; /* the plan's, loaded and proven */
} BkPlanChoice;

void bk_plan_choice_clear(BkPlanChoice *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkPlanChoice, bk_plan_choice_clear)

/* Without a cluster in the request: the end of the history, or of its newest snapshot, is that of
 * the current cluster; a snapshot is of its own; any other target is looked for in every cluster,
 * and must be found in one only. One that is found in a former cluster only, while another one
 * could not be searched to the end, is refused; found in the current one it is taken.
 *
 * Plans with all of `source_repos` (of BkSourceRepo; at least one; they must outlive the choice)
 * together. A snapshot that turns out to be damaged, or cannot be read, in every repository is left
 * out, and the plan made anew: from the snapshot before it, with more WAL, unless the request names
 * it. What is damaged, what was left out, and why repositories could not be asked, is logged. Fails
 * as bk_plan_make or bk_recovery_index_load_all: with BK_ERROR_NOT_FOUND only when each repository
 * could be asked, with BK_ERROR_AMBIGUOUS when the target is, or may be, in several clusters: then
 * the message has the command for each. What was left out is named first when nothing else leads to
 * the target. */
bool bk_plan_choose(const GPtrArray *source_repos, const BkPlanRequest *request,
                    BkPlanChoice *choice, BkOp *op, GError **error) BK_MUST_USE;
