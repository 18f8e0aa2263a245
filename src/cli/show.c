/* show.c - prints reports. */
#include "cli/show.h"

#include "cli/requests.h"
#include "report/json-fields.h"
#include "report/problem.h"

#include <stdio.h>

static void
print_text(const BkReportKind *kind, const void *report)
{
    g_autofree char *text = bk_text_format(kind, report);

    (void)fputs(text, stdout);
}

void
bk_cli_show(BkJson *json, const BkReportKind *kind, const void *report)
{
    if (json != NULL)
        bk_json_add_object(json, NULL, kind->fields, report);
    else
        print_text(kind, report);
}

void
bk_cli_show_all(const BkArgs *args, const BkReportKind *kind, const void *report, const BkOp *op)
{
    g_autoptr(BkJson) json = NULL;

    if (!bk_args_get_flag(args, "json")) {
        print_text(kind, report);
        return;
    }
    json = bk_json_new();
    bk_json_begin_object(json, NULL);
    bk_json_add_fields(json, kind->fields, report);
    bk_cli_end_report(json, op);
}

typedef struct Problems {
    const GPtrArray *list;
} Problems;

void
bk_cli_show_problems(const GPtrArray *problems)
{
    static const BkField fields[] = {
        BK_LIST(Problems, list, "problems", bk_problem_fields),
        BK_FIELD_END,
    };
    static const BkTextRow below[] = {BK_ROW_OF_PROBLEMS("problems"), BK_TEXT_END};
    static const BkTextRow rows[] = {{.rows = below}, BK_TEXT_END};

    print_text(&(const BkReportKind){fields, rows, NULL}, &(const Problems){problems});
}
