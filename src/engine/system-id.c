#include "engine/system-id.h"

#include "base/log.h"
#include "engine/source-spec.h"
#include "repo/snapshot.h"
#include "source/pg/meta.h"

bool
bk_find_system_id(const BkPart *part, uint64_t *system_id, BkOp *op, GError **error)
{
    g_autoptr(GPtrArray) ids = bk_snapshot_list(part, op, error);
    g_autoptr(GError) outage = NULL; /* the first manifest that could not be read */

    *system_id = 0;
    if (ids == NULL)
        return false;
    for (guint i = ids->len; i-- > 0;) {
        g_auto(BkSnapshotHead) head = {.source = NULL};
        g_auto(BkPgMeta) meta = {0};
        g_autoptr(GError) cause = NULL;

        if (bk_snapshot_load_head(part, g_ptr_array_index(ids, i), &head, op, &cause) &&
            bk_pg_meta_decode(&meta, &head.meta, &cause)) {
            *system_id = meta.system_id;
            return true;
        }
        if (!bk_parts_is_at_fault(cause) && !bk_error_is(cause, BK_ERROR_NOT_FOUND))
            return bk_propagate(error, &cause);
        bk_log(BK_LOG_WARNING, "%s", cause->message);
        if (outage == NULL && !bk_error_is(cause, BK_ERROR_CORRUPT) &&
            !bk_error_is(cause, BK_ERROR_UNSUPPORTED) && !bk_error_is(cause, BK_ERROR_NOT_FOUND))
            outage = g_steal_pointer(&cause);
    }
    /* What could not be read might tell it still: then it is not unknown. */
    return bk_propagate(error, &outage);
}
