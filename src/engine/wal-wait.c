#include "engine/wal-wait.h"

#include "source/pg/archive.h"

#include <errno.h>
#include <sys/stat.h>

#define FIRST_PAUSE_US   (10 * INT64_C(1000))
#define LONGEST_PAUSE_US (500 * INT64_C(1000))

static bool
is_archived(const BkPart *part, const char *name, bool *found, BkOp *op, GError **error)
{
    g_autofree char *object = NULL;
    g_autoptr(GError) cause = NULL;
    BkWalName parsed;

    if (!bk_wal_name_parse(name, &parsed))
        g_assert_not_reached();
    object = bk_archive_object_name(part, name, &parsed);
    *found = bk_store_settle(bk_part_store(part), object, op, &cause);
    return *found || bk_error_is(cause, BK_ERROR_ABSENT) || bk_propagate(error, &cause);
}

static bool
throw_timeout(const BkPart *part, const char *name, BkServer *server, BkOp *op, GError **error)
{
    g_autofree char *failure =
        server != NULL ? bk_server_describe_archiver_failure(server, op) : NULL;

    return bk_throw(
        error, BK_ERROR_TIMEOUT, "WAL segment %s did not arrive in repository \"%s\": %s", name,
        bk_repository_name(bk_part_repository(part)),
        failure != NULL ? failure : "does archive_command call \"wal push\" for this source?");
}

/* Waits for one segment; each that arrives starts the time anew. */
static bool
wait_for(const BkWalWait *wait, const BkPart *part, const char *name, BkOp *op, GError **error)
{
    int64_t end_us = g_get_monotonic_time() + wait->timeout_us;
    int64_t pause_us = FIRST_PAUSE_US;
    bool found;

    for (;;) {
        if (!is_archived(part, name, &found, op, error))
            return false;
        if (found)
            return true;
        if (g_get_monotonic_time() > end_us)
            return throw_timeout(part, name, wait->server, op, error);
        if (!bk_op_sleep(op, pause_us, error))
            return false;
        pause_us = MIN(pause_us * 3 / 2, LONGEST_PAUSE_US);
    }
}

/* Is the file that was looked at still there under its name? */
static bool
is_still(const char *path, const struct stat *before)
{
    struct stat now;

    return stat(path, &now) == 0 && now.st_dev == before->st_dev && now.st_ino == before->st_ino;
}

/* Holds the archive what the server has written as this segment? One that is not in the data
 * directory any more was archived before it was removed. Nor does a difference count when the
 * server made a later segment of the file meanwhile: it has lost its name then. */
static bool
check_content(const BkWalWait *wait, const char *name, BkOp *op, GError **error)
{
    g_autofree char *path = g_build_filename(wait->data_dir, "pg_wal", name, NULL);
    g_autoptr(GError) cause = NULL;
    BkWalName parsed;
    struct stat st;
    bool has;

    if (!bk_wal_name_parse(name, &parsed))
        g_assert_not_reached();
    if (stat(path, &st) < 0)
        return errno == ENOENT || bk_throw_errno(error, "WAL segment \"%s\"", path);
    if (bk_archive_has(wait->parts, path, &parsed, &has, op, &cause))
        return has ||
               bk_throw(error, BK_ERROR_STORE, "WAL segment %s is gone from the archive", name);
    if (bk_error_is(cause, BK_ERROR_ABSENT) ||
        (bk_error_is(cause, BK_ERROR_CONFLICT) && !is_still(path, &st)))
        return true;
    if (bk_error_is(cause, BK_ERROR_CONFLICT))
        (void)bk_prefix(&cause, "the snapshot cannot count on its WAL");
    return bk_propagate(error, &cause);
}

bool
bk_wal_wait(const BkWalWait *wait, const BkPgMeta *meta, BkOp *op, GError **error)
{
    uint64_t last = bk_wal_segment_of(meta->stop_lsn - 1, meta->segment_size);

    for (uint64_t segno = bk_wal_segment_of(meta->start_lsn, meta->segment_size); segno <= last;
         segno++) {
        char name[BK_WAL_NAME_SIZE];

        bk_wal_segment_name(meta->timeline, segno, meta->segment_size, name);
        for (guint i = 0; i < wait->parts->len; i++)
            if (!wait_for(wait, g_ptr_array_index(wait->parts, i), name, op, error))
                return false;
        if (!check_content(wait, name, op, error))
            return false;
    }
    return true;
}
