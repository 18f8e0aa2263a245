/* repack.c - chooses the packs of the parent that a backup rewrites: what is in use of them is
 * read from the source and stored again, so that they can be deleted with the earlier snapshots. */
#include "source/pg/backup/repack.h"

#include "base/log.h"

/* A pack that is gone or was cut short would be missed at a restore only. */
static bool
give_up_lost(const BkSourceRepo *source_repo, const BkSnapshot *parent, bool *is_given_up, BkOp *op,
             GError **error)
{
    g_autoptr(GHashTable) present = bk_pack_list(source_repo, op, error);
    size_t count;
    const BkPackRef *packs = bk_snapshot_packs(parent, &count);

    if (present == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        g_autofree char *name = bk_pack_object_name(source_repo, packs[i].name);
        size_t size = GPOINTER_TO_SIZE(g_hash_table_lookup(present, name));

        if (size == packs[i].size)
            continue;
        is_given_up[i] = true;
        bk_log(BK_LOG_WARNING,
               "repository \"%s\" has lost object \"%s\": its content is read and stored again",
               bk_repository_name(bk_source_repo_repository(source_repo)), name);
    }
    return true;
}

static void
give_up_sparse(const BkRepackRequest *request, bool *is_given_up)
{
    size_t count;
    const BkPackRef *packs = bk_snapshot_packs(request->parent, &count);

    for (size_t i = 0; i < count; i++)
        if (request->live[i] < packs[i].raw_size / 2)
            is_given_up[i] = true;
}

typedef struct Aged {
    int64_t created_us;
    size_t index;
} Aged;

static int
compare_aged(const void *left, const void *right)
{
    const Aged *a = left;
    const Aged *b = right;

    return (a->created_us > b->created_us) - (a->created_us < b->created_us);
}

/* The age of what is in use is to be spread evenly over the period: of everything, the part that is
 * younger than a pack should be as large as the pack's age is of the period. Where what changed
 * since has not seen to that, the pack goes, the oldest first. So a little goes each day, however
 * often there is a backup, and whatever has reached the period goes in any case. */
static void
give_up_oldest(const BkRepackRequest *request, bool *is_given_up)
{
    g_autoptr(GArray) aged = g_array_new(FALSE, FALSE, sizeof(Aged));
    uint64_t total = 0;
    uint64_t older = 0; /* than the pack at hand, or as old */
    uint64_t renewed = 0;
    size_t count;
    const BkPackRef *packs = bk_snapshot_packs(request->parent, &count);

    for (size_t i = 0; i < count; i++) {
        const Aged one = {packs[i].created_us, i};

        g_array_append_val(aged, one);
        total += request->live[i];
    }
    g_array_sort(aged, compare_aged);
    for (guint i = 0, ahead = 0; i < aged->len; i++) {
        const Aged *one = &g_array_index(aged, Aged, i);
        uint64_t live = request->live[one->index];
        int64_t age_us = MAX(request->now_us - one->created_us, 0);

        for (; ahead < aged->len && compare_aged(&g_array_index(aged, Aged, ahead), one) <= 0;
             ahead++)
            older += request->live[g_array_index(aged, Aged, ahead).index];
        if (age_us < request->period_us &&
            (double)(renewed + (total - older) + live) >
                (double)total * (double)age_us / (double)request->period_us)
            return;
        is_given_up[one->index] = true;
        renewed += live;
    }
}

bool *
bk_repack_choose(const BkRepackRequest *request, BkOp *op, GError **error)
{
    size_t count;
    g_autofree bool *is_given_up = NULL;

    (void)bk_snapshot_packs(request->parent, &count);
    is_given_up = g_new0(bool, count + 1);
    for (guint i = 0; i < request->source_repos->len; i++)
        if (!give_up_lost(g_ptr_array_index(request->source_repos, i), request->parent, is_given_up,
                          op, error))
            return NULL;
    give_up_sparse(request, is_given_up);
    if (request->period_us > 0)
        give_up_oldest(request, is_given_up);
    return g_steal_pointer(&is_given_up);
}
