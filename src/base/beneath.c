/* beneath.c - files below a directory that somebody else may change at any time. */
#include "base/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SAFE_FLAGS (O_NONBLOCK | O_NOCTTY)
#define ATTEMPTS   1000 /* of openat2, which fails with EAGAIN while somebody renames */

typedef struct Mount {
    char *path;
    BkFd dir;
} Mount;

struct BkBeneath {
    const BkIdentity *identity;
    BkFd dir;
    GArray *mounts; /* Mount; few */
    bool has_openat2;
};

static void
clear_mount(void *data)
{
    Mount *mount = data;

    g_free(mount->path);
    bk_fd_clear(&mount->dir);
}

static int
open_with_openat2(int dir, const char *path, int flags, mode_t mode)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)flags,
        .mode = (flags & O_CREAT) != 0 ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    int fd;

    for (int i = 0; i < ATTEMPTS; i++) {
        fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
            return fd;
    }
    return -1;
}

/* Leaves errno. */
static bool
is_symlink_beneath(int dir, const char *name)
{
    int number = errno;
    struct stat st;
    bool is = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);

    errno = number;
    return is;
}

/* Where the kernel or a sandbox does not know openat2, and for a path that is longer than a call
 * takes: one component after the other. */
static int
open_by_steps(int dir, const char *path, int flags, mode_t mode)
{
    g_auto(GStrv) names = g_strsplit(path, "/", -1);
    g_auto(BkFd) above = -1;

    for (char **name = names; *name != NULL; name++) {
        bool is_last = name[1] == NULL;
        int from = above >= 0 ? above : dir;
        int fd;

        if (strcmp(*name, "..") == 0 || **name == '\0') {
            errno = EINVAL;
            return -1;
        }
        do
            fd = openat(from, *name,
                        (is_last ? flags : O_PATH | O_DIRECTORY | O_CLOEXEC) | O_NOFOLLOW, mode);
        while (fd < 0 && errno == EINTR);
        if (fd < 0 && errno == ENOTDIR && is_symlink_beneath(from, *name))
            errno = ELOOP;
        if (fd < 0 || is_last)
            return fd;
        bk_fd_clear(&above);
        above = fd;
    }
    errno = EINVAL;
    return -1;
}

static int
open_beneath(const BkBeneath *self, int dir, const char *path, int flags, mode_t mode)
{
    /* With O_PATH nothing is opened that could block, and openat2 takes no such flags. */
    const int all = flags | O_CLOEXEC | ((flags & O_PATH) != 0 ? 0 : SAFE_FLAGS);

    return self->has_openat2 && strlen(path) < PATH_MAX ? open_with_openat2(dir, path, all, mode)
                                                        : open_by_steps(dir, path, all, mode);
}

BkBeneath *
bk_beneath_new(BkFd dir, const BkIdentity *identity)
{
    BkBeneath *self = g_new0(BkBeneath, 1);
    g_auto(BkFd) probe = -1;

    self->dir = dir;
    self->identity = identity;
    self->mounts = g_array_new(FALSE, FALSE, sizeof(Mount));
    g_array_set_clear_func(self->mounts, clear_mount);
    probe = open_with_openat2(dir, ".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    self->has_openat2 = probe >= 0;
    return self;
}

void
bk_beneath_become(BkBeneath *self, const BkIdentity *identity)
{
    self->identity = identity;
}

void
bk_beneath_forget_openat2(BkBeneath *self)
{
    self->has_openat2 = false;
}

void
bk_beneath_free(BkBeneath *self)
{
    if (self == NULL)
        return;
    bk_fd_clear(&self->dir);
    g_array_unref(self->mounts);
    g_free(self);
}

static Mount *
find_mount(const BkBeneath *self, const char *path)
{
    for (guint i = 0; i < self->mounts->len; i++) {
        Mount *mount = &g_array_index(self->mounts, Mount, i);

        if (strcmp(mount->path, path) == 0)
            return mount;
    }
    return NULL;
}

void
bk_beneath_mount(BkBeneath *self, const char *path, BkFd dir)
{
    Mount *present = find_mount(self, path);
    Mount mount = {NULL, dir};

    if (present != NULL) {
        bk_fd_clear(&present->dir);
        present->dir = dir;
        return;
    }
    mount.path = g_strdup(path);
    g_array_append_val(self->mounts, mount);
}

int
bk_beneath_dir(const BkBeneath *self)
{
    return self->dir;
}

const BkIdentity *
bk_beneath_identity(const BkBeneath *self)
{
    return self->identity;
}

int
bk_beneath_mounted(const BkBeneath *self, const char *path)
{
    const Mount *mount = find_mount(self, path);

    return mount != NULL ? mount->dir : -1;
}

/* The descriptor that `*path` is beneath; `*path` becomes what is below it. */
static int
find_dir(const BkBeneath *self, const char **path)
{
    for (guint i = 0; i < self->mounts->len; i++) {
        const Mount *mount = &g_array_index(self->mounts, Mount, i);
        size_t size = strlen(mount->path);

        if (strncmp(*path, mount->path, size) == 0 &&
            ((*path)[size] == '/' || (*path)[size] == 0)) {
            *path += size + ((*path)[size] == '/' ? 1 : 0);
            return mount->dir;
        }
    }
    return self->dir;
}

static bool
throw_open(GError **error, const char *path)
{
    if (errno == ELOOP || errno == EXDEV)
        return bk_throw(
            error, BK_ERROR_UNFIT,
            "\"%s\" is a symbolic link, or was replaced by one meanwhile, and is not followed",
            path);
    return bk_throw_errno(error, "open \"%s\"", path);
}

int
bk_beneath_open(const BkBeneath *self, const char *path, int flags, mode_t mode, GError **error)
{
    g_auto(BkIdentityScope) scope = bk_identity_enter(self->identity);
    const char *below = path;
    int dir = find_dir(self, &below);
    int fd = open_beneath(self, dir, *below != '\0' ? below : ".", flags, mode);

    if (fd < 0)
        throw_open(error, path);
    return fd;
}

int
bk_beneath_open_file(const BkBeneath *self, const char *path, int flags, mode_t mode,
                     GError **error)
{
    g_auto(BkFd) fd = bk_beneath_open(self, path, flags, mode, error);
    struct stat st;

    if (fd < 0)
        return -1;
    if (fstat(fd, &st) < 0) {
        bk_throw_errno(error, "stat \"%s\"", path);
        return -1;
    }
    if (!S_ISREG(st.st_mode)) {
        bk_throw(error, BK_ERROR_UNFIT, "\"%s\" is not a regular file", path);
        return -1;
    }
    return bk_fd_steal(&fd);
}

int
bk_beneath_open_parent(const BkBeneath *self, const char *path, const char **name, GError **error)
{
    const char *slash = strrchr(path, '/');
    g_autofree char *parent = slash != NULL ? g_strndup(path, (gsize)(slash - path)) : g_strdup("");

    *name = slash != NULL ? slash + 1 : path;
    return bk_beneath_open(self, parent, O_RDONLY | O_DIRECTORY, 0, error);
}

bool
bk_beneath_stat(const BkBeneath *self, const char *path, struct stat *st, bool *found,
                GError **error)
{
    g_autoptr(GError) cause = NULL;
    const char *name;
    g_auto(BkFd) parent = bk_beneath_open_parent(self, path, &name, &cause);
    g_auto(BkIdentityScope) scope = bk_identity_enter(self->identity);

    *found = false;
    if (parent < 0)
        return bk_error_is(cause, BK_ERROR_ABSENT) || bk_propagate(error, &cause);
    if (fstatat(parent, name, st, AT_SYMLINK_NOFOLLOW) == 0)
        *found = true;
    else if (errno != ENOENT)
        return bk_throw_errno(error, "stat \"%s\"", path);
    return true;
}

bool
bk_beneath_mkdir(const BkBeneath *self, const char *path, mode_t mode, GError **error)
{
    const char *name;
    g_auto(BkFd) parent = bk_beneath_open_parent(self, path, &name, error);
    g_auto(BkIdentityScope) scope = bk_identity_enter(self->identity);
    struct stat st;

    if (parent < 0)
        return false;
    if (mkdirat(parent, name, mode) == 0)
        return true;
    if (errno == EEXIST && fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (S_ISDIR(st.st_mode))
            return true;
        errno = ENOTDIR;
    }
    return bk_throw_errno(error, "create the directory \"%s\"", path);
}

bool
bk_beneath_unlink(const BkBeneath *self, const char *path, int flags, GError **error)
{
    g_autoptr(GError) cause = NULL;
    const char *name;
    g_auto(BkFd) parent = bk_beneath_open_parent(self, path, &name, &cause);
    g_auto(BkIdentityScope) scope = bk_identity_enter(self->identity);

    if (parent < 0)
        return bk_error_is(cause, BK_ERROR_ABSENT) || bk_propagate(error, &cause);
    return unlinkat(parent, name, flags) == 0 || errno == ENOENT ||
           bk_throw_errno(error, "remove \"%s\"", path);
}

bool
bk_beneath_symlink(const BkBeneath *self, const char *path, const char *target, GError **error)
{
    const char *name;
    g_auto(BkFd) parent = bk_beneath_open_parent(self, path, &name, error);
    g_auto(BkIdentityScope) scope = bk_identity_enter(self->identity);

    if (parent < 0)
        return false;
    return symlinkat(target, parent, name) == 0 ||
           bk_throw_errno(error, "create the link \"%s\"", path);
}

bool
bk_beneath_read(const BkBeneath *self, const char *path, size_t limit, BkBuf *content,
                GError **error)
{
    g_auto(BkFd) fd = bk_beneath_open_file(self, path, O_RDONLY, 0, error);

    bk_buf_clear(content);
    return fd >= 0 && bk_fd_read_all(fd, path, limit, content, error);
}

bool
bk_beneath_write(const BkBeneath *self, const char *path, const void *data, size_t size,
                 mode_t mode, BkFilePublish publish, GError **error)
{
    const char *name;
    g_auto(BkFd) parent = bk_beneath_open_parent(self, path, &name, error);
    g_auto(BkIdentityScope) scope = bk_identity_enter(self->identity);

    return parent >= 0 && bk_file_write(parent, name, data, size, mode, publish, error);
}

bool
bk_beneath_sync_parent(const BkBeneath *self, const char *path, GError **error)
{
    const char *name;
    g_auto(BkFd) parent = bk_beneath_open_parent(self, path, &name, error);

    return parent >= 0 &&
           (bk_fd_sync(parent, error) || bk_prefix(error, "directory of \"%s\"", path));
}
