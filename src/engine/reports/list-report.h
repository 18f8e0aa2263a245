/* list-report.h - the report of "list": the snapshots of a source.
 *
 * Threads: tables are constant. */
#pragma once
#include "report/text.h"
#include "source/pg/history/snapshot-list.h"

typedef struct BkListReport {
    const char *name;
    const GPtrArray *snapshots; /* of BkListedSnapshot */
    const GPtrArray *problems;  /* of BkProblem; text has them as warnings */
} BkListReport;

extern const BkReportKind bk_list_report;
