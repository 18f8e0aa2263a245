/* cmd-backup.c - the command "backup": takes a snapshot and prints its report. */
#include "cli/progress.h"
#include "cli/report-fields.h"
#include "cli/requests.h"
#include "cli/source.h"
#include "engine/backup/backup.h"
#include "report/format.h"
#include "report/json.h"

#include <stdio.h>
#include <string.h>

#define LABEL_MAX 1000
/* The server's archiver tries again after a minute when it failed before. */
#define ARCHIVE_TIMEOUT_US (90 * BK_USEC_PER_SEC)

static void
print_work(const BkBackupReport *report)
{
    const BkSnapshotWork *work = &report->work;
    g_autofree char *changed = bk_format_size(work->changed);
    g_autofree char *refreshed = bk_format_size(work->repacked);
    g_autofree char *taken = bk_format_size(work->reused);

    (void)printf("  %s%s%s: changed %s, repacked %s, reused %s\n",
                 bk_snapshot_mode_name(report->mode), report->parent[0] != 0 ? " from " : "",
                 report->parent, changed, refreshed, taken);
    if (report->why[0] != 0)
        (void)printf("  full backup: %s\n", report->why);
    if (report->checked_bytes > 0) {
        g_autofree char *audited = bk_format_size(report->checked_bytes);

        (void)printf("  checked: the LSNs of all reused pages of %s\n", audited);
    }
}

/* The repository at `index`, when it has not got the snapshot; else NULL. */
static const BkBackupRepository *
behind_at(const BkBackupReport *report, guint index)
{
    const BkBackupRepository *repository = g_ptr_array_index(report->repositories, index);

    return repository->why != NULL ? repository : NULL;
}

static void
print_behind(const BkBackupReport *report)
{
    for (guint i = 0; i < report->repositories->len; i++) {
        const BkBackupRepository *repository = behind_at(report, i);

        if (repository != NULL)
            (void)printf("  behind: repository \"%s\" (best effort): %s\n", repository->name,
                         repository->why);
    }
}

static void
print_text(const BkBackupReport *report, const BkSourceSpec *source)
{
    g_autofree char *bytes = bk_format_size(report->bytes);
    g_autofree char *stored = bk_format_size(report->stored_bytes);
    char start[BK_LSN_TEXT_SIZE];
    char stop[BK_LSN_TEXT_SIZE];
    unsigned complete = 0;

    for (guint i = 0; i < report->repositories->len; i++)
        complete += behind_at(report, i) == NULL;
    (void)printf("Snapshot %s of \"%s\" is %s in %u %s.\n", report->id, source->name,
                 bk_snapshot_state_name(report->state), complete,
                 complete == 1 ? "repository" : "repositories");
    print_behind(report);
    (void)printf("  %" G_GUINT64_FORMAT " files, %s, stored as %s in %" G_GUINT64_FORMAT " packs\n",
                 report->files, bytes, stored, report->packs);
    print_work(report);
    (void)printf("  timeline %u, WAL from %s to %s%s\n", report->meta.timeline,
                 bk_lsn_format(report->meta.start_lsn, start),
                 bk_lsn_format(report->meta.stop_lsn, stop),
                 report->meta.is_standalone ? ", contained in the snapshot" : "");
    (void)printf(
        "  %.1f s: checkpoint %.1f s, copying %.1f s, stopping %.1f s, waiting for WAL %.1f s\n",
        bk_format_seconds(report->total_us), bk_format_seconds(report->start_us),
        bk_format_seconds(report->copy_us), bk_format_seconds(report->stop_us),
        bk_format_seconds(report->wait_us));
}

static void
add_damage(BkJson *json, const BkPgMeta *meta)
{
    bk_json_begin_array(json, "damaged_pages");
    for (guint i = 0; i < meta->damage->len; i++) {
        const BkPgDamage *damage = g_ptr_array_index(meta->damage, i);

        bk_json_begin_object(json, NULL);
        bk_json_add_string(json, "file", damage->file);
        bk_json_add_uint(json, "block", damage->block);
        bk_json_end_object(json);
    }
    bk_json_end_array(json);
}

static void
add_seconds(BkJson *json, const BkBackupReport *report)
{
    bk_json_begin_object(json, "seconds");
    bk_json_add_double(json, "total", bk_format_seconds(report->total_us));
    bk_json_add_double(json, "start", bk_format_seconds(report->start_us));
    bk_json_add_double(json, "copy", bk_format_seconds(report->copy_us));
    bk_json_add_double(json, "stop", bk_format_seconds(report->stop_us));
    bk_json_add_double(json, "wal_wait", bk_format_seconds(report->wait_us));
    bk_json_end_object(json);
}

static void
add_repositories(BkJson *json, const BkBackupReport *report)
{
    bk_json_begin_array(json, "repositories");
    for (guint i = 0; i < report->repositories->len; i++) {
        const BkBackupRepository *repository = g_ptr_array_index(report->repositories, i);

        bk_json_begin_object(json, NULL);
        bk_json_add_string(json, "name", repository->name);
        bk_json_add_bool(json, "required", repository->is_required);
        bk_json_add_bool(json, "ok", repository->why == NULL);
        bk_json_add_string(json, "state", repository->why == NULL ? "complete" : "behind");
        bk_json_add_string(json, "why", repository->why);
        bk_json_end_object(json);
    }
    bk_json_end_array(json);
}

static void
print_json(const BkBackupReport *report, const BkSourceSpec *source, const BkOp *op)
{
    g_autoptr(BkJson) json = bk_json_new();

    bk_json_begin_object(json, NULL);
    bk_json_add_string(json, "snapshot", report->id);
    bk_json_add_string(json, "source", source->name);
    bk_json_add_string(json, "state", bk_snapshot_state_name(report->state));
    bk_json_add_time(json, "started", report->started_us);
    bk_json_add_time(json, "finished", report->finished_us);
    bk_json_add_pg_meta(json, &report->meta);
    bk_json_add_uint(json, "files", report->files);
    bk_json_add_uint(json, "bytes", report->bytes);
    bk_json_add_uint(json, "stored_bytes", report->stored_bytes);
    bk_json_add_uint(json, "new_bytes", report->new_bytes);
    bk_json_add_uint(json, "packs", report->packs);
    bk_json_add_work(json, report->mode, report->parent, report->why, &report->work);
    bk_json_add_uint(json, "checked_bytes", report->checked_bytes);
    add_damage(json, &report->meta);
    add_repositories(json, report);
    bk_json_add_problems(json, report->problems);
    add_seconds(json, report);
    bk_cli_end_report(json, op);
}

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
    if (bk_args_get_flag(args, "json"))
        print_json(&report, &source.spec, context->op);
    else
        print_text(&report, &source.spec);
    return ok;
}
