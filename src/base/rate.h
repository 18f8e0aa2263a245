/* rate.h - a limit on bytes per second, shared by threads.
 *
 * Threads: safe. */
#pragma once
#include "base/op.h"

typedef struct BkRate BkRate;

BkRate *bk_rate_new(uint64_t bytes_per_second); /* 0: no bound */
void bk_rate_free(BkRate *self);                /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkRate, bk_rate_free)

/* Takes `bytes` from the allowance, waiting until it has them. False when `op` ends. */
bool bk_rate_take(BkRate *self, uint64_t bytes, BkOp *op, GError **error) BK_MUST_USE;
