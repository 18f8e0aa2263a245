/* marks.h - how far a source had come in one repository, as this host has seen it.
 *
 * Kept in a small text file on the host (state-dir.h), so that somebody who removes the newest
 * snapshot, the newest WAL or a whole source from the repository, or puts an older state of it in
 * its place, is noticed: nothing that is left in the repository would tell.
 * Threads: nothing here has state. */
#pragma once
#include "base/buf.h"
#include "repo/snapshot/snapshot.h"
#include "source/pg/format/lsn.h"

#define BK_MARKS_MAX_SIZE     ((size_t)4096)
#define BK_REPOSITORY_ID_SIZE 32

typedef struct BkMarks {
    char repository[BK_REPOSITORY_ID_SIZE + 1]; /* id; "": nothing is known */
    uint32_t generation;                        /* of the source's newest key */
    char snapshot[BK_SNAPSHOT_ID_SIZE + 1];     /* that was put last; "": none */
    uint64_t system_id;                         /* the cluster of `segment` */
    char segment[BK_WAL_NAME_SIZE];     /* the highest that was put of that cluster; "": none */
    char lost[BK_SNAPSHOT_ID_SIZE + 1]; /* the first one found to be gone; "": none */
} BkMarks;

/* Parses what bk_marks_format has written. `marks` is overwritten, and empty on failure. Fails with
 * BK_ERROR_CORRUPT or BK_ERROR_UNSUPPORTED (a newer version). */
bool bk_marks_parse(const void *text, size_t size, BkMarks *marks, GError **error) BK_MUST_USE;
void bk_marks_format(const BkMarks *self, BkBuf *text);

/* Takes what is newer in `seen`: of another repository all of it. What is lost stays. Returns true
 * if anything changed. */
bool bk_marks_raise(BkMarks *self, const BkMarks *seen);
