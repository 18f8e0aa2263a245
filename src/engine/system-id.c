#include "engine/system-id.h"

#include "repo/snapshot.h"
#include "source/pg/meta.h"

bool
bk_find_system_id(const BkPart *part, uint64_t *system_id, BkOp *op, GError **error)
{
    g_autoptr(GPtrArray) ids = bk_snapshot_list(part, op, error);
    g_auto(BkSnapshotHead) head = {.source = NULL};
    g_auto(BkPgMeta) meta = {0};

    *system_id = 0;
    if (ids == NULL)
        return false;
    if (ids->len == 0)
        return true;
    if (!bk_snapshot_load_head(part, g_ptr_array_index(ids, ids->len - 1), &head, op, error) ||
        !bk_pg_meta_decode(&meta, &head.meta, error))
        return false;
    *system_id = meta.system_id;
    return true;
}
