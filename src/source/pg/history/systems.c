/* systems.c - the clusters of a source, over all of its repositories (source/pg/history/system.h).
 */
#include "source/pg/history/systems.h"

#include "source/pg/history/system.h"

#include <string.h>

static void
free_system(void *data)
{
    BkSystem *self = data;

    bk_lines_clear(&self->lines); /* they refer to the pasts */
    g_ptr_array_unref(self->pasts);
    g_free(self);
}

void
bk_systems_init(BkSystems *self)
{
    *self = (BkSystems){
        .pasts = g_ptr_array_new_with_free_func(bk_recovery_index_free),
        .systems = g_ptr_array_new_with_free_func(free_system),
        .problems = bk_problem_list_new(),
    };
}

void
bk_systems_clear(BkSystems *self)
{
    g_clear_pointer(&self->systems, g_ptr_array_unref);
    g_clear_pointer(&self->pasts, g_ptr_array_unref);
    g_clear_pointer(&self->problems, g_ptr_array_unref);
}

bool
bk_systems_add(BkSystems *self, const BkSourceRepo *source_repo, BkRecoveryIndexArchive archive,
               BkOp *op, GError **error)
{
    return bk_recovery_index_load_all(source_repo, archive, self->pasts, op, error);
}

static BkRecoveryIndex *
get_system_index(const GPtrArray *pasts, guint index)
{
    return g_ptr_array_index(pasts, index);
}

BkSystem *
bk_systems_find(const BkSystems *self, uint64_t id)
{
    for (guint i = 0; i < self->systems->len; i++) {
        BkSystem *system = g_ptr_array_index(self->systems, i);

        if (system->id == id)
            return system;
    }
    return NULL;
}

static BkSystem *
add_system(BkSystems *self, uint64_t id)
{
    BkSystem *system = bk_systems_find(self, id);

    if (system != NULL)
        return system;
    system = g_new0(BkSystem, 1);
    system->id = id;
    system->pasts = g_ptr_array_new();
    g_ptr_array_add(self->systems, system);
    return system;
}

/* An empty past is of no cluster: see complete_current. */
static void
group_pasts(BkSystems *self)
{
    for (guint i = 0; i < self->pasts->len; i++) {
        BkRecoveryIndex *past = get_system_index(self->pasts, i);

        if (past->system_id != 0)
            g_ptr_array_add(add_system(self, past->system_id)->pasts, past);
    }
}

/* A repository that has WAL of a cluster and no snapshot of it does not know how long segments are.
 */
static void
set_segment_sizes(const BkSystem *system)
{
    uint32_t size = 0;

    for (guint i = 0; i < system->pasts->len; i++)
        if (get_system_index(system->pasts, i)->snapshots->len > 0)
            size = get_system_index(system->pasts, i)->input.segment_size;
    for (guint i = 0; size != 0 && i < system->pasts->len; i++)
        bk_recovery_index_set_segment_size(get_system_index(system->pasts, i), size);
}

/* --- order ------------------------------------------------------------------------------------ */

/* By number; those of several repositories are the same. */
static bool
load_decisions(BkSystems *self, GArray *decisions, BkOp *op, GError **error)
{
    const BkSourceRepo *last = NULL;

    for (guint i = 0; i < self->pasts->len; i++) {
        const BkSourceRepo *source_repo = get_system_index(self->pasts, i)->source_repo;

        if (source_repo != last &&
            !bk_lines_list_decisions(source_repo, decisions, self->problems, op, error))
            return false;
        last = source_repo;
    }
    return true;
}

static void
add_declared(BkSystems *self, const GArray *decisions)
{
    for (guint i = 0; i < decisions->len; i++) {
        const BkDecision *decision = &g_array_index(decisions, BkDecision, i);

        if (decision->kind == BK_DECISION_CLUSTER)
            (void)add_system(self, decision->system_id);
    }
}

static BkSystemEvidence
find_evidence(const BkSystem *system, const GArray *decisions)
{
    BkSystemEvidence evidence = {.system_id = system->id};

    for (guint i = 0; i < decisions->len; i++) {
        const BkDecision *decision = &g_array_index(decisions, BkDecision, i);

        if (decision->kind == BK_DECISION_CLUSTER && decision->system_id == system->id)
            evidence.decision = MAX(evidence.decision, decision->number);
    }
    for (guint i = 0; i < system->pasts->len; i++) {
        const BkRecoveryIndex *past = get_system_index(system->pasts, i);

        for (guint j = 0; j < past->restorable->len; j++) {
            const BkRecoveryIndexSnapshot *snapshot = g_ptr_array_index(past->restorable, j);

            if (evidence.snapshot == NULL || strcmp(snapshot->head.id, evidence.snapshot) > 0)
                evidence.snapshot = snapshot->head.id;
        }
        for (guint j = 0; j < past->archive->len; j++) {
            const BkArchiveTimeline *archived = g_ptr_array_index(past->archive, j);

            evidence.archived_us = MAX(evidence.archived_us, archived->modified_us);
        }
    }
    return evidence;
}

static int
compare_systems(gconstpointer a, gconstpointer b, gpointer data)
{
    const BkSystemEvidence left = find_evidence(*(const BkSystem *const *)a, data);
    const BkSystemEvidence right = find_evidence(*(const BkSystem *const *)b, data);

    return bk_system_compare(&left, &right);
}

static void
note_declared(BkSystems *self, const GArray *decisions)
{
    for (guint i = 0; i < self->systems->len; i++) {
        BkSystem *system = g_ptr_array_index(self->systems, i);
        const uint64_t newest = find_evidence(system, decisions).decision;

        for (guint j = 0; newest != 0 && j < decisions->len; j++) {
            const BkDecision *decision = &g_array_index(decisions, BkDecision, j);

            if (decision->kind == BK_DECISION_CLUSTER && decision->number == newest)
                system->declared_us = decision->time_us;
        }
    }
}

/* Every repository has a past of the current cluster, if only an empty one; and what is unreadable
 * may be of it. */
static void
complete_current(BkSystems *self)
{
    BkSystem *current = bk_systems_current(self);

    for (guint i = 0; i < self->pasts->len; i++) {
        BkRecoveryIndex *past = get_system_index(self->pasts, i);
        BkRecoveryIndex *own =
            (BkRecoveryIndex *)(uintptr_t)bk_system_find_past(current, past->source_repo);
        GPtrArray *unreadable = past->unreadable;

        if (past->system_id == 0 && own == NULL) {
            past->system_id = current->id;
            g_ptr_array_add(current->pasts, past);
            continue;
        }
        if (own == NULL) {
            own = bk_recovery_index_new_empty(past->source_repo, current->id);
            g_ptr_array_add(self->pasts, own);
            g_ptr_array_add(current->pasts, own);
        }
        if (own != past && unreadable->len > 0) {
            past->unreadable = own->unreadable;
            own->unreadable = unreadable;
        }
    }
}

bool
bk_systems_order(BkSystems *self, BkRecoveryIndexArchive archive, BkOp *op, GError **error)
{
    g_autoptr(GArray) decisions = g_array_new(FALSE, FALSE, sizeof(BkDecision));

    group_pasts(self);
    if ((archive != BK_RECOVERY_INDEX_NO_ARCHIVE || self->systems->len > 1) &&
        !load_decisions(self, decisions, op, error))
        return false;
    add_declared(self, decisions);
    if (self->systems->len == 0)
        (void)add_system(self, 0);
    g_ptr_array_sort_with_data(self->systems, compare_systems, decisions);
    note_declared(self, decisions);
    complete_current(self);
    for (guint i = 0; i < self->systems->len; i++)
        set_segment_sizes(g_ptr_array_index(self->systems, i));
    return true;
}

bool
bk_systems_load_lines(BkSystems *self, const BkSourceSpec *source, BkOp *op, GError **error)
{
    for (guint i = 0; i < self->systems->len; i++) {
        BkSystem *system = g_ptr_array_index(self->systems, i);
        bool is_current = system == bk_systems_current(self);

        bk_lines_clear(&system->lines);
        if (!bk_lines_load(system->pasts, is_current ? source : NULL, &system->lines, op, error))
            return false;
    }
    return true;
}

/* --- questions -------------------------------------------------------------------------------- */

char *
bk_systems_describe(const BkSystems *self)
{
    g_autoptr(GString) text = g_string_new(self->systems->len > 1 ? "its clusters are " : "it is ");

    for (guint i = 0; i < self->systems->len; i++)
        g_string_append_printf(text, "%s%" G_GUINT64_FORMAT, i > 0 ? ", " : "",
                               ((const BkSystem *)g_ptr_array_index(self->systems, i))->id);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

BkSystem *
bk_systems_current(const BkSystems *self)
{
    return g_ptr_array_index(self->systems, self->systems->len - 1);
}

static bool
system_index_has_snapshot(const BkRecoveryIndex *past, const char *id)
{
    for (guint i = 0; i < past->unreadable->len; i++)
        if (strcmp(((const BkRecoveryIndexUnreadable *)g_ptr_array_index(past->unreadable, i))->id,
                   id) == 0)
            return true;
    for (guint i = 0; i < past->snapshots->len; i++)
        if (strcmp(
                ((const BkRecoveryIndexSnapshot *)g_ptr_array_index(past->snapshots, i))->head.id,
                id) == 0)
            return true;
    return false;
}

BkSystem *
bk_systems_find_snapshot(const BkSystems *self, const char *snapshot)
{
    for (guint i = 0; i < self->systems->len; i++) {
        BkSystem *system = g_ptr_array_index(self->systems, i);

        for (guint j = 0; j < system->pasts->len; j++)
            if (system_index_has_snapshot(get_system_index(system->pasts, j), snapshot))
                return system;
    }
    return NULL;
}

const BkRecoveryIndex *
bk_system_find_past(const BkSystem *self, const BkSourceRepo *source_repo)
{
    for (guint i = 0; i < self->pasts->len; i++)
        if (get_system_index(self->pasts, i)->source_repo == source_repo)
            return get_system_index(self->pasts, i);
    return NULL;
}

bool
bk_system_has_snapshot(const BkSystem *self)
{
    for (guint i = 0; i < self->pasts->len; i++)
        if (get_system_index(self->pasts, i)->restorable->len > 0 ||
            get_system_index(self->pasts, i)->unreadable->len > 0)
            return true;
    return false;
}
