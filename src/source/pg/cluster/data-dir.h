/* data-dir.h - the data directory of a cluster, read as its owner and without following links.
 *
 * Only the links of tablespaces and pg_wal are followed, once, when the directory is opened, as its
 * owner; below each the same holds. Run by root, somebody who owns a part of the path, or the
 * directory, gets no more read than he may read himself.
 * Threads: safe once it is open. */
#pragma once
#include "base/beneath.h"

typedef struct BkDataDir BkDataDir;

/* Opens the directory `path`; errors name it. */
BkDataDir *bk_data_dir_open(const char *path, GError **error) BK_MUST_USE;
void bk_data_dir_free(BkDataDir *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkDataDir, bk_data_dir_free)

const BkBeneath *bk_data_dir_files(const BkDataDir *self); /* borrowed */

/* Opens a regular file for reading. One that may not be read fails with BK_ERROR_DENIED, and the
 * message has its full path, whose it is and what to do. */
int bk_data_dir_open_file(const BkDataDir *self, const char *path, GError **error) BK_MUST_USE;

/* Throws the present errno for `path`, which could not be read: in words as above. Returns false.
 */
bool bk_data_dir_throw(const BkDataDir *self, const char *path, GError **error);

/* Reads one file of at most `limit` bytes in the data directory `data_dir`, as bk_file_read. */
bool bk_data_dir_read(const char *data_dir, const char *path, size_t limit, BkBuf *content,
                      GError **error) BK_MUST_USE;
