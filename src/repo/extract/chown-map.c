/* chown-map.c - owner, group and mode of restored files. */
#include "repo/extract/chown-map.h"

#include "base/log.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#define NAME_BUFFER 16384
#define PERMISSIONS 0777u

/* Files that did not come back as they were, and the first of them. */
typedef struct Notes {
    size_t count;
    char *first;
} Notes;

struct BkChownMap {
    bool gives; /* run by root */
    uint32_t cluster;
    size_t count;
    BkPathOwner *owners; /* of the snapshot, on this machine */
    Notes strangers;
    Notes groups;
    Notes modes;
};

BkPathOwner
bk_chown_map_resolve(const BkOwner *owner)
{
    g_autofree char *buffer = g_malloc(NAME_BUFFER);
    BkPathOwner resolved = {owner->uid, owner->gid};
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

BkChownMap *
bk_chown_map_new(const BkSnapshot *snapshot, uint32_t owner)
{
    BkChownMap *self = g_new0(BkChownMap, 1);
    const BkOwner *owners = bk_snapshot_owners(snapshot, &self->count);

    self->gives = geteuid() == 0;
    self->cluster = owner;
    self->owners = g_new0(BkPathOwner, self->count);
    for (size_t i = 0; i < self->count; i++)
        self->owners[i] =
            self->gives ? bk_chown_map_resolve(&owners[i]) : (BkPathOwner){geteuid(), getegid()};
    return self;
}

void
bk_chown_map_free(BkChownMap *self)
{
    if (self == NULL)
        return;
    g_free(self->owners);
    g_free(self->strangers.first);
    g_free(self->groups.first);
    g_free(self->modes.first);
    g_free(self);
}

BkPathOwner
bk_chown_map_cluster(const BkChownMap *self)
{
    return self->owners[self->cluster];
}

static void
note_file(Notes *notes, const BkFile *file)
{
    if (notes->count++ == 0)
        notes->first = g_strdup(file->path);
}

/* What a group may that is not the file's own any more: no more than everybody. */
static mode_t
narrow_mode(mode_t mode)
{
    return (mode & ~(mode_t)S_IRWXG) | ((mode & S_IRWXO) << 3);
}

/* Root's group is never given. Any other only to files whose owner is in it. */
static bool
give_group(int fd, gid_t gid)
{
    return gid != 0 && fchown(fd, (uid_t)-1, gid) == 0;
}

bool
bk_chown_map_apply(BkChownMap *self, int fd, const BkFile *file, GError **error)
{
    const BkPathOwner *owner = &self->owners[file->owner];
    mode_t mode = file->mode & PERMISSIONS;
    struct stat st;

    if (fstat(fd, &st) < 0)
        return bk_throw_errno(error, "stat");
    if ((file->mode & ~PERMISSIONS) != 0)
        note_file(&self->modes, file);
    if (self->gives && owner->uid != self->owners[self->cluster].uid) {
        note_file(&self->strangers, file);
        mode = narrow_mode(mode);
    } else if (self->gives && owner->gid != st.st_gid && !give_group(fd, owner->gid)) {
        /* The cluster's own group is that of the directory's owner here. */
        if (owner->gid != self->owners[self->cluster].gid) {
            note_file(&self->groups, file);
            mode = narrow_mode(mode);
        }
    }
    return (st.st_mode & 07777) == mode || fchmod(fd, mode) == 0 ||
           bk_throw_errno(error, "set the mode");
}

static void
warn_once_of_file(const Notes *notes, const char *text)
{
    if (notes->count > 0)
        bk_log(BK_LOG_WARNING, "%zu of the files, such as \"%s\", %s", notes->count, notes->first,
               text);
}

void
bk_chown_map_warn(const BkChownMap *self)
{
    warn_once_of_file(
        &self->strangers,
        "belonged to another user than the cluster: now they belong to the user of the cluster");
    warn_once_of_file(&self->groups,
                      "belonged to a group that the user of the cluster is not in: now they have "
                      "the group of that user, with the rights of others for it");
    warn_once_of_file(&self->modes, "had a setuid, setgid or sticky bit, which was removed");
}
