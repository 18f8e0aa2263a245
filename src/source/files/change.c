/* change.c - the rule by which a file is taken for unchanged. */
#include "source/files/change.h"

/* Numbers of devices with major 0 are given when a file system is mounted, and another time to
 * another one. */
static bool
is_same_inode(const BkFileIdentity *one, const BkFileIdentity *two)
{
    bool has_device = one->device_major != 0 && two->device_major != 0;

    return one->inode == two->inode && (!has_device || (one->device_major == two->device_major &&
                                                        one->device_minor == two->device_minor));
}

/* Seconds may be any number that a snapshot holds. */
static bool
is_racy(const BkFileIdentity *identity, int64_t parent_started_us)
{
    int64_t bound_us = parent_started_us - BK_CHANGE_RACY_US;

    return identity->ctime_sec >= bound_us / BK_USEC_PER_SEC;
}

BkChange
bk_change_find(const BkFilesEntry *entry, const BkFile *parent, int64_t parent_started_us)
{
    BkFileIdentity before;

    if (parent == NULL || parent->kind != BK_FILE_REGULAR)
        return BK_CHANGE_NEW;
    if ((parent->flags & (BK_FILE_CHANGED_WHILE_READ | BK_FILE_PARTIAL)) != 0)
        return BK_CHANGE_PARTIAL;
    if (!bk_file_get_identity(parent, &before))
        return BK_CHANGE_UNKNOWN;
    if (entry->size != parent->size)
        return BK_CHANGE_SIZE;
    if (entry->mtime_sec != parent->mtime_sec || entry->mtime_nsec != parent->mtime_nsec)
        return BK_CHANGE_MTIME;
    if (entry->is_local && !is_same_inode(&entry->identity, &before))
        return BK_CHANGE_INODE;
    if (entry->identity.ctime_sec != before.ctime_sec ||
        entry->identity.ctime_nsec != before.ctime_nsec)
        return BK_CHANGE_CTIME;
    return is_racy(&entry->identity, parent_started_us) ? BK_CHANGE_RACY : BK_CHANGE_NONE;
}

const BkFile *
bk_change_find_parent(const BkSnapshot *parent, const char *path)
{
    const BkFile *file = bk_snapshot_find_file(parent, path);

    if (file != NULL && file->kind == BK_FILE_HARD_LINK)
        file = bk_snapshot_find_file(parent, file->link);
    return file != NULL && file->kind == BK_FILE_REGULAR ? file : NULL;
}
