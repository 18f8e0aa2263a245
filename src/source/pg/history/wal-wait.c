/* wal-wait.c - waits until the archive has the WAL that a snapshot needs. */
#include "source/pg/history/wal-wait.h"

#include "base/log.h"
#include "source/pg/archive/archive.h"
#include "source/pg/history/server-check.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_PAUSE_US   (10 * INT64_C(1000))
#define LONGEST_PAUSE_US (500 * INT64_C(1000))
#define ASK_EVERY_US     (500 * INT64_C(1000))
#define LOOK_EVERY_US    (5 * BK_USEC_PER_SEC) /* in a bucket, whatever the server shows */

/* So often the server calls archive_command for one file, a second apart, before it lets a minute
 * pass. */
#define ROUND 3

/* What the server shows of its archive_command: to ask a bucket before that has succeeded is worth
 * nothing, and afterwards check_content asks for the same object. */
typedef enum { SHOWS_NOTHING, SHOWS_WAITING, SHOWS_DONE } Shown;

static Shown
look_at_server(const BkWalWait *wait, const char *name)
{
    g_autofree char *done =
        g_strdup_printf("%s/pg_wal/archive_status/%s.done", wait->data_dir, name);
    g_autofree char *segment = g_build_filename(wait->data_dir, "pg_wal", name, NULL);

    if (access(segment, F_OK) != 0)
        return SHOWS_NOTHING;
    return access(done, F_OK) == 0 ? SHOWS_DONE : SHOWS_WAITING;
}

static bool
is_archived(const BkSourceRepo *source_repo, uint64_t system_id, const char *name, bool *found,
            BkOp *op, GError **error)
{
    g_autofree char *object = NULL;
    g_autoptr(GError) cause = NULL;
    BkWalName parsed;

    if (!bk_wal_name_parse(name, &parsed))
        g_assert_not_reached();
    object = bk_archive_object_name(source_repo, system_id, name, &parsed);
    *found = bk_store_ensure_durable(bk_source_repo_store(source_repo), object, op, &cause);
    return *found || bk_error_is(cause, BK_ERROR_ABSENT) || bk_propagate(error, &cause);
}

/* What is known of the archiver while its WAL is waited for. */
typedef struct Archiver {
    uint64_t failures_before; /* counted when the wait began */
    int64_t next_us;          /* when to ask again */
    bool is_known;
    bool is_warned;
} Archiver;

/* Asks the server for its archiver. Returns true with `*failure`, a new string, if it fails; and
 * `*is_over` if it has failed so often since the wait began that nothing will come soon. */
static bool
find_archiver_failure(const BkWalWait *wait, Archiver *archiver, char **failure, bool *is_over,
                      BkOp *op)
{
    g_auto(BkServerState) state = {0};
    g_auto(BkPushFailure) note = {0};
    bool has_note;

    if (wait->server == NULL || !bk_server_get_state(wait->server, &state, op, NULL))
        return false;
    if (!archiver->is_known)
        archiver->failures_before = state.failed_count;
    archiver->is_known = true;
    /* The counters may be reset meanwhile. */
    archiver->failures_before = MIN(archiver->failures_before, state.failed_count);
    if (!bk_server_state_is_failing(&state))
        return false;
    *is_over = state.failed_count - archiver->failures_before >= ROUND;
    has_note = bk_push_failure_read(wait->data_dir, &note);
    *failure = bk_archiver_describe_failure(&state, has_note ? &note : NULL);
    return true;
}

static bool
throw_missing(const BkSourceRepo *source_repo, const char *name, BkErrorCode code, const char *why,
              GError **error)
{
    return bk_throw(error, code, "WAL segment %s did not arrive in repository \"%s\": %s", name,
                    bk_repository_name(bk_source_repo_repository(source_repo)),
                    why != NULL ? why
                                : "check that archive_command runs \"wal push\" for this source");
}

/* Fails once the archiver has failed in a whole round of its attempts. Of earlier ones it warns: a
 * single one may be an outage that has passed by the next. */
static bool
check_archiver(const BkWalWait *wait, Archiver *archiver, const BkSourceRepo *source_repo,
               const char *name, BkOp *op, GError **error)
{
    g_autofree char *failure = NULL;
    bool is_over = false;

    if (g_get_monotonic_time() < archiver->next_us)
        return true;
    archiver->next_us = g_get_monotonic_time() + ASK_EVERY_US;
    if (!find_archiver_failure(wait, archiver, &failure, &is_over, op))
        return bk_op_check(op, error);
    if (is_over)
        return throw_missing(source_repo, name, BK_ERROR_SERVER, failure, error);
    if (!archiver->is_warned)
        bk_log(BK_LOG_WARNING, "waiting for WAL segment %s: %s", name, failure);
    archiver->is_warned = true;
    return true;
}

static bool
throw_late(const BkWalWait *wait, Archiver *archiver, const BkSourceRepo *source_repo,
           const char *name, BkOp *op, GError **error)
{
    g_autofree char *failure = NULL;
    bool is_over;

    (void)find_archiver_failure(wait, archiver, &failure, &is_over, op);
    return throw_missing(source_repo, name, BK_ERROR_TIMEOUT, failure, error);
}

/* Looks whether `source_repo` has the segment: at a bucket only when the server's marks give a
 * reason to, or
 * `*look_us` has come. */
static bool
look_for(const BkWalWait *wait, const BkSourceRepo *source_repo, uint64_t system_id,
         const char *name, int64_t *look_us, bool *found, BkOp *op, GError **error)
{
    const bool is_far = bk_store_is_remote(bk_source_repo_store(source_repo));
    const Shown shown = is_far ? look_at_server(wait, name) : SHOWS_NOTHING;

    /* The archiver serves repositories of best effort as well, but does not answer for them. */
    *found = shown == SHOWS_DONE && wait->server != NULL;
    if (*found || (shown == SHOWS_WAITING && g_get_monotonic_time() < *look_us))
        return true;
    *look_us = g_get_monotonic_time() + LOOK_EVERY_US;
    return is_archived(source_repo, system_id, name, found, op, error);
}

/* Waits for one segment; each that arrives starts the time anew. */
static bool
wait_for(const BkWalWait *wait, Archiver *archiver, const BkSourceRepo *source_repo,
         uint64_t system_id, const char *name, BkOp *op, GError **error)
{
    const int64_t end_us = g_get_monotonic_time() + wait->timeout_us;
    int64_t look_us = g_get_monotonic_time() + LOOK_EVERY_US;
    int64_t pause_us = FIRST_PAUSE_US;
    bool found;

    for (;;) {
        if (!look_for(wait, source_repo, system_id, name, &look_us, &found, op, error))
            return false;
        if (found)
            return true;
        if (!check_archiver(wait, archiver, source_repo, name, op, error))
            return false;
        if (g_get_monotonic_time() > end_us)
            return throw_late(wait, archiver, source_repo, name, op, error);
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

static bool
throw_gone(const char *name, GError **error)
{
    return bk_throw(error, BK_ERROR_STORE, "WAL segment %s was removed from the archive", name);
}

/* Holds the archive what the server has written as this segment? One that is not in the data
 * directory any more was archived before it was removed. Nor does a difference count when the
 * server made a later segment of the file meanwhile: it has lost its name then. */
static bool
check_content(const BkWalWait *wait, uint64_t system_id, const char *name, BkOp *op, GError **error)
{
    g_autofree char *path = g_build_filename(wait->data_dir, "pg_wal", name, NULL);
    g_autoptr(GError) cause = NULL;
    BkWalName parsed;
    struct stat st;
    bool has;

    if (!bk_wal_name_parse(name, &parsed))
        g_assert_not_reached();
    if (stat(path, &st) < 0) {
        if (errno != ENOENT)
            return bk_throw_errno(error, "WAL segment \"%s\"", path);
    } else if (bk_archive_has(wait->source_repos, system_id, path, &parsed, &has, op, &cause)) {
        return has || throw_gone(name, error);
    } else if (!bk_error_is(cause, BK_ERROR_ABSENT) &&
               (!bk_error_is(cause, BK_ERROR_CONFLICT) || is_still(path, &st))) {
        if (bk_error_is(cause, BK_ERROR_CONFLICT))
            (void)bk_prefix(&cause, "the WAL of the snapshot cannot be used");
        return bk_propagate(error, &cause);
    }
    /* The server has it no more. That it marked it as archived does not say where: all are asked.
     */
    return bk_archive_has_name(wait->source_repos, system_id, name, &parsed, &has, op, error) &&
           (has || throw_gone(name, error));
}

bool
bk_wal_wait(const BkWalWait *wait, const BkPgMeta *meta, BkOp *op, GError **error)
{
    uint64_t last = bk_wal_segment_of(meta->stop_lsn - 1, meta->segment_size);
    Archiver archiver = {.is_known = false};

    for (uint64_t segno = bk_wal_segment_of(meta->start_lsn, meta->segment_size); segno <= last;
         segno++) {
        char name[BK_WAL_NAME_SIZE];

        bk_wal_segment_name(meta->timeline, segno, meta->segment_size, name);
        for (guint i = 0; i < wait->source_repos->len; i++)
            if (!wait_for(wait, &archiver, g_ptr_array_index(wait->source_repos, i),
                          meta->system_id, name, op, error))
                return false;
        if (!check_content(wait, meta->system_id, name, op, error))
            return false;
        bk_op_advance(op, 0); /* of a long backup there are many */
    }
    return true;
}
