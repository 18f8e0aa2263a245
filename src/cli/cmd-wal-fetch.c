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

static bool
parse_until(const char *text, BkWalName *until, GError **error)
{
    return text == NULL || (bk_wal_name_parse(text, until) && until->kind == BK_WAL_SEGMENT) ||
           bk_throw(error, BK_ERROR_USAGE, "--until: \"%s\" is not the name of a WAL segment",
                    text);
}

bool
bk_cmd_wal_fetch(const BkArgs *args, BkCliContext *context, GError **error)
{
    g_auto(BkCliSource) source = {0};
    const char *path = bk_args_get_string(args, "path");
    const char *until = bk_args_get_string(args, "until");
    BkWalName last;
    const BkWalFetch fetch = {
        .name = bk_args_get_string(args, "name"),
        .path = path,
        .ahead = (unsigned)bk_args_get_int(args, "prefetch", default_ahead(path)),
        .until = until != NULL ? &last : NULL,
    };

    return parse_until(until, &last, error) &&
           bk_cli_source_load_for_reading(args, context, &source, error) &&
           bk_wal_fetch(&source.spec, &fetch, context->op, error);
}
