/* host-memory.h - compares a repository with what this host remembers of it (marks.h).
 *
 * A state directory that is missing or cannot be used is a warning, and then nothing is noticed:
 * it never fails a backup or the archiving of WAL.
 * Threads: belongs to one thread. */
#pragma once
#include "repo/targets/marks.h"
#include "repo/targets/source-spec.h"

/* What is remembered of the source in that place; empty when nothing is. */
void bk_host_memory_load(const BkSourceSpec *source, const BkLocation *place, BkMarks *marks);

/* Fails with BK_ERROR_UNFIT when `repository` is another one than the one remembered, or when the
 * source's part of it, which is remembered, is not there (`source_repo` is NULL) or has an older
 * key than is remembered, and the source is not begun anew (is_new of the spec). */
bool bk_host_memory_check(const BkSourceSpec *source, const BkMarks *marks,
                          const BkRepository *repository, const BkSourceRepo *source_repo,
                          GError **error) BK_MUST_USE;

/* Adds to `problems` (of BkProblem) the newest remembered snapshot, when it is not among the
 * `entries` of bk_snapshot_list. Then it is remembered as lost: `status` names it until it is there
 * again, or the source is begun anew. */
void bk_host_memory_compare(const BkSourceSpec *source, const BkSourceRepo *source_repo,
                            const GPtrArray *entries, GPtrArray *problems, BkOp *op);

/* Remembers what was put into a part: a snapshot and a segment of that cluster, either may
 * be NULL. */
void bk_host_memory_add(const BkSourceSpec *source, const BkSourceRepo *source_repo,
                        const char *snapshot, uint64_t system_id, const char *segment, BkOp *op);

/* Forgets what was before, and remembers that the source is there. */
void bk_host_memory_begin_anew(const BkSourceSpec *source, const BkSourceRepo *source_repo,
                               BkOp *op);
