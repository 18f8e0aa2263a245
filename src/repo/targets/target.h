/* target.h - one repository of a run, and how a call to it is watched.
 *
 * A target that is not required has an operation of its own. Each call to it is begun and ended
 * here: while one is under way, nothing may succeed in it for its patience; once it has failed, it
 * is dropped: its operation is cancelled, which ends what other threads do in it, and no further
 * call begins. A call can be given up only where the store notices that its operation has ended: a
 * directory on a network that hangs in the kernel holds everybody.
 * Threads: begin, end and drop are safe from any thread; the rest belongs to one, while no other
 * one works with the target. */
#pragma once
#include "repo/lease.h"
#include "repo/snapshot/object-lock.h"
#include "repo/targets/source-spec.h"

#include <pthread.h>

typedef enum BkTargetState {
    BK_TARGET_OPEN,    /* takes what is put */
    BK_TARGET_BEHIND,  /* so it does, but it lacks something that the snapshot needs */
    BK_TARGET_DROPPED, /* has failed, or could not be asked: nothing is put into it any more */
    BK_TARGET_DONE,    /* has the manifest that was published last */
} BkTargetState;

typedef struct BkTarget {
    const BkRepositorySpec *spec; /* borrowed */
    bool is_required;             /* its failure fails the run */
    BkRepository *repository;     /* NULL until it is opened */
    BkSourceRepo *source_repo;    /* NULL until it is opened; or it holds nothing of the source */
    BkLease *lease;               /* NULL until it is taken */
    GPtrArray *snapshots;         /* of BkSnapshotEntry, that it had when the lease was taken */
    BkObjectLock lock;            /* of what it holds; valid once is_lock_known */
    bool is_lock_known;
    BkOp *op; /* of its own; NULL: it works in the caller's */

    pthread_mutex_t mutex; /* guards what follows */
    unsigned calls;        /* that are under way */
    BkTargetState state;
    char *why; /* it is behind, or was dropped */
} BkTarget;

/* `op` (or NULL) is taken; `spec` must outlive it. */
BkTarget *bk_target_new(const BkRepositorySpec *spec, BkOp *op);
void bk_target_free(BkTarget *self); /* gives the lease up; NULL is fine */

/* Returns false, and nothing is to be done, if the target was dropped. Otherwise nothing may
 * succeed in it for at most `patience_us` until the call ends; while nothing is asked of it, time
 * does not count. */
bool bk_target_begin_call(BkTarget *self, int64_t patience_us) BK_MUST_USE;
void bk_target_end_call(BkTarget *self, bool ok, int64_t patience_us);

/* Drops it. Returns true if it was not dropped before: the first cause says why, and those of calls
 * that it cancels say nothing. */
bool bk_target_drop(BkTarget *self, const GError *cause);

/* It lacks something; takes ownership of `why`. */
void bk_target_set_behind(BkTarget *self, char *why);

/* It has the manifest, and lacks nothing. */
void bk_target_set_done(BkTarget *self);
