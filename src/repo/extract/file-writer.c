/* file-writer.c - the files at a destination, as one worker writes and compares them. */
#include "repo/extract/file-writer.h"

#include "base/fault.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Small files share chunks, so several are written in turn; large ones stay open for long. */
#define OPEN_FILES 32

typedef struct OpenFile {
    size_t index;
    BkFd fd;
} OpenFile;

struct BkFileWriter {
    const BkBeneath *place;
    const BkFile *files;
    OpenFile open[OPEN_FILES]; /* by index modulo OPEN_FILES */
};

BkFileWriter *
bk_file_writer_new(const BkBeneath *place, const BkFile *files)
{
    BkFileWriter *self = g_new0(BkFileWriter, 1);

    self->place = place;
    self->files = files;
    for (size_t i = 0; i < OPEN_FILES; i++)
        self->open[i].fd = -1;
    return self;
}

void
bk_file_writer_free(BkFileWriter *self)
{
    if (self == NULL)
        return;
    for (size_t i = 0; i < OPEN_FILES; i++)
        bk_fd_clear(&self->open[i].fd);
    g_free(self);
}

/* Opens the file, with O_CREAT when `create`; -1 without an error when it is not there otherwise.
 */
static int
open_file(BkFileWriter *self, size_t index, bool create, GError **error)
{
    OpenFile *slot = &self->open[index % OPEN_FILES];
    g_autoptr(GError) cause = NULL;
    int flags = O_RDWR;

    if (slot->fd >= 0 && slot->index == index)
        return slot->fd;
    bk_fd_clear(&slot->fd);
    slot->index = index;
    slot->fd = bk_beneath_open_file(self->place, self->files[index].path,
                                    create ? flags | O_CREAT : flags, 0600, &cause);
    if (slot->fd < 0 && (create || !bk_error_is(cause, BK_ERROR_ABSENT)))
        g_propagate_error(error, g_steal_pointer(&cause));
    return slot->fd;
}

bool
bk_file_writer_write(BkFileWriter *self, size_t index, const void *data, size_t size,
                     uint64_t offset, GError **error)
{
    int fd;

    if (!bk_fault(BK_FAULT_RESTORE_WRITE, error))
        return bk_prefix(error, "\"%s\"", self->files[index].path);
    fd = open_file(self, index, true, error);
    return fd >= 0 && (bk_fd_pwrite(fd, data, size, offset, error) ||
                       bk_prefix(error, "\"%s\"", self->files[index].path));
}

bool
bk_file_writer_read(BkFileWriter *self, size_t index, void *data, size_t size, uint64_t offset,
                    size_t *got, GError **error)
{
    GError *cause = NULL;
    int fd = open_file(self, index, false, &cause);

    *got = 0;
    if (fd < 0 && cause == NULL)
        return true;
    if (fd < 0) {
        g_propagate_error(error, cause);
        return false;
    }
    return bk_fd_pread(fd, data, size, offset, got, error) ||
           bk_prefix(error, "\"%s\"", self->files[index].path);
}

bool
bk_file_writer_next_data(BkFileWriter *self, size_t index, uint64_t offset, uint64_t end,
                         uint64_t *data, GError **error)
{
    GError *cause = NULL;
    int fd = open_file(self, index, false, &cause);

    *data = fd >= 0 ? bk_fd_next_data(fd, offset, end) : end;
    if (fd >= 0 || cause == NULL)
        return true;
    g_propagate_error(error, cause);
    return false;
}

bool
bk_file_writer_finish(BkFileWriter *self, size_t index, BkChownMap *owners, GError **error)
{
    const BkFile *file = &self->files[index];
    int fd = open_file(self, index, true, error);
    struct stat st;

    if (fd < 0)
        return false;
    if (fstat(fd, &st) < 0)
        return bk_throw_errno(error, "stat \"%s\"", file->path);
    if ((uint64_t)st.st_size != file->size && ftruncate(fd, (off_t)file->size) < 0)
        return bk_throw_errno(error, "set the size of \"%s\"", file->path);
    return bk_chown_map_apply(owners, fd, file, error) || bk_prefix(error, "\"%s\"", file->path);
}
