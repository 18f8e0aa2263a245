/* state-dir.h - small files of this host about a source, in a directory that survives reboots.
 *
 * Writing is atomic and durable. A process of root works as the directory's owner, and directories
 * that it makes belong to the owner of the one that they are in: so WAL archiving as one user and
 * status as root see the same files, and neither is led out of the directory by a link.
 * Threads: safe, also between processes. */
#pragma once
#include "base/buf.h"
#include "base/op.h"

/* The file `name` of `source` below `top`. A file that is not there gives no bytes. Fails with
 * BK_ERROR_UNSUPPORTED when it is larger than `limit`, or as the file system. */
bool bk_state_read(const char *top, const char *source, const char *name, size_t limit,
                   BkBuf *content, GError **error) BK_MUST_USE;

/* Makes new content of the old one, which may be empty. Returns false to leave the file as it is.
 */
typedef bool (*BkStateChange)(const BkBuf *before, BkBuf *after, void *data);

/* Changes a file while no other process does. Waits for others for a second, then fails with
 * BK_ERROR_BUSY. */
bool bk_state_change(const char *top, const char *source, const char *name, size_t limit,
                     BkStateChange change, void *data, BkOp *op, GError **error) BK_MUST_USE;
