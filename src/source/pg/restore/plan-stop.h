/* plan-stop.h - the LSN at which recovery along a plan stops, so that the state is consistent.
 *
 * Threads: the calls block. */
#pragma once
#include "source/pg/restore/plan-request.h"
#include "source/pg/restore/stop-check.h"

/* Settles on a position of plan->path, which goes on past it, and cuts the path behind `end_lsn`,
 * where the last record ends that recovery has to read (0: nowhere). A position within the drop of
 * a database or tablespace is moved to just before the drop (plan->stop, plan->caution). Where
 * other transactions committed meanwhile, or the plan's snapshot ends in the drop, it fails with
 * BK_ERROR_AMBIGUOUS and the targets to give instead; but where the path has no end of the drop, so
 * that there is no state after it, the position stays, and plan->caution tells. */
bool bk_plan_settle(const BkRecoveryIndex *past, const BkPlanRequest *request, BkPlan *plan,
                    const BkStopPosition *position, BkLsn end_lsn, BkOp *op,
                    GError **error) BK_MUST_USE;

/* The same for the transaction or restore point that the target names, found on the path behind the
 * plan's snapshot. Two restore points of one name there are refused with the position of each. */
bool bk_plan_settle_found(const BkRecoveryIndex *past, const BkPlanRequest *request, BkPlan *plan,
                          const BkWalMoment *found, BkOp *op, GError **error) BK_MUST_USE;
