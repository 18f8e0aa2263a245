/* path-owner.c - who can replace the components of a path. */
#include "base/path-owner.h"

#include "base/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MAX_LINKS 40 /* as the kernel's */

/* The way down to a path: what is left of it, and who may change what was
 * passed. */
typedef struct Walk {
    BkFd dir;
    GString *left;
    const BkPathOwner *owner; /* of a directory that is open to others */
    BkPathOwner above;        /* uid 0: nobody but root */
    unsigned links;
} Walk;

static void
clear_walk(Walk *self)
{
    bk_fd_clear(&self->dir);
    g_string_free(self->left, TRUE);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Walk, clear_walk)

/* Who can put something else in the place of what is in it, or of the link? In
 * a directory that is open to a group it is the cluster's owner who is to have
 * the right. */
static void
note_owner(Walk *self, const struct stat *st)
{
    bool is_open = S_ISDIR(st->st_mode) && (st->st_mode & (S_IWGRP | S_IWOTH)) != 0 &&
                   (st->st_mode & S_ISVTX) == 0;

    if (self->above.uid != 0)
        return;
    if (st->st_uid != 0)
        self->above = (BkPathOwner){st->st_uid, st->st_gid};
    else if (is_open)
        self->above = *self->owner;
}

static bool
follow_link(Walk *self, const char *name, GError **error)
{
    char target[4096];
    ssize_t size = readlinkat(self->dir, name, target, sizeof target - 1);

    if (size < 0 || ++self->links > MAX_LINKS) {
        if (size >= 0)
            errno = ELOOP;
        return bk_throw_errno(error, "read the link \"%s\"", name);
    }
    target[size] = 0;
    if (target[0] == '/') {
        bk_fd_clear(&self->dir);
        self->dir = bk_fd_open(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0, error);
    }
    g_string_prepend_c(self->left, '/');
    g_string_prepend(self->left, target);
    return self->dir >= 0;
}

/* Takes the next component. `*done` at the end of the path, or of what is there
 * of it. */
static bool
take_path_step(Walk *self, bool *done, GError **error)
{
    size_t skip = strspn(self->left->str, "/");
    g_autofree char *name = NULL;
    struct stat st;
    BkFd next;

    g_string_erase(self->left, 0, (gssize)skip);
    name = g_strndup(self->left->str, strcspn(self->left->str, "/"));
    *done = name[0] == '\0';
    if (*done)
        return true;
    g_string_erase(self->left, 0, (gssize)strlen(name));
    if (fstatat(self->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        *done = errno == ENOENT || errno == ENOTDIR;
        return *done || bk_throw_errno(error, "stat \"%s\"", name);
    }
    /* Whose the directory at the end is does not matter to its name. */
    *done = !S_ISLNK(st.st_mode) &&
            (!S_ISDIR(st.st_mode) || self->left->str[strspn(self->left->str, "/")] == '\0');
    if (*done)
        return true;
    note_owner(self, &st);
    if (S_ISLNK(st.st_mode))
        return follow_link(self, name, error);
    next = bk_fd_open(self->dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0, error);
    bk_fd_clear(&self->dir);
    self->dir = next;
    return next >= 0;
}

static bool
walk_down(Walk *self, GError **error)
{
    bool done = false;

    if (self->dir < 0)
        return false;
    while (!done)
        if (!take_path_step(self, &done, error))
            return false;
    return true;
}

bool
bk_path_owner_find(const char *path, const BkPathOwner *otherwise, BkPathOwner *found,
                   GError **error)
{
    g_autofree char *absolute = g_canonicalize_filename(path, NULL);
    g_auto(Walk) walk = {-1, g_string_new(absolute), otherwise, {0, 0}, 0};

    walk.dir = bk_fd_open(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0, error);
    if (!walk_down(&walk, error))
        return bk_prefix(error, "\"%s\"", path);
    *found = walk.above;
    return true;
}

BkIdentity *
bk_path_owner_identity(int dir, const char *path, GError **error)
{
    BkPathOwner owner = {0, 0};
    struct stat st;

    if (fstat(dir, &st) < 0) {
        bk_throw_errno(error, "stat \"%s\"", path);
        return NULL;
    }
    if (geteuid() == 0 && st.st_uid == 0 &&
        !bk_path_owner_find(path, &(BkPathOwner){0, 0}, &owner, error))
        return NULL;
    if (st.st_uid != 0)
        owner = (BkPathOwner){st.st_uid, st.st_gid};
    return bk_identity_new(owner.uid, owner.gid, error);
}

int
bk_path_owner_open(const char *path, GError **error)
{
    g_autofree char *parent = g_path_get_dirname(path);
    g_autofree char *name = g_path_get_basename(path);
    g_autoptr(BkIdentity) identity = NULL;
    g_autoptr(BkBeneath) beneath = NULL;
    BkFd dir = bk_fd_open_dir(AT_FDCWD, parent, error);

    if (dir < 0)
        return -1;
    beneath = bk_beneath_new(dir, NULL);
    identity = bk_path_owner_identity(dir, parent, error);
    if (identity == NULL)
        return -1;
    bk_beneath_become(beneath, identity);
    dir = bk_beneath_open_file(beneath, name, O_RDONLY, 0, error);
    if (dir < 0)
        bk_prefix(error, "\"%s\"", parent);
    return dir;
}
