/* status-report.h - the report of "status" about one source.
 *
 * Threads: belongs to one thread. */
#pragma once
#include "engine/status/status.h"
#include "report/text.h"

typedef struct BkStatusReport BkStatusReport;

/* Borrows all of it. `rpo_us` is the promised one; 0 for none. */
BkStatusReport *bk_status_report_new(const char *name, const BkStatus *status, int64_t rpo_us,
                                     int64_t now_us);
void bk_status_report_free(BkStatusReport *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkStatusReport, bk_status_report_free)

extern const BkReportKind bk_status_report; /* of a BkStatusReport */
