/* owned-directory.c - a directory that a restore fills: as which user it is made, and who owns it.
 */
#include "repo/extract/owned-directory.h"

#include "base/fd.h"

#include <fcntl.h>
#include <unistd.h>

/* Of the directory that holds `path`: the cluster's own one is changed as the cluster's owner. */
static bool
is_in_owners(const char *path, const BkPathOwner *owner)
{
    g_autofree char *parent = g_path_get_dirname(path);
    struct stat st;

    return stat(parent, &st) == 0 && st.st_uid == owner->uid;
}

BkIdentity *
bk_owned_directory_find_above(const char *path, const BkPathOwner *owner, GError **error)
{
    BkPathOwner above = {0, 0};

    if (geteuid() != 0)
        return bk_identity_new(0, 0, error);
    if (!bk_path_owner_find(path, owner, &above, error))
        return NULL;
    if (above.uid != 0 && is_in_owners(path, owner))
        above = *owner;
    return bk_identity_new(above.uid, above.gid, error);
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
may_be_given(const char *path, const BkIdentity *above, const BkPathOwner *owner,
             const struct stat *st)
{
    if (!bk_identity_is_other(above) || st->st_uid == owner->uid)
        return true;
    return st->st_uid == bk_identity_uid(above) || (st->st_uid == 0 && lies_in_place(path, st));
}

static bool
find_directory_owner(int dir, const char *path, const BkIdentity *above, bool is_empty,
                     BkPathOwner *owner, GError **error)
{
    struct stat st;

    if (fstat(dir, &st) < 0)
        return bk_throw_errno(error, "stat \"%s\"", path);
    if (is_empty && may_be_given(path, above, owner, &st))
        return (st.st_uid == owner->uid && st.st_gid == owner->gid) ||
               fchown(dir, owner->uid, owner->gid) == 0 ||
               bk_throw_errno(error, "change the owner of \"%s\" to user %u", path, owner->uid);
    if (st.st_uid == 0)
        return bk_throw(error, BK_ERROR_UNFIT,
                        "directory \"%s\" belongs to root, but a server cannot run as root: change "
                        "the owner of it and its content to the server's user (chown -R)",
                        path);
    if (st.st_uid != owner->uid && bk_identity_is_other(above) &&
        st.st_uid != bk_identity_uid(above))
        return bk_throw(error, BK_ERROR_UNFIT,
                        "directory \"%s\" belongs to user %u, but a directory above it to user %u: "
                        "run the restore as the server's user",
                        path, st.st_uid, bk_identity_uid(above));
    *owner = (BkPathOwner){st.st_uid, st.st_gid};
    return true;
}

int
bk_owned_directory_open(const char *path, const BkIdentity *above, bool is_empty,
                        BkPathOwner *owner, GError **error)
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
    if (dir < 0 ||
        (geteuid() == 0 && !find_directory_owner(dir, path, above, is_empty, owner, error)))
        return -1;
    return bk_fd_steal(&dir);
}
