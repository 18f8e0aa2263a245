/* systems.h - the clusters of a source, over all of its repositories (source/pg/history/system.h).
 *
 * Each has pasts and lines of its own. An empty repository has a past of the current cluster.
 * Threads: belongs to one thread, or is read only. */
#pragma once
#include "source/pg/history/lines.h"

typedef struct BkSystem {
    uint64_t id;         /* 0: nothing is known of the source */
    int64_t declared_us; /* when it was declared current last; 0: it never was */
    GPtrArray *pasts;    /* of BkRecoveryIndex, borrowed: of each repository with anything of it */
    BkLines lines;
} BkSystem;

typedef struct BkSystems {
    GPtrArray *pasts;    /* of BkRecoveryIndex: all of them */
    GPtrArray *systems;  /* of BkSystem, in order; the current one last, and there always is one */
    GPtrArray *problems; /* of BkProblem: what could not be read */
} BkSystems;

void bk_systems_init(BkSystems *self);
void bk_systems_clear(BkSystems *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkSystems, bk_systems_clear)

/* Loads what `source_repo` holds, as bk_recovery_index_load_all. */
bool bk_systems_add(BkSystems *self, const BkSourceRepo *source_repo,
                    BkRecoveryIndexArchive archive, BkOp *op, GError **error) BK_MUST_USE;

/* Puts the clusters in order; to be called once, behind the last part. Without an archive the
 * operator's decisions are only read where they matter. Fails only when `op` ended. */
bool bk_systems_order(BkSystems *self, BkRecoveryIndexArchive archive, BkOp *op,
                      GError **error) BK_MUST_USE;

/* Loads their lines, or loads them anew when snapshots were excluded from the pasts. The server of
 * `source` (or NULL) may be asked on which timeline it is. Fails only when `op` ended. */
bool bk_systems_load_lines(BkSystems *self, const BkSourceSpec *source, BkOp *op,
                           GError **error) BK_MUST_USE;

/* "its clusters are …, …" with the system identifiers: a new string. */
char *bk_systems_describe(const BkSystems *self);

BkSystem *bk_systems_current(const BkSystems *self);

/* The cluster of that identifier, or with that snapshot; NULL: there is none. */
BkSystem *bk_systems_find(const BkSystems *self, uint64_t id);
BkSystem *bk_systems_find_snapshot(const BkSystems *self, const char *snapshot);

/* The past of `source_repo` in a cluster, or NULL. */
const BkRecoveryIndex *bk_system_find_past(const BkSystem *self, const BkSourceRepo *source_repo);

/* Returns true if it has a snapshot that is finished, or that may be, since it cannot be read. */
bool bk_system_has_snapshot(const BkSystem *self);
