#include "engine/owner-map.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#define NAME_BUFFER 16384

typedef struct Owner {
    uid_t uid;
    gid_t gid;
} Owner;

struct BkOwnerMap {
    bool gives; /* run by root */
    Owner *owners;
};

static Owner
resolve(const BkOwner *owner)
{
    g_autofree char *buffer = g_malloc(NAME_BUFFER);
    Owner resolved = {owner->uid, owner->gid};
    struct passwd user;
    struct passwd *found_user;
    struct group group;
    struct group *found_group;

    if (owner->user[0] != 0 &&
        getpwnam_r(owner->user, &user, buffer, NAME_BUFFER, &found_user) == 0 && found_user != NULL)
        resolved.uid = user.pw_uid;
    if (owner->group[0] != 0 &&
        getgrnam_r(owner->group, &group, buffer, NAME_BUFFER, &found_group) == 0 &&
        found_group != NULL)
        resolved.gid = group.gr_gid;
    return resolved;
}

BkOwnerMap *
bk_owner_map_new(const BkSnapshot *snapshot)
{
    BkOwnerMap *self = g_new0(BkOwnerMap, 1);
    size_t count;
    const BkOwner *owners = bk_snapshot_owners(snapshot, &count);

    self->gives = geteuid() == 0;
    self->owners = g_new0(Owner, count);
    for (size_t i = 0; self->gives && i < count; i++)
        self->owners[i] = resolve(&owners[i]);
    return self;
}

void
bk_owner_map_free(BkOwnerMap *self)
{
    if (self == NULL)
        return;
    g_free(self->owners);
    g_free(self);
}

bool
bk_owner_map_give(const BkOwnerMap *self, int fd, uint32_t index, GError **error)
{
    const Owner *owner = &self->owners[index];

    return !self->gives || fchown(fd, owner->uid, owner->gid) == 0 ||
           bk_throw_errno(error, "set the owner");
}

bool
bk_owner_map_give_at(const BkOwnerMap *self, int dir, const char *path, uint32_t index,
                     GError **error)
{
    const Owner *owner = &self->owners[index];

    return !self->gives || fchownat(dir, path, owner->uid, owner->gid, AT_SYMLINK_NOFOLLOW) == 0 ||
           bk_throw_errno(error, "set the owner of \"%s\"", path);
}
