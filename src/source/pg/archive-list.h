/* archive-list.h - what a WAL archive holds.
 *
 * Threads: functions are safe from any thread. */
#pragma once
#include "repo/repository.h"
#include "source/pg/lsn.h"

typedef struct BkArchiveTimeline {
    uint32_t timeline;
    GArray *segments;    /* BkWalName of kind segment, ascending */
    bool has_history;    /* a history file is there */
    int64_t modified_us; /* when the newest segment was put */
} BkArchiveTimeline;

/* Lists all of it: an array of BkArchiveTimeline *, ascending by timeline. */
GPtrArray *bk_archive_list(const BkPart *part, BkOp *op, GError **error) BK_MUST_USE;

/* The same for reports, which are asked for every minute: in a repository that is far away, of
 * folders that were seen to hold all the segments that they can, it is only asked whether they are
 * still there. All is listed anew when it was not for a day. `segment_size` is that of the cluster,
 * `now_us` the time since 1970. Whoever restores, copies or deletes lists all of it. */
GPtrArray *bk_archive_list_known(const BkPart *part, uint32_t segment_size, int64_t now_us,
                                 BkOp *op, GError **error) BK_MUST_USE;
