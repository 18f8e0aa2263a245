#include "cli/format.h"
#include "cli/json.h"
#include "cli/report-fields.h"
#include "cli/source.h"
#include "engine/listing.h"

#include <stdio.h>

static void
add_snapshot(BkJson *json, const BkListedSnapshot *listed)
{
    const BkSnapshotHead *head = &listed->snapshot->head;

    bk_json_begin_object(json, NULL);
    bk_json_add_string(json, "snapshot", head->id);
    bk_json_add_time(json, "started", head->started_us);
    bk_json_add_time(json, "finished", head->finished_us);
    bk_json_add_string(json, "state", bk_snapshot_state_name(head->state));
    bk_json_add_pg_meta(json, &listed->snapshot->meta);
    bk_json_add_uint(json, "files", head->file_count);
    bk_json_add_uint(json, "bytes", head->bytes);
    bk_json_add_uint(json, "stored_bytes", head->stored_bytes);
    bk_json_add_uint(json, "new_bytes", head->new_bytes);
    bk_json_add_string(json, "label", head->label);
    bk_json_begin_array(json, "repositories");
    for (guint i = 0; i < listed->repositories->len; i++)
        bk_json_add_string(json, NULL, g_ptr_array_index(listed->repositories, i));
    bk_json_end_array(json);
    bk_json_end_object(json);
}

static void
print_snapshot(const BkListedSnapshot *listed)
{
    const BkSnapshotHead *head = &listed->snapshot->head;
    const BkPgMeta *meta = &listed->snapshot->meta;
    g_autofree char *bytes = bk_format_size(head->bytes);
    g_autofree char *stored = bk_format_size(head->stored_bytes);
    g_autofree char *finished =
        bk_format_time(head->finished_us / BK_USEC_PER_SEC * BK_USEC_PER_SEC);
    char stop[BK_LSN_TEXT_SIZE];

    (void)printf("  %-25s  %s  %-10s %10s %10s  %3u  %-12s%s%s%s\n", head->id, finished,
                 bk_snapshot_state_name(head->state), bytes, stored, meta->timeline,
                 bk_lsn_format(meta->stop_lsn, stop), meta->is_standalone ? "  standalone" : "",
                 head->label[0] != 0 ? "  " : "", head->label);
}

static void
warn_of_unreadable(const BkListing *listing)
{
    for (guint i = 0; i < listing->pasts->len; i++) {
        const BkPast *past = g_ptr_array_index(listing->pasts, i);

        for (guint j = 0; j < past->unreadable->len; j++)
            bk_cli_warn("%s", ((BkPastUnreadable *)g_ptr_array_index(past->unreadable, j))->why);
    }
}

static bool
list_source(const BkConfigSource *config, BkJson *json, BkOp *op, GError **error)
{
    g_auto(BkCliSource) source = {0};
    g_auto(BkListing) listing = {0};

    bk_cli_source_init(&source, config);
    if (!bk_listing_load(&source.spec, &listing, op, error))
        return false;
    for (guint i = 0; i < listing.parts.failed->len; i++)
        bk_cli_warn("%s", (const char *)g_ptr_array_index(listing.parts.failed, i));
    warn_of_unreadable(&listing);
    if (json != NULL) {
        bk_json_begin_object(json, NULL);
        bk_json_add_string(json, "name", config->name);
        bk_json_begin_array(json, "snapshots");
    } else {
        (void)printf("%s\n", config->name);
        if (listing.snapshots->len == 0)
            (void)printf("  no snapshots yet\n");
        else
            (void)printf("  %-25s  %-20s  %-10s %10s %10s  %3s  %s\n", "snapshot", "finished",
                         "state", "size", "stored", "tl", "stop");
    }
    for (guint i = 0; i < listing.snapshots->len; i++) {
        if (json != NULL)
            add_snapshot(json, g_ptr_array_index(listing.snapshots, i));
        else
            print_snapshot(g_ptr_array_index(listing.snapshots, i));
    }
    if (json != NULL) {
        bk_json_end_array(json);
        bk_json_end_object(json);
    }
    return true;
}

bool
bk_cmd_list(const BkArgs *args, BkCliContext *context, GError **error)
{
    g_autoptr(BkConfig) config = bk_config_load(context->config_path, error);
    g_autoptr(GPtrArray) sources = config != NULL ? bk_cli_sources(args, config, error) : NULL;
    g_autoptr(BkJson) json = bk_args_get_flag(args, "json") ? bk_json_new() : NULL;

    if (sources == NULL)
        return false;
    if (json != NULL) {
        bk_json_begin_object(json, NULL);
        bk_json_begin_array(json, "sources");
    }
    for (guint i = 0; i < sources->len; i++)
        if (!list_source(g_ptr_array_index(sources, i), json, context->op, error))
            return false;
    if (json != NULL) {
        bk_json_end_array(json);
        bk_json_end_object(json);
        (void)fputs(bk_json_text(json), stdout);
    }
    return true;
}
