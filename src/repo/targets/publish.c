/* publish.c - puts a manifest into one repository: the last step of a snapshot there. */
#include "repo/targets/publish.h"

#include "repo/snapshot/snapshot-manifest.h"

/* What is known of the locks is asked for once, before anything is put under them. */
static bool
begin_lock(const BkPublishRequest *request, BkTarget *target, BkOp *op, GError **error)
{
    if (!target->is_lock_known)
        target->is_lock_known = bk_object_lock_begin(
            &target->lock, target->source_repo, request->started_us, request->parent, op, error);
    return target->is_lock_known;
}

static bool
extend_locks(const BkPublishRequest *request, BkTarget *target, BkOp *op, GError **error)
{
    const BkObjectLockRequest locks = {
        .source_repo = target->source_repo,
        .snapshot = request->snapshot,
        .parent = request->parent,
        .now_us = g_get_real_time(),
        .workers = request->workers,
    };

    return bk_object_lock_packs(&target->lock, &locks, op, error) &&
           (request->lock_log == NULL || request->lock_log(&target->lock, &locks, op, error)) &&
           bk_object_lock_keys(&target->lock, &locks, op, error);
}

bool
bk_publish(const BkPublishRequest *request, BkTarget *target, BkOp *op, GError **error)
{
    BkSnapshotHead *head = bk_snapshot_head(request->snapshot);
    g_auto(BkBuf) object = BK_BUF_INIT;

    /* Locking takes its time: the lease is confirmed last. */
    if (!begin_lock(request, target, op, error) || !extend_locks(request, target, op, error) ||
        !bk_lease_confirm(target->lease, error))
        return false;
    head->lease_epoch = bk_lease_epoch(target->lease);
    if (!bk_snapshot_seal(request->snapshot, target->source_repo, &object, error) ||
        !bk_snapshot_put(target->source_repo, head->id, &object, op, error))
        return false;
    bk_snapshot_note(target->source_repo, &object);
    return true;
}
