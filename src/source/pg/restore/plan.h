/* plan.h - from a target to the snapshot and the WAL that lead there along one timeline.
 *
 * Threads: belongs to one thread. */
#pragma once
#include "source/pg/restore/plan-request.h"

/* The plan that follows one timeline, whatever the request says of timelines; it needs
 * request->lines. Fails as bk_plan_make. */
bool bk_plan_make_along(const BkRecoveryIndex *past, const BkPlanRequest *request,
                        uint32_t timeline, BkPlan *plan, BkOp *op, GError **error) BK_MUST_USE;
