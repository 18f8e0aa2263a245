/* start.c - "restore --start": options, progress and report of the start. */
#include "cli/start.h"

#include "cli/report-fields.h"
#include "report/format.h"

#include <stdio.h>

#define SHOW_EVERY_US BK_USEC_PER_SEC

typedef struct Shown {
    bool is_quiet;
    int64_t last_us;
} Shown;

static void
show_replay(BkLsn lsn, int64_t time_us, void *data)
{
    Shown *shown = data;
    g_autofree char *time = bk_format_time(time_us);
    char text[BK_LSN_TEXT_SIZE];

    if (shown->is_quiet || g_get_monotonic_time() - shown->last_us < SHOW_EVERY_US)
        return;
    shown->last_us = g_get_monotonic_time();
    (void)fprintf(stderr, "replayed to %s%s%s\n", bk_lsn_format(lsn, text),
                  time != NULL ? ", " : "", time != NULL ? time : "");
}

static BkRestoreStartOptions
start_options_of(const BkArgs *args, Shown *shown)
{
    return (BkRestoreStartOptions){
        .bin_dir = bk_args_get_string(args, "pg-bin"),
        .config_file = bk_args_get_string(args, "pg-config"),
        .port = (uint16_t)bk_args_get_int(args, "pg-port", 0),
        .progress = show_replay,
        .progress_data = shown,
    };
}

bool
bk_cli_start_check(const BkArgs *args, const BkCliContext *context, const BkRestore *restore,
                   BkStartCheck *check, GError **error)
{
    const BkRestoreStartOptions options = start_options_of(args, NULL);

    return bk_restore_start_check(restore, &options, check, context->op, error);
}

void
bk_cli_start_check_print(const BkStartCheck *check)
{
    (void)printf("  server       %s, port %u\n", check->program, check->port);
    if (check->config_file != NULL)
        (void)printf("  configuration  %s%s\n", check->config_file,
                     check->is_found ? " (found)" : "");
    (void)fflush(stdout);
}

bool
bk_cli_start(const BkArgs *args, const BkCliContext *context, const BkRestore *restore,
             const BkStartCheck *check, BkStartResult *result, GError **error)
{
    Shown shown = {.is_quiet = context->is_quiet};
    const BkRestoreStartOptions options = start_options_of(args, &shown);

    return bk_restore_start(restore, &options, check, result, context->op, error);
}

void
bk_cli_start_print(const BkStartResult *result)
{
    g_autofree char *time = bk_format_time(result->time_us);
    char lsn[BK_LSN_TEXT_SIZE];

    if (result->pid != 0)
        (void)printf("The server is running (process %" G_GINT64_FORMAT
                     ", port %u in %s) and %s.\n",
                     result->pid, result->port, result->socket_dir,
                     result->in_recovery ? "is paused at the target"
                     : result->wrote     ? "takes writes"
                                         : "has ended recovery");
    else
        (void)printf("The server has reached the target and shut down.\n");
    (void)printf("Reached %s", bk_lsn_format(result->lsn, lsn));
    if (time != NULL)
        (void)printf(", last transaction %s", time);
    (void)printf(", timeline %u.\n", result->timeline);
}

void
bk_cli_start_add_json(BkJson *json, const BkStartResult *result)
{
    if (result == NULL) {
        bk_json_add_null(json, "reached");
        return;
    }
    bk_json_begin_object(json, "reached");
    bk_json_add_lsn(json, "lsn", result->lsn);
    bk_json_add_time(json, "time", result->time_us);
    bk_json_add_uint(json, "timeline", result->timeline);
    bk_json_add_bool(json, "in_recovery", result->in_recovery);
    bk_json_add_bool(json, "takes_writes", result->wrote);
    bk_json_add_int(json, "pid", result->pid);
    bk_json_add_uint(json, "port", result->port);
    bk_json_add_string(json, "socket", result->socket_dir);
    bk_json_end_object(json);
}
