/* backup-meta.c - what a snapshot records of the server and of its data directory before it is
 * read. */
#include "source/pg/backup/backup-meta.h"

#include "base/log.h"
#include "source/pg/cluster/control.h"
#include "source/pg/cluster/data-dir.h"
#include "source/pg/wal/wal-mark.h"

#include <sys/stat.h>

/* The directory that is read must be that of the server that was asked. */
static bool
check_data_directory(const BkServerFacts *facts, const char *data_dir, GError **error)
{
    g_auto(BkBuf) content = BK_BUF_INIT;
    BkPgControl control;

    if (!bk_pg_control_read(data_dir, &content, &control, error))
        return bk_prefix(error, "data directory \"%s\"", data_dir);
    if (control.system_id == facts->system_id)
        return true;
    return bk_throw(error, BK_ERROR_UNFIT,
                    "data directory \"%s\" is that of another cluster (system identifier "
                    "%" G_GUINT64_FORMAT ") than the server's (%" G_GUINT64_FORMAT
                    "): correct \"data\" or \"connection\"",
                    data_dir, control.system_id, facts->system_id);
}

/* A link that cannot be read counts as none: only a restore's remark depends on it. */
static char *
find_wal_directory(const char *data_dir)
{
    g_autofree char *link = g_build_filename(data_dir, "pg_wal", NULL);
    g_autofree char *target = g_file_read_link(link, NULL);

    return target != NULL ? g_canonicalize_filename(target, data_dir) : g_strdup("");
}

bool
bk_backup_meta_fill(BkPgMeta *meta, const BkServerFacts *facts, const char *data_dir,
                    GError **error)
{
    struct stat st;

    if (!check_data_directory(facts, data_dir, error))
        return false;
    if (stat(data_dir, &st) < 0)
        return bk_throw_errno(error, "data directory \"%s\"", data_dir);
    meta->data_mode = st.st_mode & 0777;
    meta->system_id = facts->system_id;
    meta->version = facts->version;
    meta->block_size = facts->block_size;
    meta->segment_size = facts->wal_segment_size;
    meta->has_checksums = facts->has_checksums;
    meta->data_directory = g_strdup(data_dir);
    meta->wal_directory = find_wal_directory(data_dir);
    return true;
}

void
bk_backup_meta_set_mark(BkPgMeta *meta, const char *data_dir, BkLsn checkpoint)
{
    char name[BK_WAL_NAME_SIZE];
    g_autofree char *path = NULL;
    g_auto(BkBuf) content = BK_BUF_INIT;

    bk_wal_segment_name(meta->timeline, bk_wal_segment_of(checkpoint, meta->segment_size),
                        meta->segment_size, name);
    path = g_build_filename("pg_wal", name, NULL);
    if (!bk_data_dir_read(data_dir, path, meta->segment_size, &content, NULL) ||
        !bk_wal_mark_find(content.data, content.size, checkpoint, &meta->mark))
        bk_log(BK_LOG_INFO, "the WAL has no whole record of the checkpoint: the next backup will "
                            "read everything");
}
