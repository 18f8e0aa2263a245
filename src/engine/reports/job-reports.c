/* job-reports.c - the reports of "backup" and "copy". */
#include "engine/reports/job-reports.h"

#include "engine/reports/fields.h"

/* --- backup -------------------------------------------------------------------------------- */

static const BkField damage_fields[] = {
    BK_TEXT(BkPgDamage, file, "file"),
    BK_COUNT(BkPgDamage, block, "block"),
    BK_FIELD_END,
};

/* `why` it is behind tells what became of it. */
static char *
name_outcome(const void *why)
{
    return g_strdup(*(char *const *)why == NULL ? "complete" : "behind");
}

static const BkField repository_fields[] = {
    BK_TEXT(BkBackupRepository, name, "name"),
    BK_FLAG(BkBackupRepository, is_required, "required"),
    BK_CUSTOM(BkBackupRepository, why, "state", name_outcome),
    BK_TEXT(BkBackupRepository, why, "why"),
    BK_FIELD_END,
};

static const BkField second_fields[] = {
    BK_DURATION(BkBackupReport, total_us, "total"),
    BK_DURATION(BkBackupReport, start_us, "start"),
    BK_DURATION(BkBackupReport, copy_us, "copy"),
    BK_DURATION(BkBackupReport, stop_us, "stop"),
    BK_DURATION(BkBackupReport, wait_us, "wal_wait"),
    BK_FIELD_END,
};

static const BkField snapshot_fields[] = {
    BK_CHARS(BkBackupReport, id, "snapshot"),
    BK_CHOICE(BkBackupReport, state, "state", bk_snapshot_state_names),
    BK_TIME(BkBackupReport, started_us, "started"),
    BK_TIME(BkBackupReport, finished_us, "finished"),
    BK_OBJECT(BkBackupReport, meta, NULL, bk_pg_meta_fields),
    BK_COUNT(BkBackupReport, files, "files"),
    BK_BYTES(BkBackupReport, bytes, "bytes"),
    BK_BYTES(BkBackupReport, stored_bytes, "stored_bytes"),
    BK_BYTES(BkBackupReport, new_bytes, "new_bytes"),
    BK_COUNT(BkBackupReport, packs, "packs"),
    BK_CHOICE(BkBackupReport, mode, "mode", bk_snapshot_mode_names),
    BK_TEXT(BkBackupReport, parent, "parent"),
    BK_TEXT(BkBackupReport, why, "why"),
    BK_OBJECT(BkBackupReport, work, NULL, bk_snapshot_work_fields),
    BK_BYTES(BkBackupReport, checked_bytes, "checked_bytes"),
    BK_LIST(BkBackupReport, meta.damage, "damaged_pages", damage_fields),
    BK_LIST(BkBackupReport, repositories, "repositories", repository_fields),
    BK_LIST(BkBackupReport, problems, "problems", bk_problem_fields),
    {.name = "seconds", .kind = BK_FIELD_OBJECT, .fields = second_fields},
    BK_FIELD_END,
};

static const BkField backup_fields[] = {
    BK_TEXT(BkBackupView, source, "source"),
    BK_POINTER(BkBackupView, report, NULL, snapshot_fields),
    BK_COUNT(BkBackupView, complete_in, "complete_in"),
    BK_FIELD_END,
};

static const BkTextRow backup_below[] = {
    {.text = "{files:file}, {bytes}, stored as {stored_bytes} in {packs:pack}"},
    {.text = "{mode}[ from {parent}]: changed {changed_bytes}, repacked {repacked_bytes}, reused "
             "{reused_bytes}"},
    {.text = "not incremental: {why}"},
    {.text = "checked: the pages of {+checked_bytes}"},
    {.text = "timeline {timeline}, WAL from {start_lsn} to {stop_lsn}[{standalone?, which it holds "
             "itself}]"},
    {.text = "{seconds.total:seconds}: checkpoint {seconds.start:seconds}, copying "
             "{seconds.copy:seconds}, stopping {seconds.stop:seconds}, waiting for WAL "
             "{seconds.wal_wait:seconds}"},
    BK_ROW_OF_PROBLEMS("problems"),
    BK_TEXT_END,
};

static const BkTextRow backup_rows[] = {
    {.text = "Snapshot {snapshot} of \"{source}\" is {state} in {complete_in:repository}.",
     .rows = backup_below},
    BK_TEXT_END,
};

const BkReportKind bk_backup_report = {backup_fields, backup_rows, NULL};

void
bk_backup_view_init(BkBackupView *self, const char *source, const BkBackupReport *report)
{
    *self = (BkBackupView){.source = source, .report = report};
    for (guint i = 0; i < report->repositories->len; i++) {
        const BkBackupRepository *repository = g_ptr_array_index(report->repositories, i);

        self->complete_in += repository->why == NULL;
    }
}

/* --- copy ---------------------------------------------------------------------------------- */

static const BkField copied_fields[] = {
    BK_COUNT(BkCopyReport, snapshots, "snapshots"), BK_COUNT(BkCopyReport, packs, "packs"),
    BK_COUNT(BkCopyReport, wal_files, "wal_files"), BK_BYTES(BkCopyReport, bytes, "bytes"),
    BK_COUNT(BkCopyReport, present, "present"),     BK_COUNT(BkCopyReport, damaged, "damaged"),
    BK_COUNT(BkCopyReport, left_out, "left_out"),   BK_FIELD_END,
};

static const BkField copy_fields[] = {
    BK_TEXT(BkCopyView, source, "source"),
    BK_TEXT(BkCopyView, from, "from"),
    BK_TEXT(BkCopyView, to, "to"),
    BK_OBJECT(BkCopyView, report, NULL, copied_fields),
    BK_FIELD_END,
};

static const BkTextRow copy_below[] = {
    {.text = "there already: {+present:object}"},
    {.text = "not copied: {+damaged:object}, and {left_out:snapshot} because of that"},
    BK_TEXT_END,
};

static const BkTextRow copy_rows[] = {
    {.text = "Copied of \"{source}\" from \"{from}\" to \"{to}\": {snapshots:snapshot}, "
             "{packs:pack}, {wal_files:WAL file}, {bytes}.",
     .rows = copy_below},
    BK_TEXT_END,
};

const BkReportKind bk_copy_report = {copy_fields, copy_rows, NULL};
