/* plan.h - from a target to the snapshot and the WAL that lead there.
 *
 * Promise: a plan that is made can be carried out with what the repository holds; a target that
 * cannot be reached is refused, with the windows that exist.
 * Threads: belongs to one thread. */
#pragma once
#include "engine/past.h"
#include "source/pg/target.h"

typedef struct BkPlanRequest {
    const BkTarget *target;
    const char *timeline; /* "latest", "current", a number, or NULL: latest */
    const char *snapshot; /* id to start from, or NULL: the best one */
} BkPlanRequest;

typedef struct BkPlan {
    const BkPastSnapshot *snapshot; /* in the past that the plan was made of */
    uint32_t timeline;              /* to recover along */
    BkWindowPath path;              /* WAL from the snapshot's start to the target, or to the end */
    uint64_t segments;              /* in that path */
    BkLsn end_lsn;                  /* of the WAL on the way to `timeline` */
    int64_t end_time_us;            /* of the last transaction in it; 0: none past the snapshot */
    BkWalMoment last_commit;        /* for a time: the last that is replayed; lsn 0: none past the
                                       snapshot's start */
} BkPlan;

void bk_plan_clear(BkPlan *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkPlan, bk_plan_clear)

/* Is that a timeline as a request names it (see there)? BK_ERROR_USAGE otherwise. */
bool bk_plan_check_timeline(const char *timeline, GError **error) BK_MUST_USE;

/* Makes a plan. Fails with BK_ERROR_NOT_FOUND when there is no such snapshot or the target is
 * outside every window, BK_ERROR_USAGE for a timeline of a wrong form, BK_ERROR_CORRUPT when the
 * wanted snapshot's manifest, or every one, is damaged. `past` must outlive the plan. */
bool bk_plan_make(const BkPast *past, const BkPlanRequest *request, BkPlan *plan, BkOp *op,
                  GError **error) BK_MUST_USE;
