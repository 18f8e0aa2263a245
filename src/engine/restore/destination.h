/* destination.h - the destination of a restore: its state, and preparing it.
 *
 * Threads: belongs to one thread. */
#pragma once
#include "base/beneath.h"
#include "base/op.h"
#include "repo/snapshot/snapshot.h"

/* The file that marks a directory as incompletely restored. */
#define BK_DESTINATION_MARK "backstay_restore_unfinished"

typedef enum {
    BK_DESTINATION_NEW, /* is not there */
    BK_DESTINATION_EMPTY,
    BK_DESTINATION_PART,  /* an unfinished restore */
    BK_DESTINATION_DATA,  /* a data directory */
    BK_DESTINATION_OTHER, /* holds something else */
} BkDestinationState;

/* Looks at `path`. Fails with BK_ERROR_UNFIT when a server runs in it or it is no directory, with
 * BK_ERROR_DENIED when it, or the directory to make it in, cannot be written. */
bool bk_destination_inspect(const char *path, BkDestinationState *state,
                            GError **error) BK_MUST_USE;

/* Returns true if a server runs in the data directory `path`. */
bool bk_destination_has_server(const char *path);

/* The path without links, also where it or its end is not there: of a link that leads nowhere,
 * where it leads. Owned by the caller. */
char *bk_destination_resolve(const char *path);

/* Returns true if both paths lead to the same place, links resolved. */
bool bk_destination_is_same(const char *path, const char *other);

/* Returns true if one of the two paths is inside the other, or they are the same, with links
 * resolved. */
bool bk_destination_overlaps(const char *path, const char *other);

/* "is new", "is empty", …: a static string. */
const char *bk_destination_describe(BkDestinationState state);

/* Renames `path` to "PATH.before-restore-STAMP" in a durable way; `*moved` is the new name. What
 * has that name already stays: BK_ERROR_EXISTS. */
bool bk_destination_move_aside(const char *path, int64_t now_us, char **moved,
                               GError **error) BK_MUST_USE;

/* Removes everything in `place` that `snapshot` does not have, except the mark: names of files and
 * links that differ in kind too, and files that cannot be written in place: those that have another
 * name as well, those that their owner may not write, and those of another user. Of links only
 * those are entered that something is mounted at, and as what is mounted; right behind one, in a
 * tablespace's directory, what the snapshot does not have is left alone: other clusters have their
 * directories there. What bk_aside_is_exempt names is left alone, too. */
bool bk_destination_remove_others(const BkBeneath *place, const BkSnapshot *snapshot, BkOp *op,
                                  GError **error) BK_MUST_USE;

/* Opens one directory on each file system that `place` and the directories of `snapshot` in it,
 * mounted ones included, are on: an array of BkFd, which are closed with it. */
GArray *bk_destination_file_systems(const BkBeneath *place, const BkSnapshot *snapshot,
                                    GError **error) BK_MUST_USE;
