/* wal-fetch.h - brings WAL files back from the archive: the work of restore_command.
 *
 * A file appears at its path whole or not at all. The server asks for one after another, so after
 * each the next ones are fetched in the background, into the folder ".backstay-ahead" beside the
 * file; a later call only has to rename. Promise: "not in the archive" (BK_ERROR_NOT_FOUND) is said
 * only when every repository was asked and answered so; anything else is another error. Threads:
 * the call blocks; it may leave a process behind that fetches ahead and ends by itself. */
#pragma once
#include "engine/source-spec.h"

/* Fetches `name` to `path`; up to `ahead` segments behind it are then fetched in the background.
 * Fails with BK_ERROR_USAGE for a name of a wrong form, BK_ERROR_NOT_FOUND, BK_ERROR_STORE (a
 * repository could not be asked), BK_ERROR_CORRUPT, or as files do. */
bool bk_wal_fetch(const BkSourceSpec *source, const char *name, const char *path, unsigned ahead,
                  BkOp *op, GError **error) BK_MUST_USE;
