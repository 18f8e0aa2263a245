/* commands.h - what main gives to a command, and every command.
 *
 * A command is one file, cmd-NAME.c, with the function bk_cmd_NAME; the build finds the file and
 * main calls the function. It prints its report on standard output and does not exit: it returns
 * false with `error` set, which main reports.
 * Threads: commands run in the main thread. */
#pragma once
#include "base/op.h"
#include "cli/options.h"
#include "config/config.h"

typedef struct BkCliContext {
    const char *config_path; /* from -c, BACKSTAY_CONFIG or the default; perhaps relative */
    BkOp *op;                /* SIGINT and SIGTERM cancel it */
    bool is_quiet;           /* no progress */
} BkCliContext;

typedef bool (*BkCommandFunctionPointer)(const BkArgs *args, BkCliContext *context, GError **error);

typedef struct BkCommandFunction {
    const char *name; /* as bk_args_get_command has it */
    BkCommandFunctionPointer run;
} BkCommandFunction;

bool bk_cmd_init(const BkArgs *args, BkCliContext *context, GError **error);
bool bk_cmd_backup(const BkArgs *args, BkCliContext *context, GError **error);
bool bk_cmd_restore(const BkArgs *args, BkCliContext *context, GError **error);
bool bk_cmd_list(const BkArgs *args, BkCliContext *context, GError **error);
bool bk_cmd_status(const BkArgs *args, BkCliContext *context, GError **error);
bool bk_cmd_events(const BkArgs *args, BkCliContext *context, GError **error);
bool bk_cmd_copy(const BkArgs *args, BkCliContext *context, GError **error);
bool bk_cmd_line_list(const BkArgs *args, BkCliContext *context, GError **error);
bool bk_cmd_line_dead(const BkArgs *args, BkCliContext *context, GError **error);
bool bk_cmd_line_current(const BkArgs *args, BkCliContext *context, GError **error);
bool bk_cmd_line_forget(const BkArgs *args, BkCliContext *context, GError **error);
bool bk_cmd_inspect(const BkArgs *args, BkCliContext *context, GError **error);
bool bk_cmd_repo_list(const BkArgs *args, BkCliContext *context, GError **error);
bool bk_cmd_repo_check(const BkArgs *args, BkCliContext *context, GError **error);
bool bk_cmd_wal_push(const BkArgs *args, BkCliContext *context, GError **error);
bool bk_cmd_wal_fetch(const BkArgs *args, BkCliContext *context, GError **error);

/* Prints "backstay: warning: ..." as one line on standard error. */
void bk_cli_warn(const char *format, ...) BK_PRINTF(1, 2);

/* The text of each of `problems` (of BkProblem) as a warning. */
void bk_cli_warn_of(const GPtrArray *problems);

/* Prints "backstay: MESSAGE (HINT)" as one line on standard error. */
void bk_cli_report(const GError *error);
