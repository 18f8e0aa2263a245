/* targets.h - the repositories of one run: those it needs and those it serves as long as they keep
 * up.
 *
 * A run is a backup, a push of WAL, or something that reads. It works with a list of BkTarget, one
 * for each repository of the source, and each step is one function for all of them:
 *
 *   init ► open ► create ► take (lease, listing, whose source it is) ► put_pack … ► publish
 *        ► [what is behind is caught up by the caller] ► release, clear
 *   open_for_reading instead of the first three, for what only reads
 *
 * What a failure means is a policy, which bk_targets_each alone knows:
 *   required     the step fails with it. Such a target works in the caller's operation, so that the
 *                loss of its lease ends the whole run.
 *   best effort  a failure, or a call in which nothing succeeds for the patience or within the
 *                budget, drops the target, which is a warning; what runs in it is cancelled, and
 *                nothing is put into it any more, from whatever thread; above all no manifest. Its
 *                failures are never those of the run: a step fails only when the run itself ended.
 *   reading      one that cannot be asked is dropped without a word, for the caller to report; it
 *                fails the run only where no other one could be asked.
 *
 * Within a step the required targets come first. A manifest is put by bk_publish alone, which
 * confirms the target's lease just before. A target of best effort may lack what was put while it
 * was away: then it is behind, and gets no manifest either until somebody has brought it that.
 * Nothing here knows what kind of source it is: what a step needs of that comes in as a function.
 *
 * Threads: bk_targets_each and bk_targets_put_pack may be called by many at once, once the steps
 * before them have returned; the other functions, and what is read of a target, belong to one
 * thread. */
#pragma once
#include "repo/targets/publish.h"

typedef enum BkTargetKinds {
    BK_TARGETS_REQUIRED = 1,
    BK_TARGETS_BEST_EFFORT = 2,
    BK_TARGETS_ALL = BK_TARGETS_REQUIRED | BK_TARGETS_BEST_EFFORT,
} BkTargetKinds;

/* Of targets of best effort. */
typedef struct BkTargetsOptions {
    int64_t patience_us; /* how long a call may take in which nothing succeeds */
    int64_t budget_us;   /* how long calls may be under way in all; 0: no bound */
} BkTargetsOptions;

typedef struct BkTargets {
    GPtrArray *all;          /* of BkTarget, as they are configured */
    GPtrArray *source_repos; /* of BkSourceRepo, theirs: of each that is required, or can be read */
    const BkSourceSpec *source;
    BkTargetsOptions options;
    BkOp *op;
    BkOp *budget_op; /* its child, and parent of each target's own */

    pthread_mutex_t mutex; /* guards what follows */
    unsigned calls;        /* of best effort, that are under way */
    int64_t since_us;      /* when that began */
    int64_t spent_us;      /* before */
} BkTargets;

/* A target for each repository of `source`, none of them opened. Both must outlive it. */
void bk_targets_init(BkTargets *self, const BkSourceSpec *source, const BkTargetsOptions *options,
                     BkOp *op);

/* Gives the leases up, too. One that was never initialised, but is all zeros, is fine. */
void bk_targets_clear(BkTargets *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkTargets, bk_targets_clear)

BkTarget *bk_targets_at(const BkTargets *self, guint index);

/* Something to be done with a target, in the operation `op`. */
typedef bool (*BkTargetCall)(BkTarget *target, const void *data, BkOp *op, GError **error);

/* Does it with each of these kinds that was not dropped, by the policy above. `op` is the caller's:
 * that of the run, or a child. */
bool bk_targets_each(BkTargets *self, BkTargetKinds kinds, BkTargetCall call, const void *data,
                     BkOp *op, GError **error) BK_MUST_USE;

/* Opens the repositories by what this host keeps of them. */
bool bk_targets_open(BkTargets *self, BkTargetKinds kinds, GError **error) BK_MUST_USE;

/* Opens the source in each; where it is missing, it is created with the keys of the first required
 * one, which comes first. One with other keys fails with BK_ERROR_CONFLICT; one that this host
 * remembers, and is not there any more, with BK_ERROR_UNFIT (host-memory.h). */
bool bk_targets_create(BkTargets *self, BkTargetKinds kinds, GError **error) BK_MUST_USE;

typedef struct BkTargetsTaking {
    bool break_lease;
    uint32_t log_file_size; /* as bk_stale_uploads_abort */
    BkTargetCall check;     /* may the run write there? Called under the lease, with the listing */
    const void *data;       /* passed to it */
} BkTargetsTaking;

/* Takes the lease in each, lists the snapshots there, checks, and aborts stale uploads. */
bool bk_targets_take(BkTargets *self, BkTargetKinds kinds, const BkTargetsTaking *taking,
                     GError **error) BK_MUST_USE;

/* Puts a pack into every target. */
bool bk_targets_put_pack(BkTargets *self, const uint8_t name[BK_SHA256_SIZE], const BkBuf *object,
                         BkOp *op, GError **error) BK_MUST_USE;

/* Puts the manifest into each that lacks nothing; one of best effort that does is behind from now
 * on. One of these that is dead by now is not waited for. */
bool bk_targets_publish(BkTargets *self, BkTargetKinds kinds, const BkPublishRequest *request,
                        GError **error) BK_MUST_USE;

/* Replaces `*cause`, which ended the run, by the loss of a required target's lease if that is
 * behind it. */
void bk_targets_explain(const BkTargets *self, GError **cause);

/* Gives up the leases of the required targets. */
void bk_targets_release(BkTargets *self);

/* Remembers on this host (host-memory.h) what was put into each that was not dropped: a segment of
 * that cluster, and a snapshot where its manifest is; either may be NULL. */
void bk_targets_remember(const BkTargets *self, BkTargetKinds kinds, const char *snapshot,
                         uint64_t system_id, const char *segment);

/* Forgets what was remembered, where the source is begun anew. */
void bk_targets_remember_anew(const BkTargets *self, BkTargetKinds kinds);

/* Opens the source in all required repositories without a request (bk_repository_recall). Returns
 * false if one of them is not in a bucket, or nothing usable is kept of it. */
bool bk_targets_recall(const BkSourceSpec *source, BkTargets *self, BkOp *op) BK_MUST_USE;

/* Opens what can be read. One that cannot be asked is dropped, one that holds nothing of the source
 * is not among `source_repos`. `only` (NULL: all) names the one repository to open. Fails when none
 * could be asked. */
bool bk_targets_open_for_reading(const BkSourceSpec *source, const char *only, BkTargets *self,
                                 BkOp *op, GError **error) BK_MUST_USE;

/* Adds to `problems` (of BkProblem) each that was dropped. */
void bk_targets_add_problems(const BkTargets *self, GPtrArray *problems);

/* Returns true if none was dropped. */
bool bk_targets_are_all_there(const BkTargets *self);

/* Drops the one of that source repository. */
void bk_targets_drop(const BkTargets *self, const BkSourceRepo *source_repo, const GError *cause);

/* Returns true if `error` may be the fault of one repository, so that another one may do: it cannot
 * be reached, written or opened, or what it holds is damaged or of a newer format. Not what another
 * repository would say as well: that something is absent, or contradicts what is known. The source
 * and the destination can fail with the same codes (NO_SPACE, DENIED, CORRUPT): a caller that works
 * with them too must tell those apart where a second attempt in vain matters. */
bool bk_targets_is_at_fault(const GError *error);

/* Keeps in `*worst` what one repository after the other failed with, and takes ownership of
 * `*cause`: "not there" is the answer only when none failed otherwise, then the first other failure
 * is. */
void bk_targets_keep_worst(GError **worst, GError **cause);
