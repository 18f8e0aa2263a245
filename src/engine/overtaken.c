#include "engine/overtaken.h"

#include "base/log.h"
#include "engine/changes.h"

bool
bk_overtaken_find(const BkOvertakenRequest *request, bool *is_overtaken, BkOp *op, GError **error)
{
    BkPgMeta stop = *request->meta;
    const BkChangesRequest changes_request = {
        .parts = request->parts,
        .data_dir = request->data_dir,
        .from = request->meta,
        .to = &stop,
        .workers = request->workers,
    };
    g_auto(BkChanges) changes = {0};
    g_autoptr(GArray) copies = NULL;

    stop.start_lsn = stop.stop_lsn - 1; /* the last segment is the one that it is in */
    if (!bk_changes_find(&changes_request, &changes, op, error))
        return false;
    *is_overtaken = changes.map == NULL;
    if (*is_overtaken) {
        bk_log(BK_LOG_INFO, "databases were made or moved, and the WAL does not tell how: %s",
               changes.why);
        return true;
    }
    copies = bk_block_map_get_copies(changes.map);
    for (guint i = 0; i < copies->len && !*is_overtaken; i++)
        *is_overtaken =
            bk_block_map_is_touched(changes.map, &g_array_index(copies, BkDatabaseCopy, i).from);
    return true;
}
