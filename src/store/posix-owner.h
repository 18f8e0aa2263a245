/* posix-owner.h - who owns the files of a directory store, and who can read them.
 *
 * Root may back up into a repository that another user archives into. What root makes there gets
 * the owner and group of the repository's directory; otherwise that user could not read the keys.
 * What the directory lets its group do, the group can do with everything in it; other users never.
 * Threads: an owner is only read once it is set. */
#pragma once
#include "base/error.h"

#include <sys/stat.h>

typedef struct BkPosixOwner {
    uid_t uid;
    gid_t gid;
    mode_t file_mode;
    mode_t directory_mode;
    bool is_other; /* root makes files for another user */
} BkPosixOwner;

/* As the directory with `root` as its status has it. */
void bk_posix_owner_init(BkPosixOwner *self, const struct stat *root);

/* Gives a file or directory that was just made and opened its owner and mode. */
bool bk_posix_owner_give(const BkPosixOwner *self, int fd, mode_t mode, GError **error) BK_MUST_USE;

/* Adds to an error about missing rights to `part` of `dir` whose it is, and the command that gives
 * `root`, the directory of the store, to its owner; `self` NULL: to this process's user. Returns
 * false. */
bool bk_posix_owner_explain(const BkPosixOwner *self, const char *root, int dir, const char *part,
                            GError **error);
