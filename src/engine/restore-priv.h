/* restore-priv.h - what the plan of a restore and its carrying out share.
 *
 * Threads: belongs to one thread. */
#pragma once
#include "engine/destination.h"
#include "engine/original.h"
#include "engine/owner-map.h"
#include "engine/place.h"
#include "engine/plan-choice.h"
#include "engine/restore.h"

struct BkRestore {
    const BkSourceSpec *source;
    const BkRestoreRequest *request;
    BkParts parts;
    BkPlanChoice choice;
    GArray *tablespaces; /* BkRestoreTablespace */
    char *wal_directory; /* where the link pg_wal is to lead, or NULL */
    bool moves_inside;   /* --replace */
    BkDestinationState state;
    BkOriginal original;
    BkDestinationWal wal;
    bool needs_wal; /* the target lies in it */

    /* While it runs. */
    BkRestoreReport *report;
    BkOp *op;
    const BkSnapshot *snapshot; /* of the choice */
    BkOwnerMap *owners;
    const BkFile *control; /* of `snapshot` */
    BkPathOwner owner;     /* of what is restored */
    BkIdentity *above;     /* as whom the directory is made, and moved aside */
    BkIdentity *identity;  /* the owner, as whom all in it is written */
    BkBeneath *place;
    int root; /* its descriptor */
};

/* Plans with `target` and `timeline`, as in BkPlanRequest, in the place of those of the request. */
bool bk_restore_plan_make(BkRestore *self, const BkTarget *target, const char *timeline, BkOp *op,
                          GError **error) BK_MUST_USE;

/* After the plan: where tablespaces and pg_wal go. */
bool bk_restore_plan_places(BkRestore *self, GError **error) BK_MUST_USE;
