/* data-dir.c - the data directory of a cluster, read as its owner and without following links. */
#include "source/pg/cluster/data-dir.h"

#include "base/path-owner.h"
#include "source/pg/cluster/data-dir-priv.h"
#include "source/pg/format/relation-file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct BkDataDir {
    char *path;
    BkIdentity *identity;
    BkBeneath *files;
};

static bool
is_symlink_entry(int dir, const char *name)
{
    struct stat st;

    return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);
}

/* What a link leads to; one that leads nowhere, or where its owner may not
 * look, is left alone: it fails when something below it is asked for. */
static void
mount_link(BkDataDir *self, int dir, const char *name, const char *path)
{
    BkFd mounted = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (mounted >= 0)
        bk_beneath_mount(self->files, path, mounted);
}

static bool
mount_tablespaces(BkDataDir *self, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_auto(BkFd) fd = bk_beneath_open(self->files, "pg_tblspc", O_RDONLY | O_DIRECTORY, 0, &cause);
    g_autoptr(GPtrArray) names = NULL;

    /* A directory that is no cluster's, or not whole, is told by what reads it. */
    if (fd < 0)
        return bk_error_is(cause, BK_ERROR_ABSENT) || bk_propagate(error, &cause);
    names = bk_dir_list(fd, "pg_tblspc", error);
    for (guint i = 0; names != NULL && i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        g_autofree char *path = g_strconcat("pg_tblspc/", name, NULL);

        if (is_symlink_entry(fd, name))
            mount_link(self, fd, name, path);
    }
    return names != NULL;
}

BkDataDir *
bk_data_dir_open(const char *path, GError **error)
{
    g_autoptr(BkDataDir) self = g_new0(BkDataDir, 1);
    BkFd dir = bk_fd_open_dir(AT_FDCWD, path, error);

    if (dir < 0)
        return NULL;
    self->path = g_strdup(path);
    self->files = bk_beneath_new(dir, NULL);
    self->identity = bk_path_owner_identity(dir, path, error);
    if (self->identity == NULL)
        return NULL;
    bk_beneath_become(self->files, self->identity);
    {
        g_auto(BkIdentityScope) scope = bk_identity_enter(self->identity);

        if (is_symlink_entry(dir, "pg_wal"))
            mount_link(self, dir, "pg_wal", "pg_wal");
        if (!mount_tablespaces(self, error)) {
            bk_prefix(error, "\"%s\"", path);
            return NULL;
        }
    }
    return g_steal_pointer(&self);
}

void
bk_data_dir_free(BkDataDir *self)
{
    if (self == NULL)
        return;
    bk_beneath_free(self->files);
    bk_identity_free(self->identity);
    g_free(self->path);
    g_free(self);
}

const BkBeneath *
bk_data_dir_files(const BkDataDir *self)
{
    return self->files;
}

bool
bk_data_dir_throw(const BkDataDir *self, const char *path, GError **error)
{
    g_autofree char *full = g_build_filename(self->path, path, NULL);
    int number = errno;
    struct stat st;
    bool found;

    if ((number == EACCES || number == EPERM) &&
        bk_beneath_stat(self->files, path, &st, &found, NULL) && found)
        return bk_throw(
            error, BK_ERROR_DENIED,
            "\"%s\" cannot be read: it belongs to user %u and its mode is %04o: change its owner "
            "to the server's user (chown), or move it out of the data directory",
            full, st.st_uid, (unsigned)st.st_mode & 07777);
    errno = number;
    return bk_throw_errno(error, "read \"%s\"", full);
}

int
bk_data_dir_open_file(const BkDataDir *self, const char *path, GError **error)
{
    g_autoptr(GError) cause = NULL;
    /* O_NOATIME is for owners only. */
    BkFd fd = bk_beneath_open_file(self->files, path, O_RDONLY | O_NOATIME, 0, &cause);

    if (fd < 0 && bk_error_is(cause, BK_ERROR_DENIED)) {
        g_clear_error(&cause);
        fd = bk_beneath_open_file(self->files, path, O_RDONLY, 0, &cause);
    }
    if (fd < 0 && bk_error_is(cause, BK_ERROR_DENIED)) {
        errno = EACCES;
        bk_data_dir_throw(self, path, error);
    } else if (fd < 0) {
        g_propagate_prefixed_error(error, g_steal_pointer(&cause), "\"%s\": ", self->path);
    }
    return fd;
}

bool
bk_data_dir_read(const char *data_dir, const char *path, size_t limit, BkBuf *content,
                 GError **error)
{
    g_autoptr(BkDataDir) self = bk_data_dir_open(data_dir, error);
    g_auto(BkFd) fd = -1;

    bk_buf_clear(content);
    if (self == NULL)
        return false;
    fd = bk_data_dir_open_file(self, path, error);
    return fd >= 0 && bk_fd_read_all(fd, path, limit, content, error);
}

bool
bk_data_dir_file_mode(int data_dir, mode_t *mode, GError **error)
{
    struct stat st;

    if (fstat(data_dir, &st) < 0)
        return bk_throw_errno(error, "stat the data directory");
    *mode = (st.st_mode & S_IRGRP) != 0 ? 0640 : 0600;
    return true;
}

bool
bk_data_dir_own(int data_dir, int fd, GError **error)
{
    struct stat dir;
    struct stat file;

    if (fstat(data_dir, &dir) < 0 || fstat(fd, &file) < 0)
        return bk_throw_errno(error, "stat the data directory");
    if (dir.st_uid == file.st_uid && dir.st_gid == file.st_gid)
        return true;
    if (fchown(fd, dir.st_uid, dir.st_gid) < 0) {
        /* Who is not root owns his files already and need not be in the directory's
         * group. */
        if (dir.st_uid == file.st_uid)
            return true;
        return bk_throw_errno(error, "set the owner");
    }
    return bk_fd_sync(fd, error);
}

bool
bk_data_dir_write(int data_dir, const char *name, const void *data, size_t size, GError **error)
{
    g_auto(BkFd) fd = -1;
    mode_t mode;

    if (!bk_data_dir_file_mode(data_dir, &mode, error) ||
        !bk_file_write(data_dir, name, data, size, mode, BK_FILE_REPLACE, error))
        return false;
    fd = bk_fd_open(data_dir, name, O_RDONLY | O_NOFOLLOW, 0, error);
    if (fd < 0)
        return false;
    return bk_data_dir_own(data_dir, fd, error) || bk_prefix(error, "\"%s\"", name);
}
