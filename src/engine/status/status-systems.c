/* status-systems.c - what is wrong with the clusters of a source, and with their order. */
#include "engine/status/status-systems.h"

static void
note_current(BkStatus *self, const char *source)
{
    const BkSystem *current = bk_systems_current(&self->listing.systems);

    if (current->declared_us != 0 && !bk_system_has_snapshot(current))
        bk_problem_add(self->problems, BK_PROBLEM_NEW_CLUSTER_WITHOUT_SNAPSHOT, .source = source,
                       .cluster = current->id);
}

/* When the newest segment of a cluster was put, in any repository. */
static int64_t
find_last_put(const BkSystem *system)
{
    int64_t last_us = 0;

    for (guint i = 0; i < system->pasts->len; i++) {
        const BkRecoveryIndex *past = g_ptr_array_index(system->pasts, i);

        for (guint j = 0; j < past->archive->len; j++) {
            const BkArchiveTimeline *archived = g_ptr_array_index(past->archive, j);

            last_us = MAX(last_us, archived->modified_us);
        }
    }
    return last_us;
}

/* The latest commit in the last segment of each timeline; what cannot be read is told elsewhere. */
static int64_t
find_last_commit(const BkSystem *system, BkOp *op)
{
    int64_t last_us = 0;

    for (guint i = 0; i < system->pasts->len; i++) {
        const BkRecoveryIndex *past = g_ptr_array_index(system->pasts, i);

        for (size_t j = 0; j < past->input.timeline_count; j++) {
            const BkWindowTimeline *timeline = &past->input.timelines[j];
            g_auto(BkWalInfo) info = {0};

            if (timeline->span_count > 0 &&
                bk_recovery_index_get_info(past, timeline->timeline,
                                           timeline->spans[timeline->span_count - 1].last, &info,
                                           op, NULL) &&
                info.xacts > 0)
                last_us = MAX(last_us, info.max_time_us);
        }
    }
    return last_us;
}

/* Of a cluster that was shut down before the new one began no commit can be later than that. */
static void
note_former(BkStatus *self, const BkSystem *system, const char *source, BkOp *op)
{
    const BkSystem *current = bk_systems_current(&self->listing.systems);

    if (current->declared_us == 0 || find_last_put(system) <= current->declared_us)
        return;
    bk_problem_add(self->problems,
                   find_last_commit(system, op) > current->declared_us
                       ? BK_PROBLEM_TWO_CLUSTERS
                       : BK_PROBLEM_FORMER_CLUSTER_LATE,
                   .source = source, .cluster = system->id, .current = current->id);
}

void
bk_status_note_systems(BkStatus *self, const char *source, BkOp *op)
{
    const GPtrArray *systems = self->listing.systems.systems;

    bk_problem_add_all(self->problems, self->listing.systems.problems);
    note_current(self, source);
    for (guint i = 0; i + 1 < systems->len; i++)
        note_former(self, g_ptr_array_index(systems, i), source, op);
}
