/* cmd-copy.c - "copy": brings what one repository lacks from another one. */
#include "cli/progress.h"
#include "cli/show.h"
#include "cli/source.h"
#include "engine/reports/job-reports.h"
#include "repo/snapshot/snapshot.h"
#include "source/pg/format/pg-time.h"

#include <stdio.h>
#include <string.h>

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
    BkCopyView view = {
        .source = bk_args_get_string(args, "source"),
        .from = bk_args_get_string(args, "from"),
        .to = bk_args_get_string(args, "to"),
    };
    bool ok;

    if (!parse(args, &ids, &options, error) ||
        !bk_cli_source_load_for_reading(args, context, &source, error) ||
        !open_ends(&ends, args, &source, context->op, error))
        return false;
    options.workers = (unsigned)bk_args_get_int(args, "workers", source.spec.workers);
    ok = ends.from == NULL || run(&ends, &options, &view.report, context, error);
    if (!ok && view.report.damaged == 0)
        return false; /* it did not come to its end */
    if (ends.from == NULL && !bk_args_get_flag(args, "json"))
        (void)printf("Nothing to copy yet: \"%s\" holds nothing of \"%s\".\n", view.from,
                     view.source);
    else
        bk_cli_show_all(args, &bk_copy_report, &view, context->op);
    return ok;
}
