/* line-report.h - the report of "line list": lines of the history, and decisions about them.
 *
 * Threads: belongs to one thread. */
#pragma once
#include "report/text.h"
#include "source/pg/history/snapshot-list.h"

typedef struct BkLineReport {
    const char *source;
    uint64_t system_id; /* of the cluster that the lines are of */
    GArray *systems, *shown_systems;
    GArray *lines;
    GArray *decisions;
    const GPtrArray *problems; /* text has them as warnings */
} BkLineReport;

/* Borrows all of it but the arrays. The decisions of `lines` are loaded. */
void bk_line_report_init(BkLineReport *self, const char *source, const BkListing *listing,
                         const BkLines *lines, const GPtrArray *problems);
void bk_line_report_clear(BkLineReport *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkLineReport, bk_line_report_clear)

extern const BkReportKind bk_line_report; /* of a BkLineReport */
