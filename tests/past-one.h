/* past-one.h - the past of a repository that has a single cluster.
 *
 * Threads: belongs to one thread. */
#pragma once
#include "source/pg/history/recovery-index.h"

/* As bk_recovery_index_load_all, into `past`, which is to be cleared. */
static inline bool
past_load_one(const BkSourceRepo *source_repo, BkRecoveryIndexArchive archive,
              BkRecoveryIndex *past, BkOp *op, GError **error)
{
    g_autoptr(GPtrArray) pasts = g_ptr_array_new_with_free_func(bk_recovery_index_free);

    if (!bk_recovery_index_load_all(source_repo, archive, pasts, op, error))
        return false;
    g_assert_cmpuint(pasts->len, ==, 1);
    *past = *(BkRecoveryIndex *)g_ptr_array_index(pasts, 0);
    g_free(g_ptr_array_steal_index(pasts, 0));
    return true;
}
