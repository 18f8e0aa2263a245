/* cmd-line-current.c - the command "line current": makes a line the current one. */
#include "cli/line.h"

bool
bk_cmd_line_current(const BkArgs *args, BkCliContext *context, GError **error)
{
    return bk_cli_line_decide(args, context, BK_DECISION_CURRENT, error);
}
