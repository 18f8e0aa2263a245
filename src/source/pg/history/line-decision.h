/* line-decision.h - stores an operator's decision about a line in every repository.
 *
 * Promise: on success at least one repository has the decision durably; those that could not be
 * read or written are reported, and the next decision brings them what they are missing. Threads:
 * belongs to one thread. */
#pragma once
#include "source/pg/history/lines.h"

/* Decides about the line of cluster `system_id` (0: the current one) that ends on `timeline`, or
 * takes back what was decided about that timeline. `failed` (of char *) gets why repositories do
 * not have it. Fails with BK_ERROR_NOT_FOUND when there is no such line or decision, or only one
 * line, and BK_ERROR_CONFLICT when another decision is made at the same time. */
bool bk_line_decide(const BkSourceSpec *source, BkDecisionKind kind, uint64_t system_id,
                    uint32_t timeline, GPtrArray *failed, BkOp *op, GError **error) BK_MUST_USE;
