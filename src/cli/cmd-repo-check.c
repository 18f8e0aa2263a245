/* cmd-repo-check.c - the command "repo check": checks one repository, or compares two. */
#include "cli/commands.h"
#include "cli/location.h"
#include "cli/report-fields.h"
#include "cli/show.h"
#include "config/value.h"
#include "engine/check/repo-check.h"
#include "engine/check/repo-compare.h"
#include "report/format.h"
#include "report/json.h"

#include <stdio.h>
#include <string.h>

static const char *const kind_names[BK_COMPARE_KINDS] = {
    [BK_COMPARE_SNAPSHOTS] = "snapshot",
    [BK_COMPARE_PACKS] = "pack",
    [BK_COMPARE_WAL] = "WAL file",
};

static const char *const kind_keys[BK_COMPARE_KINDS] = {
    [BK_COMPARE_SNAPSHOTS] = "snapshots",
    [BK_COMPARE_PACKS] = "packs",
    [BK_COMPARE_WAL] = "wal",
};

/* How much of all sources both repositories have. */
typedef struct Share {
    uint64_t objects;
    uint64_t replicated;
    uint64_t bytes;
    uint64_t replicated_bytes;
} Share;

typedef struct Check {
    BkRepository *repositories[BK_COMPARE_SIDES]; /* the second is NULL when there is one */
    GPtrArray *sources;                           /* of char * */
    BkJson *json;                                 /* NULL: as text; borrowed */
    Share share;
    bool is_failed; /* something is missing or damaged */
} Check;

static void
check_clear(Check *self)
{
    g_clear_pointer(&self->sources, g_ptr_array_unref);
    for (size_t side = 0; side < BK_COMPARE_SIDES; side++)
        bk_repository_free(self->repositories[side]);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Check, check_clear)

static const char *
name_of(const Check *self, size_t side)
{
    return bk_repository_name(self->repositories[side]);
}

static void
add_names(BkJson *json, const char *key, const GPtrArray *names)
{
    bk_json_begin_array(json, key);
    for (guint i = 0; i < names->len; i++)
        bk_json_add_string(json, NULL, g_ptr_array_index(names, i));
    bk_json_end_array(json);
}

static void
print_check(const Check *self, const char *source, const BkRepoCheck *check)
{
    g_autofree char *snapshots = bk_format_count(check->snapshots, "snapshot");
    g_autofree char *packs = bk_format_count(check->packs, "pack");
    g_autofree char *wal_files = bk_format_count(check->wal_files, "WAL file");
    g_autofree char *bytes = bk_format_size(check->pack_bytes);

    (void)printf("%s in \"%s\": %s\n", source, name_of(self, 0),
                 bk_problem_count(check->problems) == 0 ? "ok" : "NOT OK");
    (void)printf("  %s, which need %s (%s); %s\n", snapshots, packs, bytes, wal_files);
    bk_cli_show_problems(check->problems);
}

static void
add_check(BkJson *json, const char *source, const BkRepoCheck *check)
{
    bk_json_begin_object(json, NULL);
    bk_json_add_string(json, "name", source);
    bk_json_add_bool(json, "ok", bk_problem_count(check->problems) == 0);
    bk_json_add_uint(json, "snapshots", check->snapshots);
    bk_json_add_uint(json, "packs", check->packs);
    bk_json_add_uint(json, "pack_bytes", check->pack_bytes);
    bk_json_add_uint(json, "wal_files", check->wal_files);
    bk_json_add_problems(json, check->problems);
    bk_json_end_object(json);
}

static bool
check_one(Check *self, const char *source, BkOp *op, GError **error)
{
    g_autoptr(BkSourceRepo) source_repo =
        bk_source_repo_open(self->repositories[0], source, op, error);
    g_auto(BkRepoCheck) check = {.problems = NULL};

    if (source_repo == NULL || !bk_repo_check_run(&check, source_repo, op, error))
        return false;
    if (self->json != NULL)
        add_check(self->json, source, &check);
    else
        print_check(self, source, &check);
    self->is_failed = self->is_failed || bk_problem_count(check.problems) > 0;
    return true;
}

/* Down to a tenth of a per cent: 100.0 means all. */
static double
per_cent(uint64_t replicated, uint64_t total)
{
    return (double)(uint64_t)(bk_repo_comparison_share(replicated, total) * 1000.0) / 10.0;
}

static Share
sum_up(const BkRepoComparison *comparison)
{
    Share share = {0};

    for (size_t kind = 0; kind < BK_COMPARE_KINDS; kind++) {
        const BkCompared *compared = &comparison->kinds[kind];

        share.objects += compared->objects;
        share.replicated += compared->replicated;
        share.bytes += compared->bytes;
        share.replicated_bytes += compared->replicated_bytes;
    }
    return share;
}

static void
print_lack(const BkComparedLack *lack, const char *what, const char *where)
{
    g_autofree char *count = bk_format_count(lack->count, what);
    g_autofree char *bytes = bk_format_size(lack->bytes);

    if (lack->count == 0)
        return;
    (void)printf("  %s: %s, %s\n", where, count, bytes);
    for (guint i = 0; i < lack->names->len; i++)
        (void)printf("    %s\n", (const char *)g_ptr_array_index(lack->names, i));
    if (lack->count > lack->names->len)
        (void)printf("    and %" G_GUINT64_FORMAT " more\n", lack->count - lack->names->len);
}

static void
print_comparison(const Check *self, const char *source, const BkRepoComparison *comparison)
{
    const Share share = sum_up(comparison);

    (void)printf("%s: \"%s\" and \"%s\" %s\n", source, name_of(self, 0), name_of(self, 1),
                 bk_repo_comparison_is_equal(comparison) ? "hold the same" : "DIFFER");
    for (size_t kind = 0; kind < BK_COMPARE_KINDS; kind++) {
        const BkCompared *compared = &comparison->kinds[kind];
        g_autofree char *count = bk_format_count(compared->objects, kind_names[kind]);
        g_autofree char *bytes = bk_format_size(compared->bytes);
        g_autofree char *replicated = bk_format_size(compared->replicated_bytes);

        (void)printf("  %" G_GUINT64_FORMAT " of %s in both, %s of %s\n", compared->replicated,
                     count, replicated, bytes);
    }
    (void)printf("  replicated: %.1f %% of objects, %.1f %% of bytes\n",
                 per_cent(share.replicated, share.objects),
                 per_cent(share.replicated_bytes, share.bytes));
    for (size_t kind = 0; kind < BK_COMPARE_KINDS; kind++) {
        const BkCompared *compared = &comparison->kinds[kind];

        for (size_t side = 0; side < BK_COMPARE_SIDES; side++) {
            g_autofree char *where = g_strdup_printf("missing in \"%s\"", name_of(self, side));

            print_lack(&compared->missing[side], kind_names[kind], where);
        }
        print_lack(&compared->differing, kind_names[kind], "not the same");
    }
    bk_cli_show_problems(comparison->problems);
}

static void
add_lack(BkJson *json, const char *key, const BkComparedLack *lack)
{
    bk_json_begin_object(json, key);
    bk_json_add_uint(json, "count", lack->count);
    bk_json_add_uint(json, "bytes", lack->bytes);
    add_names(json, "names", lack->names);
    bk_json_end_object(json);
}

static void
add_share(BkJson *json, const Share *share)
{
    bk_json_begin_object(json, "replicated");
    bk_json_add_double(json, "objects",
                       bk_repo_comparison_share(share->replicated, share->objects));
    bk_json_add_double(json, "bytes",
                       bk_repo_comparison_share(share->replicated_bytes, share->bytes));
    bk_json_end_object(json);
}

static void
add_comparison(const Check *self, const char *source, const BkRepoComparison *comparison)
{
    const Share share = sum_up(comparison);
    BkJson *json = self->json;

    bk_json_begin_object(json, NULL);
    bk_json_add_string(json, "name", source);
    bk_json_add_bool(json, "ok", bk_repo_comparison_is_equal(comparison));
    for (size_t kind = 0; kind < BK_COMPARE_KINDS; kind++) {
        const BkCompared *compared = &comparison->kinds[kind];

        bk_json_begin_object(json, kind_keys[kind]);
        bk_json_add_uint(json, "count", compared->objects);
        bk_json_add_uint(json, "bytes", compared->bytes);
        bk_json_add_uint(json, "replicated", compared->replicated);
        bk_json_add_uint(json, "replicated_bytes", compared->replicated_bytes);
        bk_json_begin_object(json, "missing");
        for (size_t side = 0; side < BK_COMPARE_SIDES; side++)
            add_lack(json, name_of(self, side), &compared->missing[side]);
        bk_json_end_object(json);
        add_lack(json, "differing", &compared->differing);
        bk_json_end_object(json);
    }
    add_share(json, &share);
    bk_json_add_problems(json, comparison->problems);
    bk_json_end_object(json);
}

/* A repository without the source is one that lacks everything. */
static bool
open_part(BkRepository *repository, const char *source, BkSourceRepo **source_repo, BkOp *op,
          GError **error)
{
    g_autoptr(GError) cause = NULL;

    *source_repo = bk_source_repo_open(repository, source, op, &cause);
    return *source_repo != NULL || bk_error_is(cause, BK_ERROR_NOT_FOUND) ||
           bk_propagate(error, &cause);
}

static bool
compare(Check *self, const char *source, BkOp *op, GError **error)
{
    g_autoptr(BkSourceRepo) first = NULL;
    g_autoptr(BkSourceRepo) second = NULL;
    g_auto(BkRepoComparison) comparison = {.names = NULL};
    Share share;

    if (!open_part(self->repositories[0], source, &first, op, error) ||
        !open_part(self->repositories[1], source, &second, op, error))
        return false;
    if (first == NULL && second == NULL)
        return bk_throw(error, BK_ERROR_NOT_FOUND,
                        "neither \"%s\" nor \"%s\" holds anything of source \"%s\"",
                        name_of(self, 0), name_of(self, 1), source);
    if (!bk_repo_comparison_run(&comparison, (const BkSourceRepo *const[]){first, second}, op,
                                error))
        return false;
    if (self->json != NULL)
        add_comparison(self, source, &comparison);
    else
        print_comparison(self, source, &comparison);
    share = sum_up(&comparison);
    self->share.objects += share.objects;
    self->share.replicated += share.replicated;
    self->share.bytes += share.bytes;
    self->share.replicated_bytes += share.replicated_bytes;
    self->is_failed = self->is_failed || !bk_repo_comparison_is_equal(&comparison);
    return true;
}

static bool
check_sources(Check *self, BkOp *op, GError **error)
{
    for (guint i = 0; i < self->sources->len; i++) {
        const char *source = g_ptr_array_index(self->sources, i);

        if (!(self->repositories[1] != NULL ? compare(self, source, op, error)
                                            : check_one(self, source, op, error)))
            return false;
    }
    return true;
}

/* The sources that any of the repositories holds, or the one that was asked for. */
static bool
find_sources(Check *self, const char *only, BkOp *op, GError **error)
{
    g_autoptr(GError) cause = NULL;

    self->sources = g_ptr_array_new_with_free_func(g_free);
    if (only != NULL) {
        if (!bk_value_check_name(only, &cause))
            return bk_throw(error, BK_ERROR_USAGE, "--source %s", cause->message);
        g_ptr_array_add(self->sources, g_strdup(only));
        return true;
    }
    for (size_t side = 0; side < BK_COMPARE_SIDES && self->repositories[side] != NULL; side++) {
        g_autoptr(GPtrArray) names =
            bk_repository_list_sources(self->repositories[side], op, error);

        if (names == NULL)
            return false;
        for (guint i = 0; i < names->len; i++)
            if (!g_ptr_array_find_with_equal_func(self->sources, g_ptr_array_index(names, i),
                                                  g_str_equal, NULL))
                g_ptr_array_add(self->sources, g_strdup(g_ptr_array_index(names, i)));
    }
    return true;
}

static bool
open_repositories(Check *self, const BkConfig *config, const char *name, const char *other,
                  BkOp *op, GError **error)
{
    const char *const names[BK_COMPARE_SIDES] = {name, other};

    if (g_strcmp0(names[0], names[1]) == 0)
        return bk_throw(error, BK_ERROR_USAGE, "\"%s\" cannot be compared with itself", names[0]);
    for (size_t side = 0; side < BK_COMPARE_SIDES && names[side] != NULL; side++) {
        self->repositories[side] = bk_cli_repository_open(config, names[side], op, error);
        if (self->repositories[side] == NULL)
            return false;
    }
    return true;
}

static bool
report(Check *self, BkOp *op, GError **error)
{
    bool ok;

    if (self->json == NULL) {
        if (self->sources->len == 0)
            (void)printf("There is nothing to check in \"%s\": no source was backed up yet.\n",
                         name_of(self, 0));
        return check_sources(self, op, error);
    }
    bk_json_begin_array(self->json, "repositories");
    for (size_t side = 0; side < BK_COMPARE_SIDES && self->repositories[side] != NULL; side++)
        bk_json_add_string(self->json, NULL, name_of(self, side));
    bk_json_end_array(self->json);
    bk_json_begin_array(self->json, "sources");
    ok = check_sources(self, op, error);
    bk_json_end_array(self->json);
    if (self->repositories[1] != NULL)
        add_share(self->json, &self->share);
    bk_json_add_bool(self->json, "ok", ok && !self->is_failed);
    return ok;
}

static bool
throw_failed(const Check *self, GError **error)
{
    if (self->repositories[1] != NULL)
        return bk_throw(error, BK_ERROR_UNFIT, "\"%s\" and \"%s\" do not hold the same",
                        name_of(self, 0), name_of(self, 1));
    return bk_throw(error, BK_ERROR_UNFIT, "something is missing or damaged in \"%s\"",
                    name_of(self, 0));
}

/* Checks one repository, or compares it with `other`; into `json` when that is not NULL. */
static bool
check(const BkConfig *config, const BkArgs *args, const char *name, const char *other, BkJson *json,
      BkOp *op, GError **error)
{
    g_auto(Check) self = {.json = json};

    return open_repositories(&self, config, name, other, op, error) &&
           find_sources(&self, bk_args_get_string(args, "source"), op, error) &&
           report(&self, op, error) && (!self.is_failed || throw_failed(&self, error));
}

/* Returns true if the report on a repository is complete, whatever it says. */
static bool
is_told(const GError *cause)
{
    return cause == NULL || bk_error_is(cause, BK_ERROR_UNFIT);
}

/* What is said of a repository that could not be checked, or not to the end. */
static void
report_failure(const char *name, BkJson *json, const GError *cause)
{
    if (json != NULL)
        bk_json_add_string(json, "error", is_told(cause) ? NULL : cause->message);
    else if (!is_told(cause))
        (void)printf("\"%s\" CANNOT BE CHECKED\n  problem     %s\n", name, cause->message);
}

/* One that cannot be checked does not keep the others from it. */
static bool
check_all(const BkConfig *config, const BkArgs *args, BkJson *json, BkOp *op, GError **error)
{
    g_autoptr(GError) first = NULL;

    for (guint i = 0; i < config->repositories->len; i++) {
        const BkConfigRepository *repository = g_ptr_array_index(config->repositories, i);
        g_autoptr(GError) cause = NULL;

        if (json != NULL) {
            bk_json_begin_object(json, NULL);
            bk_json_add_string(json, "repository", repository->name);
        }
        (void)!check(config, args, repository->name, NULL, json, op, &cause);
        report_failure(repository->name, json, cause);
        if (json != NULL)
            bk_json_end_object(json);
        if (!bk_op_check(op, error))
            return false;
        if (first == NULL)
            first = g_steal_pointer(&cause);
    }
    return bk_propagate(error, &first);
}

bool
bk_cmd_repo_check(const BkArgs *args, BkCliContext *context, GError **error)
{
    g_autoptr(BkConfig) config = bk_config_load(context->config_path, error);
    g_autoptr(BkJson) json = bk_args_get_flag(args, "json") ? bk_json_new() : NULL;
    const char *name = bk_args_get_string(args, "repository");
    g_autoptr(GError) cause = NULL;

    if (config == NULL)
        return false;
    if (json != NULL)
        bk_json_begin_object(json, NULL);
    if (json != NULL && name == NULL)
        bk_json_begin_array(json, "checks");
    if (name != NULL)
        (void)!check(config, args, name, bk_args_get_string(args, "other"), json, context->op,
                     &cause);
    else
        (void)!check_all(config, args, json, context->op, &cause);
    if (json != NULL && name == NULL) {
        bk_json_end_array(json);
        bk_json_add_bool(json, "ok", cause == NULL);
    }
    if (json != NULL && (name == NULL || is_told(cause))) {
        bk_json_end_object(json);
        (void)fputs(bk_json_text(json), stdout);
    }
    return bk_propagate(error, &cause);
}
