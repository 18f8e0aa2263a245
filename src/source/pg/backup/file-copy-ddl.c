/* file-copy-ddl.c - whether databases copied file by file during a backup make its snapshot wrong.
 */
#include "source/pg/backup/file-copy-ddl.h"

#include "base/log.h"
#include "source/pg/backup/changes.h"

bool
bk_file_copy_ddl_find(const BkFileCopyDdlRequest *request, bool *is_overtaken, BkOp *op,
                      GError **error)
{
    BkPgMeta stop = *request->meta;
    const BkChangesRequest changes_request = {
        .source_repos = request->source_repos,
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
        bk_log(BK_LOG_INFO, "databases were created or moved, and the WAL does not show how: %s",
               changes.why);
        return true;
    }
    copies = bk_block_map_get_copies(changes.map);
    for (guint i = 0; i < copies->len && !*is_overtaken; i++)
        *is_overtaken =
            bk_block_map_is_touched(changes.map, &g_array_index(copies, BkDatabaseCopy, i).from);
    return true;
}
