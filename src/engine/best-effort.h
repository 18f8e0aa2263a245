/* best-effort.h - the repositories that a backup serves as long as they keep up.
 *
 * A call to one of them that fails, or that brings nothing about for too long, drops it: that is
 * logged as a warning, what runs in it is cancelled, and nothing is put into it any more, from
 * whatever thread; above all no manifest. Its failures are never those of the backup: the functions
 * below fail only when the operation itself has ended. A call can be given up only where the store
 * notices that its operation has ended: a directory on a network that hangs in the kernel holds
 * everybody. Threads: bk_best_effort_put_pack may be called by many threads at once; the other
 * functions belong to one. */
#pragma once
#include "engine/publish.h"
#include "engine/source-spec.h"
#include "source/pg/meta.h"

typedef struct BkBestEffort BkBestEffort;

/* `patience_us` is how long a call may take in which nothing succeeds; `op` must outlive it. */
BkBestEffort *bk_best_effort_new(int64_t patience_us, BkOp *op);

/* Gives the leases up, too. NULL is fine. */
void bk_best_effort_free(BkBestEffort *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkBestEffort, bk_best_effort_free)

/* Adds the repositories of `source` that are not required, and opens them. */
bool bk_best_effort_open(BkBestEffort *self, const BkSourceSpec *source,
                         GError **error) BK_MUST_USE;

/* Adds one that is open already (taken over). */
void bk_best_effort_add(BkBestEffort *self, BkRepository *repository);

typedef struct BkBestEffortTaking {
    const char *source;
    const BkPart *model; /* of the source in a required repository: all have its keys */
    uint64_t system_id;
    bool break_lease;
} BkBestEffortTaking;

/* Opens the source's parts, which are created where they are missing, and takes their leases. */
bool bk_best_effort_take(BkBestEffort *self, const BkBestEffortTaking *taking,
                         GError **error) BK_MUST_USE;

bool bk_best_effort_put_pack(BkBestEffort *self, const uint8_t name[BK_SHA256_SIZE],
                             const BkBuf *object, GError **error) BK_MUST_USE;

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

size_t bk_best_effort_count(const BkBestEffort *self);
const char *bk_best_effort_name(const BkBestEffort *self, size_t index);

/* Why it has not got the snapshot; NULL: it has, if it was published. Holds as long as `self`. */
const char *bk_best_effort_why(const BkBestEffort *self, size_t index);
