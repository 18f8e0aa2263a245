/* data-dir-priv.h - files that are added to a restored data directory.
 *
 * Threads: safe. */
#pragma once
#include "base/error.h"

#include <sys/types.h>

/* Permission bits for new files of `data_dir`: those of the group only where the directory has
 * them, as the server does. */
bool bk_data_dir_file_mode(int data_dir, mode_t *mode, GError **error) BK_MUST_USE;

/* Gives the open file `fd` the owner of `data_dir` and makes that durable: a file of root's could
 * not be read by the server. */
bool bk_data_dir_own(int data_dir, int fd, GError **error) BK_MUST_USE;

/* Writes a file whole and durable, with the owner and the mode that the directory asks for. */
bool bk_data_dir_write(int data_dir, const char *name, const void *data, size_t size,
                       GError **error) BK_MUST_USE;
