/* snapshot-list.c - the snapshots of a source over all its repositories. */
#include "source/pg/history/snapshot-list.h"

#include <string.h>

static void
free_listed(void *data)
{
    BkListedSnapshot *listed = data;

    g_ptr_array_unref(listed->repositories);
    g_free(listed);
}

void
bk_listing_clear(BkListing *self)
{
    g_clear_pointer(&self->snapshots, g_ptr_array_unref);
    bk_systems_clear(&self->systems);
    bk_targets_clear(&self->targets);
}

static BkListedSnapshot *
find_listed(const GPtrArray *snapshots, const char *id)
{
    for (guint i = 0; i < snapshots->len; i++) {
        BkListedSnapshot *listed = g_ptr_array_index(snapshots, i);

        if (strcmp(listed->snapshot->head.id, id) == 0)
            return listed;
    }
    return NULL;
}

static void
merge_snapshots(BkListing *self, const BkRecoveryIndex *past, GPtrArray *added)
{
    const char *name = bk_repository_name(bk_source_repo_repository(past->source_repo));

    for (guint i = 0; i < past->snapshots->len; i++) {
        const BkRecoveryIndexSnapshot *snapshot = g_ptr_array_index(past->snapshots, i);
        BkListedSnapshot *listed = find_listed(added, snapshot->head.id);

        if (listed == NULL) {
            listed = g_new0(BkListedSnapshot, 1);
            listed->snapshot = snapshot;
            listed->repositories = g_ptr_array_new();
            g_ptr_array_add(added, listed);
            g_ptr_array_add(self->snapshots, listed);
        }
        g_ptr_array_add(listed->repositories, (void *)(uintptr_t)name);
    }
}

static const BkRecoveryIndexSnapshot *
get_snapshot(const void *element)
{
    return ((const BkListedSnapshot *)element)->snapshot;
}

/* Positions of different clusters are not compared: each is sorted for itself. */
static void
add_listed_system(BkListing *self, const BkSystem *system)
{
    g_autoptr(GPtrArray) added = g_ptr_array_new();
    const guint first = self->snapshots->len;

    for (guint i = 0; i < system->pasts->len; i++)
        merge_snapshots(self, g_ptr_array_index(system->pasts, i), added);
    bk_lines_sort(&system->lines, added, get_snapshot);
    for (guint i = 0; i < added->len; i++)
        g_ptr_array_index(self->snapshots, first + i) = g_ptr_array_index(added, i);
}

bool
bk_listing_load(const BkSourceSpec *source, BkRecoveryIndexArchive archive, BkListing *self,
                BkOp *op, GError **error)
{
    g_autoptr(GError) first = NULL;
    guint loaded = 0;

    bk_systems_init(&self->systems);
    self->snapshots = g_ptr_array_new_with_free_func(free_listed);
    if (!bk_targets_open_for_reading(source, NULL, &self->targets, op, error))
        return false;
    for (guint i = 0; i < self->targets.source_repos->len; i++) {
        const BkSourceRepo *source_repo = g_ptr_array_index(self->targets.source_repos, i);
        g_autoptr(GError) cause = NULL;

        if (bk_systems_add(&self->systems, source_repo, archive, op, &cause)) {
            loaded++;
            continue;
        }
        bk_targets_drop(&self->targets, source_repo, cause);
        if (first == NULL)
            first = g_steal_pointer(&cause);
    }
    /* One repository that answers is enough; the others are told of. */
    if (!bk_op_check(op, error))
        return false;
    if (loaded == 0 && first != NULL)
        return bk_propagate(error, &first);
    if (!bk_systems_order(&self->systems, archive, op, error) ||
        !bk_systems_load_lines(&self->systems,
                               archive != BK_RECOVERY_INDEX_NO_ARCHIVE ? source : NULL, op, error))
        return false;
    for (guint i = 0; i < self->systems.systems->len; i++)
        add_listed_system(self, g_ptr_array_index(self->systems.systems, i));
    self->pasts = bk_systems_current(&self->systems)->pasts;
    self->lines = &bk_systems_current(&self->systems)->lines;
    return true;
}

GPtrArray *
bk_listing_find_problems(const BkListing *self)
{
    GPtrArray *problems = bk_problem_list_new();

    bk_targets_add_problems(&self->targets, problems);
    for (guint i = 0; i < self->pasts->len; i++)
        bk_recovery_index_add_problems(g_ptr_array_index(self->pasts, i), problems);
    return problems;
}

BkSystem *
bk_listing_find_system(const BkListing *self, const char *source, uint64_t system_id,
                       GError **error)
{
    BkSystem *system = system_id != 0 ? bk_systems_find(&self->systems, system_id)
                                      : bk_systems_current(&self->systems);
    g_autofree char *known = bk_systems_describe(&self->systems);

    if (system == NULL)
        bk_throw(error, BK_ERROR_NOT_FOUND,
                 "\"%s\" has no cluster with system identifier %" G_GUINT64_FORMAT ": %s", source,
                 system_id, known);
    return system;
}
