/* cmd-events.c - the command "events": prints the transactions that destroyed data. */
#include "cli/progress.h"
#include "cli/report-fields.h"
#include "cli/requests.h"
#include "cli/source.h"
#include "cli/system.h"
#include "report/format.h"
#include "report/json.h"
#include "source/pg/events/events.h"
#include "source/pg/format/pg-time.h"

#include <stdio.h>

#define NAMES_SHOWN 5 /* of one kind in a line; --json has them all */

static const char *
describe_kind(BkWalChangeKind kind)
{
    switch (kind) {
    case BK_WAL_DROPPED:
        return "dropped";
    case BK_WAL_TRUNCATED:
        return "truncated";
    case BK_WAL_REWRITTEN:
        return "rewrote";
    case BK_WAL_DELETED:
        return "deleted";
    case BK_WAL_DATABASE_DROPPED:
        break;
    }
    return "dropped database";
}

/* A name may be of any characters; a line is to stay one. */
static void
append_name(GString *line, const char *name)
{
    for (const char *at = name; *at != 0; at++)
        g_string_append_c(line, g_ascii_iscntrl(*at) ? '?' : *at);
}

static void
append_database(GString *line, const BkWalChange *change)
{
    if (change->database_name[0] != 0)
        append_name(line, change->database_name);
    else
        g_string_append_printf(line, "%u", change->database);
}

static void
append_relation(GString *line, const BkWalChange *change)
{
    if (change->relation[0] == 0) {
        g_string_append_printf(line, "file %u/%u/%u", change->tablespace, change->database,
                               change->file_node);
        return;
    }
    if (change->schema[0] != 0) {
        append_name(line, change->schema);
        g_string_append_c(line, '.');
    }
    append_name(line, change->relation);
}

static void
append_change(GString *line, const BkWalChange *change)
{
    if (change->kind == BK_WAL_DELETED)
        g_string_append_printf(line, "%" G_GUINT64_FORMAT " rows of ", change->rows);
    if (change->kind == BK_WAL_DATABASE_DROPPED)
        append_database(line, change);
    else
        append_relation(line, change);
}

/* "dropped a, b; deleted 5000 rows of c". */
static void
append_changes(GString *line, const BkWalXact *xact)
{
    size_t i = 0;

    while (i < xact->count) {
        const BkWalChangeKind kind = xact->changes[i].kind;
        size_t end = i;

        while (end < xact->count && xact->changes[end].kind == kind)
            end++;
        g_string_append_printf(line, "%s%s ", i > 0 ? "; " : "", describe_kind(kind));
        for (size_t j = i; j < end && j < i + NAMES_SHOWN; j++) {
            g_string_append(line, j > i ? ", " : "");
            append_change(line, &xact->changes[j]);
        }
        if (end > i + NAMES_SHOWN)
            g_string_append_printf(line, " and %zu more", end - i - NAMES_SHOWN);
        i = end;
    }
    if (xact->omitted > 0)
        g_string_append_printf(line, "; %" G_GUINT64_FORMAT " changes more", xact->omitted);
    if (xact->is_partial)
        g_string_append(line, "; maybe more");
}

/* The arguments of a restore to the state before: a new array, NULL where none leads there. */
static GPtrArray *
restore_arguments(const BkEvents *timeline, const BkEvent *event)
{
    GPtrArray *arguments;
    char lsn[BK_LSN_TEXT_SIZE];

    if (!event->has_before)
        return NULL;
    arguments = g_ptr_array_new_with_free_func(g_free);
    if (!timeline->is_only) {
        g_ptr_array_add(arguments, g_strdup("--timeline"));
        g_ptr_array_add(arguments, g_strdup_printf("%u", timeline->timeline));
    }
    if (timeline->system_id != 0) {
        g_ptr_array_add(arguments, g_strdup("--system"));
        g_ptr_array_add(arguments, g_strdup_printf("%" G_GUINT64_FORMAT, timeline->system_id));
    }
    g_ptr_array_add(arguments, g_strdup("--at"));
    g_ptr_array_add(arguments, g_strdup_printf("lsn:%s", bk_lsn_format(event->xact.before, lsn)));
    g_ptr_array_add(arguments, g_strdup("--exclusive"));
    return arguments;
}

static void
print_event(const BkEvents *timeline, const BkEvent *event)
{
    const BkWalXact *xact = &event->xact;
    g_autoptr(GPtrArray) arguments = restore_arguments(timeline, event);
    g_autoptr(GString) line = g_string_new(NULL);
    g_autofree char *time = bk_format_time(xact->time_us);
    char lsn[BK_LSN_TEXT_SIZE];

    g_string_append_printf(line, "%s  xid %u%s  %s  ", time, xact->xid,
                           xact->is_prepared ? " (prepared)" : "", bk_lsn_format(xact->lsn, lsn));
    if (xact->changes[0].kind != BK_WAL_DATABASE_DROPPED) {
        append_database(line, &xact->changes[0]);
        g_string_append(line, ": ");
    }
    append_changes(line, xact);
    g_string_append(line,
                    arguments != NULL
                        ? " "
                        : "  the state before it cannot be recovered: no snapshot leads to it");
    for (guint i = 0; arguments != NULL && i < arguments->len; i++)
        g_string_append_printf(line, " %s", (const char *)g_ptr_array_index(arguments, i));
    (void)puts(line->str);
}

/* "repository "a"", or "repositories "a", "b"": a new string. */
static char *
format_repositories(const BkEvents *timeline)
{
    const GPtrArray *names = timeline->repositories;
    g_autoptr(GString) text = g_string_new(names->len == 1 ? "repository" : "repositories");

    for (guint i = 0; i < names->len; i++)
        g_string_append_printf(text, "%s \"%s\"", i > 0 ? "," : "",
                               (const char *)g_ptr_array_index(names, i));
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* What was read, so that nobody takes it for all there is. */
static void
print_nothing(const BkEvents *timeline)
{
    g_autofree char *from = bk_format_time(timeline->start_us);
    g_autofree char *to = timeline->end_us != 0 ? bk_format_time(timeline->end_us) : NULL;

    g_autofree char *repositories = format_repositories(timeline);

    (void)printf("No transaction dropped, truncated or rewrote relations or deleted many rows on "
                 "the line of timeline %u, in %s, in that time.\n",
                 timeline->timeline, repositories);
    if (timeline->first[0] != 0)
        (void)printf("  read         WAL %s to %s; recovery can begin at %s, the last transaction "
                     "is at %s\n",
                     timeline->first, timeline->last, from, to != NULL ? to : "before that");
    else
        (void)printf("  read         no WAL; recovery can begin at %s\n", from);
    for (guint i = 0; i < timeline->others->len; i++)
        (void)printf("  not read     %s\n", (const char *)g_ptr_array_index(timeline->others, i));
}

static void
print_report(const BkEvents *timeline)
{
    for (guint i = 0; i < timeline->events->len; i++)
        print_event(timeline, g_ptr_array_index(timeline->events, i));
    if (timeline->omitted > 0)
        (void)printf("%" G_GUINT64_FORMAT
                     " more transactions are not shown: choose a shorter time span span\n",
                     timeline->omitted);
    if (timeline->events->len == 0)
        print_nothing(timeline);
}

static void
add_text(BkJson *json, const char *key, const char *text)
{
    bk_json_add_string(json, key, text[0] != 0 ? text : NULL);
}

static void
add_change(BkJson *json, const BkWalChange *change)
{
    bk_json_begin_object(json, NULL);
    bk_json_add_string(json, "what", describe_kind(change->kind));
    add_text(json, "database", change->database_name);
    bk_json_add_uint(json, "database_oid", change->database);
    if (change->kind != BK_WAL_DATABASE_DROPPED) {
        add_text(json, "schema", change->schema);
        add_text(json, "relation", change->relation);
        bk_json_add_uint(json, "oid", change->oid);
        bk_json_add_uint(json, "tablespace_oid", change->tablespace);
        bk_json_add_uint(json, "file_node", change->file_node);
    }
    if (change->kind == BK_WAL_DELETED)
        bk_json_add_uint(json, "rows", change->rows);
    bk_json_end_object(json);
}

static void
add_event(BkJson *json, const BkEvents *timeline, const BkEvent *event)
{
    const BkWalXact *xact = &event->xact;
    g_autoptr(GPtrArray) arguments = restore_arguments(timeline, event);

    bk_json_begin_object(json, NULL);
    bk_json_add_time(json, "time", xact->time_us);
    bk_json_add_uint(json, "xid", xact->xid);
    bk_json_add_lsn(json, "lsn", xact->lsn);
    bk_json_add_bool(json, "prepared", xact->is_prepared);
    add_text(json, "database", xact->changes[0].database_name);
    bk_json_begin_array(json, "changes");
    for (size_t i = 0; i < xact->count; i++)
        add_change(json, &xact->changes[i]);
    bk_json_end_array(json);
    bk_json_add_uint(json, "omitted", xact->omitted);
    bk_json_add_bool(json, "partial", xact->is_partial);
    if (arguments != NULL) {
        bk_json_begin_array(json, "restore");
        for (guint i = 0; i < arguments->len; i++)
            bk_json_add_string(json, NULL, g_ptr_array_index(arguments, i));
        bk_json_end_array(json);
    } else {
        bk_json_add_null(json, "restore");
    }
    bk_json_end_object(json);
}

static void
print_json(const BkEvents *timeline, const char *source, const BkOp *op)
{
    g_autoptr(BkJson) json = bk_json_new();

    bk_json_begin_object(json, NULL);
    bk_json_add_string(json, "source", source);
    bk_json_begin_array(json, "repositories");
    for (guint i = 0; i < timeline->repositories->len; i++)
        bk_json_add_string(json, NULL, g_ptr_array_index(timeline->repositories, i));
    bk_json_end_array(json);
    bk_json_add_uint(json, "timeline", timeline->timeline);
    bk_json_begin_object(json, "window");
    bk_json_add_time(json, "from", timeline->start_us);
    bk_json_add_time(json, "to", timeline->end_us);
    bk_json_end_object(json);
    bk_json_add_uint(json, "segments", timeline->segments);
    bk_json_add_string(json, "first", timeline->first[0] != 0 ? timeline->first : NULL);
    bk_json_add_string(json, "last", timeline->last[0] != 0 ? timeline->last : NULL);
    bk_json_begin_array(json, "other_lines");
    for (guint i = 0; i < timeline->others->len; i++)
        bk_json_add_string(json, NULL, g_ptr_array_index(timeline->others, i));
    bk_json_end_array(json);
    bk_json_begin_array(json, "events");
    for (guint i = 0; i < timeline->events->len; i++)
        add_event(json, timeline, g_ptr_array_index(timeline->events, i));
    bk_json_end_array(json);
    bk_json_add_uint(json, "omitted", timeline->omitted);
    bk_json_add_problems(json, timeline->problems);
    bk_cli_end_report(json, op);
}

static bool
parse_time(const BkArgs *args, const char *option, int64_t *time_us, GError **error)
{
    const char *text = bk_args_get_string(args, option);

    return text == NULL || bk_pg_time_parse(text, g_get_real_time(), time_us, error) ||
           bk_prefix(error, "--%s \"%s\"", option, text);
}

static bool
parse(const BkArgs *args, BkEventsRequest *request, GError **error)
{
    *request = (BkEventsRequest){
        .from_us = INT64_MIN,
        .to_us = INT64_MAX,
        .min_deletes = (uint64_t)bk_args_get_int(args, "min-deletes", 1000),
        .timeline = bk_args_get_string(args, "timeline"),
        .repository = bk_args_get_string(args, "repository"),
    };
    if (!bk_cli_parse_system(args, &request->system_id, error) ||
        !parse_time(args, "from", &request->from_us, error) ||
        !parse_time(args, "to", &request->to_us, error))
        return false;
    return request->from_us <= request->to_us ||
           bk_throw(error, BK_ERROR_USAGE, "--from is later than --to");
}

bool
bk_cmd_events(const BkArgs *args, BkCliContext *context, GError **error)
{
    g_auto(BkCliSource) source = {0};
    g_auto(BkEvents) timeline = {0};
    static const char *const without[] = {"timeline", NULL};
    g_autofree char *command = bk_args_format(args, without);
    BkEventsRequest request;
    BkProgress *progress;
    bool ok;

    if (!parse(args, &request, error) ||
        !bk_cli_source_load_for_reading(args, context, &source, error))
        return false;
    request.command = command;
    progress = bk_progress_start(context->op, context->is_quiet);
    ok = bk_events_load(&source.spec, &request, &timeline, context->op, error);
    bk_progress_stop(progress);
    if (!ok)
        return false;
    bk_cli_warn_of(timeline.problems);
    if (bk_args_get_flag(args, "json"))
        print_json(&timeline, source.spec.name, context->op);
    else
        print_report(&timeline);
    return true;
}
