/* xattr.h - the extended attributes of a file of any kind; ACLs and capabilities are such.
 *
 * The file is open with O_PATH at least, so that neither a FIFO nor a device is ever opened, and
 * attributes of a link are its own. Threads: a list belongs to one thread. */
#pragma once
#include "repo/snapshot/file-extension.h"

typedef struct BkXattrs {
    BkBuf bytes;
    GArray *items; /* of BkFileXattr in `bytes`, in byte order of their names */
} BkXattrs;

void bk_xattrs_init(BkXattrs *self);
void bk_xattrs_clear(BkXattrs *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkXattrs, bk_xattrs_clear)

/* Replaces the list by all attributes of `fd` that the caller may see. Those of a file system that
 * has none are none. On failure, too large for a snapshot (BK_ERROR_UNSUPPORTED) or as the system
 * says, the list is empty. */
bool bk_xattrs_read(BkXattrs *self, int fd, GError **error) BK_MUST_USE;

/* Gives `fd` the attributes of the entry, and takes others from it that a file does not get from
 * its system alone: what a directory's default ACL has given it, what it had before. What is right
 * already is left alone. Goes on behind a failure; the first one is the error. */
bool bk_xattrs_apply(int fd, const BkFile *file, GError **error) BK_MUST_USE;
