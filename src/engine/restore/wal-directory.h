/* wal-directory.h - pg_wal on a disk of its own: a link in the data directory.
 *
 * It is kept where the destination has it, made where --wal-dir asks for it, and otherwise pg_wal
 * becomes a plain directory.
 * Threads: belongs to one thread. */
#pragma once
#include "engine/restore/destination.h"
#include "engine/restore/restore-request.h"
#include "repo/extract/owned-directory.h"

/* Where pg_wal of the restored cluster goes: an absolute path without links (owned by the caller),
 * or NULL for a plain directory. Changes nothing. Fails with BK_ERROR_UNFIT if the directory holds
 * something that is not the destination's own WAL, or if --delta would have to move pg_wal. */
bool bk_wal_directory_find(const BkRestoreRequest *request, BkDestinationState state, char **found,
                           GError **error) BK_MUST_USE;

/* Makes room in the directory that the link `root`/pg_wal leads to, and has the link, which is that
 * of the cluster that is moved aside, lead to what was moved. To be called in the scope of the
 * directory's owner. */
bool bk_wal_directory_move_aside(const char *root, const char *directory,
                                 GError **error) BK_MUST_USE;

/* Makes the directory, for `owner`, and the link to it, and mounts it in `place`. */
bool bk_wal_directory_make(const char *directory, BkBeneath *place, const BkPathOwner *owner,
                           mode_t mode, GError **error) BK_MUST_USE;
