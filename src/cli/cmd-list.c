#include "cli/each.h"
#include "cli/report-fields.h"
#include "cli/source.h"
#include "report/format.h"
#include "source/pg/history/snapshot-list.h"

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
    bk_json_add_work(json, head->mode, head->parent, head->why, &head->work);
    bk_json_add_string(json, "label", head->label);
    bk_json_begin_array(json, "repositories");
    for (guint i = 0; i < listed->repositories->len; i++)
        bk_json_add_string(json, NULL, g_ptr_array_index(listed->repositories, i));
    bk_json_end_array(json);
    bk_json_end_object(json);
}

/* Sizes: of the whole, what was stored anew since it had changed, what was only refreshed, what was
 * taken over from the parent, and what all that added to the repository. */
static void
print_snapshot(const BkListedSnapshot *listed)
{
    const BkSnapshotHead *head = &listed->snapshot->head;
    g_autofree char *bytes = bk_format_size(head->bytes);
    g_autofree char *changed = bk_format_size(head->work.changed);
    g_autofree char *refreshed = bk_format_size(head->work.repacked);
    g_autofree char *taken = bk_format_size(head->work.reused);
    g_autofree char *added = bk_format_size(head->new_bytes);
    g_autofree char *finished =
        bk_format_time(head->finished_us / BK_USEC_PER_SEC * BK_USEC_PER_SEC);

    (void)printf("  %-25s  %s  %-10s %-9s %10s %10s %10s %10s %10s  %3u%s%s%s\n", head->id,
                 finished, bk_snapshot_state_name(head->state), bk_snapshot_mode_name(head->mode),
                 bytes, changed, refreshed, taken, added, listed->snapshot->meta.timeline,
                 listed->snapshot->meta.is_standalone ? "  standalone" : "",
                 head->label[0] != 0 ? "  " : "", head->label);
}

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
    problems = bk_listing_find_problems(&listing, &source.spec);
    bk_cli_warn_of(problems);
    if (json != NULL) {
        bk_json_begin_object(json, NULL);
        bk_json_add_string(json, "name", config->name);
        bk_json_begin_array(json, "snapshots");
    } else {
        (void)printf("%s\n", config->name);
        if (listing.snapshots->len == 0)
            (void)printf("  no snapshots yet\n");
        else
            (void)printf("  %-25s  %-20s  %-10s %-9s %10s %10s %10s %10s %10s  %3s\n", "snapshot",
                         "finished", "state", "mode", "size", "changed", "refreshed", "taken over",
                         "added", "tl");
    }
    for (guint i = 0; i < listing.snapshots->len; i++) {
        if (json != NULL)
            add_snapshot(json, g_ptr_array_index(listing.snapshots, i));
        else
            print_snapshot(g_ptr_array_index(listing.snapshots, i));
    }
    if (json != NULL) {
        bk_json_end_array(json);
        bk_json_add_problems(json, problems);
        bk_json_end_object(json);
    }
    return true;
}

bool
bk_cmd_list(const BkArgs *args, BkCliContext *context, GError **error)
{
    return bk_cli_each_source(&(BkCliEach){.visit = list_source}, args, context, error);
}
