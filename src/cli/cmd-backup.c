/* cmd-backup.c - "backup": takes a snapshot. */
#include "cli/progress.h"
#include "cli/show.h"
#include "cli/source.h"
#include "engine/reports/job-reports.h"

#include <string.h>

#define LABEL_MAX 1000
/* The server's archiver tries again after a minute when it failed before. */
#define ARCHIVE_TIMEOUT_US (90 * BK_USEC_PER_SEC)

/* It goes into the manifest, which has bounds, and onto terminals. */
static bool
check_label(const char *label, GError **error)
{
    if (label != NULL && (strlen(label) > LABEL_MAX || !g_utf8_validate(label, -1, NULL)))
        return bk_throw(error, BK_ERROR_USAGE, "--label: not UTF-8 text of at most %d bytes",
                        LABEL_MAX);
    for (; label != NULL && *label != 0; label++)
        if (g_ascii_iscntrl(*label))
            return bk_throw(error, BK_ERROR_USAGE, "--label: contains a control character");
    return true;
}

bool
bk_cmd_backup(const BkArgs *args, BkCliContext *context, GError **error)
{
    g_auto(BkCliSource) source = {0};
    g_auto(BkBackupReport) report = {.packs = 0};
    BkBackupOptions options = {
        .standalone = bk_args_get_flag(args, "standalone"),
        .fast_checkpoint = strcmp(bk_args_get_string(args, "checkpoint"), "fast") == 0,
        .break_lease = bk_args_get_flag(args, "break-lease"),
        .new_cluster = bk_args_get_flag(args, "new-cluster"),
        .is_full = bk_args_get_flag(args, "full"),
        .check_reused = bk_args_get_flag(args, "check-reused"),
        .label = bk_args_get_string(args, "label"),
        .archive_timeout_us = ARCHIVE_TIMEOUT_US,
    };
    BkBackupView view;
    BkProgress *progress;
    bool ok;

    if (!check_label(options.label, error) || !bk_cli_source_load(args, context, &source, error) ||
        !bk_cli_source_override(&source, args, error))
        return false;
    source.spec.is_new = bk_args_get_flag(args, "new");
    progress = bk_progress_start(context->op, context->is_quiet);
    ok = bk_backup_run(&source.spec, &options, &report, context->op, error);
    bk_progress_stop(progress);
    if (!ok && report.finished_us == 0)
        return false; /* nothing was put that could be reported */
    bk_backup_view_init(&view, source.spec.name, &report);
    bk_cli_show_all(args, &bk_backup_report, &view, context->op);
    return ok;
}
