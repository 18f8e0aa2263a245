/* best-effort.h - the repositories that a backup, or the archiving of WAL, serves as long as they
 * keep up.
 *
 * A call to one of them that fails, or that brings nothing about for too long, drops it: that is
 * logged as a warning, what runs in it is cancelled, and nothing is put into it any more, from
 * whatever thread; above all no manifest. Its failures are never those of the backup: the functions
 * below fail only when the operation itself has ended. A call can be given up only where the store
 * notices that its operation has ended: a directory on a network that hangs in the kernel holds
 * everybody. Threads: bk_best_effort_put_pack and _put_file may be called by many threads at once;
 * the other functions belong to one. */
#pragma once
#include "engine/targets/publish.h"
#include "repo/targets/source-spec.h"
#include "source/pg/archive/archive.h"
#include "source/pg/cluster/pg-meta.h"

typedef struct BkBestEffort BkBestEffort;

typedef struct BkBestEffortOptions {

    int64_t patience_us; /* how long a call may take in which nothing succeeds */
    int64_t budget_us;   /* how long calls may be under way in all; 0: no bound */
} BkBestEffortOptions;

/* `op` must outlive it. */
BkBestEffort *bk_best_effort_new(const BkBestEffortOptions *options, BkOp *op);

/* Gives the leases up, too. NULL is fine. */
/* Remembers on this host (remembered.h) what was put into each that was not dropped: a segment, and
 * a snapshot in those that lack nothing of it; either may be NULL. */
void bk_best_effort_remember(const BkBestEffort *self, const BkSourceSpec *source,
                             const char *snapshot, uint64_t system_id, const char *segment);

/* Forgets what was remembered of each. */
void bk_best_effort_remember_anew(const BkBestEffort *self, const BkSourceSpec *source);

void bk_best_effort_free(BkBestEffort *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkBestEffort, bk_best_effort_free)

/* Adds the repositories of `source` that are not required, and opens them. */
bool bk_best_effort_open(BkBestEffort *self, const BkSourceSpec *source,
                         GError **error) BK_MUST_USE;

/* Adds one that is open already (taken over). */
void bk_best_effort_add(BkBestEffort *self, BkRepository *repository);

/* Opens the parts of `source`; those that are missing are created with the keys of `model`, the
 * part in a required repository. One that has others is dropped. */
bool bk_best_effort_create(BkBestEffort *self, const char *source, const BkSourceRepo *model,
                           GError **error) BK_MUST_USE;

/* Takes the leases, where `system_id` is the current cluster, also by the decisions of `model`, the
 * part in a required repository. */
bool bk_best_effort_take(BkBestEffort *self, uint64_t system_id, const BkSourceRepo *model,
                         bool break_lease, GError **error) BK_MUST_USE;

bool bk_best_effort_put_pack(BkBestEffort *self, const uint8_t name[BK_SHA256_SIZE],
                             const BkBuf *object, GError **error) BK_MUST_USE;

/* Puts what `writer` has put last, of that cluster. */
bool bk_best_effort_put_file(BkBestEffort *self, BkArchiveWriter *writer, const BkArchiveFile *file,
                             uint64_t system_id, GError **error) BK_MUST_USE;

typedef struct BkBestEffortSnapshot {
    BkPublishRequest publish;
    int64_t started_us;
    const BkPgMeta *meta;
    const char *data_dir; /* where the server has written its WAL */
    int64_t timeout_us;   /* how long to wait for WAL that the required repositories have */
} BkBestEffortSnapshot;

/* Puts the manifest where all is there that it needs: each pack, and (unless standalone) the WAL
 * from start to stop. One that lacks something is behind from now on. */
bool bk_best_effort_publish(BkBestEffort *self, const BkBestEffortSnapshot *snapshot,
                            GError **error) BK_MUST_USE;

/* Brings what they lack of the snapshot, and all snapshots and WAL since the newest that each had
 * before, from a required repository, whose part is `from`. */
bool bk_best_effort_catch_up(BkBestEffort *self, const BkBestEffortSnapshot *snapshot,
                             const BkSourceRepo *from, GError **error) BK_MUST_USE;

size_t bk_best_effort_count(const BkBestEffort *self);
const char *bk_best_effort_name(const BkBestEffort *self, size_t index);

/* Why it has not got the snapshot; NULL: it has, if it was published. Holds as long as `self`. */
const char *bk_best_effort_why(const BkBestEffort *self, size_t index);
