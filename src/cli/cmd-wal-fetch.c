#include "cli/source.h"
#include "engine/wal-fetch.h"

#include <string.h>

#define DEFAULT_AHEAD 32

/* Recovery asks for one segment after the other, under this name. Others (pg_rewind) ask for single
 * ones and do not expect a folder beside them. */
static unsigned
default_ahead(const char *path)
{
    g_autofree char *name = g_path_get_basename(path);

    return strcmp(name, "RECOVERYXLOG") == 0 ? DEFAULT_AHEAD : 0;
}

bool
bk_cmd_wal_fetch(const BkArgs *args, BkCliContext *context, GError **error)
{
    g_auto(BkCliSource) source = {0};
    const char *path = bk_args_get_string(args, "path");
    unsigned ahead = (unsigned)bk_args_get_int(args, "prefetch", default_ahead(path));

    return bk_cli_source_load_for_reading(args, context, &source, error) &&
           bk_wal_fetch(&source.spec, bk_args_get_string(args, "name"), path, ahead, context->op,
                        error);
}
