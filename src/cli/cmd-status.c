/* cmd-status.c - "status": windows, objectives and problems of each source. */
#include "cli/each.h"
#include "cli/show.h"
#include "cli/source.h"
#include "engine/reports/status-report.h"

/* Reports one source. The size_t in `data` grows by what is wrong with it. */
static bool
report_source(const void *item, BkJson *json, void *data, BkOp *op, GError **error)
{
    const BkConfigSource *config = item;
    const int64_t rpo_us = config->objectives.rpo_us;
    size_t *problems = data;
    g_auto(BkCliSource) source = {0};
    g_auto(BkStatus) status = {.past = NULL};
    g_autoptr(BkStatusReport) report = NULL;
    int64_t now_us = g_get_real_time();

    bk_cli_source_init(&source, config);
    if (!bk_status_load(&source.spec, rpo_us, now_us, &status, op, error))
        return bk_prefix(error, "source \"%s\"", config->name);
    report = bk_status_report_new(config->name, &status, rpo_us, now_us);
    bk_cli_show(json, &bk_status_report, report);
    *problems += bk_problem_count(status.problems);
    return true;
}

bool
bk_cmd_status(const BkArgs *args, BkCliContext *context, GError **error)
{
    size_t problems = 0;

    if (!bk_cli_each_source(&(BkCliEach){report_source, &problems}, args, context, error))
        return false;
    return problems == 0 || bk_throw(error, BK_ERROR_UNFIT, "%zu %s", problems,
                                     problems == 1 ? "problem" : "problems");
}
