#include "engine/wal-wait.h"

#include "source/pg/archive.h"

#define FIRST_PAUSE_US   (10 * INT64_C(1000))
#define LONGEST_PAUSE_US (500 * INT64_C(1000))

static bool
is_archived(const BkPart *part, const char *name, bool *found, BkOp *op, GError **error)
{
    g_autofree char *object = NULL;
    g_autoptr(GError) cause = NULL;
    BkWalName parsed;
    uint64_t size;

    if (!bk_wal_name_parse(name, &parsed))
        g_assert_not_reached();
    object = bk_archive_object_name(part, name, &parsed);
    *found = bk_store_stat(bk_part_store(part), object, &size, op, &cause);
    if (*found)
        return bk_store_settle(bk_part_store(part), object, op, error);
    return bk_error_is(cause, BK_ERROR_ABSENT) || bk_propagate(error, &cause);
}

static bool
throw_timeout(const BkPart *part, const char *name, BkServer *server, BkOp *op, GError **error)
{
    g_autofree char *failure = bk_server_describe_archiver_failure(server, op);

    return bk_throw(
        error, BK_ERROR_TIMEOUT, "WAL segment %s did not arrive in repository \"%s\": %s", name,
        bk_repository_name(bk_part_repository(part)),
        failure != NULL ? failure : "does archive_command call \"wal push\" for this source?");
}

/* Waits for one segment; each that arrives starts the time anew. */
static bool
wait_for(const BkPart *part, const char *name, BkServer *server, int64_t timeout_us, BkOp *op,
         GError **error)
{
    int64_t end_us = g_get_monotonic_time() + timeout_us;
    int64_t pause_us = FIRST_PAUSE_US;
    bool found;

    for (;;) {
        if (!is_archived(part, name, &found, op, error))
            return false;
        if (found)
            return true;
        if (g_get_monotonic_time() > end_us)
            return throw_timeout(part, name, server, op, error);
        if (!bk_op_sleep(op, pause_us, error))
            return false;
        pause_us = MIN(pause_us * 3 / 2, LONGEST_PAUSE_US);
    }
}

bool
bk_wal_wait(GPtrArray *parts, const BkPgMeta *meta, BkServer *server, int64_t timeout_us, BkOp *op,
            GError **error)
{
    uint64_t last = bk_wal_segment_of(meta->stop_lsn - 1, meta->segment_size);

    for (uint64_t segno = bk_wal_segment_of(meta->start_lsn, meta->segment_size); segno <= last;
         segno++) {
        char name[BK_WAL_NAME_SIZE];

        bk_wal_segment_name(meta->timeline, segno, meta->segment_size, name);
        for (guint i = 0; i < parts->len; i++)
            if (!wait_for(g_ptr_array_index(parts, i), name, server, timeout_us, op, error))
                return false;
    }
    return true;
}
