/* move-aside.h - makes room in a directory that cannot be renamed itself: a mount point, one whose
 * parent directory the user may not change, a tablespace's directory, pg_wal on a disk of its own.
 *
 * What is in it moves into a new directory "backstay-before-restore-STAMP" in the same place.
 * Nothing is deleted. Backups leave these directories out and --delta leaves them alone.
 * Threads: safe for different directories. */
#pragma once
#include "base/fd.h"

/* Returns true for names that do not count as content: what was moved aside, and lost+found. */
bool bk_aside_is_exempt(const char *name);

/* Returns true if the directory has to make room in itself, since it cannot be renamed. */
bool bk_aside_is_inside(const char *path);

/* Fails with BK_ERROR_UNFIT if something in the directory is a mount point, which cannot be moved.
 * `path` may be absent. */
bool bk_aside_check(const char *path, GError **error) BK_MUST_USE;

/* Moves what is in the directory `path` aside: its entry `only`, or all if that is NULL. `*moved`
 * is the new directory (owned by the caller), or NULL if there was nothing to move. Durable.
 * "global" is moved first: no server starts on what is left when this is cut short. */
bool bk_aside_move(const char *path, const char *only, int64_t now_us, char **moved,
                   GError **error) BK_MUST_USE;

/* "before-restore-20261121T003905Z", and from the second `attempt` on with "-2" and so on behind
 * it, for when the name is taken: a new string. Attempts begin with 1. */
char *bk_aside_stamp(int64_t now_us, unsigned attempt);

/* No more than this are made: then something else is wrong. */
#define BK_ASIDE_MAX_ATTEMPTS 100
