/* each.c - a report about several things of the configuration, as text or as one JSON document. */
#include "cli/each.h"

#include "cli/requests.h"
#include "cli/source.h"

#include <stdio.h>

static bool
visit_all(const BkCliEach *self, const GPtrArray *items, BkJson *json, BkOp *op, GError **error)
{
    for (guint i = 0; i < items->len; i++)
        if (!self->visit(g_ptr_array_index(items, i), json, self->data, op, error))
            return false;
    return true;
}

static bool
report(const BkCliEach *self, const GPtrArray *items, const char *key, BkOp *op, GError **error)
{
    g_autoptr(BkJson) json = bk_json_new();

    bk_json_begin_object(json, NULL);
    bk_json_begin_array(json, key);
    if (!visit_all(self, items, json, op, error))
        return false;
    bk_json_end_array(json);
    bk_cli_end_report(json, op);
    return true;
}

bool
bk_cli_each_source(const BkCliEach *self, const BkArgs *args, const BkCliContext *context,
                   GError **error)
{
    g_autoptr(BkConfig) config = bk_config_load(context->config_path, error);
    g_autoptr(GPtrArray) sources =
        config != NULL ? bk_cli_sources(args, config, context->op, error) : NULL;

    if (sources == NULL)
        return false;
    return bk_args_get_flag(args, "json") ? report(self, sources, "sources", context->op, error)
                                          : visit_all(self, sources, NULL, context->op, error);
}

bool
bk_cli_each_repository(const BkCliEach *self, const BkArgs *args, const BkCliContext *context,
                       GError **error)
{
    g_autoptr(BkConfig) config = bk_config_load(context->config_path, error);

    if (config == NULL)
        return false;
    return bk_args_get_flag(args, "json")
               ? report(self, config->repositories, "repositories", context->op, error)
               : visit_all(self, config->repositories, NULL, context->op, error);
}
