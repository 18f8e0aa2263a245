#include "engine/refresh.h"

#include "base/log.h"

/* The packs that one repository has: name of the object -> size. */
static bool
visit_pack(const BkStoreEntry *entry, void *data, GError **error)
{
    GHashTable *present = data;

    (void)error;
    g_hash_table_insert(present, g_strdup(entry->name), GSIZE_TO_POINTER(entry->size));
    return true;
}

/* A pack that is gone or was cut short would be missed at a restore only. */
static bool
give_up_lost(const BkPart *part, const BkSnapshot *parent, bool *is_given_up, BkOp *op,
             GError **error)
{
    g_autoptr(GHashTable) present = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autofree char *prefix = bk_part_object_name(part, "packs/");
    size_t count;
    const BkPackRef *packs = bk_snapshot_packs(parent, &count);

    if (!bk_store_list(bk_part_store(part), prefix, NULL, visit_pack, present, op, error))
        return false;
    for (size_t i = 0; i < count; i++) {
        g_autofree char *name = bk_pack_object_name(part, packs[i].name);
        size_t size = GPOINTER_TO_SIZE(g_hash_table_lookup(present, name));

        if (size == packs[i].size)
            continue;
        is_given_up[i] = true;
        bk_log(BK_LOG_WARNING,
               "repository \"%s\" has lost object \"%s\": what was in it is read anew",
               bk_repository_name(bk_part_repository(part)), name);
    }
    return true;
}

static void
give_up_sparse(const BkRefreshRequest *request, bool *is_given_up)
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

/* A part of everything, as large as the time since the parent is of the period: the oldest packs
 * that fit into it, and whatever has reached the period. */
static void
give_up_oldest(const BkRefreshRequest *request, bool *is_given_up)
{
    g_autoptr(GArray) aged = g_array_new(FALSE, FALSE, sizeof(Aged));
    double elapsed = (double)MAX(request->now_us - request->parent_us, 0);
    double budget = 0;
    size_t count;
    const BkPackRef *packs = bk_snapshot_packs(request->parent, &count);

    for (size_t i = 0; i < count; i++) {
        const Aged one = {packs[i].created_us, i};

        g_array_append_val(aged, one);
        budget += (double)request->live[i];
    }
    budget *= MIN(elapsed / (double)request->period_us, 1);
    g_array_sort(aged, compare_aged);
    for (guint i = 0; i < aged->len; i++) {
        const Aged *one = &g_array_index(aged, Aged, i);

        budget -= (double)request->live[one->index];
        if (budget < 0 && request->now_us - one->created_us < request->period_us)
            return;
        is_given_up[one->index] = true;
    }
}

bool *
bk_refresh_choose(const BkRefreshRequest *request, BkOp *op, GError **error)
{
    size_t count;
    g_autofree bool *is_given_up = NULL;

    (void)bk_snapshot_packs(request->parent, &count);
    is_given_up = g_new0(bool, count + 1);
    for (guint i = 0; i < request->parts->len; i++)
        if (!give_up_lost(g_ptr_array_index(request->parts, i), request->parent, is_given_up, op,
                          error))
            return NULL;
    give_up_sparse(request, is_given_up);
    if (request->period_us > 0)
        give_up_oldest(request, is_given_up);
    return g_steal_pointer(&is_given_up);
}
