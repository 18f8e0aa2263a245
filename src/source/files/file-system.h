/* file-system.h - what kind of file system something is on, as far as a backup has to know.
 *
 * Threads: functions have no state. */
#pragma once
#include "base/error.h"

typedef struct BkFileSystem {
    const char *special; /* its kind when what is in it is made by the kernel, "proc", else NULL */
    bool is_local;       /* the numbers of its inodes stay what they are */
} BkFileSystem;

/* Returns false, with errno set, if it cannot be asked; an O_PATH descriptor will do. */
bool bk_file_system_find(int fd, BkFileSystem *system) BK_MUST_USE;
