/* fd.h - file descriptors, complete reads and writes, durable files.
 *
 * "Durable" here: the bytes and the name survive a power loss once the call has returned true.
 * Threads: safe; a descriptor may be shared, the calls that move its offset excepted. */
#pragma once
#include "base/buf.h"

#include <sys/stat.h>

/* An owning descriptor: g_auto(BkFd) fd = -1; closed at the end of the scope. */
typedef int BkFd;
void bk_fd_clear(BkFd *fd);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkFd, bk_fd_clear)
int bk_fd_steal(BkFd *fd);

/* openat with O_CLOEXEC, retried on EINTR. -1 and an errno error naming `path` on failure. */
int bk_fd_open(int dir, const char *path, int flags, mode_t mode, GError **error) BK_MUST_USE;

/* The path that leads to what `fd` has open, also with O_PATH, whatever became of its name: for
 * calls that take no descriptor. Needs a mounted /proc. */
#define BK_FD_PATH_SIZE 32
void bk_fd_path(int fd, char path[BK_FD_PATH_SIZE]);

/* Opens a directory for *at() calls and syncing. */
int bk_fd_open_dir(int dir, const char *path, GError **error) BK_MUST_USE;

/* The names in the directory `dir` (an O_PATH descriptor will do; its offset is not used), without
 * "." and "..", in no order. An owned array of char *; NULL and an errno error that names `path`
 * when it could not be read to its end: a part of the names is never taken for all. */
GPtrArray *bk_dir_list(int dir, const char *path, GError **error) BK_MUST_USE;

/* Writes all of `data` (at `offset` for pwrite). Errors carry no name: the caller prefixes it. */
bool bk_fd_write(int fd, const void *data, size_t size, GError **error) BK_MUST_USE;
bool bk_fd_pwrite(int fd, const void *data, size_t size, uint64_t offset,
                  GError **error) BK_MUST_USE;

/* Reads up to `size` bytes at `offset` and sets `*got`, which is less than `size` only at the end
 * of the file. */
bool bk_fd_pread(int fd, void *data, size_t size, uint64_t offset, size_t *got,
                 GError **error) BK_MUST_USE;

/* Where the first byte at or behind `offset` is that takes room in the file; `end` when all of
 * [offset, end) is a hole in it. `offset` where the file system does not tell, and behind the end
 * of the file. Changes the descriptor's offset. */
uint64_t bk_fd_next_data(int fd, uint64_t offset, uint64_t end);

/* fsync, with the errno of a failure kept. */
bool bk_fd_sync(int fd, GError **error) BK_MUST_USE;

/* Reads a whole file of at most `limit` bytes into `content` (cleared first). A larger one fails
 * with BK_ERROR_UNSUPPORTED. The content is followed by a zero byte that `size` does not count. */
bool bk_file_read(int dir, const char *path, size_t limit, BkBuf *content,
                  GError **error) BK_MUST_USE;

/* The same for one that is open; `path` is for messages. */
bool bk_fd_read_all(int fd, const char *path, size_t limit, BkBuf *content,
                    GError **error) BK_MUST_USE;

typedef enum {
    BK_FILE_REPLACE, /* an existing file is replaced in one step */
    BK_FILE_NEW,     /* fails with BK_ERROR_EXISTS, and the existing file stays */
} BkFilePublish;

/* Writes a file that appears whole and durable or not at all: temporary file beside it, fsync,
 * rename or link, fsync of the directory. `mode` is exact, not subject to the umask. */
bool bk_file_write(int dir, const char *path, const void *data, size_t size, mode_t mode,
                   BkFilePublish publish, GError **error) BK_MUST_USE;

/* The mode for a new file at `path`: 0640 in a directory that its group can read and others cannot
 * enter, as a cluster with group access has them, else 0600. */
mode_t bk_file_mode_beside(const char *path);

/* Makes the names in the directory that holds `path` durable. */
bool bk_file_sync_parent(int dir, const char *path, GError **error) BK_MUST_USE;

/* mkdir -p: missing directories get `mode` and are made durable. */
bool bk_dir_make(int dir, const char *path, mode_t mode, GError **error) BK_MUST_USE;
