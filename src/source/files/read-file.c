/* read-file.c - opens, reads, and looks whether the file stayed as it was. */
#include "source/files/read-file.h"

#include <fcntl.h>

void
bk_read_file_close(BkReadFile *self)
{
    bk_fd_clear(&self->fd);
}

/* Only who owns a file, or is privileged, may ask for O_NOATIME. */
static int
open_quietly(const BkBeneath *place, const char *path, GError **error)
{
    g_autoptr(GError) cause = NULL;
    int fd = bk_beneath_open_file(place, path, O_RDONLY | O_NOATIME, 0, &cause);

    if (fd < 0 && bk_error_is(cause, BK_ERROR_DENIED))
        return bk_beneath_open_file(place, path, O_RDONLY, 0, error);
    if (fd < 0)
        g_propagate_error(error, g_steal_pointer(&cause));
    return fd;
}

bool
bk_read_file_open(BkReadFile *self, const BkBeneath *place, const char *path, GError **error)
{
    *self = BK_READ_FILE_INIT;
    self->fd = open_quietly(place, path, error);
    if (self->fd < 0)
        return false;
    if (fstat(self->fd, &self->st) < 0)
        return bk_throw_errno(error, "stat \"%s\"", path);
    (void)posix_fadvise(self->fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* only an advice */
    return true;
}

bool
bk_read_file_read(const BkReadFile *self, void *data, size_t size, uint64_t offset, size_t *got,
                  GError **error)
{
    uint64_t end = (uint64_t)self->st.st_size;

    *got = 0;
    if (offset >= end)
        return true;
    return bk_fd_pread(self->fd, data, (size_t)MIN(size, end - offset), offset, got, error);
}

uint64_t
bk_read_file_next_data(const BkReadFile *self, uint64_t offset, uint64_t end)
{
    return bk_fd_next_data(self->fd, offset, MIN(end, (uint64_t)self->st.st_size));
}

static bool
is_same_time(const struct timespec *one, const struct timespec *two)
{
    return one->tv_sec == two->tv_sec && one->tv_nsec == two->tv_nsec;
}

bool
bk_read_file_end(const BkReadFile *self, BkReadOutcome *outcome, GError **error)
{
    struct stat now;

    if (fstat(self->fd, &now) < 0)
        return bk_throw_errno(error, "stat");
    if (now.st_size > self->st.st_size)
        *outcome = BK_READ_GREW;
    else if (now.st_size == self->st.st_size && is_same_time(&now.st_mtim, &self->st.st_mtim) &&
             is_same_time(&now.st_ctim, &self->st.st_ctim))
        *outcome = BK_READ_SAME;
    else
        *outcome = BK_READ_CHANGED;
    return true;
}
