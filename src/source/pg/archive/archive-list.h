/* archive-list.h - lists what is in a WAL archive.
 *
 * Threads: functions are safe from any thread. */
#pragma once
#include "repo/repository.h"
#include "source/pg/format/lsn.h"

typedef struct BkArchiveTimeline {
    uint64_t system_id; /* of the cluster */
    uint32_t timeline;
    GArray *segments;    /* BkWalName of kind segment, ascending */
    bool has_history;    /* a history file is there */
    int64_t modified_us; /* when the newest segment was put */
} BkArchiveTimeline;

void bk_archive_timeline_free(void *self); /* NULL is fine */

/* Lists all of it: an array of BkArchiveTimeline *, ascending by system identifier and timeline. */
GPtrArray *bk_archive_list(const BkSourceRepo *source_repo, BkOp *op, GError **error) BK_MUST_USE;

/* Appends the system identifiers (uint64_t) of the clusters that have a directory in the archive.
 */
bool bk_archive_list_systems(const BkSourceRepo *source_repo, GArray *found, BkOp *op,
                             GError **error) BK_MUST_USE;

/* The size of a segment of one cluster. */
typedef struct BkArchiveSize {
    uint64_t system_id;
    uint32_t segment_size;
} BkArchiveSize;

/* The same for reports, which are asked for every minute: in a repository that is far away, of
 * directories that were seen to hold all the segments that they can, it is only asked whether they
 * are still there. All is listed anew when it was not for a day. `sizes` has those of the clusters
 * that are known (others are listed whole), `now_us` is the time since 1970. Whoever restores,
 * copies or deletes lists all of it. */
GPtrArray *bk_archive_list_known(const BkSourceRepo *source_repo, const BkArchiveSize *sizes,
                                 size_t count, int64_t now_us, BkOp *op,
                                 GError **error) BK_MUST_USE;
