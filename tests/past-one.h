/* past-one.h - the past of a repository that has a single cluster.
 *
 * Threads: belongs to one thread. */
#pragma once
#include "engine/past.h"

/* As bk_past_load_all, into `past`, which is to be cleared. */
static inline bool
past_load_one(const BkPart *part, BkPastArchive archive, BkPast *past, BkOp *op, GError **error)
{
    g_autoptr(GPtrArray) pasts = g_ptr_array_new_with_free_func(bk_past_free);

    if (!bk_past_load_all(part, archive, pasts, op, error))
        return false;
    g_assert_cmpuint(pasts->len, ==, 1);
    *past = *(BkPast *)g_ptr_array_index(pasts, 0);
    g_free(g_ptr_array_steal_index(pasts, 0));
    return true;
}
