/* line.c - the commands that decide about a line of a source's history. */
#include "cli/line.h"

#include "cli/source.h"
#include "cli/system.h"
#include "source/pg/history/line-decision.h"

bool
bk_cli_line_decide(const BkArgs *args, BkCliContext *context, BkDecisionKind kind, GError **error)
{
    const char *text = bk_args_get_string(args, "timeline");
    g_autoptr(GPtrArray) failed = g_ptr_array_new_with_free_func(g_free);
    g_auto(BkCliSource) source = {0};
    guint64 timeline = 0;
    uint64_t system_id;
    bool ok;

    if (!g_ascii_string_to_unsigned(text, 10, 1, UINT32_MAX, &timeline, NULL))
        return bk_throw(error, BK_ERROR_USAGE, "\"%s\" is not the number of a timeline", text);
    if (!bk_cli_parse_system(args, &system_id, error) ||
        !bk_cli_source_load_for_reading(args, context, &source, error))
        return false;
    ok = bk_line_decide(&source.spec, kind, system_id, (uint32_t)timeline, failed, context->op,
                        error);
    for (guint i = 0; i < failed->len; i++)
        bk_cli_warn("%s", (const char *)g_ptr_array_index(failed, i));
    return ok;
}
