/* main.c - reads the command line, runs the command, reports its error and exits. */
#include "base/fault.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/requests.h"

#include "command-table.h" /* generated */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static bool
run(int argc, char **argv, BkOp *op, GError **error)
{
    g_autoptr(BkArgs) args = bk_args_parse(argc, argv, error);

    if (args == NULL)
        return false;
    set_log_level(args);
    if (bk_args_get_flag(args, "help"))
        (void)fputs(bk_args_get_help(args), stdout);
    else if (bk_args_get_flag(args, "version"))
        (void)printf("backstay %s\n", BK_VERSION);
    else if (bk_args_get_flag(args, "list-faults"))
        list_faults();
    else
        return run_command(args, op, error);
    return true;
}

/* A report that did not reach its reader is a failure: the disk that it went to may be full. */
static bool
flush_report(GError **error)
{
    bool failed = ferror(stdout) != 0;

    errno = failed ? EIO : 0;
    if (fflush(stdout) == 0 && !failed)
        return true;
    return bk_throw_errno(error, "write to standard output");
}

int
main(int argc, char **argv)
{
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) flush_error = NULL;
    int status = 0;

    main_op = op;
    catch_signals();
    if (!run(argc, argv, op, &error)) {
        bk_cli_report(error);
        status = bk_error_exit_status(error);
    }
    if (!flush_report(&flush_error)) {
        bk_cli_report(flush_error);
        status = status != 0 ? status : 1;
    }
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    return status;
}
