/* cmd-line-list.c - "line list": lines of the history, and decisions about them. */
#include "cli/commands.h"
#include "cli/show.h"
#include "cli/source.h"
#include "cli/system.h"
#include "engine/reports/line-report.h"

bool
bk_cmd_line_list(const BkArgs *args, BkCliContext *context, GError **error)
{
    g_auto(BkCliSource) source = {0};
    g_auto(BkListing) listing = {.pasts = NULL};
    g_autoptr(GPtrArray) problems = NULL;
    g_auto(BkLineReport) report = {.source = NULL};
    uint64_t system_id;
    BkSystem *system;
    BkLines *lines;

    if (!bk_cli_parse_system(args, &system_id, error) ||
        !bk_cli_source_load_for_reading(args, context, &source, error) ||
        !bk_listing_load(&source.spec, BK_RECOVERY_INDEX_KNOWN_ARCHIVE, &listing, context->op,
                         error))
        return false;
    system = bk_listing_find_system(&listing, source.spec.name, system_id, error);
    if (system == NULL)
        return false;
    lines = &system->lines;
    if (!bk_lines_load_decisions(lines, context->op, error))
        return false;
    problems = bk_problem_list_new();
    bk_targets_add_problems(&listing.targets, problems);
    bk_problem_add_all(problems, lines->problems);
    bk_cli_warn_of(problems);
    bk_line_report_init(&report, source.spec.name, &listing, lines, problems);
    bk_cli_show_all(args, &bk_line_report, &report, context->op);
    return true;
}
