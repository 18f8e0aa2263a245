/* status-report.c - the report of "status": views of what was found, and their description. */
#include "engine/reports/status-report.h"

#include "engine/reports/fields.h"

#include <string.h>

/* --- views --------------------------------------------------------------------------------- */

typedef struct NewestView {
    const char *id;
    int64_t finished_us, age_us;
} NewestView;

typedef struct PlaceView {
    int64_t time_us;
    BkLsn lsn;
} PlaceView;

typedef struct WindowView {
    uint64_t system_id;
    uint32_t timeline;
    const char *snapshot; /* its first */
    PlaceView from, to;
    uint64_t snapshots;
} WindowView;

typedef struct SegmentsView {
    char first[BK_WAL_NAME_SIZE], last[BK_WAL_NAME_SIZE];
} SegmentsView;

typedef struct TimelineView {
    uint32_t timeline;
    SegmentsView range;
    uint64_t segments;
    GArray *missing; /* of SegmentsView */
} TimelineView;

typedef struct ServerView {
    bool is_reachable;
    const char *state; /* of its archiver */
    bool is_failing;
    char version[24];
    const BkServerReady *ready;    /* NULL if it is not known */
    const BkServerCheck *answered; /* NULL if it has not answered */
    const char *why;
} ServerView;

typedef struct RepositoryView {
    bool is_reachable;
    char *lacks;
    const BkReplicaLag *lag, *known; /* NULL if it could not be asked */
} RepositoryView;

struct BkStatusReport {
    const char *name;
    bool is_ok, is_rpo_met;
    const GPtrArray *problems;
    NewestView newest_view;
    const NewestView *newest;
    GArray *windows, *former; /* of WindowView */
    GArray *systems, *shown_systems;
    GArray *lines, *shown_lines; /* NULL when there is only one */
    GArray *timelines;
    int64_t last_archived_us, rpo_us, rpo_actual_us;
    const BkLeaseInfo *lease;
    ServerView server_view;
    const ServerView *server;
    GArray *repositories, *shown_repositories;
};

/* --- fields -------------------------------------------------------------------------------- */

static const BkField newest_fields[] = {
    BK_TEXT(NewestView, id, "snapshot"),
    BK_TIME(NewestView, finished_us, "finished"),
    BK_DURATION(NewestView, age_us, "age_seconds"),
    BK_FIELD_END,
};

static const BkField place_fields[] = {
    BK_TIME(PlaceView, time_us, "time"),
    BK_LSN(PlaceView, lsn, "lsn"),
    BK_FIELD_END,
};

static const BkField window_fields[] = {
    BK_ID(WindowView, system_id, "system_identifier"),
    BK_COUNT(WindowView, timeline, "timeline"),
    BK_TEXT(WindowView, snapshot, "snapshot"),
    BK_OBJECT(WindowView, from, "from", place_fields),
    BK_OBJECT(WindowView, to, "to", place_fields),
    BK_COUNT(WindowView, snapshots, "snapshots"),
    BK_FIELD_END,
};

static const BkField segments_fields[] = {
    BK_CHARS(SegmentsView, first, "first"),
    BK_CHARS(SegmentsView, last, "last"),
    BK_FIELD_END,
};

static const BkField timeline_fields[] = {
    BK_COUNT(TimelineView, timeline, "timeline"),
    BK_OBJECT(TimelineView, range, NULL, segments_fields),
    BK_COUNT(TimelineView, segments, "segments"),
    BK_ARRAY(TimelineView, missing, "missing", segments_fields),
    BK_FIELD_END,
};

static const BkField wal_fields[] = {
    BK_ARRAY(BkStatusReport, timelines, "timelines", timeline_fields),
    BK_TIME(BkStatusReport, last_archived_us, "last_archived"),
    BK_FIELD_END,
};

static const BkField ready_fields[] = {
    BK_COUNT(BkServerReady, count, "files"),
    BK_TEXT(BkServerReady, oldest, "oldest"),
    BK_TIME(BkServerReady, oldest_us, "since"),
    BK_FIELD_END,
};

static const BkField archiver_fields[] = {
    BK_TEXT(BkServerCheck, facts.archive_mode, "mode"),
    BK_TEXT(BkServerCheck, facts.archive_method, "command"),
    BK_COUNT(BkServerCheck, state.failed_count, "failed_count"),
    BK_TEXT(BkServerCheck, state.failed_wal, "last_failed_wal"),
    BK_TIME(BkServerCheck, state.failed_us, "last_failed"),
    BK_TEXT(BkServerCheck, state.archived_wal, "last_archived_wal"),
    BK_TIME(BkServerCheck, state.archived_us, "last_archived"),
    BK_FIELD_END,
};

static const BkField server_archiver_fields[] = {
    BK_TEXT(ServerView, state, "state"),
    BK_FLAG(ServerView, is_failing, "failing"),
    BK_POINTER(ServerView, answered, NULL, archiver_fields),
    BK_FIELD_END,
};

static const BkField answered_fields[] = {
    BK_COUNT(BkServerCheck, facts.version, "version"),
    BK_ID(BkServerCheck, facts.system_id, "system_identifier"),
    BK_FLAG(BkServerCheck, facts.is_in_recovery, "in_recovery"),
    BK_COUNT(BkServerCheck, state.timeline, "timeline"),
    BK_DURATION(BkServerCheck, ahead_us, "clock_ahead_seconds"),
    BK_FIELD_END,
};

static const BkField server_fields[] = {
    BK_FLAG(ServerView, is_reachable, "reachable"),
    BK_TEXT(ServerView, why, "why"),
    BK_POINTER(ServerView, ready, "ready", ready_fields),
    BK_CHARS(ServerView, version, "version_name"),
    BK_POINTER(ServerView, answered, NULL, answered_fields),
    {.name = "archiver", .kind = BK_FIELD_OBJECT, .fields = server_archiver_fields},
    BK_FIELD_END,
};

static const BkField lag_fields[] = {
    BK_TEXT(BkReplicaLag, name, "name"),
    BK_FLAG(BkReplicaLag, is_required, "required"),
    BK_TEXT(BkReplicaLag, why, "why"),
    BK_FIELD_END,
};

static const BkField known_fields[] = {
    BK_FLAG(BkReplicaLag, is_behind, "behind"),
    BK_COUNT(BkReplicaLag, snapshots, "snapshots"),
    BK_COUNT(BkReplicaLag, missing_snapshots, "missing_snapshots"),
    BK_COUNT(BkReplicaLag, missing_segments, "missing_segments"),
    BK_COUNT(BkReplicaLag, timeline, "timeline"),
    BK_LSN(BkReplicaLag, archived_lsn, "archived_lsn"),
    BK_FIELD_END,
};

static const BkField repository_fields[] = {
    BK_POINTER(RepositoryView, lag, NULL, lag_fields),
    BK_FLAG(RepositoryView, is_reachable, "reachable"),
    BK_POINTER(RepositoryView, known, NULL, known_fields),
    BK_TEXT(RepositoryView, lacks, "lacks"),
    BK_FIELD_END,
};

static const BkField objective_fields[] = {
    BK_DURATION_OR_NULL(BkStatusReport, rpo_us, "rpo_seconds"),
    BK_DURATION_OR_NULL(BkStatusReport, rpo_actual_us, "rpo_actual_seconds"),
    BK_FLAG(BkStatusReport, is_rpo_met, "ok"),
    BK_FIELD_END,
};

static const BkField report_fields[] = {
    BK_TEXT(BkStatusReport, name, "name"),
    BK_FLAG(BkStatusReport, is_ok, "ok"),
    BK_LIST(BkStatusReport, problems, "problems", bk_problem_fields),
    BK_POINTER(BkStatusReport, newest, "last_snapshot", newest_fields),
    BK_ARRAY(BkStatusReport, windows, "windows", window_fields),
    BK_ARRAY(BkStatusReport, systems, "clusters", bk_system_fields),
    BK_ARRAY(BkStatusReport, former, "former_windows", window_fields),
    BK_ARRAY(BkStatusReport, lines, "lines", bk_line_fields),
    {.name = "wal", .kind = BK_FIELD_OBJECT, .fields = wal_fields},
    BK_POINTER(BkStatusReport, lease, "lease", bk_lease_fields),
    BK_POINTER(BkStatusReport, server, "server", server_fields),
    BK_ARRAY(BkStatusReport, repositories, "repositories", repository_fields),
    {.name = "objectives", .kind = BK_FIELD_OBJECT, .fields = objective_fields},
    BK_FIELD_END,
};

/* --- text ---------------------------------------------------------------------------------- */

static const BkField text_fields[] = {
    BK_ARRAY(BkStatusReport, shown_systems, "shown_clusters", bk_system_fields),
    BK_ARRAY(BkStatusReport, shown_lines, "shown_lines", bk_line_fields),
    BK_ARRAY(BkStatusReport, shown_repositories, "shown_repositories", repository_fields),
    {.name = NULL, .kind = BK_FIELD_OBJECT, .fields = report_fields},
    BK_FIELD_END,
};

#define WINDOW                                                                                     \
    "{from.time} to {to.time}, {from.lsn} to {to.lsn}, timeline {timeline}, {snapshots:snapshot}"

static const BkTextRow below_rows[] = {
    {"last snapshot", "last_snapshot", "{snapshot}, {age_seconds} ago", NULL, NULL},
    {"window", "windows", WINDOW, NULL, NULL},
    {"cluster", "shown_clusters", BK_SYSTEM_TEXT, NULL, NULL},
    {"former window", "former_windows", WINDOW ", cluster {system_identifier}", NULL, NULL},
    {"line", "shown_lines", "{state}: {what}", NULL, NULL},
    {"last WAL", NULL,
     "archived {objectives.rpo_actual_seconds} ago[{objectives.rpo_seconds?, }{objectives.ok?within"
     "|MORE than} the objective]",
     NULL, NULL},
    {"server", "server", "cannot be asked: {why}", NULL, NULL},
    {"server", "server",
     "PostgreSQL {version_name}, {in_recovery?a standby|a primary} on timeline {timeline}, "
     "archiving is {archiver.state}",
     NULL, NULL},
    {"waiting", "server", "WAL files for the archiver: {ready.files}, from {ready.oldest} on", NULL,
     NULL},
    {"repository", "shown_repositories",
     "{name}{required?| (best effort)}: {reachable?|cannot be asked}[{snapshots:snapshot}, WAL to "
     "{archived_lsn}][; {lacks}]",
     NULL, NULL},
    {"held by", "lease", "{holder}[{dead?, which has died}]", NULL, NULL},
    BK_ROW_OF_PROBLEMS("problems"),
    BK_TEXT_END,
};

static const BkTextRow report_rows[] = {
    {.text = "{name}: {ok?ok|NOT OK}", .rows = below_rows},
    BK_TEXT_END,
};

const BkReportKind bk_status_report = {report_fields, report_rows, text_fields};

/* --- filling ------------------------------------------------------------------------------- */

static GArray *
view_windows(const GArray *windows)
{
    GArray *views = g_array_new(FALSE, FALSE, sizeof(WindowView));

    for (guint i = 0; i < windows->len; i++) {
        const BkStatusWindow *shown = &g_array_index(windows, BkStatusWindow, i);
        WindowView view = {
            .system_id = shown->system_id,
            .timeline = shown->window->timeline,
            .snapshot = shown->snapshot,
            .from = {shown->window->from_time_us, shown->window->from_lsn},
            .to = {shown->to_us, shown->to_lsn},
            .snapshots = shown->window->snapshot_count,
        };

        g_array_append_val(views, view);
    }
    return views;
}

static SegmentsView
view_segments(uint32_t timeline, uint64_t first, uint64_t last, uint32_t size)
{
    SegmentsView view;

    (void)bk_wal_segment_name(timeline, first, size, view.first);
    (void)bk_wal_segment_name(timeline, last, size, view.last);
    return view;
}

static void
clear_timeline_view(void *data)
{
    g_array_unref(((TimelineView *)data)->missing);
}

static void
add_timeline_view(GArray *views, const BkWindowTimeline *timeline, uint32_t size)
{
    g_autofree BkWindowGap *missing = NULL;
    TimelineView view = {.timeline = timeline->timeline};
    size_t count;

    if (timeline->span_count == 0)
        return;
    view.range = view_segments(timeline->timeline, timeline->spans[0].first,
                               timeline->spans[timeline->span_count - 1].last, size);
    for (size_t i = 0; i < timeline->span_count; i++)
        view.segments += timeline->spans[i].last - timeline->spans[i].first + 1;
    view.missing = g_array_new(FALSE, FALSE, sizeof(SegmentsView));
    missing = bk_window_missing(timeline, &count);
    for (size_t i = 0; i < count; i++) {
        SegmentsView gap =
            view_segments(missing[i].timeline, missing[i].first, missing[i].last, size);

        g_array_append_val(view.missing, gap);
    }
    g_array_append_val(views, view);
}

static GArray *
view_timelines(const BkRecoveryIndex *past)
{
    GArray *views = g_array_new(FALSE, FALSE, sizeof(TimelineView));

    g_array_set_clear_func(views, clear_timeline_view);
    for (size_t i = 0; past != NULL && i < past->input.timeline_count; i++)
        add_timeline_view(views, &past->input.timelines[i], past->input.segment_size);
    return views;
}

static void
view_server(ServerView *view, const BkServerCheck *server)
{
    const BkServerFacts *facts = &server->facts;

    *view = (ServerView){
        .is_reachable = server->why == NULL,
        .why = server->why,
        .ready = server->knows_ready ? &server->ready : NULL,
        .answered = server->why == NULL ? server : NULL,
    };
    if (view->answered == NULL)
        return;
    view->is_failing = bk_server_check_is_failing(server);
    view->state = strcmp(facts->archive_mode, "off") == 0 ? "off"
                  : view->is_failing                      ? "FAILING"
                                                          : "on";
    (void)g_snprintf(view->version, sizeof view->version, "%u.%u", facts->version / 10000,
                     facts->version % 10000);
}

static void
clear_repository_view(void *data)
{
    g_free(((RepositoryView *)data)->lacks);
}

static GArray *
view_repositories(const GPtrArray *lags)
{
    GArray *views = g_array_new(FALSE, FALSE, sizeof(RepositoryView));

    g_array_set_clear_func(views, clear_repository_view);
    for (guint i = 0; i < lags->len; i++) {
        const BkReplicaLag *lag = g_ptr_array_index(lags, i);
        RepositoryView view = {
            .is_reachable = lag->why == NULL,
            .lacks = bk_replica_lag_describe(lag),
            .lag = lag,
            .known = lag->why == NULL ? lag : NULL,
        };

        g_array_append_val(views, view);
    }
    return views;
}

/* One alone needs not be told of. */
static GArray *
if_several(GArray *views)
{
    return views->len > 1 ? views : NULL;
}

BkStatusReport *
bk_status_report_new(const char *name, const BkStatus *status, int64_t rpo_us, int64_t now_us)
{
    BkStatusReport *self = g_new0(BkStatusReport, 1);

    *self = (BkStatusReport){
        .name = name,
        .is_ok = bk_problem_count(status->problems) == 0,
        .is_rpo_met = status->rpo_is_met,
        .problems = status->problems,
        .windows = view_windows(status->windows),
        .former = view_windows(status->former),
        .systems = bk_system_views_new(&status->listing.systems),
        .lines = bk_line_views_new(status->listing.lines),
        .timelines = view_timelines(status->past),
        .last_archived_us = status->last_archived_us,
        .rpo_us = rpo_us,
        .rpo_actual_us = status->rpo_us,
        .lease = status->lease.is_held ? &status->lease : NULL,
        .server = status->server.is_asked ? &self->server_view : NULL,
        .repositories = view_repositories(status->standings),
    };
    self->shown_systems = if_several(self->systems);
    self->shown_lines = if_several(self->lines);
    self->shown_repositories = if_several(self->repositories);
    if (status->server.is_asked)
        view_server(&self->server_view, &status->server);
    if (status->newest != NULL) {
        const BkSnapshotHead *head = &status->newest->head;

        self->newest_view = (NewestView){head->id, head->finished_us, now_us - head->finished_us};
        self->newest = &self->newest_view;
    }
    return self;
}

void
bk_status_report_free(BkStatusReport *self)
{
    if (self == NULL)
        return;
    g_array_unref(self->windows);
    g_array_unref(self->former);
    g_array_unref(self->systems);
    g_array_unref(self->lines);
    g_array_unref(self->timelines);
    g_array_unref(self->repositories);
    g_free(self);
}
