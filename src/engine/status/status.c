/* status.c - the state of a source: windows, ages, objectives, and what is wrong. */
#include "engine/status/status.h"

#include "engine/status/lost-objects.h"
#include "engine/status/status-lines.h"
#include "engine/status/status-systems.h"
#include "repo/targets/repository-space.h"
#include "source/pg/history/clock-check.h"
#include "source/pg/history/clock-steps.h"

#include <string.h>

void
bk_status_clear(BkStatus *self)
{
    g_clear_pointer(&self->windows, g_array_unref);
    g_clear_pointer(&self->former, g_array_unref);
    g_clear_pointer(&self->problems, g_ptr_array_unref);
    g_clear_pointer(&self->standings, g_ptr_array_unref);
    bk_server_check_clear(&self->server);
    bk_lease_info_clear(&self->lease);
    bk_listing_clear(&self->listing);
}

static const BkReplicaLag *
find_standing(const BkStatus *self, const char *name)
{
    for (guint i = 0; i < self->standings->len; i++) {
        const BkReplicaLag *standing = g_ptr_array_index(self->standings, i);

        if (strcmp(standing->name, name) == 0)
            return standing;
    }
    g_assert_not_reached();
}

static const BkReplicaLag *
standing_of(const BkStatus *self, const BkRecoveryIndex *past)
{
    return find_standing(self, bk_repository_name(bk_source_repo_repository(past->source_repo)));
}

static void
note_past(BkStatus *self, const BkRecoveryIndex *past)
{
    const BkReplicaLag *standing = standing_of(self, past);

    bk_recovery_index_add_problems(past, self->problems);
    bk_status_note_gaps(self, past, self->listing.lines, standing);
    if (past->windows.count == 0)
        bk_problem_add(self->problems, BK_PROBLEM_NO_USABLE_SNAPSHOT,
                       .source = bk_source_repo_source(past->source_repo),
                       .repository = standing->name, .is_best_effort = !standing->is_required);
}

static void
note_newest(BkStatus *self)
{
    size_t index = bk_lines_newest_snapshot(self->listing.lines);

    for (guint i = 0; index != SIZE_MAX && self->past != NULL && i < self->listing.snapshots->len;
         i++) {
        const BkListedSnapshot *listed = g_ptr_array_index(self->listing.snapshots, i);

        if (strcmp(listed->snapshot->head.id, self->listing.lines->input.snapshots[index].id) == 0)
            self->newest = listed->snapshot;
    }
    if (self->newest != NULL && self->newest->head.state == BK_SNAPSHOT_DAMAGED)
        bk_problem_add(self->problems, BK_PROBLEM_SNAPSHOT_DAMAGED,
                       .snapshot = self->newest->head.id,
                       .source = bk_source_repo_source(self->past->source_repo),
                       .count = self->newest->meta.damaged_pages);
}

static bool
find_windows(const BkRecoveryIndex *past, GArray *windows, GPtrArray *damage, BkOp *op,
             GError **error)
{
    for (size_t i = 0; past != NULL && i < past->windows.count; i++) {
        const BkWindow *window = &past->windows.windows[i];
        BkStatusWindow shown = {
            .system_id = past->system_id,
            .window = window,
            .snapshot = past->input.snapshots[window->first_snapshot].id,
            .to_lsn = window->end_lsn,
        };
        g_auto(BkWindowPath) path = {0};
        BkRecoveryIndexEnd end;

        if (bk_window_path(&past->input, window->first_snapshot, window->timeline, &path)) {
            if (!bk_recovery_index_find_end(past, &path, window->from_lsn, &end, damage, op, error))
                return false;
            shown.to_lsn = end.lsn;
            shown.to_us = end.time_us;
        }
        /* Without a later transaction the window is the moment of the snapshot itself. */
        if (shown.to_us == 0)
            shown.to_us = window->from_time_us;
        g_array_append_val(windows, shown);
    }
    return true;
}

/* What is missing of a former cluster is of severity info. */
static bool
find_former(BkStatus *self, BkOp *op, GError **error)
{
    const GPtrArray *systems = self->listing.systems.systems;

    for (guint i = 0; i + 1 < systems->len; i++) {
        const BkSystem *system = g_ptr_array_index(systems, i);

        for (guint j = 0; j < system->pasts->len; j++) {
            const BkRecoveryIndex *past = g_ptr_array_index(system->pasts, j);

            bk_status_note_gaps(self, past, &system->lines, standing_of(self, past));
        }
        if (!find_windows(system->lines.past, self->former, self->problems, op, error))
            return false;
    }
    return true;
}

static void
measure(BkStatus *self, const char *source, int64_t rpo_us, int64_t now_us)
{
    for (guint i = 0; self->past != NULL && i < self->past->archive->len; i++) {
        const BkArchiveTimeline *timeline = g_ptr_array_index(self->past->archive, i);

        self->last_archived_us = MAX(self->last_archived_us, timeline->modified_us);
    }
    self->rpo_us = self->last_archived_us != 0 ? MAX(now_us - self->last_archived_us, 0) : 0;
    self->rpo_is_met = rpo_us == 0 || (self->last_archived_us != 0 && self->rpo_us <= rpo_us);
    if (!self->rpo_is_met)
        bk_problem_add(self->problems, BK_PROBLEM_RPO_MISSED, .source = source,
                       .age_us = self->rpo_us, .limit_us = rpo_us);
}

static void
note_standing(BkStatus *self, const char *source, const BkReplicaLag *standing)
{
    g_autofree char *text = bk_replica_lag_describe(standing);

    if (standing->is_behind)
        bk_problem_add(self->problems, BK_PROBLEM_REPOSITORY_BEHIND, .source = source,
                       .repository = standing->name, .is_best_effort = !standing->is_required,
                       .cause = text);
}

/* A backup holds the leases of all required repositories. */
static const BkSourceRepo *
find_lease(const BkStatus *self)
{
    const GPtrArray *source_repos = self->listing.targets.source_repos;

    for (guint i = 0; i < source_repos->len; i++) {
        const BkSourceRepo *source_repo = g_ptr_array_index(source_repos, i);

        if (find_standing(self, bk_repository_name(bk_source_repo_repository(source_repo)))
                ->is_required)
            return source_repo;
    }
    return g_ptr_array_index(source_repos, 0);
}

/* The end of the current line is known from its windows. */
static bool
note_clock_steps(BkStatus *self, BkOp *op, GError **error)
{
    const BkLine *living = bk_lines_living(self->listing.lines);
    BkRecoveryIndexEnd end = {.time_us = 0};

    for (guint i = 0; living != NULL && i < self->windows->len; i++) {
        const BkStatusWindow *shown = &g_array_index(self->windows, BkStatusWindow, i);

        if (shown->window->timeline == living->timeline && shown->to_lsn > end.lsn)
            end = (BkRecoveryIndexEnd){.lsn = shown->to_lsn, .time_us = shown->to_us};
    }
    return bk_clock_steps_note(self->listing.lines, &end, self->problems, op, error);
}

bool
bk_status_load(const BkSourceSpec *source, int64_t rpo_us, int64_t now_us, BkStatus *self, BkOp *op,
               GError **error)
{
    self->windows = g_array_new(FALSE, FALSE, sizeof(BkStatusWindow));
    self->former = g_array_new(FALSE, FALSE, sizeof(BkStatusWindow));
    self->problems = bk_problem_list_new();
    bk_server_check_ask(source, &self->server, op);
    if (!bk_listing_load(source, BK_RECOVERY_INDEX_KNOWN_ARCHIVE, &self->listing, op, error))
        return false;
    bk_targets_add_problems(&self->listing.targets, self->problems);
    self->standings = bk_replica_lag_find(source, &self->listing, now_us);
    for (guint i = 0; i < self->standings->len; i++)
        note_standing(self, source->name, g_ptr_array_index(self->standings, i));
    for (guint i = 0; i < self->listing.pasts->len; i++)
        note_past(self, g_ptr_array_index(self->listing.pasts, i));
    if (self->listing.lines->past->windows.count > 0)
        self->past = self->listing.lines->past;
    note_newest(self);
    bk_status_note_lines(self, source->name);
    bk_status_note_systems(self, source->name, op);
    if (self->listing.pasts->len == 0)
        bk_problem_add(self->problems, BK_PROBLEM_NO_SNAPSHOT, .source = source->name);
    else if (!bk_lease_read(find_lease(self), &self->lease, op, error))
        return false;
    bk_lost_objects_find(source, &self->listing, self->problems);
    measure(self, source->name, rpo_us, now_us);
    bk_server_check_judge(&self->server, source, &self->listing, rpo_us, now_us, self->problems);
    bk_clock_check_listing(&self->listing, now_us, self->problems);
    bk_repository_space_check(source, self->problems);
    return find_windows(self->past, self->windows, self->problems, op, error) &&
           find_former(self, op, error) &&
           (self->past == NULL || note_clock_steps(self, op, error));
}
