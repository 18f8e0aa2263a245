/* requests.h - the requests that a command sent to buckets, for its report.
 *
 * Threads: belongs to the main thread. */
#pragma once
#include "base/op.h"
#include "report/json.h"

/* Adds "requests" to the report, whose outermost object is open, ends it and prints it. */
void bk_cli_end_report(BkJson *json, const BkOp *op);

/* One line on standard error; nothing when no bucket was asked. */
void bk_cli_print_requests(const BkOp *op);
