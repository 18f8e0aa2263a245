/* beneath.h - files below a directory that somebody else may change at any time.
 *
 * Every path is opened beneath the directory's descriptor, as its owner (identity.h), and no link
 * in any component is followed: whoever swaps a directory of the tree for a link gets an error, not
 * the file that the link leads to. A link that has to be followed (a tablespace, pg_wal) is
 * resolved once by the caller and added with bk_beneath_mount: from then on paths below its name
 * are opened beneath that descriptor, whatever the name has become. Paths are relative; "" and "."
 * are the directory itself. Errors name the path. Threads: safe once everything is mounted. */
#pragma once
#include "base/fd.h"
#include "base/identity.h"

typedef struct BkBeneath BkBeneath;

/* Takes ownership of `dir`, a directory. `identity` is borrowed and may be NULL: as the caller. */
BkBeneath *bk_beneath_new(BkFd dir, const BkIdentity *identity);
void bk_beneath_free(BkBeneath *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkBeneath, bk_beneath_free)

/* The same directory as somebody else from now on. */
void bk_beneath_become(BkBeneath *self, const BkIdentity *identity);

/* For tests: opens step by step from now on, as on a kernel without openat2. */
void bk_beneath_forget_openat2(BkBeneath *self);

/* Paths below `path` are opened beneath `dir` (ownership is taken) from now on; `path` itself, as a
 * name, stays what it is. A later mount of the same path replaces the former. */
void bk_beneath_mount(BkBeneath *self, const char *path, BkFd dir);

/* The descriptor of the directory, borrowed. */
int bk_beneath_dir(const BkBeneath *self);
const BkIdentity *bk_beneath_identity(const BkBeneath *self);

/* The descriptor that is mounted at `path`, borrowed, or -1. */
int bk_beneath_mounted(const BkBeneath *self, const char *path);

/* Opens a file or directory, with O_NONBLOCK so that a pipe does not block. Fails with
 * BK_ERROR_UNFIT when a link is in the path. A mounted path is opened as what is mounted there. */
int bk_beneath_open(const BkBeneath *self, const char *path, int flags, mode_t mode,
                    GError **error) BK_MUST_USE;

/* The same, and only a regular file: anything else fails with BK_ERROR_UNFIT. */
int bk_beneath_open_file(const BkBeneath *self, const char *path, int flags, mode_t mode,
                         GError **error) BK_MUST_USE;

/* Opens the directory that holds the last component of `path`, which `*name` is set to (a part of
 * `path`): for calls on the name itself, in a scope of the identity. */
int bk_beneath_open_parent(const BkBeneath *self, const char *path, const char **name,
                           GError **error) BK_MUST_USE;

/* lstat. False without an error when there is nothing of that name: `*found`. */
bool bk_beneath_stat(const BkBeneath *self, const char *path, struct stat *st, bool *found,
                     GError **error) BK_MUST_USE;

/* mkdirat; one that is there is fine when it is a directory. */
bool bk_beneath_mkdir(const BkBeneath *self, const char *path, mode_t mode,
                      GError **error) BK_MUST_USE;

/* unlinkat with `flags`; an absent name is fine. */
bool bk_beneath_unlink(const BkBeneath *self, const char *path, int flags,
                       GError **error) BK_MUST_USE;

/* symlinkat. */
bool bk_beneath_symlink(const BkBeneath *self, const char *path, const char *target,
                        GError **error) BK_MUST_USE;

/* As bk_file_read, bk_file_write and bk_file_sync_parent. */
bool bk_beneath_read(const BkBeneath *self, const char *path, size_t limit, BkBuf *content,
                     GError **error) BK_MUST_USE;
bool bk_beneath_write(const BkBeneath *self, const char *path, const void *data, size_t size,
                      mode_t mode, BkFilePublish publish, GError **error) BK_MUST_USE;
bool bk_beneath_sync_parent(const BkBeneath *self, const char *path, GError **error) BK_MUST_USE;
