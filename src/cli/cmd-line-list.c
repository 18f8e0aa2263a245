/* cmd-line-list.c - the command "line list": prints the lines of a source and the decisions. */
#include "cli/report-fields.h"
#include "cli/report-line.h"
#include "cli/requests.h"
#include "cli/source.h"
#include "cli/system.h"
#include "repo/targets/targets.h"
#include "report/format.h"
#include "source/pg/history/snapshot-list.h"

#include <stdio.h>

static const char *
name_decision(BkDecisionKind kind)
{
    switch (kind) {
    case BK_DECISION_DAMAGED:
        return "damaged";
    case BK_DECISION_DEAD:
        return "dead";
    case BK_DECISION_CURRENT:
        return "current";
    case BK_DECISION_CLUSTER:
        return "cluster";
    case BK_DECISION_FORGET:
        break;
    }
    return "forget";
}

static void
print_report(const BkListing *listing, const char *source, const BkLines *lines)
{
    (void)printf("%s\n", source);
    if (listing->systems.systems->len > 1)
        bk_cli_print_systems(&listing->systems);
    bk_cli_print_lines(lines);
    for (guint i = 0; i < lines->decisions->len; i++) {
        const BkDecision *decision = &g_array_index(lines->decisions, BkDecision, i);
        g_autofree char *time = bk_format_time(decision->time_us);

        if (decision->kind == BK_DECISION_DAMAGED)
            continue; /* a problem says so */
        (void)printf("  decision       %s ", name_decision(decision->kind));
        if (decision->kind == BK_DECISION_CLUSTER)
            (void)printf("%" G_GUINT64_FORMAT " after %" G_GUINT64_FORMAT, decision->system_id,
                         decision->previous_id);
        else if (decision->system_id == lines->system_id)
            (void)printf("timeline %u", decision->timeline);
        else
            (void)printf("timeline %u of cluster %" G_GUINT64_FORMAT, decision->timeline,
                         decision->system_id);
        (void)printf(", %s on %s\n", time, decision->host);
    }
}

static void
print_json(const BkListing *listing, const char *source, const BkLines *lines,
           const GPtrArray *problems, const BkOp *op)
{
    g_autoptr(BkJson) json = bk_json_new();

    bk_json_begin_object(json, NULL);
    bk_json_add_string(json, "source", source);
    bk_json_add_systems(json, &listing->systems);
    bk_json_add_system(json, "system_identifier", lines->system_id);
    bk_json_add_lines(json, lines);
    bk_json_begin_array(json, "decisions");
    for (guint i = 0; i < lines->decisions->len; i++) {
        const BkDecision *decision = &g_array_index(lines->decisions, BkDecision, i);

        if (decision->kind == BK_DECISION_DAMAGED)
            continue;
        bk_json_begin_object(json, NULL);
        bk_json_add_uint(json, "number", decision->number);
        bk_json_add_string(json, "decision", name_decision(decision->kind));
        bk_json_add_system(json, "system_identifier", decision->system_id);
        if (decision->kind == BK_DECISION_CLUSTER) {
            bk_json_add_system(json, "previous_system_identifier", decision->previous_id);
        } else {
            bk_json_add_uint(json, "timeline", decision->timeline);
            bk_json_add_lsn(json, "lsn", decision->lsn);
        }
        bk_json_add_time(json, "time", decision->time_us);
        bk_json_add_string(json, "host", decision->host);
        bk_json_end_object(json);
    }
    bk_json_end_array(json);
    bk_json_add_problems(json, problems);
    bk_cli_end_report(json, op);
}

bool
bk_cmd_line_list(const BkArgs *args, BkCliContext *context, GError **error)
{
    g_auto(BkCliSource) source = {0};
    g_auto(BkListing) listing = {.pasts = NULL};
    g_autoptr(GPtrArray) problems = NULL;
    uint64_t system_id;
    BkSystem *system;
    BkLines *lines;

    if (!bk_cli_parse_system(args, &system_id, error) ||
        !bk_cli_source_load_for_reading(args, context, &source, error) ||
        !bk_listing_load(&source.spec, BK_RECOVERY_INDEX_KNOWN_ARCHIVE, &listing, context->op,
                         error))
        return false;
    system = bk_listing_find_system(&listing, source.spec.name, system_id, error);
    if (system == NULL)
        return false;
    lines = &system->lines;
    if (!bk_lines_load_decisions(lines, context->op, error))
        return false;
    problems = bk_problem_list_new();
    bk_targets_add_problems(&listing.targets, problems);
    bk_problem_add_all(problems, lines->problems);
    bk_cli_warn_of(problems);
    if (bk_args_get_flag(args, "json"))
        print_json(&listing, source.spec.name, lines, problems, context->op);
    else
        print_report(&listing, source.spec.name, lines);
    return true;
}
