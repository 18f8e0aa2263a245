/* cmd-line-forget.c - the command "line forget": revokes a decision about a line. */
#include "cli/line.h"

bool
bk_cmd_line_forget(const BkArgs *args, BkCliContext *context, GError **error)
{
    return bk_cli_line_decide(args, context, BK_DECISION_FORGET, error);
}
