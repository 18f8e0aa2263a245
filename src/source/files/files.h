/* files.h - file trees as a source: from the walk to the manifest, and from there to the disk.
 *
 * Backup
 *
 *   options ► bk_files_scan ─► roots.h     absolute, apart, no link in them; else no snapshot
 *                           ─► walk.h      entries in byte order of their paths
 *                               pattern.h     left out, and counted by which pattern
 *                               xattr.h       attributes; hard-links.h: names of the same inode
 *                               files-meta.h  what could not be read, or was left out
 *      each entry (files-entry.h) ─► change.h     of a regular file: as in the parent?
 *         BK_CHANGE_NONE  its extents and digests are the parent's, nothing is read
 *         otherwise       read-file.h ─► packs, a piece at a time; a piece whose digest is the
 *                         parent's is not stored again
 *      bk_files_entry_fill ─► BkFile ─► manifest; bk_files_meta_encode ─► its head
 *
 * What a file's entry says is what fstat said when it was opened to be read
 * (bk_files_entry_set_stat with BkReadFile.st), not what the walk saw, so that size and content
 * fit, and the next backup sees what changed since. When bk_read_file_end says BK_READ_CHANGED the
 * file is read again, up to BK_FILES_READ_ATTEMPTS times, and then kept with
 * BK_FILE_CHANGED_WHILE_READ and a note in the meta. One that has vanished, or become something
 * else, is left out; if hard links are to it, the first of them becomes the regular file that the
 * others are to: a manifest has no link to nothing. bk_files_meta_check_roots against the parent's
 * meta keeps an unmounted file system from becoming the newest snapshot.
 *
 * Restore
 *
 *   manifest, meta ► node-owners.h   who is who on this machine
 *                  ► bk_restore_node_begin    directories, nothing in the way
 *                  ► repo/extract             content of regular files
 *                  ► bk_restore_node_finish   links, devices; owner, mode, attributes, time
 *                  ► the caller syncs
 *
 * Paths are the absolute ones without their leading slash, so a restore in place is one to "/", and
 * several roots stand in one tree anywhere else. Nothing is deleted that the snapshot does not
 * have. All of it can be called again after an interruption.
 * Threads: each object belongs to one thread, but BkBeneath and BkNodeOwners, which are read only.
 */
#pragma once
#include "base/beneath.h"
#include "source/files/walk.h"

#define BK_FILES_READ_ATTEMPTS 3

/* As the configuration has them; all borrowed. */
typedef struct BkFilesOptions {
    const GPtrArray *roots;   /* of char *, absolute */
    const GPtrArray *exclude; /* of char *: pattern.h; may be NULL */
    const GPtrArray *include; /* of char *: behind all of `exclude`; may be NULL */
    bool one_file_system;
} BkFilesOptions;

/* Walks the trees: `visit` is called for each entry, in the order of a manifest, and `meta`, which
 * is initialised, collects what a report shows. Fails as bk_roots_open, bk_patterns_exclude and
 * bk_walk_run. */
bool bk_files_scan(const BkFilesOptions *options, BkFilesMeta *meta, BkWalkVisit visit, void *data,
                   BkOp *op, GError **error) BK_MUST_USE;

/* The directory that paths of a snapshot are below: "/" for the source itself and a restore in
 * place, otherwise the destination, which is there. */
BkBeneath *bk_files_open_place(const char *directory, GError **error) BK_MUST_USE;

/* The roots of a snapshot as bk_restore_node_new takes them: a new array of char *. Fails with
 * BK_ERROR_CORRUPT when one is not absolute. */
GPtrArray *bk_files_list_roots(const BkFilesMeta *meta, GError **error) BK_MUST_USE;
