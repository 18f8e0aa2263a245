/* publish.h - puts a manifest into one repository: the last step of a snapshot there.
 *
 * Threads: a call may start threads, and joins them. */
#pragma once
#include "repo/targets/target.h"

typedef struct BkPublishRequest {
    BkSnapshot *snapshot; /* its head gets the epoch of the lease */
    BkSnapshot *parent;   /* of it, or NULL */
    unsigned workers;
    int64_t started_us; /* when the snapshot was begun */
    /* Extends the locks of what the source archives by itself; may be NULL. */
    bool (*lock_log)(BkObjectLock *lock, const BkObjectLockRequest *request, BkOp *op,
                     GError **error);
    /* Of a target that is not required: sets `*lack` (a new string) to what it lacks of what the
     * source archives by itself, if it lacks any. May be NULL. */
    bool (*find_lack)(const BkTarget *target, const void *data, char **lack, BkOp *op,
                      GError **error);
    const void *data; /* passed to it */
} BkPublishRequest;

/* Puts it, after the locks were extended and the lease was confirmed. Every pack must be in the
 * target. Fails with BK_ERROR_LEASE_LOST, or as the store. */
bool bk_publish(const BkPublishRequest *request, BkTarget *target, BkOp *op,
                GError **error) BK_MUST_USE;
