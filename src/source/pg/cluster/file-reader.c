/* file-reader.c - reads files of a running cluster without evicting what the server has in the
 * page cache. */
#include "source/pg/cluster/file-reader.h"

#include "base/fault.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Smaller files are not worth the calls that tell what is cached of them. */
#define SMALL_FILE ((uint64_t)1024 * 1024)

struct BkFileReader {
    const BkDataDir *dir;
    int fd;
    const char *path; /* borrowed while open */
    uint64_t offset;
    uint64_t length;
    bool was_cached; /* leave the page cache as it is */
};

BkFileReader *
bk_file_reader_new(const BkDataDir *dir)
{
    BkFileReader *self = g_new0(BkFileReader, 1);

    self->dir = dir;
    self->fd = -1;
    return self;
}

void
bk_file_reader_free(BkFileReader *self)
{
    if (self == NULL)
        return;
    bk_file_reader_close(self);
    g_free(self);
}

/* Is more than an eighth of the range in the page cache? Then the server works with it, and
 * dropping it would hurt; otherwise our own reading brought it there. */
static bool
is_cached(int fd, uint64_t offset, uint64_t length)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t pages = (length + page - 1) / page;
    g_autofree unsigned char *resident = g_try_malloc(pages);
    void *map;
    size_t count = 0;

    if (resident == NULL || offset % page != 0)
        return true;
    map = mmap(NULL, length, PROT_READ, MAP_SHARED, fd, (off_t)offset);
    if (map == MAP_FAILED)
        return true;
    if (mincore(map, length, resident) == 0) {
        for (size_t i = 0; i < pages; i++)
            count += resident[i] & 1;
    } else {
        count = pages;
    }
    (void)munmap(map, length);
    return count > pages / 8;
}

bool
bk_file_reader_open(BkFileReader *self, const char *path, uint64_t offset, uint64_t length,
                    bool *found, GError **error)
{
    g_autoptr(GError) cause = NULL;

    bk_file_reader_close(self);
    *found = false;
    if (!bk_fault(BK_FAULT_BACKUP_READ, error))
        return false;
    self->fd = bk_data_dir_open_file(self->dir, path, &cause);
    if (self->fd < 0)
        return bk_error_is(cause, BK_ERROR_ABSENT) || bk_propagate(error, &cause);
    *found = true;
    self->path = path;
    self->offset = offset;
    self->length = length;
    self->was_cached = length < SMALL_FILE ||
                       bk_fd_next_data(self->fd, offset, offset + length) == offset + length ||
                       is_cached(self->fd, offset, length);
    if (!self->was_cached)
        (void)posix_fadvise(self->fd, (off_t)offset, (off_t)length, POSIX_FADV_SEQUENTIAL);
    return true;
}

bool
bk_file_reader_read(BkFileReader *self, void *data, size_t size, uint64_t offset, size_t *got,
                    GError **error)
{
    return bk_fd_pread(self->fd, data, size, offset, got, error) ||
           bk_prefix(error, "file \"%s\"", self->path);
}

uint64_t
bk_file_reader_next_data(const BkFileReader *self, uint64_t offset, uint64_t end)
{
    return bk_fd_next_data(self->fd, offset, end);
}

void
bk_file_reader_close(BkFileReader *self)
{
    if (self->fd < 0)
        return;
    if (!self->was_cached)
        (void)posix_fadvise(self->fd, (off_t)self->offset, (off_t)self->length,
                            POSIX_FADV_DONTNEED);
    bk_fd_clear(&self->fd);
}
