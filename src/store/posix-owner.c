/* posix-owner.c - who owns the files of a directory store, and who can read them. */
#include "store/posix-owner.h"

#include "base/escape.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <unistd.h>

#define PASSWD_BUFFER 16384

void
bk_posix_owner_init(BkPosixOwner *self, const struct stat *root)
{
    self->uid = root->st_uid;
    self->gid = root->st_gid;
    self->file_mode = 0600 | (root->st_mode & 0060);
    self->directory_mode = 0700 | (root->st_mode & 02070);
    self->is_other = geteuid() == 0 && root->st_uid != 0;
}

bool
bk_posix_owner_give(const BkPosixOwner *self, int fd, mode_t mode, GError **error)
{
    /* Root is nobody on some network file systems, and others know no owners: there it stays whose
     * it is. */
    if (self->is_other && fchown(fd, self->uid, self->gid) < 0 && errno != EPERM &&
        errno != EOPNOTSUPP && errno != EINVAL)
        return bk_throw_errno(error, "change the owner of a file to user %u", self->uid);
    if ((mode & 0077) == 0)
        return true; /* as it was made */
    return fchmod(fd, mode) == 0 || errno == EPERM || bk_throw_errno(error, "set the mode");
}

/* A new string: the name, or the number of a user without one. */
static char *
name_user(uid_t uid)
{
    g_autofree char *buffer = g_malloc(PASSWD_BUFFER);
    struct passwd entry;
    struct passwd *found = NULL;

    if (getpwuid_r(uid, &entry, buffer, PASSWD_BUFFER, &found) == 0 && found != NULL)
        return g_strdup(found->pw_name);
    return g_strdup_printf("%u", uid);
}

bool
bk_posix_owner_explain(const BkPosixOwner *self, const char *root, int dir, const char *part,
                       GError **error)
{
    struct stat st;
    g_autofree char *owner = NULL;
    g_autofree char *user = NULL;
    g_autofree char *command = NULL;
    g_autofree char *message = NULL;

    if (error == NULL || !bk_error_is(*error, BK_ERROR_DENIED) || geteuid() == 0 ||
        fstatat(dir, part, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_uid == geteuid())
        return false;
    owner = name_user(st.st_uid);
    user = name_user(self != NULL && self->uid != 0 ? self->uid : geteuid());
    command = bk_escape_argument(root);
    message =
        g_strdup_printf("%s: it belongs to user \"%s\" and its mode is %04o (to change the owner "
                        "of all of it, as root: chown -R %s %s)",
                        (*error)->message, owner, (unsigned)st.st_mode & 07777, user, command);
    g_free((*error)->message);
    (*error)->message = g_steal_pointer(&message);
    return false;
}
