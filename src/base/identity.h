/* identity.h - the user as whom a thread of root works in the file system.
 *
 * Below a directory that belongs to somebody else root must be able to do no more than its owner
 * is: whoever owns the directory may put another one, or a link, in the place of any name in it at
 * any time. Between enter and leave the file system treats the calling thread as that owner with
 * his groups: the kernel takes the privileges of root over files from it, and gives them back at
 * the end. What was opened before stays usable, so a repository and a key that only root may read
 * are read outside of the scope, and everything below the directory inside of it. Threads: an
 * identity is read only once it is made; each thread enters and leaves by itself. */
#pragma once
#include "base/error.h"

#include <sys/types.h>

typedef struct BkIdentity BkIdentity;

/* The identity of user `uid` with `gid` and the other groups that the system knows of him. When the
 * program is not run by root, or `uid` is root's, entering it changes nothing. Fails with
 * BK_ERROR_DENIED when root may not change its identity here, as in some containers. */
BkIdentity *bk_identity_new(uid_t uid, gid_t gid, GError **error) BK_MUST_USE;
void bk_identity_free(BkIdentity *self); /* NULL is fine; no thread may be in it */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkIdentity, bk_identity_free)

/* Returns true if entering it changes anything. */
bool bk_identity_is_other(const BkIdentity *self);
uid_t bk_identity_uid(const BkIdentity *self);
gid_t bk_identity_gid(const BkIdentity *self);

/* What the thread was before: g_auto(BkIdentityScope) scope = bk_identity_enter(identity);
 * An identity may be entered again inside of its own scope; NULL changes nothing. No thread may be
 * started in a scope: it would keep the identity. */
typedef struct BkIdentityScope {
    const BkIdentity *before;
    bool is_entered;
} BkIdentityScope;

BkIdentityScope bk_identity_enter(const BkIdentity *self);
void bk_identity_leave(BkIdentityScope *scope);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkIdentityScope, bk_identity_leave)

/* Returns true if the calling thread is in a scope that changed something. */
bool bk_identity_is_entered(void);
