/* cmd-repo-list.c - "repo list": what is in each repository. */
#include "cli/commands.h"
#include "cli/location.h"
#include "cli/show.h"
#include "engine/reports/inventory-report.h"

#include <stdio.h>
#include <string.h>

typedef struct Report {
    BkJson *json;   /* NULL: as text */
    bool is_single; /* one repository was asked for */
    size_t failed;  /* repositories and sources that could not be asked */
    BkOp *op;
} Report;

static void
warn_of_damage(const BkInventory *inventory)
{
    for (guint i = 0; i < inventory->unreadable->len; i++)
        bk_cli_warn("%s", (const char *)g_ptr_array_index(inventory->unreadable, i));
    for (guint i = 0; i < inventory->holdings.strange->len; i++)
        bk_cli_warn("\"%s\" does not belong in a repository",
                    (const char *)g_ptr_array_index(inventory->holdings.strange, i));
}

static bool
list_source(Report *self, BkRepository *repository, const char *source, BkInventoryReport *report,
            GError **error)
{
    g_autoptr(BkSourceRepo) source_repo = bk_source_repo_open(repository, source, self->op, error);
    g_auto(BkInventory) inventory = {.oldest = NULL};

    if (source_repo == NULL || !bk_inventory_load(&inventory, source_repo, self->op, error))
        return false;
    warn_of_damage(&inventory);
    bk_inventory_report_add(report, source, &inventory);
    return true;
}

/* One source that cannot be asked hides no other one; a cancelled operation is the end. */
static bool
list_sources(Report *self, BkRepository *repository, const GPtrArray *sources,
             BkInventoryReport *report, GError **error)
{
    for (guint i = 0; i < sources->len; i++) {
        g_autoptr(GError) cause = NULL;

        if (list_source(self, repository, g_ptr_array_index(sources, i), report, &cause))
            continue;
        if (!bk_op_check(self->op, NULL))
            return bk_propagate(error, &cause);
        bk_cli_warn("%s", cause->message);
        self->failed++;
    }
    return true;
}

static bool
list_opened(Report *self, const BkConfigRepository *config, BkRepository *repository,
            const GPtrArray *sources, GError **error)
{
    g_autofree char *location = bk_cli_location_describe(config);
    g_auto(BkInventoryReport) report;

    bk_inventory_report_init(&report, config->name, location, bk_repository_id(repository));
    if (!list_sources(self, repository, sources, &report, error))
        return false;
    bk_cli_show(self->json, &bk_inventory_report, &report);
    return true;
}

static bool
list_repository(Report *self, const BkConfig *config, const BkConfigRepository *item,
                GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(BkRepository) repository =
        bk_cli_repository_open(config, item->name, self->op, &cause);
    g_autoptr(GPtrArray) sources =
        repository != NULL ? bk_repository_list_sources(repository, self->op, &cause) : NULL;

    if (sources != NULL)
        return list_opened(self, item, repository, sources, error);
    if (self->is_single || !bk_op_check(self->op, NULL))
        return bk_propagate(error, &cause);
    bk_cli_warn("repository \"%s\": %s", item->name, cause->message);
    self->failed++;
    return true;
}

static bool
list_all(Report *self, const BkConfig *config, const char *only, GError **error)
{
    for (guint i = 0; i < config->repositories->len; i++) {
        const BkConfigRepository *item = g_ptr_array_index(config->repositories, i);

        if ((only == NULL || strcmp(only, item->name) == 0) &&
            !list_repository(self, config, item, error))
            return false;
    }
    return true;
}

bool
bk_cmd_repo_list(const BkArgs *args, BkCliContext *context, GError **error)
{
    g_autoptr(BkConfig) config = bk_config_load(context->config_path, error);
    const char *only = bk_args_get_string(args, "repository");
    g_autoptr(BkJson) json = bk_args_get_flag(args, "json") ? bk_json_new() : NULL;
    Report report = {.json = json, .is_single = only != NULL, .op = context->op};

    if (config == NULL)
        return false;
    if (only != NULL && bk_config_find_repository(config, only) == NULL)
        return bk_throw(error, BK_ERROR_USAGE, "there is no repository \"%s\" in \"%s\"", only,
                        config->path);
    if (json != NULL) {
        bk_json_begin_object(json, NULL);
        bk_json_begin_array(json, "repositories");
    }
    if (!list_all(&report, config, only, error))
        return false;
    if (json != NULL) {
        bk_json_end_array(json);
        bk_json_end_object(json);
        (void)fputs(bk_json_text(json), stdout);
    }
    return report.failed == 0 ||
           bk_throw(error, BK_ERROR_STORE, "%zu %s could not be read", report.failed,
                    report.failed == 1 ? "repository or source" : "repositories or sources");
}
