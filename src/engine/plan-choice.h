/* plan-choice.h - the plan of a restore when several repositories hold something of the source.
 *
 * Promise: a repository that cannot lead to the target, or that cannot be asked, hides no other one
 * that leads there; which line of the history is followed is decided by what all of them have; and
 * the snapshot is one that no repository has to be believed for (plan-proof.h).
 * Threads: belongs to one thread. */
#pragma once
#include "engine/plan.h"
#include "engine/systems.h"

typedef struct BkPlanChoice {
    guint part;             /* index of the one that the plan is made of */
    BkSystems systems;      /* of all that could be asked */
    const BkSystem *system; /* the cluster that the plan leads along */
    BkPlan plan;
    BkSnapshot *snapshot; /* the plan's, loaded and proven */
} BkPlanChoice;

void bk_plan_choice_clear(BkPlanChoice *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkPlanChoice, bk_plan_choice_clear)

/* Without a cluster in the request: the end of the history, or of its newest snapshot, is that of
 * the current cluster; a snapshot is of its own; any other target is looked for in every cluster,
 * and must be found in one only.
 *
 * Plans with each of `parts` (of BkPart; at least one; they must outlive the choice). To a target
 * that must be reached the first one leads that can, at best one whose manifests can all be read;
 * to the end of a line (or to its newest snapshot alone) the one that comes furthest, from a whole
 * snapshot, and from the newest; of equal ones the first. A snapshot that turns out to be damaged,
 * or cannot be read, in every repository is left out, and the plan made anew: from the snapshot
 * before it, with more WAL, unless the request names it. What is wrong with the chosen one, what
 * was left out, and why others could not be asked, is logged. Fails as bk_plan_make or
 * bk_past_load_all: with BK_ERROR_NOT_FOUND only when each repository answered so, with
 * BK_ERROR_AMBIGUOUS when one did, or when the target is found in several clusters: then the
 * message has the command for each. What was left out is named first when nothing else leads to the
 * target. */
bool bk_plan_choose(const GPtrArray *parts, const BkPlanRequest *request, BkPlanChoice *choice,
                    BkOp *op, GError **error) BK_MUST_USE;
