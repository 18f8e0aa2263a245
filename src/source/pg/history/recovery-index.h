/* recovery-index.h - what one repository, or several together, have of the history of one cluster:
 * snapshots, WAL, timelines, windows.
 *
 * A source that was upgraded (pg_upgrade) consists of several clusters, each with a system
 * identifier, timelines and positions of its own. What is of different clusters is never compared.
 * Loaded by a few listings and the heads of the snapshots; everything that plans a restore or
 * reports a state asks it. Threads: belongs to one thread, or is read only. */
#pragma once
#include "repo/snapshot/snapshot.h"
#include "report/problem.h"
#include "source/pg/archive/archive-list.h"
#include "source/pg/archive/archive.h"
#include "source/pg/cluster/pg-meta.h"
#include "source/pg/history/recovery-window.h"

typedef struct BkRecoveryIndexSnapshot {
    BkSnapshotHead head;
    BkPgMeta meta;
} BkRecoveryIndexSnapshot;

/* A snapshot whose manifest is damaged or cannot be read: it cannot be restored, and no other one
 * suffers from it. */
typedef struct BkRecoveryIndexUnreadable {
    char id[BK_SNAPSHOT_ID_SIZE + 1];
    char *why; /* names the object */
} BkRecoveryIndexUnreadable;

/* Of two snapshots of one cluster: by timeline, then by position in the WAL, which no clock can
 * lead astray. */
int bk_recovery_index_snapshot_compare(const BkRecoveryIndexSnapshot *a,
                                       const BkRecoveryIndexSnapshot *b);

typedef struct BkRecoveryIndex {
    const BkSourceRepo *source_repo; /* of several repositories: the first */
    const GPtrArray *members; /* of BkRecoveryIndex: see bk_recovery_index_join; NULL if it is of
                                 one repository */
    uint64_t system_id;       /* of the cluster; 0: none is known, and there is nothing */
    GPtrArray
        *snapshots; /* of BkRecoveryIndexSnapshot, by timeline and position, unfinished ones too */
    GPtrArray *restorable; /* borrowed from `snapshots`: those that `input` counts */
    GPtrArray
        *unreadable; /* of BkRecoveryIndexUnreadable, not among `snapshots`: of which cluster they
                        are is not known, so that one past of a repository has them all */
    GPtrArray *problems; /* of BkProblem: what else is damaged */
    GPtrArray *archive;  /* of BkArchiveTimeline */
    BkWindowInput input; /* its arrays are owned by the past */
    BkWindows windows;
} BkRecoveryIndex;

void bk_recovery_index_clear(BkRecoveryIndex *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkRecoveryIndex, bk_recovery_index_clear)
void bk_recovery_index_free(void *self);

/* How closely to look at the archive, which may have very many objects. */
typedef enum BkRecoveryIndexArchive {
    BK_RECOVERY_INDEX_NO_ARCHIVE, /* not at all, and there are no windows, while all snapshots are
                           of one timeline of each cluster; otherwise as the next one */
    BK_RECOVERY_INDEX_KNOWN_ARCHIVE, /* as bk_archive_list_known: for reports */
    BK_RECOVERY_INDEX_WHOLE_ARCHIVE,
} BkRecoveryIndexArchive;

/* Loads what `source_repo` (which must outlive the pasts) holds, and calculates the windows:
 * appends to `pasts` (of BkRecoveryIndex, owned) one for each cluster, by system identifier, or an
 * empty one where there is nothing; the last has what is unreadable. A timeline whose history
 * cannot be read counts as one without ancestors, and is among the problems. Fails when the
 * repository cannot be asked, or none of its manifests be read for another reason than damage. */
bool bk_recovery_index_load_all(const BkSourceRepo *source_repo, BkRecoveryIndexArchive archive,
                                GPtrArray *pasts, BkOp *op, GError **error) BK_MUST_USE;

/* Adds to `problems` (of BkProblem) what is unreadable, and the past's own problems. */
void bk_recovery_index_add_problems(const BkRecoveryIndex *self, GPtrArray *problems);

/* The index of a cluster of which `source_repo` has nothing. */
BkRecoveryIndex *bk_recovery_index_new_empty(const BkSourceRepo *source_repo, uint64_t system_id);

/* What all of `members` (of BkRecoveryIndex, of one cluster; borrowed, with all in them) hold
 * together: each snapshot once, from the first that can read it, and the WAL that any of them has,
 * as `wal fetch` takes it. What only one lacks or has damaged is among the problems. */
BkRecoveryIndex *bk_recovery_index_join(const GPtrArray *members);

/* Calculates `windows`, and `input`'s snapshots, from what is in `restorable` and `input`. */
void bk_recovery_index_find_windows(BkRecoveryIndex *self);

/* The segments of a repository without a snapshot are numbered by the size that another one knows.
 */
void bk_recovery_index_set_segment_size(BkRecoveryIndex *self, uint32_t segment_size);

/* Returns the first member in which that snapshot can be restored, or NULL. */
const BkRecoveryIndex *bk_recovery_index_find_member(const BkRecoveryIndex *self, const char *id);

/* Takes a restorable snapshot that has turned out to be unusable away from what can be restored: it
 * counts as unreadable, for the reason `why`. Nothing happens when it is not there. Frees it;
 * references to its snapshots or windows become invalid. */
void bk_recovery_index_exclude(BkRecoveryIndex *self, const char *id, const char *why);

/* Returns true if looking at a segment may be a request to a bucket. */
bool bk_recovery_index_is_remote(const BkRecoveryIndex *self);

/* Returns true if that segment is listed under the name of `timeline`. */
bool bk_recovery_index_has_segment(const BkRecoveryIndex *self, uint32_t timeline, uint64_t segno);

/* The last transactions of a path of recovery, read from the heads of its last segments. */
typedef struct BkRecoveryIndexEnd {
    BkLsn lsn;       /* end of the valid WAL */
    int64_t time_us; /* of the last commit or abort past `after`; 0: there was none */
    BkLsn last_lsn;  /* where its record begins */
} BkRecoveryIndexEnd;

/* Finds the end of `path`, looking back no further than `after`. With `damage` (of BkProblem; or
 * NULL) segments whose heads cannot be read are added to it and passed by. */
bool bk_recovery_index_find_end(const BkRecoveryIndex *self, const BkWindowPath *path, BkLsn after,
                                BkRecoveryIndexEnd *end, GPtrArray *damage, BkOp *op,
                                GError **error) BK_MUST_USE;

/* The info of segment `segno` under the name of `timeline`: from the first repository that has it
 * intact. Fails with the worst of their errors (bk_targets_keep_worst). */
bool bk_recovery_index_get_info(const BkRecoveryIndex *self, uint32_t timeline, uint64_t segno,
                                BkWalInfo *info, BkOp *op, GError **error) BK_MUST_USE;

/* The content of a segment, likewise. */
bool bk_recovery_index_get_segment(const BkRecoveryIndex *self, uint32_t timeline, uint64_t segno,
                                   BkBuf *content, BkOp *op, GError **error) BK_MUST_USE;
