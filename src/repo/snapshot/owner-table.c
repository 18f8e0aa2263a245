/* owner-table.c - the owners of files on their way into a snapshot, each with its names once. */
#include "repo/snapshot/owner-table.h"

#include <grp.h>
#include <pwd.h>

#define NAME_BUFFER 16384

struct BkOwnerTable {
    BkSnapshot *snapshot;
};

BkOwnerTable *
bk_owner_table_new(BkSnapshot *snapshot)
{
    BkOwnerTable *self = g_new0(BkOwnerTable, 1);

    self->snapshot = snapshot;
    return self;
}

void
bk_owner_table_free(BkOwnerTable *self)
{
    g_free(self);
}

static uint32_t
add_owner(BkOwnerTable *self, uint32_t uid, uint32_t gid)
{
    g_autofree char *user_buffer = g_malloc(NAME_BUFFER);
    g_autofree char *group_buffer = g_malloc(NAME_BUFFER);
    struct passwd user;
    struct passwd *found_user = NULL;
    struct group group;
    struct group *found_group = NULL;

    if (getpwuid_r(uid, &user, user_buffer, NAME_BUFFER, &found_user) != 0)
        found_user = NULL;
    if (getgrgid_r(gid, &group, group_buffer, NAME_BUFFER, &found_group) != 0)
        found_group = NULL;
    return bk_snapshot_add_owner(self->snapshot, uid, gid,
                                 found_user != NULL ? found_user->pw_name : "",
                                 found_group != NULL ? found_group->gr_name : "");
}

uint32_t
bk_owner_table_find(BkOwnerTable *self, uint32_t uid, uint32_t gid)
{
    size_t count;
    const BkOwner *owners = bk_snapshot_owners(self->snapshot, &count);

    for (size_t i = 0; i < count; i++)
        if (owners[i].uid == uid && owners[i].gid == gid)
            return (uint32_t)i;
    return add_owner(self, uid, gid);
}
