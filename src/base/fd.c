/* fd.c - file descriptors, complete reads and writes, durable files. */
#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void
bk_fd_clear(BkFd *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

int
bk_fd_steal(BkFd *fd)
{
    int stolen = *fd;

    *fd = -1;
    return stolen;
}

int
bk_fd_open(int dir, const char *path, int flags, mode_t mode, GError **error)
{
    int fd;

    do
        fd = openat(dir, path, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        bk_throw_errno(error, "open \"%s\"", path);
    return fd;
}

int
bk_fd_open_dir(int dir, const char *path, GError **error)
{
    return bk_fd_open(dir, path, O_RDONLY | O_DIRECTORY, 0, error);
}

void
bk_fd_path(int fd, char path[BK_FD_PATH_SIZE])
{
    (void)g_snprintf(path, BK_FD_PATH_SIZE, "/proc/self/fd/%d", fd);
}

GPtrArray *
bk_dir_list(int dir, const char *path, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;

    if (list == NULL) {
        bk_throw_errno(error, "list \"%s\"", path);
        bk_fd_clear(&fd);
        return NULL;
    }
    while ((errno = 0, entry = readdir(list)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            g_ptr_array_add(names, g_strdup(entry->d_name));
    if (errno != 0) {
        bk_throw_errno(error, "list \"%s\"", path);
        g_clear_pointer(&names, g_ptr_array_unref);
    }
    (void)closedir(list);
    return g_steal_pointer(&names);
}

bool
bk_fd_write(int fd, const void *data, size_t size, GError **error)
{
    const uint8_t *next = data;

    while (size > 0) {
        ssize_t written = write(fd, next, size);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return bk_throw_errno(error, "write");
        next += written;
        size -= (size_t)written;
    }
    return true;
}

bool
bk_fd_pwrite(int fd, const void *data, size_t size, uint64_t offset, GError **error)
{
    const uint8_t *next = data;

    while (size > 0) {
        ssize_t written = pwrite(fd, next, size, (off_t)offset);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return bk_throw_errno(error, "write");
        next += written;
        offset += (uint64_t)written;
        size -= (size_t)written;
    }
    return true;
}

bool
bk_fd_pread(int fd, void *data, size_t size, uint64_t offset, size_t *got, GError **error)
{
    uint8_t *next = data;

    *got = 0;
    while (*got < size) {
        ssize_t count = pread(fd, next + *got, size - *got, (off_t)(offset + *got));

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return bk_throw_errno(error, "read");
        if (count == 0)
            break;
        *got += (size_t)count;
    }
    return true;
}

uint64_t
bk_fd_next_data(int fd, uint64_t offset, uint64_t end)
{
    off_t next = lseek(fd, (off_t)offset, SEEK_DATA);
    struct stat st;

    if (next >= 0)
        return CLAMP((uint64_t)next, offset, end);
    /* No data up to the end of the file, or behind it, which is no hole but missing. */
    if (errno != ENXIO || fstat(fd, &st) < 0 || (uint64_t)st.st_size < end)
        return offset;
    return end;
}

bool
bk_fd_sync(int fd, GError **error)
{
    int result;

    do
        result = fsync(fd);
    while (result < 0 && errno == EINTR);
    return result == 0 || bk_throw_errno(error, "fsync");
}

bool
bk_fd_read_all(int fd, const char *path, size_t limit, BkBuf *content, GError **error)
{
    struct stat st;
    size_t got;

    bk_buf_clear(content);
    if (fstat(fd, &st) < 0)
        return bk_throw_errno(error, "stat \"%s\"", path);
    if (S_ISDIR(st.st_mode))
        return bk_throw(error, BK_ERROR_SYSTEM, "read \"%s\": is a directory", path);
    /* No more than the limit allows: a sparse file can claim any size. */
    for (size_t step = MAX(MIN((size_t)st.st_size, limit), 4096) + 1;; step = 64 * BK_KIB) {
        if (!bk_buf_reserve(content, step + 1, error))
            return bk_prefix(error, "read \"%s\"", path);
        if (!bk_fd_pread(fd, content->data + content->size, step, content->size, &got, error))
            return bk_prefix(error, "\"%s\"", path);
        content->size += got;
        if (content->size > limit)
            return bk_throw(error, BK_ERROR_UNSUPPORTED, "\"%s\" is larger than %zu bytes", path,
                            limit);
        if (got < step)
            break;
    }
    content->data[content->size] = 0;
    return true;
}

bool
bk_file_read(int dir, const char *path, size_t limit, BkBuf *content, GError **error)
{
    g_auto(BkFd) fd = bk_fd_open(dir, path, O_RDONLY, 0, error);

    bk_buf_clear(content);
    return fd >= 0 && bk_fd_read_all(fd, path, limit, content, error);
}

mode_t
bk_file_mode_beside(const char *path)
{
    g_autofree char *parent = g_path_get_dirname(path);
    struct stat st;

    return stat(parent, &st) == 0 && (st.st_mode & S_IRGRP) != 0 && (st.st_mode & S_IRWXO) == 0
               ? 0640
               : 0600;
}

bool
bk_file_sync_parent(int dir, const char *path, GError **error)
{
    g_autofree char *parent = g_path_get_dirname(path);
    g_auto(BkFd) fd = bk_fd_open_dir(dir, parent, error);

    if (fd < 0)
        return false;
    return bk_fd_sync(fd, error) || bk_prefix(error, "directory \"%s\"", parent);
}

static bool
write_temporary(int dir, const char *temp, const void *data, size_t size, mode_t mode,
                GError **error)
{
    g_auto(BkFd) fd = bk_fd_open(dir, temp, O_WRONLY | O_CREAT | O_EXCL, mode, error);

    if (fd < 0)
        return false;
    if (fchmod(fd, mode) < 0)
        return bk_throw_errno(error, "set the mode of \"%s\"", temp);
    if (!bk_fd_write(fd, data, size, error) || !bk_fd_sync(fd, error))
        return bk_prefix(error, "\"%s\"", temp);
    return true;
}

bool
bk_file_write(int dir, const char *path, const void *data, size_t size, mode_t mode,
              BkFilePublish publish, GError **error)
{
    g_autofree char *temp = g_strdup_printf("%s.tmp-%ld", path, (long)getpid());
    bool published;

    (void)unlinkat(dir, temp, 0);
    if (!write_temporary(dir, temp, data, size, mode, error)) {
        (void)unlinkat(dir, temp, 0);
        return false;
    }
    if (publish == BK_FILE_REPLACE)
        published = renameat(dir, temp, dir, path) == 0;
    else
        published = linkat(dir, temp, dir, path, 0) == 0;
    if (!published)
        bk_throw_errno(error, "create \"%s\"", path);
    if (!published || publish == BK_FILE_NEW)
        (void)unlinkat(dir, temp, 0);
    return published && bk_file_sync_parent(dir, path, error);
}

bool
bk_dir_make(int dir, const char *path, mode_t mode, GError **error)
{
    g_autofree char *parent = g_path_get_dirname(path);

    if (mkdirat(dir, path, mode) == 0)
        return bk_file_sync_parent(dir, path, error);
    if (errno == ENOENT && strcmp(parent, path) != 0) {
        if (!bk_dir_make(dir, parent, mode, error))
            return false;
        if (mkdirat(dir, path, mode) == 0)
            return bk_file_sync_parent(dir, path, error);
    }
    if (errno == EEXIST) {
        struct stat st;

        if (fstatat(dir, path, &st, 0) == 0 && S_ISDIR(st.st_mode))
            return true;
        errno = ENOTDIR;
    }
    return bk_throw_errno(error, "create the directory \"%s\"", path);
}
