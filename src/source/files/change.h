/* change.h - whether a file has changed since the parent snapshot, as far as the system tells.
 *
 * A program can set the time of the last change (mtime) back, but not that of the inode (ctime): so
 * neither alone says enough, and all of them together must be as they were. A ctime that moved
 * alone, by chmod or another link, says nothing of the content: the file is read, and compared
 * with what the parent has stored of it. What is not sure is read. Threads: functions have no
 * state.
 */
#pragma once
#include "repo/snapshot/file-extension.h"
#include "source/files/files-entry.h"

/* A file whose inode changed later than so long before the parent's start may have changed
 * once more without a sign: the clock of ctime is coarse, that of a file server another one, and
 * the second store to a page that is mapped to memory moves no time while the page waits to be
 * written. */
#define BK_CHANGE_RACY_US (60 * BK_USEC_PER_SEC)

typedef enum {
    BK_CHANGE_NONE,    /* as in the parent: not read */
    BK_CHANGE_NEW,     /* the parent has no such regular file */
    BK_CHANGE_PARTIAL, /* of the parent's content it is not sure that it was ever the file's */
    BK_CHANGE_UNKNOWN, /* the parent does not say which inode it was */
    BK_CHANGE_SIZE,
    BK_CHANGE_MTIME,
    BK_CHANGE_INODE, /* another file has its name */
    BK_CHANGE_CTIME,
    BK_CHANGE_RACY, /* all as it was, but too shortly before the parent's start */
} BkChange;

/* Compares a regular file with the parent's entry of the same path (bk_change_find_parent; may be
 * NULL) in a parent that was started at `parent_started_us`. The parent's entry may be of
 * another path when the content was stored there, as with hard links. */
BkChange bk_change_find(const BkFilesEntry *entry, const BkFile *parent, int64_t parent_started_us);

/* The parent's entry that has the content of the file at `path`: of a hard link the one that it is
 * to. NULL if there is none, or none with content. */
const BkFile *bk_change_find_parent(const BkSnapshot *parent, const char *path);
