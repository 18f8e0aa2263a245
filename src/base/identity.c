/* identity.c - the user as whom a thread of root works in the file system. */
#include "base/identity.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAME_BUFFER 16384
#define MAX_GROUPS  65536 /* the kernel's limit */

struct BkIdentity {
    uid_t uid;
    gid_t gid;
    bool is_other;
    GArray *groups;     /* gid_t; NULL unless is_other, as is: */
    GArray *own_groups; /* those of the program */
};

static _Thread_local const BkIdentity *current; /* NULL: the program's own */

static GArray *
list_own_groups(void)
{
    GArray *groups = g_array_new(FALSE, TRUE, sizeof(gid_t));
    int count = getgroups(0, NULL);

    g_array_set_size(groups, (guint)MAX(count, 0));
    count = getgroups((int)groups->len, (gid_t *)(void *)groups->data);
    g_array_set_size(groups, (guint)MAX(count, 0));
    return groups;
}

/* A user without a name has but the group given. */
static GArray *
list_groups(uid_t uid, gid_t gid)
{
    g_autofree char *buffer = g_malloc(NAME_BUFFER);
    GArray *groups = g_array_new(FALSE, TRUE, sizeof(gid_t));
    struct passwd user;
    struct passwd *found = NULL;

    if (getpwuid_r(uid, &user, buffer, NAME_BUFFER, &found) != 0)
        found = NULL;
    for (int count = 64; found != NULL && count <= MAX_GROUPS; count *= 2) {
        int got = count;

        g_array_set_size(groups, (guint)count);
        if (getgrouplist(found->pw_name, gid, (gid_t *)(void *)groups->data, &got) >= 0) {
            g_array_set_size(groups, (guint)got);
            return groups;
        }
    }
    g_array_set_size(groups, 0);
    g_array_append_val(groups, gid);
    return groups;
}

/* Sets those of the calling thread: the library's setgroups would change every
 * thread. setfsuid reports whom it found, not whether it worked, and with an
 * invalid number it changes nothing. */
static bool
switch_credentials(uid_t uid, gid_t gid, const GArray *groups)
{
    if (syscall(SYS_setgroups, (size_t)groups->len, groups->data) != 0)
        return false;
    (void)setfsgid(gid);
    (void)setfsuid(uid);
    return (uid_t)setfsuid((uid_t)-1) == uid && (gid_t)setfsgid((gid_t)-1) == gid;
}

static bool
become_self(const BkIdentity *self)
{
    return switch_credentials(geteuid(), getegid(), self->own_groups);
}

BkIdentity *
bk_identity_new(uid_t uid, gid_t gid, GError **error)
{
    g_autoptr(BkIdentity) self = g_new0(BkIdentity, 1);

    g_assert(current == NULL);
    self->uid = uid;
    self->gid = gid;
    self->is_other = geteuid() == 0 && uid != 0;
    if (!self->is_other)
        return g_steal_pointer(&self);
    self->groups = list_groups(uid, gid);
    self->own_groups = list_own_groups();
    if (switch_credentials(uid, gid, self->groups) && become_self(self))
        return g_steal_pointer(&self);
    (void)become_self(self);
    return bk_throw_null(error, BK_ERROR_DENIED,
                         "root cannot act as user %u here (it lacks CAP_SETUID "
                         "or CAP_SETGID): run "
                         "the command as that user",
                         uid);
}

void
bk_identity_free(BkIdentity *self)
{
    if (self == NULL)
        return;
    g_clear_pointer(&self->groups, g_array_unref);
    g_clear_pointer(&self->own_groups, g_array_unref);
    g_free(self);
}

bool
bk_identity_is_other(const BkIdentity *self)
{
    return self->is_other;
}

uid_t
bk_identity_uid(const BkIdentity *self)
{
    return self->uid;
}

gid_t
bk_identity_gid(const BkIdentity *self)
{
    return self->gid;
}

BkIdentityScope
bk_identity_enter(const BkIdentity *self)
{
    BkIdentityScope scope = {current, false};

    if (self == NULL || !self->is_other || self == current)
        return scope;
    g_assert(current == NULL);
    /* It worked when the identity was made. To go on as root would be worse than
     * to end. */
    if (!switch_credentials(self->uid, self->gid, self->groups))
        abort();
    current = self;
    scope.is_entered = true;
    return scope;
}

void
bk_identity_leave(BkIdentityScope *scope)
{
    if (!scope->is_entered)
        return;
    if (!become_self(current))
        abort();
    current = scope->before;
    scope->is_entered = false;
}

bool
bk_identity_is_entered(void)
{
    return current != NULL;
}
