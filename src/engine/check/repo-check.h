/* repo-check.h - checks that one repository has everything that the snapshots of a source need.
 *
 * Every manifest is read and decoded; packs and WAL are looked for by listing, not read. Threads:
 * belongs to one thread. */
#pragma once
#include "engine/copy/object-index.h"

typedef struct BkRepoCheck {
    size_t snapshots;    /* whose manifests decode */
    size_t packs;        /* that they name, */
    uint64_t pack_bytes; /* of which so many are there as they should be */
    size_t wal_files;
    GPtrArray *problems; /* of BkProblem; info: uploads that were not completed */
} BkRepoCheck;

void bk_repo_check_clear(BkRepoCheck *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkRepoCheck, bk_repo_check_clear)

/* Checks `source_repo`. Each manifest decodes, each pack that one names is there with its size,
 * each snapshot has its own WAL, and from the start of the oldest one on no segment is missing.
 * Fails when the repository cannot be asked; what is wrong with what it holds is a problem. */
bool bk_repo_check_run(BkRepoCheck *self, const BkSourceRepo *source_repo, BkOp *op,
                       GError **error) BK_MUST_USE;
