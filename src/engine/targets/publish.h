/* publish.h - puts a manifest into one repository: the last step of a snapshot there.
 *
 * Threads: a call may start threads, and joins them. */
#pragma once
#include "repo/lease.h"
#include "source/pg/archive/object-lock.h"

typedef struct BkPublishRequest {
    BkSnapshot *snapshot; /* its head gets the epoch of the lease */
    BkSnapshot *parent;   /* of it, or NULL */
    unsigned workers;
} BkPublishRequest;

/* Puts it, after the locks of the packs were extended and the lease was confirmed. Every pack must
 * be in `source_repo`. Fails with BK_ERROR_LEASE_LOST, or as the store. */
bool bk_publish(const BkPublishRequest *request, const BkSourceRepo *source_repo, BkLease *lease,
                BkObjectLock *retain, BkOp *op, GError **error) BK_MUST_USE;
