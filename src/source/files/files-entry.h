/* files-entry.h - an entry of a file tree on its way into a manifest.
 *
 * Threads: an entry belongs to one thread; functions have no state. */
#pragma once
#include "repo/snapshot/file-extension.h"

#include <sys/stat.h>

typedef struct BkFilesEntry {
    const char *path; /* full, without a leading slash */
    const char *link; /* as in BkFile */
    BkFileKind kind;
    bool is_above;      /* of a root: a directory that a restore may have to make */
    bool is_local;      /* its file system's inode numbers stay */
    uint64_t size;      /* of a regular file */
    uint64_t allocated; /* bytes: less than `size` of a sparse file */
    uint32_t uid;
    uint32_t gid;
    uint16_t mode;
    int64_t mtime_sec;
    uint32_t mtime_nsec;
    BkFileIdentity identity;
    BkFileNode node;
    const BkFileXattr *xattrs; /* as bk_file_put_xattrs wants them */
    size_t xattr_count;
} BkFilesEntry;

/* Sets what `st` says: all but path, link, attributes and what is said of roots and file systems.
 * Returns false if it is a socket, or of no kind that a snapshot has. */
bool bk_files_entry_set_stat(BkFilesEntry *self, const struct stat *st);

/* Fills an entry of a manifest but for extents, digests and flags; `owner` is the index of the
 * entry's owner, and `extensions` (cleared first) holds a part of it. Both must outlive `file`. */
void bk_files_entry_fill(const BkFilesEntry *self, uint32_t owner, BkBuf *extensions, BkFile *file);
