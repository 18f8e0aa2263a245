/* line-decision.c - stores an operator's decision about a line in every repository. */
#include "source/pg/history/line-decision.h"

#include "repo/targets/targets.h"
#include "source/pg/history/snapshot-list.h"

#include <string.h>

typedef struct Deciding {
    const BkListing *listing;
    const BkLines *lines; /* of the cluster */
    GPtrArray *failed;
    BkOp *op;
} Deciding;

static bool
refuse_timeline(const BkLines *lines, const char *source, uint32_t timeline, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);

    if (lines->map.line_count < 2)
        return bk_throw(error, BK_ERROR_NOT_FOUND,
                        "\"%s\" has a single line: there is nothing to decide", source);
    for (size_t i = 0; i < lines->map.line_count; i++) {
        g_autofree char *what = bk_lines_describe(lines, i);

        g_string_append_printf(text, "; %s", what);
    }
    return bk_throw(error, BK_ERROR_NOT_FOUND, "no line of \"%s\" ends on timeline %u%s", source,
                    timeline, text->str);
}

static bool
make_decision(const BkLines *lines, const char *source, BkDecision *decision, GError **error)
{
    size_t line = bk_line_map_find_line(&lines->map, decision->timeline);
    bool is_known = false;

    decision->number = bk_decision_next_number(lines->decisions);
    decision->time_us = g_get_real_time();
    (void)g_strlcpy(decision->host, g_get_host_name(), sizeof decision->host);
    if (decision->kind == BK_DECISION_FORGET) {
        for (guint i = 0; i < lines->valid->len; i++)
            is_known = is_known || g_array_index(lines->valid, BkLineDecision, i).timeline ==
                                       decision->timeline;
        return is_known || bk_throw(error, BK_ERROR_NOT_FOUND,
                                    "there is no decision about timeline %u of \"%s\"",
                                    decision->timeline, source);
    }
    if (line == BK_LINE_NONE || lines->map.line_count < 2)
        return refuse_timeline(lines, source, decision->timeline, error);
    decision->lsn =
        bk_line_map_decide(&lines->map, line, decision->kind == BK_DECISION_CURRENT).lsn;
    return true;
}

/* What the repository lacks of the earlier decisions, and the new one. */
static bool
put_decisions(const Deciding *self, const BkSourceRepo *source_repo, const BkDecision *decision,
              GError **error)
{
    return bk_decision_bring(self->lines->decisions, source_repo, self->failed, self->op, error) &&
           bk_decision_put(source_repo, decision, self->op, error);
}

static bool
put_everywhere(const Deciding *self, const BkDecision *decision, GError **error)
{
    const GPtrArray *source_repos = self->listing->targets.source_repos;
    g_autoptr(GError) worst = NULL;
    guint done = 0;

    for (guint i = 0; i < source_repos->len; i++) {
        const BkSourceRepo *source_repo = g_ptr_array_index(source_repos, i);
        g_autoptr(GError) cause = NULL;

        if (put_decisions(self, source_repo, decision, &cause)) {
            done++;
            continue;
        }
        if (!bk_op_check(self->op, error))
            return false;
        if (bk_error_is(cause, BK_ERROR_EXISTS))
            return bk_throw(error, BK_ERROR_CONFLICT,
                            "another decision about \"%s\" was made at the same time: check "
                            "\"backstay line list %s\" and run the command again",
                            bk_source_repo_source(source_repo), bk_source_repo_source(source_repo));
        g_ptr_array_add(self->failed,
                        g_strdup_printf("the decision is not in repository \"%s\": %s",
                                        bk_repository_name(bk_source_repo_repository(source_repo)),
                                        cause->message));
        bk_targets_keep_worst(&worst, &cause);
    }
    return done > 0 || bk_propagate(error, &worst);
}

bool
bk_line_decide(const BkSourceSpec *source, BkDecisionKind kind, uint64_t system_id,
               uint32_t timeline, GPtrArray *failed, BkOp *op, GError **error)
{
    g_auto(BkListing) listing = {.pasts = NULL};
    BkDecision decision = {.kind = kind, .timeline = timeline};
    Deciding self = {&listing, NULL, failed, op};
    BkSystem *system;

    if (!bk_listing_load(source, BK_RECOVERY_INDEX_WHOLE_ARCHIVE, &listing, op, error))
        return false;
    if (listing.pasts->len == 0)
        return bk_throw(error, BK_ERROR_NOT_FOUND, "the repositories of \"%s\" have nothing of it",
                        source->name);
    for (guint i = 0; i < listing.targets.all->len; i++)
        if (bk_targets_at(&listing.targets, i)->state == BK_TARGET_DROPPED)
            g_ptr_array_add(failed, g_strdup(bk_targets_at(&listing.targets, i)->why));
    system = bk_listing_find_system(&listing, source->name, system_id, error);
    if (system == NULL)
        return false;
    self.lines = &system->lines;
    decision.system_id = system->id;
    return bk_lines_load_decisions(&system->lines, op, error) &&
           make_decision(&system->lines, source->name, &decision, error) &&
           put_everywhere(&self, &decision, error);
}
