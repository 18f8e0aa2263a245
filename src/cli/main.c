/* main.c - reads the command line, runs the command, reports its error and exits. */
#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/secret.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/requests.h"
#include "source/pg/restore/recovery-end.h"

#include "command-table.h" /* generated */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_CONFIG "/etc/backstay/backstay.yaml"

/* What the signal handler cancels. Set before the handler is, and freed after it is gone. */
static BkOp *main_op;

static void
cancel(int number)
{
    (void)number;
    bk_op_cancel(main_op);
}

/* The first SIGINT or SIGTERM cancels, so that what was begun is tidied up; the second kills. */
static void
catch_signals(void)
{
    struct sigaction on_cancel = {.sa_handler = cancel, .sa_flags = (int)SA_RESETHAND};
    struct sigaction on_pipe = {.sa_handler = SIG_IGN};

    (void)sigaction(SIGINT, &on_cancel, NULL);
    (void)sigaction(SIGTERM, &on_cancel, NULL);
    (void)sigaction(SIGPIPE, &on_pipe, NULL); /* writing fails with EPIPE and says so */
}

static void
list_faults(void)
{
#ifdef BK_FAULTS
    for (int i = 0; i < (int)BK_FAULT_COUNT; i++)
        (void)printf("%s\n", bk_fault_name((BkFaultPoint)i));
#endif
}

/* The server calls this in its data directory, by the recovery_end_command of a restore. */
static bool
end_recovery(GError **error)
{
    g_auto(BkFd) data_dir = bk_fd_open_dir(AT_FDCWD, ".", error);

    return data_dir >= 0 && (bk_recovery_end_clean(data_dir, error) ||
                             bk_prefix(error, "settings of recovery in postgresql.auto.conf"));
}

static const char *
config_path(const BkArgs *args)
{
    const char *path = bk_args_get_string(args, "config");

    if (path == NULL)
        path = getenv("BACKSTAY_CONFIG");
    return path != NULL && path[0] != 0 ? path : DEFAULT_CONFIG;
}

static void
set_log_level(const BkArgs *args)
{
    unsigned verbose = bk_args_get_count(args, "verbose");

    if (verbose > 0)
        bk_log_set_level(verbose > 1 ? BK_LOG_DEBUG : BK_LOG_INFO);
}

static bool
run_command(const BkArgs *args, BkOp *op, GError **error)
{
    const char *name = bk_args_get_command(args);
    BkCliContext context = {
        .config_path = config_path(args), .op = op, .is_quiet = bk_args_get_flag(args, "quiet")};
    const BkCommandFunction *function = command_functions;
    bool ok;

    while (function->name != NULL && strcmp(function->name, name) != 0)
        function++;
    g_assert(function->run != NULL);
    ok = function->run(args, &context, error);
    if (bk_args_get_count(args, "verbose") > 0)
        bk_cli_print_requests(op);
    return ok;
}

/* What a command prints is all of its work, its work's verdict, or a report on what it has done. */
typedef enum Weight {
    ALL,
    VERDICT,
    REPORT,
} Weight;

static Weight
weigh_output(const BkArgs *args)
{
    static const char *const jobs[] = {"init",     "backup",    "restore", "copy",
                                       "wal push", "wal fetch", NULL};
    static const char *const checks[] = {"status", "repo check", NULL};
    const char *name = bk_args_get_command(args);

    if (name == NULL || bk_args_get_flag(args, "help") || bk_args_has(args, "dry-run"))
        return ALL;
    if (g_strv_contains(jobs, name))
        return REPORT;
    return g_strv_contains(checks, name) ? VERDICT : ALL;
}

static bool
run(const BkArgs *args, BkOp *op, GError **error)
{
    set_log_level(args);
    if (bk_args_get_flag(args, "help"))
        (void)fputs(bk_args_get_help(args), stdout);
    else if (bk_args_get_flag(args, "version"))
        (void)printf("backstay %s\n", BK_VERSION);
    else if (bk_args_get_flag(args, "list-faults"))
        list_faults();
    else if (bk_args_get_flag(args, "end-recovery"))
        return end_recovery(error);
    else
        return run_command(args, op, error);
    return true;
}

/* The output that got lost was all that was asked for, or the work is done all the same. */
static int
report_loss(Weight weight, const GError *loss, int status)
{
    if (weight == REPORT && status == 0) {
        bk_cli_warn("%s; the command itself has succeeded and need not be run again",
                    loss->message);
        return 0;
    }
    if (weight == REPORT)
        bk_cli_warn("%s", loss->message);
    else
        bk_cli_report(loss);
    return status != 0 ? status : bk_error_exit_status(loss);
}

/* Names the page for someone whose restore was refused: the installed one, or that of the source
 * tree. A mistake in the command line or a cancelled restore needs no guide. */
static void
name_recovery_page(const BkArgs *args, const GError *error)
{
    const char *name = bk_args_get_command(args);
    const char *installed = BK_DOC_DIR "/recover-now.md";

    if (name == NULL || strcmp(name, "restore") != 0 || bk_error_is(error, BK_ERROR_USAGE) ||
        bk_error_is(error, BK_ERROR_CANCELLED))
        return;
    (void)fprintf(stderr, "backstay: help: what to do is explained in %s\n",
                  access(installed, R_OK) == 0 ? installed : "docs/recover-now.md");
}

/* With --quiet a job that succeeds, and a check that finds nothing, say nothing at all. */
static int
run_and_report(const BkArgs *args, BkOp *op)
{
    const Weight weight = weigh_output(args);
    const bool keeps =
        weight != ALL && bk_args_get_flag(args, "quiet") && !bk_args_has(args, "json");
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) loss = NULL;
    BkOutput output = {.own = NULL};
    int status = 0;

    if (keeps)
        bk_output_keep(&output);
    if (!run(args, op, &error)) {
        bk_cli_report(error);
        name_recovery_page(args, error);
        status = bk_error_exit_status(error);
    }
    return bk_output_end(&output, status == 0, &loss) ? status : report_loss(weight, loss, status);
}

int
main(int argc, char **argv)
{
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(BkArgs) args = NULL;
    int status;

    bk_output_secure_descriptors();
    bk_secret_protect_process();
    main_op = op;
    catch_signals();
    args = bk_args_parse(argc, argv, &error);
    if (args == NULL)
        bk_cli_report(error);
    status = args != NULL ? run_and_report(args, op) : bk_error_exit_status(error);
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    return status;
}
