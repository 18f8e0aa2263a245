#include "engine/place.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MAX_LINKS 40 /* as the kernel's */

/* The way down to a path: what is left of it, and who may change what was passed. */
typedef struct Walk {
    BkFd dir;
    GString *left;
    const BkPlaceOwner *owner; /* of the cluster */
    BkPlaceOwner above;        /* uid 0: nobody but root */
    unsigned links;
} Walk;

static void
clear_walk(Walk *self)
{
    bk_fd_clear(&self->dir);
    g_string_free(self->left, TRUE);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Walk, clear_walk)

/* Who can put something else in the place of what is in it, or of the link? In a directory that is
 * open to a group it is the cluster's owner who is to have the right. */
static void
note_owner(Walk *self, const struct stat *st)
{
    bool is_open = S_ISDIR(st->st_mode) && (st->st_mode & (S_IWGRP | S_IWOTH)) != 0 &&
                   (st->st_mode & S_ISVTX) == 0;

    if (self->above.uid != 0)
        return;
    if (st->st_uid != 0)
        self->above = (BkPlaceOwner){st->st_uid, st->st_gid};
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

/* Takes the next component. `*done` at the end of the path, or of what is there of it. */
static bool
take_step(Walk *self, bool *done, GError **error)
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
        if (!take_step(self, &done, error))
            return false;
    return true;
}

/* Of the directory that holds `path`: the cluster's own one is changed as the cluster's owner. */
static bool
is_in_owners(const char *path, const BkPlaceOwner *owner)
{
    g_autofree char *parent = g_path_get_dirname(path);
    struct stat st;

    return stat(parent, &st) == 0 && st.st_uid == owner->uid;
}

BkIdentity *
bk_place_find_above(const char *path, const BkPlaceOwner *owner, GError **error)
{
    g_autofree char *absolute = g_canonicalize_filename(path, NULL);
    g_auto(Walk) walk = {-1, g_string_new(absolute), owner, {0, 0}, 0};

    if (geteuid() != 0)
        return bk_identity_new(0, 0, error);
    walk.dir = bk_fd_open(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0, error);
    if (!walk_down(&walk, error)) {
        bk_prefix(error, "\"%s\"", path);
        return NULL;
    }
    if (walk.above.uid != 0 && is_in_owners(absolute, owner))
        walk.above = *owner;
    return bk_identity_new(walk.above.uid, walk.above.gid, error);
}

/* An empty directory of root's in somebody else's is his as good as: he may remove it. Behind a
 * link it may be any. */
static bool
lies_in_place(const char *path, const struct stat *dir)
{
    struct stat st;

    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_dev == dir->st_dev &&
           st.st_ino == dir->st_ino;
}

static bool
may_be_given(const char *path, const BkIdentity *above, const BkPlaceOwner *owner,
             const struct stat *st)
{
    if (!bk_identity_is_other(above) || st->st_uid == owner->uid)
        return true;
    return st->st_uid == bk_identity_uid(above) || (st->st_uid == 0 && lies_in_place(path, st));
}

static bool
find_owner(int dir, const char *path, const BkIdentity *above, bool is_empty, BkPlaceOwner *owner,
           GError **error)
{
    struct stat st;

    if (fstat(dir, &st) < 0)
        return bk_throw_errno(error, "stat \"%s\"", path);
    if (is_empty && may_be_given(path, above, owner, &st))
        return (st.st_uid == owner->uid && st.st_gid == owner->gid) ||
               fchown(dir, owner->uid, owner->gid) == 0 ||
               bk_throw_errno(error, "give \"%s\" to user %u", path, owner->uid);
    if (st.st_uid == 0)
        return bk_throw(error, BK_ERROR_UNFIT,
                        "directory \"%s\" belongs to root, as whom no server runs: give it, and "
                        "what is in it, to the server's user (chown -R)",
                        path);
    if (st.st_uid != owner->uid && bk_identity_is_other(above) &&
        st.st_uid != bk_identity_uid(above))
        return bk_throw(error, BK_ERROR_UNFIT,
                        "directory \"%s\" belongs to user %u, but what leads to it to user %u: run "
                        "the restore as the server's user",
                        path, st.st_uid, bk_identity_uid(above));
    *owner = (BkPlaceOwner){st.st_uid, st.st_gid};
    return true;
}

int
bk_place_open(const char *path, const BkIdentity *above, bool is_empty, BkPlaceOwner *owner,
              GError **error)
{
    g_auto(BkFd) found = -1;
    g_auto(BkFd) dir = -1;

    {
        g_auto(BkIdentityScope) scope = bk_identity_enter(above);

        if (!bk_dir_make(AT_FDCWD, path, 0700, error))
            return -1;
        /* It need not be open to who made it. */
        found = bk_fd_open(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0, error);
    }
    if (found >= 0)
        dir = bk_fd_open_dir(found, ".", error);
    if (dir < 0 || (geteuid() == 0 && !find_owner(dir, path, above, is_empty, owner, error)))
        return -1;
    return bk_fd_steal(&dir);
}
