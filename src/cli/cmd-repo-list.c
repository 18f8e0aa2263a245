/* cmd-repo-list.c - the command "repo list": prints what is in the repositories. */
#include "cli/commands.h"
#include "cli/location.h"
#include "cli/report-fields.h"
#include "engine/copy/inventory.h"
#include "report/format.h"

#include <stdio.h>
#include <string.h>

/* All sources of one repository. */
typedef struct Total {
    uint64_t snapshots;
    uint64_t packs;
    uint64_t wal_files;
    uint64_t bytes;
} Total;

typedef struct Report {
    BkJson *json;   /* NULL: as text */
    bool is_single; /* one repository was asked for */
    size_t failed;  /* repositories and sources that could not be asked */
    BkOp *op;
} Report;

static void
add_total(Total *total, const BkInventory *inventory)
{
    total->snapshots += inventory->holdings.snapshots->len;
    total->packs += inventory->holdings.packs->len;
    total->wal_files += inventory->holdings.wal->len;
    total->bytes += inventory->manifest_bytes + inventory->pack_bytes + inventory->wal_bytes;
}

static void
append_count(GString *line, size_t count, const char *what)
{
    if (count > 0)
        g_string_append_printf(line, "%s%zu %s", line->len > 0 ? ", " : "", count, what);
}

static void
print_source(const char *source, const BkInventory *inventory)
{
    g_autofree char *packs = bk_format_size(inventory->pack_bytes);
    g_autoptr(GString) states = g_string_new(NULL);

    append_count(states, inventory->complete, "complete");
    append_count(states, inventory->damaged, "damaged");
    append_count(states, inventory->unfinished, "unfinished");
    append_count(states, inventory->unreadable->len, "unreadable");
    (void)printf("  %s\n", source);
    (void)printf("    snapshots  %s", states->len > 0 ? states->str : "none");
    if (inventory->oldest != NULL)
        (void)printf("; %s to %s", inventory->oldest, inventory->newest);
    (void)printf("\n");
    (void)printf("    packs      %u, %s\n", inventory->holdings.packs->len, packs);
    for (guint i = 0; i < inventory->timelines->len; i++) {
        const BkInventoryTimeline *timeline =
            &g_array_index(inventory->timelines, BkInventoryTimeline, i);
        g_autofree char *bytes = bk_format_size(timeline->bytes);

        (void)printf("    WAL        ");
        if (inventory->systems > 1)
            (void)printf("system %" G_GUINT64_FORMAT ", ", timeline->system_id);
        (void)printf("timeline %u: %" G_GUINT64_FORMAT " files, %s", timeline->timeline,
                     timeline->files, bytes);
        if (timeline->first != NULL)
            (void)printf("; %s to %s", timeline->first, timeline->last);
        (void)printf("\n");
    }
    if (inventory->lease.is_held)
        (void)printf("    held by    %s%s\n", inventory->lease.holder,
                     inventory->lease.is_dead ? ", which has died" : "");
}

static void
add_wal(BkJson *json, const BkInventory *inventory)
{
    bk_json_begin_object(json, "wal");
    bk_json_add_uint(json, "files", inventory->holdings.wal->len);
    bk_json_add_uint(json, "bytes", inventory->wal_bytes);
    bk_json_begin_array(json, "timelines");
    for (guint i = 0; i < inventory->timelines->len; i++) {
        const BkInventoryTimeline *timeline =
            &g_array_index(inventory->timelines, BkInventoryTimeline, i);

        bk_json_begin_object(json, NULL);
        bk_json_add_system(json, "system_identifier", timeline->system_id);
        bk_json_add_uint(json, "timeline", timeline->timeline);
        bk_json_add_string(json, "first", timeline->first);
        bk_json_add_string(json, "last", timeline->last);
        bk_json_add_uint(json, "files", timeline->files);
        bk_json_add_uint(json, "bytes", timeline->bytes);
        bk_json_end_object(json);
    }
    bk_json_end_array(json);
    bk_json_end_object(json);
}

static void
add_source(BkJson *json, const char *source, const BkInventory *inventory)
{
    bk_json_begin_object(json, NULL);
    bk_json_add_string(json, "name", source);
    bk_json_begin_object(json, "snapshots");
    bk_json_add_uint(json, "count", inventory->holdings.snapshots->len);
    bk_json_add_uint(json, "bytes", inventory->manifest_bytes);
    bk_json_add_uint(json, "complete", inventory->complete);
    bk_json_add_uint(json, "damaged", inventory->damaged);
    bk_json_add_uint(json, "unfinished", inventory->unfinished);
    bk_json_add_uint(json, "unreadable", inventory->unreadable->len);
    bk_json_add_string(json, "oldest", inventory->oldest);
    bk_json_add_string(json, "newest", inventory->newest);
    bk_json_end_object(json);
    bk_json_begin_object(json, "packs");
    bk_json_add_uint(json, "count", inventory->holdings.packs->len);
    bk_json_add_uint(json, "bytes", inventory->pack_bytes);
    bk_json_end_object(json);
    add_wal(json, inventory);
    bk_json_add_lease(json, "lease", &inventory->lease);
    bk_json_end_object(json);
}

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
list_source(Report *self, BkRepository *repository, const char *source, Total *total,
            GError **error)
{
    g_autoptr(BkSourceRepo) source_repo = bk_source_repo_open(repository, source, self->op, error);
    g_auto(BkInventory) inventory = {.oldest = NULL};

    if (source_repo == NULL || !bk_inventory_load(&inventory, source_repo, self->op, error))
        return false;
    warn_of_damage(&inventory);
    if (self->json != NULL)
        add_source(self->json, source, &inventory);
    else
        print_source(source, &inventory);
    add_total(total, &inventory);
    return true;
}

/* One source that cannot be asked hides no other one; a cancelled operation is the end. */
static bool
list_sources(Report *self, BkRepository *repository, const GPtrArray *sources, Total *total,
             GError **error)
{
    for (guint i = 0; i < sources->len; i++) {
        g_autoptr(GError) cause = NULL;

        if (list_source(self, repository, g_ptr_array_index(sources, i), total, &cause))
            continue;
        if (!bk_op_check(self->op, NULL))
            return bk_propagate(error, &cause);
        bk_cli_warn("%s", cause->message);
        self->failed++;
    }
    return true;
}

static void
print_total(const Total *total)
{
    g_autofree char *snapshots = bk_format_count(total->snapshots, "snapshot");
    g_autofree char *packs = bk_format_count(total->packs, "pack");
    g_autofree char *wal_files = bk_format_count(total->wal_files, "WAL file");
    g_autofree char *bytes = bk_format_size(total->bytes);

    (void)printf("  total: %s, %s, %s, %s\n", snapshots, packs, wal_files, bytes);
}

static bool
list_opened(Report *self, const BkConfigRepository *config, BkRepository *repository,
            const GPtrArray *sources, GError **error)
{
    g_autofree char *location = bk_cli_location_describe(config);
    Total total = {0};

    if (self->json == NULL) {
        (void)printf("%s: %s\n", config->name, location);
        if (!list_sources(self, repository, sources, &total, error))
            return false;
        print_total(&total);
        return true;
    }
    bk_json_begin_object(self->json, NULL);
    bk_json_add_string(self->json, "name", config->name);
    bk_json_add_string(self->json, "location", location);
    bk_json_add_string(self->json, "id", bk_repository_id(repository));
    bk_json_begin_array(self->json, "sources");
    if (!list_sources(self, repository, sources, &total, error))
        return false;
    bk_json_end_array(self->json);
    bk_json_begin_object(self->json, "total");
    bk_json_add_uint(self->json, "snapshots", total.snapshots);
    bk_json_add_uint(self->json, "packs", total.packs);
    bk_json_add_uint(self->json, "wal_files", total.wal_files);
    bk_json_add_uint(self->json, "bytes", total.bytes);
    bk_json_end_object(self->json);
    bk_json_end_object(self->json);
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
