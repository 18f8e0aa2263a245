/* cmd-copy.c - the command "copy": copies snapshots and WAL to another repository. */
#include "cli/progress.h"
#include "cli/source.h"
#include "engine/copy/copy.h"
#include "repo/snapshot/snapshot.h"
#include "report/format.h"
#include "report/json.h"
#include "source/pg/format/pg-time.h"

#include <stdio.h>
#include <string.h>

static const char *const request_names[BK_REQUEST_KINDS] = {
    [BK_REQUEST_PUT] = "put",   [BK_REQUEST_POST] = "post", [BK_REQUEST_GET] = "get",
    [BK_REQUEST_HEAD] = "head", [BK_REQUEST_LIST] = "list", [BK_REQUEST_DELETE] = "delete",
};

/* The two ends of a copy. */
typedef struct Ends {
    BkRepository *repositories[2];
    BkSourceRepo *from;
    BkSourceRepo *to;
} Ends;

static void
ends_clear(Ends *self)
{
    bk_source_repo_free(self->from);
    bk_source_repo_free(self->to);
    bk_repository_free(self->repositories[0]);
    bk_repository_free(self->repositories[1]);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Ends, ends_clear)

/* Returns true if the configuration has the source, and the other end holds nothing of it either:
 * right after `init` that is no reason to complain, while a source that is gone is. */
static bool
is_new(const Ends *self, const BkArgs *args, const BkCliSource *source, BkOp *op)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(BkSourceRepo) there = NULL;

    if (source->source->pg.connection == NULL || bk_args_has(args, "snapshots"))
        return false;
    there = bk_source_repo_open(self->repositories[1], source->spec.name, op, &cause);
    return there == NULL && bk_error_is(cause, BK_ERROR_NOT_FOUND);
}

/* Leaves `from` NULL when there is nothing to copy yet. */
static bool
open_ends(Ends *self, const BkArgs *args, const BkCliSource *source, BkOp *op, GError **error)
{
    const char *const names[] = {bk_args_get_string(args, "from"), bk_args_get_string(args, "to")};
    g_autoptr(GError) cause = NULL;

    if (strcmp(names[0], names[1]) == 0)
        return bk_throw(error, BK_ERROR_USAGE, "--from and --to are the same repository");
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        self->repositories[i] = bk_cli_repository_open(source->config, names[i], op, error);
        if (self->repositories[i] == NULL)
            return false;
    }
    self->from = bk_source_repo_open(self->repositories[0], source->spec.name, op, &cause);
    if (self->from == NULL && bk_error_is(cause, BK_ERROR_NOT_FOUND) &&
        is_new(self, args, source, op))
        return true;
    if (!bk_propagate(error, &cause))
        return false;
    self->to =
        bk_source_repo_create(self->repositories[1], source->spec.name, self->from, op, error);
    return self->to != NULL;
}

/* Each value may be several ids with commas between them: a new NULL-terminated array, or NULL when
 * the option was not given. */
static char **
parse_ids(const BkArgs *args, GError **error)
{
    g_autofree char *joined =
        g_strjoinv(",", (char **)(uintptr_t)bk_args_get_list(args, "snapshots"));
    g_auto(GStrv) ids = g_strsplit(joined, ",", -1);

    for (char **id = ids; *id != NULL; id++)
        if (!bk_snapshot_is_id(*id))
            return bk_throw_null(error, BK_ERROR_USAGE,
                                 "--snapshots: \"%s\" is not the id of a snapshot", *id);
    return g_steal_pointer(&ids);
}

static BkCopyPeriod
parse_period(const BkArgs *args)
{
    static const char *const names[] = {
        [BK_REPLICATE_DAY] = "day",
        [BK_REPLICATE_WEEK] = "week",
        [BK_REPLICATE_MONTH] = "month",
        [BK_REPLICATE_YEAR] = "year",
    };
    const char *text = bk_args_get_string(args, "last-of");

    for (int i = BK_REPLICATE_DAY; text != NULL && i <= (int)BK_REPLICATE_YEAR; i++)
        if (strcmp(text, names[i]) == 0)
            return (BkCopyPeriod)i;
    return BK_REPLICATE_ALL;
}

static bool
parse(const BkArgs *args, char ***ids, BkCopyOptions *options, GError **error)
{
    const char *since = bk_args_get_string(args, "since");

    *options = (BkCopyOptions){
        .last_of = parse_period(args),
        .without_wal = bk_args_get_flag(args, "no-wal"),
        .break_lease = bk_args_get_flag(args, "break-lease"),
    };
    if (since != NULL && !bk_pg_time_parse(since, g_get_real_time(), &options->since_us, error))
        return bk_prefix(error, "--since \"%s\"", since);
    if (!bk_args_has(args, "snapshots"))
        return true;
    *ids = parse_ids(args, error);
    options->snapshots = (const char *const *)*ids;
    return *ids != NULL;
}

static void
print_requests(const BkRequests *requests)
{
    g_autoptr(GString) line = g_string_new(NULL);

    for (size_t i = 0; i < BK_REQUEST_KINDS; i++) {
        g_autofree char *name = g_ascii_strup(request_names[i], -1);

        if (requests->count[i] > 0)
            g_string_append_printf(line, "%s%" G_GUINT64_FORMAT " %s", line->len > 0 ? ", " : "",
                                   requests->count[i], name);
    }
    if (line->len > 0)
        (void)printf("  requests: %s\n", line->str);
}

static void
print_text(const BkArgs *args, const BkCopyReport *report, const BkRequests *requests, bool is_new)
{
    g_autofree char *snapshots = bk_format_count(report->snapshots, "snapshot");
    g_autofree char *packs = bk_format_count(report->packs, "pack");
    g_autofree char *wal_files = bk_format_count(report->wal_files, "WAL file");
    g_autofree char *bytes = bk_format_size(report->bytes);
    g_autofree char *present = bk_format_count(report->present, "object");
    g_autofree char *damaged = bk_format_count(report->damaged, "object");
    g_autofree char *left_out = bk_format_count(report->left_out, "snapshot");

    if (is_new) {
        (void)printf("Nothing to copy yet: \"%s\" holds nothing of \"%s\".\n",
                     bk_args_get_string(args, "from"), bk_args_get_string(args, "source"));
        return;
    }
    (void)printf("Copied of \"%s\" from \"%s\" to \"%s\": %s, %s, %s, %s.\n",
                 bk_args_get_string(args, "source"), bk_args_get_string(args, "from"),
                 bk_args_get_string(args, "to"), snapshots, packs, wal_files, bytes);
    if (report->present > 0)
        (void)printf("  there already: %s\n", present);
    if (report->damaged > 0)
        (void)printf("  not copied: %s, and %s because of that\n", damaged, left_out);
    print_requests(requests);
}

static void
print_json(const BkArgs *args, const BkCopyReport *report, const BkRequests *requests)
{
    g_autoptr(BkJson) json = bk_json_new();

    bk_json_begin_object(json, NULL);
    bk_json_add_string(json, "source", bk_args_get_string(args, "source"));
    bk_json_add_string(json, "from", bk_args_get_string(args, "from"));
    bk_json_add_string(json, "to", bk_args_get_string(args, "to"));
    bk_json_add_uint(json, "snapshots", report->snapshots);
    bk_json_add_uint(json, "packs", report->packs);
    bk_json_add_uint(json, "wal_files", report->wal_files);
    bk_json_add_uint(json, "bytes", report->bytes);
    bk_json_add_uint(json, "present", report->present);
    bk_json_add_uint(json, "damaged", report->damaged);
    bk_json_add_uint(json, "left_out", report->left_out);
    bk_json_begin_object(json, "requests");
    for (size_t i = 0; i < BK_REQUEST_KINDS; i++)
        bk_json_add_uint(json, request_names[i], requests->count[i]);
    bk_json_end_object(json);
    bk_json_end_object(json);
    (void)fputs(bk_json_text(json), stdout);
}

static bool
run(const Ends *ends, const BkCopyOptions *options, BkCopyReport *report,
    const BkCliContext *context, GError **error)
{
    BkProgress *progress = bk_progress_start(context->op, context->is_quiet);
    bool ok = bk_replicate(ends->from, ends->to, options, report, context->op, error);

    bk_progress_stop(progress);
    return ok;
}

bool
bk_cmd_copy(const BkArgs *args, BkCliContext *context, GError **error)
{
    g_auto(BkCliSource) source = {0};
    g_auto(GStrv) ids = NULL;
    g_auto(Ends) ends = {.from = NULL};
    BkCopyOptions options;
    BkCopyReport report = {0};
    BkRequests requests;
    bool ok;

    if (!parse(args, &ids, &options, error) ||
        !bk_cli_source_load_for_reading(args, context, &source, error) ||
        !open_ends(&ends, args, &source, context->op, error))
        return false;
    options.workers = (unsigned)bk_args_get_int(args, "workers", source.spec.workers);
    ok = ends.from == NULL || run(&ends, &options, &report, context, error);
    if (!ok && report.damaged == 0)
        return false; /* it did not come to its end */
    bk_op_get_requests(context->op, &requests);
    if (bk_args_get_flag(args, "json"))
        print_json(args, &report, &requests);
    else
        print_text(args, &report, &requests, ends.from == NULL);
    return ok;
}
