#include "cli/source.h"
#include "engine/wal-push.h"

bool
bk_cmd_wal_push(const BkArgs *args, BkCliContext *context, GError **error)
{
    g_auto(BkCliSource) source = {0};

    return bk_cli_source_load(args, context, &source, error) &&
           bk_wal_push(&source.spec, bk_args_get_string(args, "path"), context->op, error);
}
