#include "cli/source.h"
#include "engine/wal-fetch.h"

#define DEFAULT_AHEAD 32

bool
bk_cmd_wal_fetch(const BkArgs *args, BkCliContext *context, GError **error)
{
    g_auto(BkCliSource) source = {0};

    return bk_cli_source_load(args, context, &source, error) &&
           bk_wal_fetch(
               &source.spec, bk_args_get_string(args, "name"), bk_args_get_string(args, "path"),
               (unsigned)bk_args_get_int(args, "prefetch", DEFAULT_AHEAD), context->op, error);
}
