/* object-lock.h - keeps what a snapshot needs locked, in stores that lock: its packs and the keys.
 * What its source archives by itself, such as WAL, the source sees to with the same means.
 *
 * Promise: when a manifest is put, each pack that it names, each key that is needed to read them,
 * and each file of the source's log that it needs to be consistent refuses deletion for at least
 * the lock's time from then on. Stores lock what is put or retained for a quarter longer than that,
 * so it is enough to extend locks once in each quarter of the time, and most backups need not.
 * Threads: a call starts and joins threads of its own. */
#pragma once
#include "repo/snapshot/snapshot.h"

/* What is known of the locks in one source repository. */
typedef struct BkObjectLock {
    int64_t taken_us; /* reused packs were locked in its quarter or later; at first the time when
                         their snapshot was begun */
    int64_t keys_us;  /* the same of the keys: each snapshot sees to them */
    int64_t made_us;  /* the same of new ones; at first the time when this snapshot was begun */
    int64_t log_us;   /* the same of what its source archived while it was made */
} BkObjectLock;

/* The state before a snapshot begun at `started_us` that reuses packs of `parent` (NULL: from
 * none). */
void bk_object_lock_init(BkObjectLock *self, int64_t started_us, BkSnapshot *parent);

/* The same for the source repository that it is put into, which may not have the parent, or have
 * got it when locks were shorter: then nothing is known of its locks. Fails as bk_store_get_lock.
 */
bool bk_object_lock_begin(BkObjectLock *self, const BkSourceRepo *source_repo, int64_t started_us,
                          BkSnapshot *parent, BkOp *op, GError **error) BK_MUST_USE;

typedef struct BkObjectLockRequest {
    const BkSourceRepo *source_repo;
    const BkSnapshot *snapshot; /* whose manifest is to be put */
    const BkSnapshot *parent;   /* its packs are those that are reused; may be NULL */
    int64_t now_us;
    unsigned workers;
} BkObjectLockRequest;

/* Returns true if what was locked at `since_us` must be locked again. */
bool bk_object_lock_is_due(int64_t lock_us, int64_t since_us, int64_t now_us);

/* Extends the locks of keys, of the repository and of the source, when they are due. */
bool bk_object_lock_keys(BkObjectLock *self, const BkObjectLockRequest *request, BkOp *op,
                         GError **error) BK_MUST_USE;

/* Extends the locks of packs that are due. Fails as bk_store_retain. */
bool bk_object_lock_packs(BkObjectLock *self, const BkObjectLockRequest *request, BkOp *op,
                          GError **error) BK_MUST_USE;

/* Extends the locks of those objects (char *). Fails as bk_store_retain. */
bool bk_object_lock_extend(const BkObjectLockRequest *request, GPtrArray *names, BkOp *op,
                           GError **error) BK_MUST_USE;
