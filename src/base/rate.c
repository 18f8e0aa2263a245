/* rate.c - a limit on bytes per second, shared by threads. */
#include "base/rate.h"

#include <stdatomic.h>

struct BkRate {
    uint64_t bytes_per_second;
    int64_t start_us;
    atomic_uint_fast64_t taken;
};

BkRate *
bk_rate_new(uint64_t bytes_per_second)
{
    BkRate *self = g_new0(BkRate, 1);

    self->bytes_per_second = bytes_per_second;
    self->start_us = g_get_monotonic_time();
    return self;
}

void
bk_rate_free(BkRate *self)
{
    g_free(self);
}

bool
bk_rate_take(BkRate *self, uint64_t bytes, BkOp *op, GError **error)
{
    double due_us;
    int64_t wait_us;

    if (self->bytes_per_second == 0)
        return bk_op_check(op, error);
    /* Who takes the n-th byte waits until the moment when n bytes are allowed. */
    due_us = (double)(atomic_fetch_add(&self->taken, bytes) + bytes) * (double)BK_USEC_PER_SEC /
             (double)self->bytes_per_second;
    wait_us = self->start_us + (int64_t)due_us - g_get_monotonic_time();
    return bk_op_sleep(op, MAX(wait_us, 0), error);
}
