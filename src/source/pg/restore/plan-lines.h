/* plan-lines.h - from a target to the snapshot and the WAL that lead there.
 *
 * Promise: a plan that is made can be carried out with what the repository holds; a target that
 * cannot be reached is refused, with the windows that exist, and so is one that may mean two
 * different states, or one with a database half dropped, with the command for each.
 * Threads: belongs to one thread. */
#pragma once
#include "source/pg/restore/plan-request.h"

/* Makes a plan. Without a timeline in the request, `latest` and `immediate` follow the line on
 * which the cluster lives; any other target is looked for on every line that was not declared dead,
 * and must be found at one place only; one that is found on another line than that, while a line
 * could not be searched, is refused. `latest` leads to the end of its line and never to a gap
 * before it. Fails with BK_ERROR_NOT_FOUND when there is no such snapshot, the target is outside
 * every window, or it is ambiguous on which line the cluster lives, BK_ERROR_AMBIGUOUS when the
 * target is, or may be, in several places (either says by which commands each is reached),
 * BK_ERROR_USAGE for a timeline of a wrong form, BK_ERROR_CORRUPT when the wanted
 * snapshot's manifest, or every one, is damaged. `past` must outlive the plan. */
bool bk_plan_make(const BkRecoveryIndex *past, const BkPlanRequest *request, BkPlan *plan, BkOp *op,
                  GError **error) BK_MUST_USE;
