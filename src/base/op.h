/* op.h - one running operation: cancelling it, its deadline, its progress.
 *
 * Long calls take a `BkOp *op`. A child operation is cancelled with its parent but may also be
 * cancelled alone; progress goes to the topmost one.
 * Threads: every function is safe from any thread; bk_op_cancel also from a signal handler. The
 * others must have returned when the operation is freed. */
#pragma once
#include "base/error.h"

typedef struct BkOp BkOp;

typedef struct BkOpProgress {
    const char *phase;      /* static string such as "copying", NULL before the first */
    uint64_t done;          /* bytes, or items where the phase counts items */
    uint64_t total;         /* 0: unknown */
    int64_t phase_start_us; /* monotonic clock */
} BkOpProgress;

BkOp *bk_op_new(BkOp *parent); /* parent (may be NULL) must outlive the new one */
void bk_op_free(BkOp *self);   /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkOp, bk_op_free)

/* From now on bk_op_check fails. */
void bk_op_cancel(BkOp *self);
bool bk_op_is_cancelled(const BkOp *self);

/* Cancels because of `cause`, which bk_op_check then reports instead of BK_ERROR_CANCELLED: for a
 * thread in the background whose failure ends the work of others. The first cause counts; of an
 * operation that was cancelled before, none does. */
void bk_op_fail(BkOp *self, const GError *cause);

/* Ends the operation with BK_ERROR_TIMEOUT once the monotonic clock has reached `deadline_us`. */
void bk_op_set_deadline(BkOp *self, int64_t deadline_us);

/* The same once it has made no progress (bk_op_advance on it or a child) for `patience_us`, counted
 * from now; replaces a deadline. 0: no more. */
void bk_op_set_patience(BkOp *self, int64_t patience_us);

/* False when the operation is to stop: with the cause that it failed with (its own or that of the
 * nearest parent that has one), BK_ERROR_CANCELLED or BK_ERROR_TIMEOUT. */
bool bk_op_check(const BkOp *self, GError **error) BK_MUST_USE;

/* Sleeps `duration_us`, in steps that notice cancelling; false as bk_op_check. */
bool bk_op_sleep(const BkOp *self, int64_t duration_us, GError **error) BK_MUST_USE;

/* Progress: a phase starts with done = 0. `phase` must be a static string. */
void bk_op_begin_phase(BkOp *self, const char *phase, uint64_t total);
void bk_op_advance(BkOp *self, uint64_t amount);
void bk_op_get_progress(const BkOp *self, BkOpProgress *progress);

/* The kinds of requests that a bucket counts, and bills. */
typedef enum {
    BK_REQUEST_PUT,    /* an object, or a part of one */
    BK_REQUEST_POST,   /* begins or completes an upload in parts, or deletes many objects */
    BK_REQUEST_GET,    /* an object, a range of it, or what is set for it or the bucket */
    BK_REQUEST_HEAD,   /* size and such of an object */
    BK_REQUEST_LIST,   /* a page of a listing */
    BK_REQUEST_DELETE, /* an object, a version of it, or an upload */
    BK_REQUEST_KINDS
} BkRequestKind;

typedef struct BkRequests {
    uint64_t count[BK_REQUEST_KINDS];
    uint64_t sent; /* bytes of bodies */
    uint64_t received;
} BkRequests;

/* Counts a request that was made, whatever its outcome; also in the topmost operation. */
void bk_op_count_request(BkOp *self, BkRequestKind kind, uint64_t sent, uint64_t received);
void bk_op_get_requests(const BkOp *self, BkRequests *requests);

/* Counts what `other`, which has no parent, asked as asked by `self`. */
void bk_op_add_requests(BkOp *self, const BkOp *other);
