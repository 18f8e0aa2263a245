/* cmd-line-dead.c - the command "line dead": makes restores and status ignore a line. */
#include "cli/line.h"

bool
bk_cmd_line_dead(const BkArgs *args, BkCliContext *context, GError **error)
{
    return bk_cli_line_decide(args, context, BK_DECISION_DEAD, error);
}
