#include "engine/publish.h"

bool
bk_publish(const BkPublishRequest *request, const BkPart *part, BkLease *lease, BkRetain *retain,
           BkOp *op, GError **error)
{
    const BkRetainRequest locks = {
        .part = part,
        .snapshot = request->snapshot,
        .parent = request->parent,
        .now_us = g_get_real_time(),
        .workers = request->workers,
    };
    BkSnapshotHead *head = bk_snapshot_head(request->snapshot);
    g_auto(BkBuf) object = BK_BUF_INIT;

    /* Locking takes its time: the lease is confirmed last. */
    if (!bk_retain_packs(retain, &locks, op, error) || !bk_retain_wal(retain, &locks, op, error) ||
        !bk_retain_keys(retain, &locks, op, error) || !bk_lease_confirm(lease, error))
        return false;
    head->lease_epoch = bk_lease_epoch(lease);
    if (!bk_snapshot_seal(request->snapshot, part, &object, error) ||
        !bk_snapshot_put(part, head->id, &object, op, error))
        return false;
    bk_snapshot_note(part, &object);
    return true;
}
