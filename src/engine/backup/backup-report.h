/* backup-report.h - fills the report of a backup.
 *
 * Threads: belongs to the thread of the backup. */
#pragma once
#include "engine/backup/assemble.h"
#include "engine/backup/backup.h"
#include "repo/targets/targets.h"

/* What the manifest says, whose head is complete. */
void bk_backup_report_fill(BkBackupReport *self, const BkAssembly *assembly);

/* What became of the snapshot in each of the targets. */
void bk_backup_report_add_repositories(BkBackupReport *self, const BkTargets *targets);

/* Fills the problems of the report, whose repositories are known. Fails with
 * BK_ERROR_CONTRADICTION, BK_ERROR_DAMAGED, or BK_ERROR_ABSENT if `removed` (of BkProblem) has any.
 */
bool bk_backup_report_check(BkBackupReport *self, const char *source, const char *contradiction,
                            const GPtrArray *removed, GError **error) BK_MUST_USE;
