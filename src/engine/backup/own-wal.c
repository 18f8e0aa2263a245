/* own-wal.c - the WAL that a standalone snapshot contains. */
#include "engine/backup/own-wal.h"

#include <sys/stat.h>
#include <unistd.h>

static void
free_wal_file(void *data)
{
    BkSourceFile *file = data;

    g_free(file->path);
    g_free(file);
}

static bool
inspect_segment(BkSourceFile *file, const char *data_dir, GError **error)
{
    g_autofree char *path = g_build_filename(data_dir, file->path, NULL);
    struct stat st;

    if (stat(path, &st) < 0)
        return bk_throw_errno(error,
                              "WAL that the snapshot needs, \"%s\" (raise wal_keep_size, or let "
                              "the user have a replication slot)",
                              path);
    file->size = (uint64_t)st.st_size;
    file->mode = st.st_mode;
    file->uid = st.st_uid;
    file->gid = st.st_gid;
    file->mtime_sec = st.st_mtim.tv_sec;
    file->mtime_nsec = (uint32_t)st.st_mtim.tv_nsec;
    return true;
}

GPtrArray *
bk_own_wal_list(const char *data_dir, const BkPgMeta *meta, GError **error)
{
    const uint64_t last = bk_wal_segment_of(meta->stop_lsn - 1, meta->segment_size);
    g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func(free_wal_file);

    for (uint64_t segno = bk_wal_segment_of(meta->start_lsn, meta->segment_size); segno <= last;
         segno++) {
        BkSourceFile *file = g_new0(BkSourceFile, 1);
        char name[BK_WAL_NAME_SIZE];

        g_ptr_array_add(files, file);
        file->path = g_strconcat(
            "pg_wal/", bk_wal_segment_name(meta->timeline, segno, meta->segment_size, name), NULL);
        if (!inspect_segment(file, data_dir, error))
            return NULL;
    }
    return g_steal_pointer(&files);
}

bool
bk_own_wal_check(BkPipeline *copy, const GPtrArray *files, const char *data_dir,
                 const BkPgMeta *meta, GError **error)
{
    g_auto(BkPipelineFile) copied = {NULL};

    bk_pipeline_file_init(&copied);
    for (guint i = 0; i < files->len; i++) {
        const BkSourceFile *file = g_ptr_array_index(files, i);
        g_autofree char *path = g_build_filename(data_dir, file->path, NULL);

        if (!bk_pipeline_get_file(copy, file, &copied) || copied.size != meta->segment_size ||
            access(path, F_OK) < 0)
            return bk_throw(error, BK_ERROR_UNFIT,
                            "WAL that the snapshot needs, \"%s\", was removed while it was copied: "
                            "raise wal_keep_size, or let the user have a replication slot",
                            path);
    }
    return true;
}
