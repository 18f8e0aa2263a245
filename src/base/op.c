/* op.c - one running operation: cancelling it, its deadline, its progress. */
#include "base/op.h"

#include <stdatomic.h>

struct BkOp {
    BkOp *parent;
    atomic_bool cancelled;
    _Atomic(GError *) cause;         /* owned; set once, before `cancelled` */
    atomic_int_fast64_t deadline_us; /* 0: none */
    atomic_int_fast64_t patience_us; /* by which progress moves the deadline on; 0: it does not */
    _Atomic(const char *) phase;
    atomic_uint_fast64_t done;
    atomic_uint_fast64_t total;
    atomic_int_fast64_t phase_start_us;
    atomic_uint_fast64_t requests[BK_REQUEST_KINDS];
    atomic_uint_fast64_t sent;
    atomic_uint_fast64_t received;
};

BkOp *
bk_op_new(BkOp *parent)
{
    BkOp *self = g_new0(BkOp, 1);

    self->parent = parent;
    return self;
}

void
bk_op_free(BkOp *self)
{
    GError *cause = self != NULL ? atomic_load(&self->cause) : NULL;

    g_clear_error(&cause);
    g_free(self);
}

void
bk_op_cancel(BkOp *self)
{
    atomic_store(&self->cancelled, true);
}

void
bk_op_fail(BkOp *self, const GError *cause)
{
    GError *none = NULL;
    GError *copy = g_error_copy(cause);

    if (atomic_load(&self->cancelled) || !atomic_compare_exchange_strong(&self->cause, &none, copy))
        g_error_free(copy);
    atomic_store(&self->cancelled, true);
}

bool
bk_op_is_cancelled(const BkOp *self)
{
    for (; self != NULL; self = self->parent)
        if (atomic_load(&self->cancelled))
            return true;
    return false;
}

void
bk_op_set_deadline(BkOp *self, int64_t deadline_us)
{
    atomic_store(&self->deadline_us, deadline_us);
}

void
bk_op_set_patience(BkOp *self, int64_t patience_us)
{
    atomic_store(&self->patience_us, patience_us);
    atomic_store(&self->deadline_us, patience_us != 0 ? g_get_monotonic_time() + patience_us : 0);
}

static const GError *
find_cause(const BkOp *self)
{
    for (; self != NULL; self = self->parent) {
        const GError *cause = atomic_load(&self->cause);

        if (cause != NULL)
            return cause;
    }
    return NULL;
}

bool
bk_op_check(const BkOp *self, GError **error)
{
    if (bk_op_is_cancelled(self)) {
        const GError *cause = find_cause(self);

        if (cause == NULL)
            return bk_throw(error, BK_ERROR_CANCELLED, "cancelled");
        g_propagate_error(error, g_error_copy(cause));
        return false;
    }
    for (; self != NULL; self = self->parent) {
        int64_t deadline_us = atomic_load(&self->deadline_us);

        if (deadline_us != 0 && g_get_monotonic_time() >= deadline_us)
            return bk_throw(error, BK_ERROR_TIMEOUT, "timed out");
    }
    return true;
}

bool
bk_op_sleep(const BkOp *self, int64_t duration_us, GError **error)
{
    const int64_t step_us = INT64_C(50000);
    int64_t end_us = g_get_monotonic_time() + duration_us;

    for (;;) {
        int64_t left_us = end_us - g_get_monotonic_time();

        if (!bk_op_check(self, error))
            return false;
        if (left_us <= 0)
            return true;
        g_usleep((gulong)MIN(left_us, step_us));
    }
}

static BkOp *
top_of(BkOp *self)
{
    while (self->parent != NULL)
        self = self->parent;
    return self;
}

void
bk_op_begin_phase(BkOp *self, const char *phase, uint64_t total)
{
    BkOp *top = top_of(self);

    atomic_store(&top->done, 0);
    atomic_store(&top->total, total);
    atomic_store(&top->phase_start_us, g_get_monotonic_time());
    atomic_store(&top->phase, phase);
}

void
bk_op_advance(BkOp *self, uint64_t amount)
{
    BkOp *top = self;

    for (; self != NULL; top = self, self = self->parent) {
        int64_t patience_us = atomic_load_explicit(&self->patience_us, memory_order_relaxed);

        if (patience_us != 0)
            atomic_store(&self->deadline_us, g_get_monotonic_time() + patience_us);
    }
    atomic_fetch_add_explicit(&top->done, amount, memory_order_relaxed);
}

void
bk_op_get_progress(const BkOp *self, BkOpProgress *progress)
{
    while (self->parent != NULL)
        self = self->parent;
    progress->phase = atomic_load(&self->phase);
    progress->done = atomic_load(&self->done);
    progress->total = atomic_load(&self->total);
    progress->phase_start_us = atomic_load(&self->phase_start_us);
}

void
bk_op_count_request(BkOp *self, BkRequestKind kind, uint64_t sent, uint64_t received)
{
    BkOp *top = top_of(self);

    atomic_fetch_add(&top->requests[kind], 1);
    atomic_fetch_add(&top->sent, sent);
    atomic_fetch_add(&top->received, received);
}

void
bk_op_get_requests(const BkOp *self, BkRequests *requests)
{
    while (self->parent != NULL)
        self = self->parent;
    for (size_t i = 0; i < BK_REQUEST_KINDS; i++)
        requests->count[i] = atomic_load(&self->requests[i]);
    requests->sent = atomic_load(&self->sent);
    requests->received = atomic_load(&self->received);
}

void
bk_op_add_requests(BkOp *self, const BkOp *other)
{
    BkOp *top = top_of(self);
    BkRequests requests;

    g_assert(other->parent == NULL);
    bk_op_get_requests(other, &requests);
    for (size_t i = 0; i < BK_REQUEST_KINDS; i++)
        atomic_fetch_add(&top->requests[i], requests.count[i]);
    atomic_fetch_add(&top->sent, requests.sent);
    atomic_fetch_add(&top->received, requests.received);
}
