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
    g_clear_pointer(&self->notes, g_ptr_array_unref);
    g_clear_pointer(&self->standings, g_ptr_array_unref);
    bk_server_check_clear(&self->server);
    bk_lease_info_clear(&self->lease);
    bk_listing_clear(&self->listing);
}

static void BK_PRINTF(2, 3) add_problem(BkStatus *self, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_ptr_array_add(self->problems, g_strdup_vprintf(format, args));
    va_end(args);
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

/* A new string. */
static char *
describe(const BkReplicaLag *standing)
{
    return g_strdup_printf("repository \"%s\"%s", standing->name,
                           standing->is_required ? "" : " (best effort)");
}

static char *
repository_of(const BkStatus *self, const BkRecoveryIndex *past)
{
    return describe(
        find_standing(self, bk_repository_name(bk_source_repo_repository(past->source_repo))));
}

static void
note_past(BkStatus *self, const BkRecoveryIndex *past)
{
    g_autofree char *repository = repository_of(self, past);

    for (guint i = 0; i < past->unreadable->len; i++) {
        const BkRecoveryIndexUnreadable *unreadable = g_ptr_array_index(past->unreadable, i);

        add_problem(self, "%s", unreadable->why);
    }
    for (guint i = 0; i < past->problems->len; i++)
        add_problem(self, "%s", (const char *)g_ptr_array_index(past->problems, i));
    bk_status_note_gaps(self, past, self->listing.lines, repository);
    if (past->windows.count == 0)
        add_problem(self, "there is no usable snapshot in %s", repository);
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
        add_problem(self,
                    "the newest snapshot %s is damaged: %" G_GUINT64_FORMAT
                    " pages of the source failed their checksum",
                    self->newest->head.id, self->newest->meta.damaged_pages);
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

/* What a former cluster can no longer be given is a note. */
static bool
find_former(BkStatus *self, BkOp *op, GError **error)
{
    const GPtrArray *systems = self->listing.systems.systems;

    for (guint i = 0; i + 1 < systems->len; i++) {
        const BkSystem *system = g_ptr_array_index(systems, i);

        for (guint j = 0; j < system->pasts->len; j++) {
            const BkRecoveryIndex *past = g_ptr_array_index(system->pasts, j);
            g_autofree char *repository = repository_of(self, past);

            bk_status_note_gaps(self, past, &system->lines, repository);
        }
        if (!find_windows(system->lines.past, self->former, self->problems, op, error))
            return false;
    }
    return true;
}

static void
measure(BkStatus *self, int64_t rpo_us, int64_t now_us)
{
    for (guint i = 0; self->past != NULL && i < self->past->archive->len; i++) {
        const BkArchiveTimeline *timeline = g_ptr_array_index(self->past->archive, i);

        self->last_archived_us = MAX(self->last_archived_us, timeline->modified_us);
    }
    self->rpo_us = self->last_archived_us != 0 ? MAX(now_us - self->last_archived_us, 0) : 0;
    self->rpo_is_met = rpo_us == 0 || (self->last_archived_us != 0 && self->rpo_us <= rpo_us);
    if (!self->rpo_is_met)
        add_problem(self,
                    "the last WAL was archived %" G_GINT64_FORMAT
                    " s ago, promised is at most %" G_GINT64_FORMAT " s",
                    self->rpo_us / BK_USEC_PER_SEC, rpo_us / BK_USEC_PER_SEC);
}

static void
note_standing(BkStatus *self, const BkReplicaLag *standing)
{
    g_autofree char *repository = describe(standing);
    g_autofree char *text = bk_replica_lag_describe(standing);

    if (standing->why != NULL && standing->is_required)
        add_problem(self, "%s", standing->why); /* names it as a rule */
    else if (standing->why != NULL)
        add_problem(self, "%s cannot be asked: %s", repository, standing->why);
    else if (standing->is_behind)
        add_problem(self, "%s is behind: %s", repository, text);
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
    return bk_clock_steps_note(self->listing.lines, &end, self->notes, op, error);
}

bool
bk_status_load(const BkSourceSpec *source, int64_t rpo_us, int64_t now_us, BkStatus *self, BkOp *op,
               GError **error)
{
    self->windows = g_array_new(FALSE, FALSE, sizeof(BkStatusWindow));
    self->former = g_array_new(FALSE, FALSE, sizeof(BkStatusWindow));
    self->problems = g_ptr_array_new_with_free_func(g_free);
    self->notes = g_ptr_array_new_with_free_func(g_free);
    bk_server_check_ask(source, &self->server, op);
    if (!bk_listing_load(source, BK_RECOVERY_INDEX_KNOWN_ARCHIVE, &self->listing, op, error))
        return false;
    self->standings = bk_replica_lag_find(source, &self->listing, now_us);
    for (guint i = 0; i < self->standings->len; i++)
        note_standing(self, g_ptr_array_index(self->standings, i));
    for (guint i = 0; i < self->listing.pasts->len; i++)
        note_past(self, g_ptr_array_index(self->listing.pasts, i));
    if (self->listing.lines->past->windows.count > 0)
        self->past = self->listing.lines->past;
    note_newest(self);
    bk_status_note_lines(self, source->name);
    bk_status_note_systems(self, source->name, op);
    if (self->listing.pasts->len == 0)
        add_problem(self, "there is no snapshot yet");
    else if (!bk_lease_read(find_lease(self), &self->lease, op, error))
        return false;
    bk_lost_objects_find(source, &self->listing, self->problems);
    measure(self, rpo_us, now_us);
    bk_server_check_judge(&self->server, source, &self->listing, rpo_us, now_us, self->problems);
    bk_clock_check_listing(&self->listing, now_us, self->problems);
    bk_repository_space_check(source, self->problems);
    return find_windows(self->past, self->windows, self->problems, op, error) &&
           find_former(self, op, error) &&
           (self->past == NULL || note_clock_steps(self, op, error));
}
