/* line.h - the commands that decide about a line of a source's history.
 *
 * Threads: belongs to the main thread. */
#pragma once
#include "cli/commands.h"
#include "source/pg/archive/decision.h"

/* Makes a decision about the line that the arguments "source" and "timeline" name. */
bool bk_cli_line_decide(const BkArgs *args, BkCliContext *context, BkDecisionKind kind,
                        GError **error) BK_MUST_USE;
