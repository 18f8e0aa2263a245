#include "source/pg/data-dir-priv.h"

#include "base/fd.h"

#include <unistd.h>

bool
bk_data_dir_file_mode(int data_dir, mode_t *mode, GError **error)
{
    struct stat st;

    if (fstat(data_dir, &st) < 0)
        return bk_throw_errno(error, "stat the data directory");
    *mode = (st.st_mode & S_IRGRP) != 0 ? 0640 : 0600;
    return true;
}

bool
bk_data_dir_own(int data_dir, int fd, GError **error)
{
    struct stat dir;
    struct stat file;

    if (fstat(data_dir, &dir) < 0 || fstat(fd, &file) < 0)
        return bk_throw_errno(error, "stat the data directory");
    if (dir.st_uid == file.st_uid && dir.st_gid == file.st_gid)
        return true;
    if (fchown(fd, dir.st_uid, dir.st_gid) < 0) {
        /* Who is not root owns his files already and need not be in the directory's group. */
        if (dir.st_uid == file.st_uid)
            return true;
        return bk_throw_errno(error, "set the owner");
    }
    return bk_fd_sync(fd, error);
}
