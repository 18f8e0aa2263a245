#include "cli/each.h"
#include "cli/report-fields.h"
#include "cli/report-line.h"
#include "cli/source.h"
#include "engine/status/status.h"
#include "report/format.h"

#include <stdio.h>
#include <string.h>

static void
print_windows(const char *title, const GArray *windows, bool names_system)
{
    for (guint i = 0; i < windows->len; i++) {
        const BkStatusWindow *shown = &g_array_index(windows, BkStatusWindow, i);
        g_autofree char *from = bk_format_time(shown->window->from_time_us);
        g_autofree char *to = bk_format_time(shown->to_us);
        char from_lsn[BK_LSN_TEXT_SIZE];
        char to_lsn[BK_LSN_TEXT_SIZE];

        (void)printf("  %-13s  %s to %s, %s to %s, timeline %u, %zu %s", title, from, to,
                     bk_lsn_format(shown->window->from_lsn, from_lsn),
                     bk_lsn_format(shown->to_lsn, to_lsn), shown->window->timeline,
                     shown->window->snapshot_count,
                     shown->window->snapshot_count == 1 ? "snapshot" : "snapshots");
        if (names_system)
            (void)printf(", cluster %" G_GUINT64_FORMAT, shown->system_id);
        (void)printf("\n");
    }
}

/* One repository has nothing to be compared with. */
static void
print_standings(const BkStatus *status)
{
    for (guint i = 0; i < status->standings->len && status->standings->len > 1; i++) {
        const BkReplicaLag *standing = g_ptr_array_index(status->standings, i);
        g_autofree char *lack = bk_replica_lag_describe(standing);
        char lsn[BK_LSN_TEXT_SIZE];

        (void)printf("  repository     %s%s: ", standing->name,
                     standing->is_required ? "" : " (best effort)");
        if (standing->why != NULL)
            (void)printf("cannot be asked\n");
        else
            (void)printf("%zu %s, WAL to %s%s%s\n", standing->snapshots,
                         standing->snapshots == 1 ? "snapshot" : "snapshots",
                         bk_lsn_format(standing->archived_lsn, lsn), lack[0] != 0 ? "; " : "",
                         lack);
    }
}

static void
print_server(const BkServerCheck *server)
{
    if (server->is_asked && server->why != NULL)
        (void)printf("  server         cannot be asked: %s\n", server->why);
    else if (server->is_asked)
        (void)printf("  server         PostgreSQL %u.%u, %s on timeline %u, archiving %s\n",
                     server->facts.version / 10000, server->facts.version % 10000,
                     server->facts.is_in_recovery ? "a standby" : "a primary",
                     server->state.timeline,
                     strcmp(server->facts.archive_mode, "off") == 0 ? "is off"
                     : bk_server_check_is_failing(server)           ? "FAILS"
                                                                    : "is on");
    if (server->knows_ready && server->ready.count > 0)
        (void)printf("  waiting        %" G_GUINT64_FORMAT " WAL %s for the archiver, from %s on\n",
                     server->ready.count, server->ready.count == 1 ? "file" : "files",
                     server->ready.oldest);
}

static void
print_text(const BkConfigSource *config, const BkStatus *status, int64_t now_us)
{
    (void)printf("%s: %s\n", config->name,
                 bk_problem_count(status->problems) == 0 ? "ok" : "NOT OK");
    if (status->newest != NULL) {
        g_autofree char *age = bk_format_age(now_us - status->newest->head.finished_us);

        (void)printf("  last snapshot  %s, %s ago\n", status->newest->head.id, age);
    }
    print_windows("window", status->windows, false);
    if (status->listing.systems.systems->len > 1)
        bk_cli_print_systems(&status->listing.systems);
    print_windows("former window", status->former, true);
    if (status->listing.lines->map.line_count > 1)
        bk_cli_print_lines(status->listing.lines);
    if (status->last_archived_us != 0) {
        g_autofree char *age = bk_format_age(status->rpo_us);

        (void)printf("  last WAL       archived %s ago%s\n", age,
                     config->objectives.rpo_us == 0 ? ""
                     : status->rpo_is_met           ? ", within the objective"
                                                    : ", MORE than the objective");
    }
    print_server(&status->server);
    print_standings(status);
    if (status->lease.is_held)
        (void)printf("  held by        %s%s\n", status->lease.holder,
                     status->lease.is_dead ? ", which is dead" : "");
    bk_cli_print_problems(status->problems, 13);
}

static void
add_windows(BkJson *json, const char *key, const GArray *windows)
{
    bk_json_begin_array(json, key);
    for (guint i = 0; i < windows->len; i++) {
        const BkStatusWindow *shown = &g_array_index(windows, BkStatusWindow, i);

        bk_json_begin_object(json, NULL);
        bk_json_add_system(json, "system_identifier", shown->system_id);
        bk_json_add_uint(json, "timeline", shown->window->timeline);
        bk_json_add_string(json, "snapshot", shown->snapshot);
        bk_json_begin_object(json, "from");
        bk_json_add_time(json, "time", shown->window->from_time_us);
        bk_json_add_lsn(json, "lsn", shown->window->from_lsn);
        bk_json_end_object(json);
        bk_json_begin_object(json, "to");
        bk_json_add_time(json, "time", shown->to_us);
        bk_json_add_lsn(json, "lsn", shown->to_lsn);
        bk_json_end_object(json);
        bk_json_add_uint(json, "snapshots", shown->window->snapshot_count);
        bk_json_end_object(json);
    }
    bk_json_end_array(json);
}

static void
add_segment(BkJson *json, const char *key, uint32_t timeline, uint64_t segno, uint32_t size)
{
    char name[BK_WAL_NAME_SIZE];

    bk_json_add_string(json, key, bk_wal_segment_name(timeline, segno, size, name));
}

static void
add_timeline(BkJson *json, const BkWindowTimeline *timeline, uint32_t size)
{
    g_autofree BkWindowGap *missing = NULL;
    uint64_t segments = 0;
    size_t count;

    if (timeline->span_count == 0)
        return;
    for (size_t i = 0; i < timeline->span_count; i++)
        segments += timeline->spans[i].last - timeline->spans[i].first + 1;
    missing = bk_window_missing(timeline, &count);
    bk_json_begin_object(json, NULL);
    bk_json_add_uint(json, "timeline", timeline->timeline);
    add_segment(json, "first", timeline->timeline, timeline->spans[0].first, size);
    add_segment(json, "last", timeline->timeline, timeline->spans[timeline->span_count - 1].last,
                size);
    bk_json_add_uint(json, "segments", segments);
    bk_json_begin_array(json, "missing");
    for (size_t i = 0; i < count; i++) {
        bk_json_begin_object(json, NULL);
        add_segment(json, "first", missing[i].timeline, missing[i].first, size);
        add_segment(json, "last", missing[i].timeline, missing[i].last, size);
        bk_json_end_object(json);
    }
    bk_json_end_array(json);
    bk_json_end_object(json);
}

static void
add_wal(BkJson *json, const BkStatus *status)
{
    bk_json_begin_object(json, "wal");
    bk_json_begin_array(json, "timelines");
    for (size_t i = 0; status->past != NULL && i < status->past->input.timeline_count; i++)
        add_timeline(json, &status->past->input.timelines[i], status->past->input.segment_size);
    bk_json_end_array(json);
    bk_json_add_time(json, "last_archived", status->last_archived_us);
    bk_json_end_object(json);
}

static void
add_standings(BkJson *json, const BkStatus *status)
{
    bk_json_begin_array(json, "repositories");
    for (guint i = 0; i < status->standings->len; i++) {
        const BkReplicaLag *standing = g_ptr_array_index(status->standings, i);

        bk_json_begin_object(json, NULL);
        bk_json_add_string(json, "name", standing->name);
        bk_json_add_bool(json, "required", standing->is_required);
        bk_json_add_bool(json, "reachable", standing->why == NULL);
        bk_json_add_string(json, "why", standing->why);
        if (standing->why == NULL) {
            bk_json_add_bool(json, "behind", standing->is_behind);
            bk_json_add_uint(json, "snapshots", standing->snapshots);
            bk_json_add_uint(json, "missing_snapshots", standing->missing_snapshots);
            bk_json_add_uint(json, "missing_segments", standing->missing_segments);
            bk_json_add_uint(json, "timeline", standing->timeline);
            bk_json_add_lsn(json, "archived_lsn", standing->archived_lsn);
        }
        bk_json_end_object(json);
    }
    bk_json_end_array(json);
}

static void
add_archiver(BkJson *json, const BkServerCheck *server)
{
    const BkServerState *state = &server->state;

    bk_json_begin_object(json, "archiver");
    bk_json_add_string(json, "mode", server->facts.archive_mode);
    bk_json_add_string(json, "command", server->facts.archive_method);
    bk_json_add_bool(json, "failing", bk_server_check_is_failing(server));
    bk_json_add_uint(json, "failed_count", state->failed_count);
    bk_json_add_string(json, "last_failed_wal", state->failed_wal);
    bk_json_add_time(json, "last_failed", state->failed_us);
    bk_json_add_string(json, "last_archived_wal", state->archived_wal);
    bk_json_add_time(json, "last_archived", state->archived_us);
    bk_json_end_object(json);
}

static void
add_ready(BkJson *json, const BkServerCheck *server)
{
    if (!server->knows_ready) {
        bk_json_add_null(json, "ready");
        return;
    }
    bk_json_begin_object(json, "ready");
    bk_json_add_uint(json, "files", server->ready.count);
    bk_json_add_string(json, "oldest", server->ready.oldest);
    bk_json_add_time(json, "since", server->ready.oldest_us);
    bk_json_end_object(json);
}

/* Null for a source without a connection. */
static void
add_server(BkJson *json, const BkServerCheck *server)
{
    if (!server->is_asked) {
        bk_json_add_null(json, "server");
        return;
    }
    bk_json_begin_object(json, "server");
    bk_json_add_bool(json, "reachable", server->why == NULL);
    bk_json_add_string(json, "why", server->why);
    add_ready(json, server);
    if (server->why == NULL) {
        bk_json_add_uint(json, "version", server->facts.version);
        bk_json_add_system(json, "system_identifier", server->facts.system_id);
        bk_json_add_bool(json, "in_recovery", server->facts.is_in_recovery);
        bk_json_add_uint(json, "timeline", server->state.timeline);
        bk_json_add_double(json, "clock_ahead_seconds", bk_format_seconds(server->ahead_us));
        add_archiver(json, server);
    }
    bk_json_end_object(json);
}

static void
add_newest(BkJson *json, const BkStatus *status, int64_t now_us)
{
    if (status->newest == NULL) {
        bk_json_add_null(json, "last_snapshot");
        return;
    }
    bk_json_begin_object(json, "last_snapshot");
    bk_json_add_string(json, "snapshot", status->newest->head.id);
    bk_json_add_time(json, "finished", status->newest->head.finished_us);
    bk_json_add_double(json, "age_seconds",
                       bk_format_seconds(now_us - status->newest->head.finished_us));
    bk_json_end_object(json);
}

static void
add_json(BkJson *json, const BkConfigSource *config, const BkStatus *status, int64_t now_us)
{
    bk_json_begin_object(json, NULL);
    bk_json_add_string(json, "name", config->name);
    bk_json_add_bool(json, "ok", bk_problem_count(status->problems) == 0);
    bk_json_add_problems(json, status->problems);
    add_newest(json, status, now_us);
    add_windows(json, "windows", status->windows);
    bk_json_add_systems(json, &status->listing.systems);
    add_windows(json, "former_windows", status->former);
    bk_json_add_lines(json, status->listing.lines);
    add_wal(json, status);
    bk_json_add_lease(json, "lease", &status->lease);
    add_server(json, &status->server);
    add_standings(json, status);
    bk_json_begin_object(json, "objectives");
    if (config->objectives.rpo_us != 0)
        bk_json_add_double(json, "rpo_seconds", bk_format_seconds(config->objectives.rpo_us));
    else
        bk_json_add_null(json, "rpo_seconds");
    bk_json_add_double(json, "rpo_actual_seconds", bk_format_seconds(status->rpo_us));
    bk_json_add_bool(json, "ok", status->rpo_is_met);
    bk_json_end_object(json);
    bk_json_end_object(json);
}

/* Reports one source. The size_t in `data` grows by what is wrong with it. */
static bool
report(const void *item, BkJson *json, void *data, BkOp *op, GError **error)
{
    const BkConfigSource *config = item;
    size_t *problems = data;
    g_auto(BkCliSource) source = {0};
    g_auto(BkStatus) status = {.past = NULL};
    int64_t now_us = g_get_real_time();

    bk_cli_source_init(&source, config);
    if (!bk_status_load(&source.spec, config->objectives.rpo_us, now_us, &status, op, error))
        return bk_prefix(error, "source \"%s\"", config->name);
    if (json != NULL)
        add_json(json, config, &status, now_us);
    else
        print_text(config, &status, now_us);
    *problems += bk_problem_count(status.problems);
    return true;
}

bool
bk_cmd_status(const BkArgs *args, BkCliContext *context, GError **error)
{
    size_t problems = 0;

    if (!bk_cli_each_source(&(BkCliEach){report, &problems}, args, context, error))
        return false;
    return problems == 0 || bk_throw(error, BK_ERROR_UNFIT, "%zu %s", problems,
                                     problems == 1 ? "problem" : "problems");
}
