/* state-dir.c - small files of this host about a source, in a directory that survives reboots. */
#include "base/state-dir.h"

#include "base/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define FILE_MODE    0600
#define DIR_MODE     0700
#define PATIENCE_US  (1 * BK_USEC_PER_SEC)
#define LOCK_STEP_US (10 * INT64_C(1000))

/* Whose the directory is, or will be: that of the nearest one that exists. */
static BkIdentity *
find_state_owner(const char *top, GError **error)
{
    g_autofree char *path = g_strdup(top);
    struct stat st;

    while (stat(path, &st) < 0) {
        char *parent = g_path_get_dirname(path);
        const bool is_end = strcmp(parent, path) == 0;

        g_free(path);
        path = parent;
        if (is_end)
            return bk_throw_errno(error, "\"%s\"", top), NULL;
    }
    return bk_identity_new(st.st_uid, st.st_gid, error);
}

/* A directory that is not there: `*missing`, when it is not to be made. */
static BkBeneath *
open_top(const char *top, bool makes, const BkIdentity *owner, bool *missing, GError **error)
{
    g_auto(BkIdentityScope) scope = bk_identity_enter(owner);
    g_autoptr(GError) cause = NULL;
    BkFd fd;

    *missing = false;
    if (makes && !bk_dir_make(AT_FDCWD, top, DIR_MODE, error))
        return NULL;
    fd = bk_fd_open_dir(AT_FDCWD, top, &cause);
    if (fd >= 0)
        return bk_beneath_new(fd, owner);
    *missing = bk_error_is(cause, BK_ERROR_ABSENT);
    return bk_propagate(error, &cause), NULL;
}

bool
bk_state_read(const char *top, const char *source, const char *name, size_t limit, BkBuf *content,
              GError **error)
{
    g_autoptr(BkIdentity) owner = find_state_owner(top, error);
    g_autofree char *path = g_build_filename(source, name, NULL);
    g_autoptr(BkBeneath) dir = NULL;
    g_autoptr(GError) cause = NULL;
    bool missing = false;

    content->size = 0;
    if (owner == NULL)
        return false;
    dir = open_top(top, false, owner, &missing, &cause);
    if (dir != NULL && bk_beneath_read(dir, path, limit, content, &cause))
        return true;
    if (!missing && !bk_error_is(cause, BK_ERROR_ABSENT))
        return bk_propagate(error, &cause);
    content->size = 0;
    return true;
}

/* The directory of the source, which is made when it is missing. */
static int
open_own(const BkBeneath *dir, const char *source, GError **error)
{
    const int flags = O_RDONLY | O_DIRECTORY;
    g_autoptr(GError) cause = NULL;
    int fd = bk_beneath_open(dir, source, flags, 0, &cause);

    if (fd >= 0)
        return fd;
    if (!bk_error_is(cause, BK_ERROR_ABSENT))
        return bk_propagate(error, &cause), -1;
    if (!bk_beneath_mkdir(dir, source, DIR_MODE, error) ||
        !bk_beneath_sync_parent(dir, source, error))
        return -1;
    return bk_beneath_open(dir, source, flags, 0, error);
}

static bool
lock_dir(int fd, BkOp *op, GError **error)
{
    const int64_t end_us = g_get_monotonic_time() + PATIENCE_US;

    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return bk_throw_errno(error, "lock");
        if (g_get_monotonic_time() > end_us)
            return bk_throw(error, BK_ERROR_BUSY, "another process holds it");
        if (!bk_op_sleep(op, LOCK_STEP_US, error))
            return false;
    }
    return true;
}

static bool
change_file(const BkBeneath *dir, const char *path, size_t limit, BkStateChange change, void *data,
            GError **error)
{
    g_auto(BkBuf) before = BK_BUF_INIT;
    g_auto(BkBuf) after = BK_BUF_INIT;
    g_autoptr(GError) cause = NULL;

    if (!bk_beneath_read(dir, path, limit, &before, &cause)) {
        if (!bk_error_is(cause, BK_ERROR_ABSENT) && !bk_error_is(cause, BK_ERROR_UNSUPPORTED))
            return bk_propagate(error, &cause);
        before.size = 0;
    }
    return !change(&before, &after, data) ||
           bk_beneath_write(dir, path, after.data, after.size, FILE_MODE, BK_FILE_REPLACE, error);
}

bool
bk_state_change(const char *top, const char *source, const char *name, size_t limit,
                BkStateChange change, void *data, BkOp *op, GError **error)
{
    g_autoptr(BkIdentity) owner = find_state_owner(top, error);
    g_autofree char *path = g_build_filename(source, name, NULL);
    g_autoptr(BkBeneath) dir = NULL;
    g_auto(BkFd) own = -1; /* its lock ends with it */
    bool missing;

    if (owner == NULL)
        return false;
    dir = open_top(top, true, owner, &missing, error);
    if (dir == NULL)
        return false;
    own = open_own(dir, source, error);
    if (own < 0)
        return false;
    if (!lock_dir(own, op, error))
        return bk_prefix(error, "\"%s/%s\"", top, source);
    return change_file(dir, path, limit, change, data, error);
}
