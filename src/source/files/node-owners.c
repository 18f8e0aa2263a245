/* node-owners.c - the owners of a snapshot on this machine. */
#include "source/files/node-owners.h"

#include "repo/extract/chown-map.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>

#define NAME_BUFFER 16384

struct BkNodeOwners {
    size_t count;
    BkNodeOwner *owners;
};

static bool
parse_number(const char *text, uint32_t *number)
{
    guint64 value;

    if (!g_ascii_string_to_unsigned(text, 10, 0, UINT32_MAX - 1, &value, NULL))
        return false;
    *number = (uint32_t)value;
    return true;
}

static bool
find_user(const char *text, uint32_t *uid, GError **error)
{
    g_autofree char *buffer = g_malloc(NAME_BUFFER);
    struct passwd user;
    struct passwd *found = NULL;

    if (getpwnam_r(text, &user, buffer, NAME_BUFFER, &found) == 0 && found != NULL) {
        *uid = user.pw_uid;
        return true;
    }
    return parse_number(text, uid) ||
           bk_throw(error, BK_ERROR_NOT_FOUND, "there is no user \"%s\" on this host", text);
}

static bool
find_group(const char *text, uint32_t *gid, GError **error)
{
    g_autofree char *buffer = g_malloc(NAME_BUFFER);
    struct group group;
    struct group *found = NULL;

    if (getgrnam_r(text, &group, buffer, NAME_BUFFER, &found) == 0 && found != NULL) {
        *gid = group.gr_gid;
        return true;
    }
    return parse_number(text, gid) ||
           bk_throw(error, BK_ERROR_NOT_FOUND, "there is no group \"%s\" on this host", text);
}

static bool
is_named(const char *text, const char *name, uint32_t number)
{
    uint32_t value;

    return strcmp(text, name) == 0 || (parse_number(text, &value) && value == number);
}

/* Both sides of "FROM:TO". */
static bool
split_rule(const char *rule, char **from, char **to, GError **error)
{
    const char *colon = strchr(rule, ':');

    if (colon == NULL || colon == rule || colon[1] == 0)
        return bk_throw(error, BK_ERROR_USAGE, "\"%s\" is not of the form FROM:TO", rule);
    *from = g_strndup(rule, (gsize)(colon - rule));
    *to = g_strdup(colon + 1);
    return true;
}

static bool
apply_user_rules(BkNodeOwners *self, const BkOwner *owners, const char *const *rules,
                 GError **error)
{
    for (; rules != NULL && *rules != NULL; rules++) {
        g_autofree char *from = NULL;
        g_autofree char *to = NULL;
        uint32_t uid;

        if (!split_rule(*rules, &from, &to, error) || !find_user(to, &uid, error))
            return false;
        for (size_t i = 0; i < self->count; i++)
            if (is_named(from, owners[i].user, owners[i].uid))
                self->owners[i].uid = uid;
    }
    return true;
}

static bool
apply_group_rules(BkNodeOwners *self, const BkOwner *owners, const char *const *rules,
                  GError **error)
{
    for (; rules != NULL && *rules != NULL; rules++) {
        g_autofree char *from = NULL;
        g_autofree char *to = NULL;
        uint32_t gid;

        if (!split_rule(*rules, &from, &to, error) || !find_group(to, &gid, error))
            return false;
        for (size_t i = 0; i < self->count; i++)
            if (is_named(from, owners[i].group, owners[i].gid))
                self->owners[i].gid = gid;
    }
    return true;
}

static bool
apply_owner(BkNodeOwners *self, const char *owner, GError **error)
{
    const char *colon = owner != NULL ? strchr(owner, ':') : NULL;
    g_autofree char *user = NULL;
    uint32_t uid = 0;
    uint32_t gid = 0;

    if (owner == NULL)
        return true;
    user = colon != NULL ? g_strndup(owner, (gsize)(colon - owner)) : g_strdup(owner);
    if (user[0] == 0 && (colon == NULL || colon[1] == 0))
        return bk_throw(error, BK_ERROR_USAGE, "\"%s\" is not of the form USER:GROUP", owner);
    if ((user[0] != 0 && !find_user(user, &uid, error)) ||
        (colon != NULL && colon[1] != 0 && !find_group(colon + 1, &gid, error)))
        return false;
    for (size_t i = 0; i < self->count; i++) {
        self->owners[i].is_given = true;
        if (user[0] != 0)
            self->owners[i].uid = uid;
        if (colon != NULL && colon[1] != 0)
            self->owners[i].gid = gid;
    }
    return true;
}

BkNodeOwners *
bk_node_owners_new(const BkSnapshot *snapshot, const BkNodeOwnersOptions *options, GError **error)
{
    g_autoptr(BkNodeOwners) self = g_new0(BkNodeOwners, 1);
    const BkOwner *owners = bk_snapshot_owners(snapshot, &self->count);

    self->owners = g_new0(BkNodeOwner, self->count);
    for (size_t i = 0; i < self->count; i++) {
        const BkPathOwner here = bk_chown_map_resolve(&owners[i]);

        self->owners[i] = (BkNodeOwner){.uid = here.uid, .gid = here.gid};
    }
    if (!apply_user_rules(self, owners, options->users, error) ||
        !apply_group_rules(self, owners, options->groups, error) ||
        !apply_owner(self, options->owner, error))
        return NULL;
    return g_steal_pointer(&self);
}

void
bk_node_owners_free(BkNodeOwners *self)
{
    if (self == NULL)
        return;
    g_free(self->owners);
    g_free(self);
}

const BkNodeOwner *
bk_node_owners_get(const BkNodeOwners *self, uint32_t owner)
{
    g_assert(owner < self->count);
    return &self->owners[owner];
}
