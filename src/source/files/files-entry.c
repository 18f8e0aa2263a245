/* files-entry.c - from what the system says of a file to what a manifest says of it. */
#include "source/files/files-entry.h"

#include <sys/sysmacros.h>

#define PERMISSIONS 07777u

static bool
find_kind(mode_t mode, BkFileKind *kind)
{
    static const struct {
        mode_t type;
        BkFileKind kind;
    } kinds[] = {
        {S_IFREG, BK_FILE_REGULAR},          {S_IFDIR, BK_FILE_DIRECTORY},
        {S_IFLNK, BK_FILE_SYMLINK},          {S_IFIFO, BK_FILE_FIFO},
        {S_IFCHR, BK_FILE_CHARACTER_DEVICE}, {S_IFBLK, BK_FILE_BLOCK_DEVICE},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
        if ((mode & S_IFMT) == kinds[i].type) {
            *kind = kinds[i].kind;
            return true;
        }
    return false;
}

bool
bk_files_entry_set_stat(BkFilesEntry *self, const struct stat *st)
{
    if (!find_kind(st->st_mode, &self->kind))
        return false;
    self->size = self->kind == BK_FILE_REGULAR ? (uint64_t)st->st_size : 0;
    self->allocated = (uint64_t)st->st_blocks * 512;
    self->uid = st->st_uid;
    self->gid = st->st_gid;
    self->mode = (uint16_t)(st->st_mode & PERMISSIONS);
    self->mtime_sec = st->st_mtim.tv_sec;
    self->mtime_nsec = (uint32_t)st->st_mtim.tv_nsec;
    self->identity = (BkFileIdentity){st->st_ctim.tv_sec, (uint32_t)st->st_ctim.tv_nsec, st->st_ino,
                                      major(st->st_dev), minor(st->st_dev)};
    self->node = (BkFileNode){major(st->st_rdev), minor(st->st_rdev)};
    return true;
}

static bool
is_device(const BkFilesEntry *self)
{
    return self->kind == BK_FILE_CHARACTER_DEVICE || self->kind == BK_FILE_BLOCK_DEVICE;
}

void
bk_files_entry_fill(const BkFilesEntry *self, uint32_t owner, BkBuf *extensions, BkFile *file)
{
    extensions->size = 0;
    if (self->kind == BK_FILE_REGULAR)
        bk_file_put_identity(extensions, &self->identity);
    if (is_device(self))
        bk_file_put_node(extensions, &self->node);
    if (self->xattr_count > 0 && self->kind != BK_FILE_HARD_LINK)
        bk_file_put_xattrs(extensions, self->xattrs, self->xattr_count);
    *file = (BkFile){
        .path = self->path,
        .link = self->link != NULL ? self->link : "",
        .size = self->kind == BK_FILE_REGULAR ? self->size : 0,
        .mtime_sec = self->mtime_sec,
        .mtime_nsec = self->mtime_nsec,
        .owner = owner,
        .extensions = extensions->data,
        .extensions_size = (uint32_t)extensions->size,
        .mode = self->mode,
        .kind = self->kind,
    };
}
