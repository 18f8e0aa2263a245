/* cache-file.c - small files in a local directory, each of which may be lost at any time. */
#include "store/cache-file.h"

#include "base/fd.h"
#include "codec/digest.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *
bk_cache_directory(const char *name)
{
    const char *top = g_getenv("BACKSTAY_CACHE");

    if (top != NULL && top[0] != 0)
        return g_build_filename(top, name, NULL);
    if (geteuid() == 0)
        return g_build_filename("/var/cache/backstay", name, NULL);
    return g_build_filename(g_get_user_cache_dir(), "backstay", name, NULL);
}

static bool
is_own_directory(const char *directory)
{
    struct stat st;

    return lstat(directory, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
           (st.st_mode & 022) == 0;
}

bool
bk_cache_directory_make(const char *directory)
{
    return g_mkdir_with_parents(directory, 0700) == 0 && is_own_directory(directory);
}

static bool
write_cache_content(const char *path, const BkBuf *content)
{
    g_auto(BkFd) fd = bk_fd_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, 0600, NULL);
    uint8_t digest[BK_SHA256_SIZE];

    bk_sha256(content->data, content->size, digest);
    return fd >= 0 && bk_fd_write(fd, digest, sizeof digest, NULL) &&
           (content->size == 0 || bk_fd_write(fd, content->data, content->size, NULL));
}

bool
bk_cache_file_put(const char *directory, const char *name, const BkBuf *content)
{
    g_autofree char *path = g_build_filename(directory, name, NULL);
    g_autofree char *temp = g_strdup_printf("%s/new-%d-%s", directory, (int)gettid(), name);

    if (!is_own_directory(directory))
        return false;
    (void)unlink(temp); /* a thread of that number may have died here */
    if (write_cache_content(temp, content) && rename(temp, path) == 0)
        return true;
    (void)unlink(temp);
    return false;
}

bool
bk_cache_file_get(const char *directory, const char *name, size_t limit, BkBuf *out)
{
    g_autofree char *path = g_build_filename(directory, name, NULL);
    g_auto(BkBuf) file = BK_BUF_INIT;
    uint8_t digest[BK_SHA256_SIZE];

    if (!is_own_directory(directory) ||
        !bk_file_read(AT_FDCWD, path, limit + BK_SHA256_SIZE, &file, NULL) ||
        file.size < BK_SHA256_SIZE)
        return false;
    bk_sha256(file.data + BK_SHA256_SIZE, file.size - BK_SHA256_SIZE, digest);
    if (memcmp(digest, file.data, sizeof digest) != 0)
        return false;
    bk_buf_append(out, file.data + BK_SHA256_SIZE, file.size - BK_SHA256_SIZE);
    return true;
}

void
bk_cache_file_drop(const char *directory, const char *name)
{
    g_autofree char *path = g_build_filename(directory, name, NULL);

    (void)unlink(path);
}
