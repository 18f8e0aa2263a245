/* repo-compare.h - compares what two repositories have of a source.
 *
 * Compared are finished snapshots, the packs that any of them names, and the WAL that recovery from
 * any of them can need, from both sides. Packs and WAL are compared by listing, not read. Threads:
 * belongs to one thread. */
#pragma once
#include "engine/copy/object-index.h"

#define BK_COMPARE_SIDES 2u
#define BK_COMPARE_NAMED 10u /* objects that are listed of many */

typedef struct BkComparedLack {
    uint64_t count;
    uint64_t bytes;
    GPtrArray *names; /* of const char *: the first */
} BkComparedLack;

/* Objects of one kind. */
typedef struct BkCompared {
    uint64_t objects; /* that any side has, or needs */
    uint64_t bytes;
    uint64_t replicated; /* those of them that both have alike */
    uint64_t replicated_bytes;
    BkComparedLack missing[BK_COMPARE_SIDES];
    BkComparedLack differing; /* that both have, but not alike */
} BkCompared;

typedef enum {
    BK_COMPARE_SNAPSHOTS,
    BK_COMPARE_PACKS,
    BK_COMPARE_WAL,
    BK_COMPARE_KINDS
} BkCompareKind;

typedef struct BkRepoComparison {
    BkCompared kinds[BK_COMPARE_KINDS];
    GPtrArray *problems; /* of BkProblem: what is damaged */
    GStringChunk *names;
} BkRepoComparison;

void bk_repo_comparison_clear(BkRepoComparison *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkRepoComparison, bk_repo_comparison_clear)

/* Compares two source repositories of one source; NULL is one that is not there, but not both.
 * Fails when a repository cannot be asked. */
bool bk_repo_comparison_run(BkRepoComparison *self,
                            const BkSourceRepo *const source_repos[BK_COMPARE_SIDES], BkOp *op,
                            GError **error) BK_MUST_USE;

/* Both hold the same, and nothing is damaged. */
bool bk_repo_comparison_is_equal(const BkRepoComparison *self);

/* The share, from 0 to 1, of `replicated` in `total`: all of nothing is 1. */
double bk_repo_comparison_share(uint64_t replicated, uint64_t total);
