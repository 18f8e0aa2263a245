/* cmd-wal-fetch.c - the command "wal fetch": the server's restore_command. */
#include "cli/source.h"
#include "cli/system.h"
#include "source/pg/archive/wal-fetch.h"

#include <string.h>

#define DEFAULT_AHEAD 32

/* Recovery asks for one segment after the other, under this name. Others (pg_rewind) ask for single
 * ones and do not expect a directory beside them. */
static unsigned
default_ahead(const char *path)
{
    g_autofree char *name = g_path_get_basename(path);

    return strcmp(name, "RECOVERYXLOG") == 0 ? DEFAULT_AHEAD : 0;
}

/* `*last` becomes NULL when the option is not given. */
static bool
parse_segment(const BkArgs *args, const char *option, BkWalName *parsed, const BkWalName **last,
              GError **error)
{
    const char *text = bk_args_get_string(args, option);

    *last = text != NULL ? parsed : NULL;
    return text == NULL || (bk_wal_name_parse(text, parsed) && parsed->kind == BK_WAL_SEGMENT) ||
           bk_throw(error, BK_ERROR_USAGE, "--%s: \"%s\" is not the name of a WAL segment", option,
                    text);
}

bool
bk_cmd_wal_fetch(const BkArgs *args, BkCliContext *context, GError **error)
{
    g_auto(BkCliSource) source = {0};
    const char *path = bk_args_get_string(args, "path");
    BkWalName until, reach;
    BkWalFetch fetch = {
        .name = bk_args_get_string(args, "name"),
        .path = path,
        .ahead = (unsigned)bk_args_get_int(args, "prefetch", default_ahead(path)),
    };

    return bk_cli_parse_system(args, &fetch.system_id, error) &&
           parse_segment(args, "until", &until, &fetch.until, error) &&
           parse_segment(args, "reach", &reach, &fetch.reach, error) &&
           bk_cli_source_load_for_reading(args, context, &source, error) &&
           bk_cli_source_keep_only(&source, bk_args_get_string(args, "repository"), error) &&
           bk_wal_fetch(&source.spec, &fetch, context->op, error);
}
