/* recovery-command.c - quoting and checks for the commands that a server runs in recovery. */
#include "source/pg/restore/recovery-command.h"

#include <string.h>

void
bk_recovery_append_quoted(GString *out, const char *text)
{
    g_string_append_c(out, '\'');
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '\'')
            g_string_append(out, "'\\''");
        else if (*c == '%')
            g_string_append(out, "%%");
        else
            g_string_append_c(out, *c);
    }
    g_string_append_c(out, '\'');
}

bool
bk_recovery_check_path(const char *path, GError **error)
{
    if (!g_path_is_absolute(path))
        return bk_throw(error, BK_ERROR_USAGE, "\"%s\" is not an absolute path", path);
    if (strpbrk(path, "\n\r") != NULL)
        return bk_throw(error, BK_ERROR_USAGE,
                        "a path in a server command must not contain a line break");
    return true;
}
