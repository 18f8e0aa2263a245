/* cmd-list.c - "list": the snapshots of each source. */
#include "cli/each.h"
#include "cli/show.h"
#include "cli/source.h"
#include "engine/reports/list-report.h"

static bool
list_source(const void *item, BkJson *json, void *data, BkOp *op, GError **error)
{
    const BkConfigSource *config = item;
    g_auto(BkCliSource) source = {0};
    g_auto(BkListing) listing = {0};
    g_autoptr(GPtrArray) problems = NULL;

    (void)data;
    bk_cli_source_init(&source, config);
    if (!bk_listing_load(&source.spec, BK_RECOVERY_INDEX_NO_ARCHIVE, &listing, op, error))
        return false;
    problems = bk_listing_find_problems(&listing);
    bk_cli_warn_of(problems);
    bk_cli_show(json, &bk_list_report,
                &(const BkListReport){config->name, listing.snapshots, problems});
    return true;
}

bool
bk_cmd_list(const BkArgs *args, BkCliContext *context, GError **error)
{
    return bk_cli_each_source(&(BkCliEach){.visit = list_source}, args, context, error);
}
