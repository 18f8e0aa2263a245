/* plan-proof.c - checks that the snapshot of a plan can be restored, before anything is changed. */
#include "source/pg/restore/plan-proof.h"

#include "base/log.h"
#include "base/workers.h"
#include "repo/snapshot/snapshot-manifest.h"
#include "repo/targets/targets.h"

#include <stdatomic.h>

#define OPENED_MAX 64

GPtrArray *
bk_plan_proof_order(const GPtrArray *source_repos, guint first)
{
    GPtrArray *ordered = g_ptr_array_new();
    BkSourceRepo *model = g_ptr_array_index(source_repos, first);

    g_ptr_array_add(ordered, model);
    for (guint i = 0; i < source_repos->len; i++)
        if (i != first && bk_source_repo_shares_keys(g_ptr_array_index(source_repos, i), model))
            g_ptr_array_add(ordered, g_ptr_array_index(source_repos, i));
    return ordered;
}

bool
bk_plan_proof_is_of_snapshot(const GError *error)
{
    return bk_targets_is_at_fault(error) || bk_error_is(error, BK_ERROR_NOT_FOUND) ||
           bk_error_is(error, BK_ERROR_ABSENT);
}

/* Takes the manifest from the first repository that has it whole. */
static BkSnapshot *
load_manifest(const GPtrArray *source_repos, const char *id, BkOp *op, GError **error)
{
    g_autoptr(GError) first = NULL;

    for (guint i = 0; i < source_repos->len; i++) {
        g_autoptr(GError) cause = NULL;
        BkSnapshot *snapshot = bk_snapshot_load(g_ptr_array_index(source_repos, i), id, op, &cause);

        if (snapshot != NULL && first != NULL)
            bk_log(BK_LOG_WARNING, "%s: reading it from another repository", first->message);
        if (snapshot != NULL)
            return snapshot;
        if (!bk_op_check(op, error))
            return NULL;
        if (first == NULL)
            first = g_steal_pointer(&cause);
    }
    (void)bk_propagate(error, &first);
    return NULL;
}

/* --- packs ------------------------------------------------------------------------------------ */

typedef struct Packs {
    const GPtrArray *source_repos;
    const BkPackRef *refs;
    size_t count;
    size_t opened; /* of them */
    atomic_size_t next;
} Packs;

static bool
open_pack(const Packs *self, BkPackReader *reader, const BkPackRef *ref, BkOp *op, GError **error)
{
    g_autoptr(GError) first = NULL;

    for (guint i = 0; i < self->source_repos->len; i++) {
        g_autoptr(GError) cause = NULL;

        if (bk_pack_reader_open(reader, g_ptr_array_index(self->source_repos, i), ref, false, op,
                                &cause))
            return true;
        if (!bk_op_check(op, error))
            return false;
        if (first == NULL)
            first = g_steal_pointer(&cause);
    }
    return bk_propagate(error, &first);
}

static bool
open_packs(unsigned index, void *data, BkOp *op, GError **error)
{
    Packs *self = data;
    g_autoptr(BkPackReader) reader = bk_pack_reader_new();
    size_t next;

    (void)index;
    while ((next = atomic_fetch_add(&self->next, 1)) < self->opened)
        if (!open_pack(self, reader, &self->refs[next * self->count / self->opened], op, error))
            return false;
    return true;
}

/* Unsets what one repository lists in its size. */
static bool
find_missing_packs(const Packs *self, const BkSourceRepo *source_repo, bool *is_missing, BkOp *op,
                   GError **error)
{
    g_autoptr(GHashTable) present = bk_pack_list(source_repo, op, error);

    for (size_t i = 0; present != NULL && i < self->count; i++) {
        g_autofree char *name = bk_pack_object_name(source_repo, self->refs[i].name);

        if (GPOINTER_TO_SIZE(g_hash_table_lookup(present, name)) == self->refs[i].size)
            is_missing[i] = false;
    }
    return present != NULL;
}

static size_t
find_first_missing_pack(const Packs *self, const bool *is_missing)
{
    size_t index = 0;

    while (index < self->count && !is_missing[index])
        index++;
    return index;
}

/* A repository that cannot be listed is one of which nothing is known. */
static bool
check_listed(const Packs *self, BkOp *op, GError **error)
{
    g_autofree bool *is_missing = g_new(bool, self->count);
    g_autofree char *name = NULL;
    g_autoptr(GError) outage = NULL;
    size_t first = 0;

    for (size_t i = 0; i < self->count; i++)
        is_missing[i] = true;
    for (guint i = 0; first < self->count && i < self->source_repos->len; i++) {
        g_autoptr(GError) cause = NULL;

        if (!find_missing_packs(self, g_ptr_array_index(self->source_repos, i), is_missing, op,
                                &cause) &&
            outage == NULL)
            outage = g_steal_pointer(&cause);
        if (!bk_op_check(op, error))
            return false;
        first = find_first_missing_pack(self, is_missing);
    }
    if (first == self->count)
        return true;
    if (outage != NULL)
        return bk_propagate(error, &outage);
    name = bk_pack_object_name(g_ptr_array_index(self->source_repos, 0), self->refs[first].name);
    return bk_throw(error, BK_ERROR_CORRUPT,
                    "object \"%s\" is missing, or of another size, in every repository", name);
}

static bool
check_snapshot_packs(const GPtrArray *source_repos, const BkSnapshot *snapshot, unsigned workers,
                     BkOp *op, GError **error)
{
    Packs packs = {.source_repos = source_repos};

    packs.refs = bk_snapshot_packs(snapshot, &packs.count);
    packs.opened = MIN(packs.count, OPENED_MAX);
    if (packs.count == 0)
        return true;
    return (packs.count <= OPENED_MAX || check_listed(&packs, op, error)) &&
           bk_workers_run((unsigned)MIN(MAX(workers, 1), packs.opened), open_packs, &packs, op,
                          error);
}

BkSnapshot *
bk_plan_proof_load(const GPtrArray *source_repos, const char *id, unsigned workers, BkOp *op,
                   GError **error)
{
    g_autoptr(BkSnapshot) snapshot = load_manifest(source_repos, id, op, error);

    if (snapshot == NULL)
        return NULL;
    if (!check_snapshot_packs(source_repos, snapshot, workers, op, error)) {
        (void)bk_prefix(error, "snapshot %s", id);
        return NULL;
    }
    return g_steal_pointer(&snapshot);
}
