/* restore-priv.h - what the plan of a restore and its carrying out share.
 *
 * Threads: belongs to one thread. */
#pragma once
#include "engine/restore/destination.h"
#include "engine/restore/original-server.h"
#include "engine/restore/restore.h"
#include "repo/extract/chown-map.h"
#include "repo/extract/owned-directory.h"
#include "repo/targets/targets.h"
#include "source/pg/restore/plan-choice.h"

struct BkRestore {
    const BkSourceSpec *source;
    const BkRestoreRequest *request;
    BkTargets targets;
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
    BkChownMap *owners;
    const BkFile *control; /* of `snapshot` */
    BkPathOwner owner;     /* of what is restored */
    BkIdentity *above;     /* as whom the directory is made, and moved aside */
    BkIdentity *identity;  /* the owner, as whom all in it is written */
    BkBeneath *place;
    int root; /* its descriptor */
};

/* Plans with `target` and `timeline`, as in BkPlanRequest, in the place of those of the request. */
bool bk_restore_plan_make(BkRestore *self, const BkRecoveryTarget *target, const char *timeline,
                          BkOp *op, GError **error) BK_MUST_USE;

/* After the plan: where tablespaces and pg_wal go. */
bool bk_restore_plan_places(BkRestore *self, GError **error) BK_MUST_USE;
