/* system.c - the option --system, which names a cluster of a source. */
#include "cli/system.h"

bool
bk_cli_parse_system(const BkArgs *args, uint64_t *system_id, GError **error)
{
    const char *text = bk_args_get_string(args, "system");
    guint64 number = 0;

    *system_id = 0;
    if (text == NULL)
        return true;
    if (!g_ascii_string_to_unsigned(text, 10, 1, G_MAXUINT64, &number, NULL))
        return bk_throw(error, BK_ERROR_USAGE, "--system: \"%s\" is not a system identifier", text);
    *system_id = number;
    return true;
}
