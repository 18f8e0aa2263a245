/* node-metadata.c - sets what a manifest says of an inode, through its descriptor. */
#include "source/files/node-metadata.h"

#include "source/files/files-entry.h"
#include "source/files/xattr.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define SET_IDS (S_ISUID | S_ISGID)

void
bk_node_loss_add(BkNodeLoss *loss, const char *path, const char *why)
{
    if (loss->count++ > 0)
        return;
    loss->first = g_strdup(path);
    loss->why = g_strdup(why);
}

static void
clear_loss(BkNodeLoss *loss)
{
    g_free(loss->first);
    g_free(loss->why);
}

void
bk_node_report_clear(BkNodeReport *self)
{
    clear_loss(&self->owners);
    clear_loss(&self->set_ids);
    clear_loss(&self->attributes);
    clear_loss(&self->devices);
    *self = (BkNodeReport){0};
}

static bool
check_inode(const char *path, const BkFile *file, const struct stat *st, uint32_t other_names,
            GError **error)
{
    BkFilesEntry entry = {0};

    if (!bk_files_entry_set_stat(&entry, st) || entry.kind != file->kind)
        return bk_throw(error, BK_ERROR_UNFIT, "\"%s\" was replaced while it was restored", path);
    return file->kind == BK_FILE_DIRECTORY || st->st_nlink <= (nlink_t)other_names + 1 ||
           bk_throw(error, BK_ERROR_UNFIT,
                    "\"%s\" has other names than those of the snapshot: it is not touched, since "
                    "they may belong to somebody else",
                    path);
}

/* Returns the bits of the mode that the file may have: who runs as its owner must run as nobody
 * else than before. */
static mode_t
set_owner(const BkNodeMetadata *self, const char *path, const BkFile *file, int fd)
{
    const BkNodeOwner *owner = bk_node_owners_get(self->owners, file->owner);
    mode_t lost = owner->is_given && file->kind != BK_FILE_DIRECTORY ? SET_IDS : 0;

    if (fchownat(fd, "", owner->uid, owner->gid, AT_EMPTY_PATH) < 0) {
        int number = errno;
        bool has_group = fchownat(fd, "", (uid_t)-1, owner->gid, AT_EMPTY_PATH) == 0;

        bk_node_loss_add(&self->report->owners, path, g_strerror(number));
        lost |= (mode_t)(S_ISUID | (has_group ? 0 : S_ISGID));
    }
    if ((file->mode & lost) != 0)
        bk_node_loss_add(&self->report->set_ids, path, "the owner is not that of the snapshot");
    return file->mode & ~lost;
}

static bool
set_times(const char *link, const BkFile *file)
{
    const struct timespec times[] = {
        {.tv_nsec = UTIME_OMIT},
        {.tv_sec = file->mtime_sec, .tv_nsec = file->mtime_nsec},
    };

    return utimensat(AT_FDCWD, link, times, 0) == 0;
}

bool
bk_node_metadata_apply(const BkNodeMetadata *self, const char *path, const BkFile *file,
                       BkNodeStage stage, uint32_t other_names, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_auto(BkFd) fd = bk_beneath_open(self->place, path, O_PATH | O_NOFOLLOW, 0, &cause);
    char link[BK_FD_PATH_SIZE];
    struct stat st;
    mode_t mode;

    if (fd < 0) {
        if (bk_error_is(cause, BK_ERROR_ABSENT) && self->report->devices.count > 0)
            return true;
        return bk_propagate(error, &cause);
    }
    if (fstat(fd, &st) < 0)
        return bk_throw_errno(error, "stat \"%s\"", path);
    if (!check_inode(path, file, &st, other_names, error))
        return false;
    bk_fd_path(fd, link);
    mode = set_owner(self, path, file, fd);
    if (stage == BK_NODE_BEGUN)
        mode |= S_IRWXU;
    if (file->kind != BK_FILE_SYMLINK && chmod(link, mode) < 0)
        return bk_throw_errno(error, "set the mode of \"%s\"", path);
    if (!bk_xattrs_apply(fd, file, &cause))
        bk_node_loss_add(&self->report->attributes, path, cause->message);
    return set_times(link, file) || bk_throw_errno(error, "set the time of \"%s\"", path);
}
