/* owned-directory.h - a directory that a restore fills: as which user it is made, and who owns it.
 *
 * Root could be led anywhere by whoever owns a directory on the path to it. So names are made and
 * moved as root only as long as every directory on the path is root's; from the first other owner
 * on, as that owner. The directory itself then belongs to the cluster's owner, as whom all that is
 * in it is written. Anyone but root does all of it as himself.
 * Threads: belongs to one thread. */
#pragma once
#include "base/identity.h"
#include "base/path-owner.h"

/* As whom `path` may be made or moved aside; `owner` is the cluster's. Entering the result changes
 * nothing while root alone decides on the path. */
BkIdentity *bk_owned_directory_find_above(const char *path, const BkPathOwner *owner,
                                          GError **error) BK_MUST_USE;

/* Opens the directory, which is made with mode 0700 when it is not there, as `above`. With
 * `is_empty` it is given to `*owner`; otherwise `*owner` becomes who has it. Fails with
 * BK_ERROR_UNFIT when it belongs to somebody who has nothing to do with it. */
int bk_owned_directory_open(const char *path, const BkIdentity *above, bool is_empty,
                            BkPathOwner *owner, GError **error) BK_MUST_USE;
