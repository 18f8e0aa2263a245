/* path-owner.h - who can replace the components of a path.
 *
 * Root that works on a path is led anywhere by whoever owns a directory, or a
 * link, on it. So what root does there it does as the first such owner, down
 * from the top. Threads: safe. */
#pragma once
#include "base/identity.h"

#include <sys/types.h>

typedef struct BkPathOwner {
    uid_t uid;
    gid_t gid;
} BkPathOwner;

/* Sets `found` to the first owner other than root of a directory that holds
 * `path`, or of a link on it; uid 0 when root alone decides. `otherwise` counts
 * as the owner of a directory of root's that a group or everybody may write to.
 * A path that ends early is fine. */
bool bk_path_owner_find(const char *path, const BkPathOwner *otherwise, BkPathOwner *found,
                        GError **error) BK_MUST_USE;

/* As whom the directory `dir`, which was opened at `path`, is read: its owner,
 * or, if it is root's, the owner of the path, to whom it may be any directory.
 */
BkIdentity *bk_path_owner_identity(int dir, const char *path, GError **error) BK_MUST_USE;

/* Opens the regular file `path` for reading, as who is found like this for the
 * directory that holds it, and only if it is no link. */
int bk_path_owner_open(const char *path, GError **error) BK_MUST_USE;
