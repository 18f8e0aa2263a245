/* restore-node.c - makes nodes beneath the destination.
 *
 * What is set is set on an inode that is open with O_PATH, once it was proven to be of the right
 * kind and to have no other names: never on a name, which may mean another file by then. */
#include "source/files/restore-node.h"

#include "base/log.h"
#include "repo/snapshot/file-extension.h"
#include "source/files/roots.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define COPY_SIZE BK_MIB

struct BkRestoreNode {
    BkRestoreNodeOptions options;
    const BkFile *files;
    size_t count;
    uint32_t *other_names; /* of each file: how many hard links are to it */
    bool *is_kept;         /* of each: it is above the roots, and was there */
    GArray *copies;        /* size_t: hard links that became files of their own */
    BkNodeReport report;
};

static size_t
find_index(const BkRestoreNode *self, const char *path)
{
    const BkFile *file = bk_snapshot_find_file(self->options.snapshot, path);

    g_assert(file != NULL); /* a loaded manifest has what its links are to */
    return (size_t)(file - self->files);
}

BkRestoreNode *
bk_restore_node_new(const BkRestoreNodeOptions *options)
{
    BkRestoreNode *self = g_new0(BkRestoreNode, 1);

    self->options = *options;
    self->files = bk_snapshot_files(options->snapshot, &self->count);
    self->other_names = g_new0(uint32_t, self->count);
    self->is_kept = g_new0(bool, self->count);
    self->copies = g_array_new(FALSE, FALSE, sizeof(size_t));
    for (size_t i = 0; i < self->count; i++)
        if (self->files[i].kind == BK_FILE_HARD_LINK)
            self->other_names[find_index(self, self->files[i].link)]++;
    return self;
}

void
bk_restore_node_free(BkRestoreNode *self)
{
    if (self == NULL)
        return;
    bk_node_report_clear(&self->report);
    g_array_unref(self->copies);
    g_free(self->is_kept);
    g_free(self->other_names);
    g_free(self);
}

static bool
is_above_root(const BkRestoreNode *self, const char *path)
{
    for (guint i = 0; i < self->options.roots->len; i++)
        if (bk_roots_is_below(g_ptr_array_index(self->options.roots, i), path))
            return true;
    return false;
}

static bool
remove_from_way(const BkRestoreNode *self, const char *path, const struct stat *st, GError **error)
{
    const BkBeneath *place = self->options.place;

    if (!S_ISDIR(st->st_mode))
        return bk_beneath_unlink(place, path, 0, error);
    return bk_beneath_unlink(place, path, AT_REMOVEDIR, error) ||
           bk_prefix(error, "a directory is in the way");
}

/* Who is not root needs the rights of an owner to what he has. */
static bool
make_accessible(const BkRestoreNode *self, const char *path, const struct stat *st, mode_t needed,
                GError **error)
{
    g_auto(BkFd) fd = -1;
    char link[BK_FD_PATH_SIZE];

    if ((st->st_mode & needed) == needed || st->st_uid != geteuid() || geteuid() == 0)
        return true;
    fd = bk_beneath_open(self->options.place, path, O_PATH | O_NOFOLLOW, 0, error);
    if (fd < 0)
        return false;
    bk_fd_path(fd, link);
    return chmod(link, (st->st_mode & 07777) | needed) == 0 ||
           bk_throw_errno(error, "change the mode of \"%s\"", path);
}

static bool
apply_metadata(BkRestoreNode *self, const char *path, const BkFile *file, BkNodeStage stage,
               uint32_t other_names, GError **error)
{
    g_auto(BkNodeReport) not_yet = {.copied_links = 0}; /* it is tried once more in the end */
    const BkNodeMetadata metadata = {self->options.place, self->options.owners,
                                     stage == BK_NODE_BEGUN ? &not_yet : &self->report};

    return bk_node_metadata_apply(&metadata, path, file, stage, other_names, error);
}

static bool
make_directory(BkRestoreNode *self, size_t index, GError **error)
{
    const BkFile *file = &self->files[index];
    const BkBeneath *place = self->options.place;
    bool is_above = is_above_root(self, file->path);
    struct stat st;
    bool found;

    if (!bk_beneath_stat(place, file->path, &st, &found, error))
        return false;
    if (found && S_ISDIR(st.st_mode)) {
        self->is_kept[index] = is_above;
        return is_above || make_accessible(self, file->path, &st, S_IRWXU, error);
    }
    if (found && is_above)
        return bk_throw(error, BK_ERROR_UNFIT, "\"%s\" is no directory, and files belong below it",
                        file->path);
    if (found && !remove_from_way(self, file->path, &st, error))
        return false;
    if (!bk_beneath_mkdir(place, file->path, S_IRWXU, error))
        return false;
    /* Another run would take it for one that was there. */
    return !is_above || apply_metadata(self, file->path, file, BK_NODE_BEGUN, 0, error);
}

static bool
clear_way(const BkRestoreNode *self, const BkFile *file, GError **error)
{
    struct stat st;
    bool found;

    if (!bk_beneath_stat(self->options.place, file->path, &st, &found, error))
        return false;
    if (!found)
        return true;
    if (S_ISREG(st.st_mode) && st.st_nlink == 1)
        return make_accessible(self, file->path, &st, S_IRUSR | S_IWUSR, error);
    return remove_from_way(self, file->path, &st, error);
}

bool
bk_restore_node_begin(BkRestoreNode *self, BkOp *op, GError **error)
{
    for (size_t i = 0; i < self->count; i++) {
        if (!bk_op_check(op, error))
            return false;
        if (self->files[i].kind == BK_FILE_DIRECTORY && !make_directory(self, i, error))
            return false;
        if (self->files[i].kind == BK_FILE_REGULAR && !clear_way(self, &self->files[i], error))
            return false;
    }
    return true;
}

/* One call that makes the node of `file` at `name`. Returns false with errno. */
static bool
make_name(int parent, const char *name, const BkFile *file)
{
    BkFileNode node = {0};
    mode_t type;

    switch (file->kind) {
    case BK_FILE_SYMLINK:
        return symlinkat(file->link, parent, name) == 0;
    case BK_FILE_FIFO:
        return mkfifoat(parent, name, S_IRUSR | S_IWUSR) == 0;
    case BK_FILE_CHARACTER_DEVICE:
    case BK_FILE_BLOCK_DEVICE:
        type = file->kind == BK_FILE_BLOCK_DEVICE ? S_IFBLK : S_IFCHR;
        (void)bk_file_get_node(file, &node); /* checked when the manifest was loaded */
        return mknodat(parent, name, type | S_IRUSR | S_IWUSR, makedev(node.major, node.minor)) ==
               0;
    case BK_FILE_REGULAR:
    case BK_FILE_DIRECTORY:
    case BK_FILE_HARD_LINK:
        break;
    }
    g_assert_not_reached();
}

static bool
is_device(const BkFile *file)
{
    return file->kind == BK_FILE_CHARACTER_DEVICE || file->kind == BK_FILE_BLOCK_DEVICE;
}

/* Makes the node of `file`, or a copy of it, at `path`, in place of what is there. */
static bool
make_node(BkRestoreNode *self, const char *path, const BkFile *file, GError **error)
{
    const BkBeneath *place = self->options.place;
    const char *name;
    g_auto(BkFd) parent = -1;
    struct stat st;
    bool found;

    if (!bk_beneath_stat(place, path, &st, &found, error))
        return false;
    if (found && !remove_from_way(self, path, &st, error))
        return false;
    parent = bk_beneath_open_parent(place, path, &name, error);
    if (parent < 0)
        return false;
    if (make_name(parent, name, file))
        return true;
    if (is_device(file) && (errno == EPERM || errno == EACCES)) {
        bk_node_loss_add(&self->report.devices, path, g_strerror(errno));
        return true;
    }
    return bk_throw_errno(error, "make \"%s\"", path);
}

static bool
copy_data(int from, int to, uint64_t size, GError **error)
{
    g_autofree uint8_t *data = g_malloc(COPY_SIZE);
    size_t got;

    for (uint64_t at = bk_fd_next_data(from, 0, size); at < size;
         at = bk_fd_next_data(from, at + got, size)) {
        if (!bk_fd_pread(from, data, (size_t)MIN(COPY_SIZE, size - at), at, &got, error) ||
            !bk_fd_pwrite(to, data, got, at, error))
            return false;
        if (got == 0)
            return bk_throw(error, BK_ERROR_UNFIT, "it became shorter while it was copied");
    }
    return ftruncate(to, (off_t)size) == 0 || bk_throw_errno(error, "set the size");
}

static bool
copy_file(const BkRestoreNode *self, const BkFile *target, const char *path, GError **error)
{
    const BkBeneath *place = self->options.place;
    g_auto(BkFd) from = bk_beneath_open_file(place, target->path, O_RDONLY, 0, error);
    g_auto(BkFd) to = -1;

    if (from < 0 || !bk_beneath_unlink(place, path, 0, error))
        return false;
    to = bk_beneath_open_file(place, path, O_WRONLY | O_CREAT | O_EXCL, S_IRUSR | S_IWUSR, error);
    return to >= 0 && (copy_data(from, to, target->size, error) ||
                       bk_prefix(error, "copy \"%s\" to \"%s\"", target->path, path));
}

static bool
copy_link(BkRestoreNode *self, size_t index, const BkFile *target, GError **error)
{
    const char *path = self->files[index].path;

    self->report.copied_links++;
    g_array_append_val(self->copies, index);
    return target->kind == BK_FILE_REGULAR ? copy_file(self, target, path, error)
                                           : make_node(self, path, target, error);
}

/* Returns false with errno, or, if `*is_open` is false, with an error. */
static bool
link_names(const BkRestoreNode *self, const BkFile *target, const char *path, bool *is_open,
           GError **error)
{
    const char *from_name;
    const char *name;
    g_auto(BkFd) from =
        bk_beneath_open_parent(self->options.place, target->path, &from_name, error);
    g_auto(BkFd) parent =
        from >= 0 ? bk_beneath_open_parent(self->options.place, path, &name, error) : -1;
    bool ok;
    int number;

    *is_open = parent >= 0;
    if (!*is_open)
        return false;
    ok = linkat(from, from_name, parent, name, 0) == 0;
    number = errno;
    bk_fd_clear(&from);
    bk_fd_clear(&parent);
    errno = number;
    return ok;
}

static bool
make_hard_link(BkRestoreNode *self, size_t index, GError **error)
{
    const char *path = self->files[index].path;
    const BkFile *target = &self->files[find_index(self, self->files[index].link)];
    const BkBeneath *place = self->options.place;
    struct stat st;
    struct stat here;
    bool found;
    bool is_there;
    bool is_open;

    if (!bk_beneath_stat(place, target->path, &st, &found, error) ||
        !bk_beneath_stat(place, path, &here, &is_there, error))
        return false;
    if (!found && is_device(target)) {
        bk_node_loss_add(&self->report.devices, path, "the device was not made");
        return true;
    }
    if (found && is_there && st.st_dev == here.st_dev && st.st_ino == here.st_ino)
        return true;
    if (is_there && !remove_from_way(self, path, &here, error))
        return false;
    if (link_names(self, target, path, &is_open, error))
        return true;
    if (!is_open)
        return false;
    if (errno == EXDEV || errno == EMLINK || errno == EPERM || errno == ENOTSUP)
        return copy_link(self, index, target, error);
    return bk_throw_errno(error, "link \"%s\" to \"%s\"", path, target->path);
}

static bool
make_others(BkRestoreNode *self, BkOp *op, GError **error)
{
    for (size_t i = 0; i < self->count; i++) {
        const BkFile *file = &self->files[i];
        bool ok = true;

        if (!bk_op_check(op, error))
            return false;
        if (file->kind == BK_FILE_HARD_LINK)
            ok = make_hard_link(self, i, error);
        else if (file->kind != BK_FILE_REGULAR && file->kind != BK_FILE_DIRECTORY)
            ok = make_node(self, file->path, file, error);
        if (!ok)
            return false;
    }
    return true;
}

/* Behind the hard links, so that an inode has all of its names. */
static bool
apply_to_files(BkRestoreNode *self, BkOp *op, GError **error)
{
    for (size_t i = 0; i < self->count; i++) {
        const BkFile *file = &self->files[i];

        if (!bk_op_check(op, error))
            return false;
        if (file->kind != BK_FILE_DIRECTORY && file->kind != BK_FILE_HARD_LINK &&
            !apply_metadata(self, file->path, file, BK_NODE_FINISHED, self->other_names[i], error))
            return false;
    }
    for (guint i = 0; i < self->copies->len; i++) {
        const BkFile *link = &self->files[g_array_index(self->copies, size_t, i)];
        const BkFile *target = &self->files[find_index(self, link->link)];

        if (!apply_metadata(self, link->path, target, BK_NODE_FINISHED, 0, error))
            return false;
    }
    return true;
}

bool
bk_restore_node_finish(BkRestoreNode *self, BkOp *op, GError **error)
{
    if (!make_others(self, op, error) || !apply_to_files(self, op, error))
        return false;
    for (size_t i = self->count; i-- > 0;)
        if (self->files[i].kind == BK_FILE_DIRECTORY && !self->is_kept[i] &&
            !apply_metadata(self, self->files[i].path, &self->files[i], BK_NODE_FINISHED, 0, error))
            return false;
    return true;
}

const BkNodeReport *
bk_restore_node_report(const BkRestoreNode *self)
{
    return &self->report;
}

static void
warn_of_loss(const BkNodeLoss *loss, const char *text)
{
    if (loss->count > 0)
        bk_log(BK_LOG_WARNING, "%" G_GUINT64_FORMAT " of the entries, such as \"%s\", %s (%s)",
               loss->count, loss->first, text, loss->why);
}

void
bk_restore_node_warn(const BkRestoreNode *self)
{
    warn_of_loss(&self->report.owners, "could not be given to their owners");
    warn_of_loss(&self->report.set_ids,
                 "lost setuid or setgid, since they belong to another owner");
    warn_of_loss(&self->report.attributes, "did not get all of their extended attributes");
    warn_of_loss(&self->report.devices, "are devices and were not made");
    if (self->report.copied_links > 0)
        bk_log(BK_LOG_WARNING,
               "%" G_GUINT64_FORMAT " hard links became files of their own: the destination "
               "does not take the links",
               self->report.copied_links);
}
