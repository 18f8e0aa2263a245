/* job-reports.h - the reports of "backup" and "copy": what they have done.
 *
 * Threads: tables are constant. */
#pragma once
#include "engine/backup/backup.h"
#include "engine/copy/copy.h"
#include "report/text.h"

typedef struct BkBackupView {
    const char *source;
    const BkBackupReport *report;
    uint64_t complete_in; /* repositories; see bk_backup_view_init */
} BkBackupView;

/* Borrows both. */
void bk_backup_view_init(BkBackupView *self, const char *source, const BkBackupReport *report);

extern const BkReportKind bk_backup_report; /* of a BkBackupView */

typedef struct BkCopyView {
    const char *source, *from, *to;
    BkCopyReport report;
} BkCopyView;

extern const BkReportKind bk_copy_report; /* of a BkCopyView */
