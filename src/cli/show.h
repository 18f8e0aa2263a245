/* show.h - prints reports.
 *
 * Threads: belongs to the main thread. */
#pragma once
#include "base/op.h"
#include "cli/options.h"
#include "report/json.h"
#include "report/text.h"

/* Adds the report as an object to the array that was begun in `json`; NULL: prints it as text. */
void bk_cli_show(BkJson *json, const BkReportKind *kind, const void *report);

/* Prints problems (of BkProblem), with what to do, as below the report of a source. */
void bk_cli_show_problems(const GPtrArray *problems);

/* Prints a report that is all that a command prints: with --json together with its requests. */
void bk_cli_show_all(const BkArgs *args, const BkReportKind *kind, const void *report,
                     const BkOp *op);
