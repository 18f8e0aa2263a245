/* report.c - prints warnings and the error of a command, each as one line. */
#include "cli/commands.h"

#include "report/problem.h"

#include <stdio.h>

/* Messages of servers and libraries have several lines; ours are one. */
static void
print_line(const char *kind, const char *text, const char *hint)
{
    g_autoptr(GString) line = g_string_new(NULL);

    for (; *text != 0; text++) {
        if (*text != '\n' && *text != '\r' && *text != '\t') {
            g_string_append_c(line, *text);
            continue;
        }
        if (line->len > 0 && line->str[line->len - 1] != ' ' && text[1] != 0)
            g_string_append_c(line, ' ');
    }
    if (hint != NULL)
        g_string_append_printf(line, " (%s)", hint);
    (void)fprintf(stderr, "backstay: %s%s\n", kind, line->str);
}

void
bk_cli_warn(const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    print_line("warning: ", text, NULL);
}

void
bk_cli_warn_of(const GPtrArray *problems)
{
    for (guint i = 0; i < problems->len; i++)
        bk_cli_warn("%s", ((const BkProblem *)g_ptr_array_index(problems, i))->text);
}

void
bk_cli_report(const GError *error)
{
    print_line("", error->message, bk_error_hint(error));
}
