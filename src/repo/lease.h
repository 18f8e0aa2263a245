/* lease.h - the lease of a source: which process may write its snapshots, and delete from it.
 *
 * The lease is a chain of immutable objects "SOURCE/lease/EPOCH", of which the one with the highest
 * epoch counts. It begins with a random number. Acquiring, renewing and releasing the lease each
 * put the next epoch; since the first put of a name wins, two processes never both have it, and one
 * whose lease was taken over notices at its next step. A put whose answer was lost counts as done:
 * the object has the token of the lease that put it. Where somebody deleted all of the objects,
 * another process begins a new chain, and an owner of before notices at its next step or
 * confirmation. So it works the same in a directory and in a locked bucket, and no clock decides
 * who wins. A lease that expires within twice its time to live is held. Any other, which expired or
 * whose owner's clock differs from this one's, is watched for 40 s by the monotonic clock, and
 * replaced only if it is not renewed meanwhile: a wrong clock takes no lease from a running
 * process, and keeps none for one that died. An owner that died on this very host is recognised by
 * its process and replaced at once. Threads: a lease renews itself in a thread of its own; the
 * functions belong to one thread. */
#pragma once
#include "repo/repository.h"

#define BK_LEASE_DEFAULT_TTL_US (60 * BK_USEC_PER_SEC)

typedef struct BkLease BkLease;

typedef struct BkLeaseInfo {
    uint64_t epoch;
    char *holder; /* "host: process 123", for people */
    int64_t expires_us;
    bool is_held;   /* false: released, or never taken */
    bool is_dead;   /* held by a process of this host that has died */
    uint64_t token; /* random, of the lease that put it */
} BkLeaseInfo;

void bk_lease_info_clear(BkLeaseInfo *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkLeaseInfo, bk_lease_info_clear)

/* What one lease object holds. `info->epoch` is set before: that of its name. Fails with
 * BK_ERROR_CORRUPT or BK_ERROR_UNSUPPORTED. */
bool bk_lease_info_decode(BkLeaseInfo *info, const BkBuf *raw, GError **error) BK_MUST_USE;

/* Reads the state of the lease. */
bool bk_lease_read(const BkSourceRepo *source_repo, BkLeaseInfo *info, BkOp *op,
                   GError **error) BK_MUST_USE;

typedef struct BkLeaseOptions {
    int64_t ttl_us;  /* 0: the default */
    bool break_held; /* take it from a running owner, which will fail at its next step */
} BkLeaseOptions;

/* Takes the lease, perhaps after watching it (see above). Fails with BK_ERROR_BUSY when another
 * process holds it. While it is held it is
 * renewed; when that fails because another took over, `op` fails with BK_ERROR_LEASE_LOST (see
 * bk_op_fail). `source_repo` and `op` must outlive it. */
BkLease *bk_lease_acquire(const BkSourceRepo *source_repo, const BkLeaseOptions *options, BkOp *op,
                          GError **error) BK_MUST_USE;

/* Proves that the lease is still held, by renewing it now: to be called before a manifest is put or
 * anything is deleted. Fails with BK_ERROR_LEASE_LOST. */
bool bk_lease_confirm(BkLease *self, GError **error) BK_MUST_USE;

/* Replaces `*cause`, with which the work has failed, by BK_ERROR_LEASE_LOST if the lease was not
 * renewed in time and another process took it over: a process that was stopped so long finds
 * timeouts and broken connections first. Safe from any thread; `self` may be NULL. */
void bk_lease_explain(BkLease *self, GError **cause);

/* Returns true if the previous one was not released: its owner was killed, or the lease was taken
 * from it. */
bool bk_lease_was_left(const BkLease *self);

/* The epoch, which grows with every step: for the manifest. */
uint64_t bk_lease_epoch(BkLease *self);

/* Releases the lease (best effort: it would expire on its own) and frees it. NULL is fine. The
 * second takes at most `timeout_us`, where the store notices that its time is over. */
void bk_lease_release(BkLease *self);
void bk_lease_release_within(BkLease *self, int64_t timeout_us);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkLease, bk_lease_release)
