/* publish.c - puts a manifest into one repository: the last step of a snapshot there. */
#include "engine/targets/publish.h"

bool
bk_publish(const BkPublishRequest *request, const BkSourceRepo *source_repo, BkLease *lease,
           BkObjectLock *retain, BkOp *op, GError **error)
{
    const BkObjectLockRequest locks = {
        .source_repo = source_repo,
        .snapshot = request->snapshot,
        .parent = request->parent,
        .now_us = g_get_real_time(),
        .workers = request->workers,
    };
    BkSnapshotHead *head = bk_snapshot_head(request->snapshot);
    g_auto(BkBuf) object = BK_BUF_INIT;

    /* Locking takes its time: the lease is confirmed last. */
    if (!bk_object_lock_packs(retain, &locks, op, error) ||
        !bk_object_lock_wal(retain, &locks, op, error) ||
        !bk_object_lock_keys(retain, &locks, op, error) || !bk_lease_confirm(lease, error))
        return false;
    head->lease_epoch = bk_lease_epoch(lease);
    if (!bk_snapshot_seal(request->snapshot, source_repo, &object, error) ||
        !bk_snapshot_put(source_repo, head->id, &object, op, error))
        return false;
    bk_snapshot_note(source_repo, &object);
    return true;
}
