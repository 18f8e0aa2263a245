/* archive-check.c - refuses files that are not what their name says. */
#include "source/pg/archive/archive-check.h"

#include "source/pg/format/timeline-history.h"

#include <string.h>

#define BACKUP_START "START WAL LOCATION: "

static bool
is_zeros(const BkBuf *content)
{
    return content->size > 0 && content->data[0] == 0 &&
           memcmp(content->data, content->data + 1, content->size - 1) == 0;
}

/* Takes ownership of `cause`. "Corrupt" is what an object of a repository is called; this is a file
 * of the server's. */
static bool
refuse_archive_file(const BkArchiveFile *file, GError *cause, GError **error)
{
    g_autoptr(GError) owned = cause;
    const char *reason = file->content->size == 0  ? "it is empty"
                         : is_zeros(file->content) ? "it contains only zeros"
                                                   : cause->message;

    if (!bk_error_is(cause, BK_ERROR_CORRUPT)) {
        g_propagate_prefixed_error(error, g_steal_pointer(&owned),
                                   "\"%s\" is not archived: ", file->name);
        return false;
    }
    return bk_throw(
        error, BK_ERROR_UNFIT,
        "\"%s\" is not archived: %s. The server keeps the file and tries again: check its disk and "
        "what else writes into its pg_wal; if the content is lost, take a new snapshot",
        file->name, reason);
}

/* What the header must agree with, whole or partial. */
static bool
check_header(const BkArchiveFile *file, uint64_t system_id, const BkWalInfo *info, GError **error)
{
    uint64_t segno;

    if (!bk_wal_name_segno(&file->parsed, info->segment_size, &segno) ||
        segno * info->segment_size != info->start_lsn)
        return bk_throw(error, BK_ERROR_CORRUPT, "its header belongs to another segment");
    if (file->content->size != info->segment_size)
        return bk_throw(error, BK_ERROR_CORRUPT, "it has %zu bytes instead of %u",
                        file->content->size, info->segment_size);
    return system_id == 0 || info->system_id == system_id ||
           bk_throw(error, BK_ERROR_UNFIT,
                    "it belongs to system %" G_GUINT64_FORMAT
                    ", this source's snapshots to system %" G_GUINT64_FORMAT,
                    info->system_id, system_id);
}

bool
bk_archive_check_segment(const BkArchiveFile *file, uint64_t system_id, BkWalInfo *info,
                         BkWalBlocks *blocks, GError **error)
{
    const BkWalScanOptions options = {.expect_timeline = file->parsed.timeline};
    GError *cause = NULL;

    if (!bk_wal_blocks_collect(file->content->data, file->content->size, &options, info, blocks,
                               &cause))
        return refuse_archive_file(file, cause, error);
    if (check_header(file, system_id, info, &cause) && !file->is_ready &&
        info->end == BK_WAL_END_ZERO)
        bk_throw(&cause, BK_ERROR_UNFIT, "it is not complete: the server is still writing it");
    if (cause == NULL)
        return true;
    bk_wal_info_clear(info);
    bk_wal_blocks_clear(blocks);
    return refuse_archive_file(file, cause, error);
}

static bool
check_history(const BkArchiveFile *file, GError **error)
{
    g_auto(BkTimelineHistory) history = {0};

    if (!bk_timeline_history_parse(file->parsed.timeline, file->content->data, file->content->size,
                                   &history, error))
        return false;
    return history.count > 0 ||
           bk_throw(error, BK_ERROR_CORRUPT, "it names no timeline that this one descends from");
}

static bool
check_partial(const BkArchiveFile *file, uint64_t system_id, GError **error)
{
    const BkWalScanOptions options = {.expect_timeline = file->parsed.timeline};
    g_auto(BkWalInfo) info = {0};

    return bk_wal_info_collect(file->content->data, file->content->size, &options, &info, error) &&
           check_header(file, system_id, &info, error);
}

static bool
check_backup(const BkArchiveFile *file, GError **error)
{
    const size_t size = strlen(BACKUP_START);

    return (file->content->size >= size && memcmp(file->content->data, BACKUP_START, size) == 0) ||
           bk_throw(error, BK_ERROR_CORRUPT, "it is not a backup history");
}

bool
bk_archive_check_other(const BkArchiveFile *file, uint64_t system_id, GError **error)
{
    GError *cause = NULL;
    bool ok = true;

    switch (file->parsed.kind) {
    case BK_WAL_SEGMENT:
        break;
    case BK_WAL_PARTIAL:
        ok = check_partial(file, system_id, &cause);
        break;
    case BK_WAL_HISTORY:
        ok = check_history(file, &cause);
        break;
    case BK_WAL_BACKUP:
        ok = check_backup(file, &cause);
        break;
    }
    return ok || refuse_archive_file(file, cause, error);
}
