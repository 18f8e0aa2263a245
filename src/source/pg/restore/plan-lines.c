/* plan-lines.c - which line of the source's history the target of a restore is on. */
#include "source/pg/restore/plan-lines.h"

#include "base/log.h"
#include "repo/targets/targets.h"
#include "source/pg/restore/plan.h"

#include <string.h>

typedef struct Choice {
    const BkRecoveryIndex *past;
    const BkPlanRequest *request;
    const BkLines *lines;
    BkOp *op;
} Choice;

/* --- words ------------------------------------------------------------------------------------ */

/* "; timeline 1: …: COMMAND; timeline 2 …": a new string. */
static char *
describe_lines(const BkPlanRequest *request, const GArray *leaves)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < leaves->len; i++) {
        uint32_t leaf = g_array_index(leaves, uint32_t, i);
        size_t line = bk_line_map_find_line(&request->lines->map, leaf);
        g_autofree char *what = line != BK_LINE_NONE ? bk_lines_describe(request->lines, line)
                                                     : g_strdup_printf("timeline %u", leaf);
        g_autofree char *command = bk_plan_format_command(request, NULL, leaf);

        g_string_append_printf(text, "; %s: %s", what, command);
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static bool
refuse_places(const BkPlanRequest *request, const char *source, const GArray *timelines,
              GError **error)
{
    g_autofree char *target = bk_recovery_target_describe(request->target);
    g_autofree char *lines = describe_lines(request, timelines);

    return bk_throw(error, BK_ERROR_AMBIGUOUS,
                    "%s of \"%s\" is on %u lines, in different states: choose one%s", target,
                    source, timelines->len, lines);
}

/* --- which lines ------------------------------------------------------------------------------ */

static const char *
wanted_of(const BkPlanRequest *request)
{
    return request->target->kind == BK_RECOVERY_TARGET_SNAPSHOT ? request->target->text
                                                                : request->snapshot;
}

static const BkLine *
line_at(const Choice *self, size_t index)
{
    return &self->lines->map.lines[index];
}

/* The lines that were not declared dead and pass through `snapshot` (SIZE_MAX: any). The living one
 * comes first, those that are empty last. */
static GArray *
find_lines(const Choice *self, size_t snapshot)
{
    GArray *leaves = g_array_new(FALSE, FALSE, sizeof(uint32_t));

    for (int turn = 0; turn < 3; turn++)
        for (size_t i = 0; i < self->lines->map.line_count; i++) {
            const BkLine *line = line_at(self, i);
            bool is_living = i == self->lines->map.living;
            int place = is_living ? 0 : !line->is_empty ? 1 : 2;

            if (place == turn && line->verdict != BK_LINE_DECLARED &&
                (snapshot == SIZE_MAX || bk_lines_has_snapshot(self->lines, i, snapshot)))
                g_array_append_val(leaves, line->timeline);
        }
    return leaves;
}

static GArray *
all_lines(const Choice *self)
{
    GArray *leaves = g_array_new(FALSE, FALSE, sizeof(uint32_t));

    for (size_t i = 0; i < self->lines->map.line_count; i++)
        g_array_append_val(leaves, line_at(self, i)->timeline);
    return leaves;
}

static bool
refuse_ambiguous(const Choice *self, GError **error)
{
    g_autoptr(GArray) leaves = find_lines(self, SIZE_MAX);
    g_autoptr(GArray) all = all_lines(self);
    g_autofree char *lines = describe_lines(self->request, leaves->len > 0 ? leaves : all);
    const char *source = bk_source_repo_source(self->past->source_repo);

    if (leaves->len == 0)
        return bk_throw(error, BK_ERROR_NOT_FOUND,
                        "every line of \"%s\" was declared dead: \"backstay line forget %s N\" "
                        "takes that back%s",
                        source, source, lines);
    return bk_throw(error, BK_ERROR_NOT_FOUND,
                    "it is ambiguous which line of \"%s\" is current: choose one, or decide it "
                    "permanently with \"backstay line current %s N\"%s",
                    source, source, lines);
}

/* The timeline of the newest snapshot of the living line, or of the one that is wanted. */
static bool
find_current(const Choice *self, uint32_t *leaf, GError **error)
{
    const BkLineMap *map = &self->lines->map;
    const char *wanted = wanted_of(self->request);
    const BkRecoveryIndexSnapshot *newest = NULL;

    for (guint i = 0; i < self->past->restorable->len; i++) {
        const BkRecoveryIndexSnapshot *snapshot = g_ptr_array_index(self->past->restorable, i);
        size_t index = bk_lines_find_snapshot(self->lines, snapshot->head.id);
        bool is_wanted = wanted != NULL && strcmp(snapshot->head.id, wanted) == 0;
        g_auto(BkWindowPath) path = {0};

        if (wanted != NULL ? !is_wanted
                           : map->living != BK_LINE_NONE && index != SIZE_MAX &&
                                 !bk_lines_has_snapshot(self->lines, map->living, index))
            continue;
        if (is_wanted || ((newest == NULL || snapshot->meta.stop_lsn > newest->meta.stop_lsn) &&
                          (snapshot->meta.is_standalone ||
                           bk_window_path(&self->past->input, i, snapshot->meta.timeline, &path))))
            newest = snapshot;
    }
    if (wanted == NULL && map->living == BK_LINE_NONE && map->line_count > 1)
        return refuse_ambiguous(self, error);
    *leaf = newest != NULL ? newest->meta.timeline : 0;
    return true;
}

/* For the end of a line, or a snapshot: one line it must be. A snapshot itself is the same on every
 * line. */
static bool
choose_one(const Choice *self, uint32_t *leaf, GError **error)
{
    const char *wanted = wanted_of(self->request);
    size_t snapshot = wanted != NULL ? bk_lines_find_snapshot(self->lines, wanted) : SIZE_MAX;
    const BkLine *living = bk_lines_living(self->lines);
    g_autoptr(GArray) leaves = find_lines(self, snapshot);

    *leaf = living != NULL ? living->timeline : 0;
    if ((wanted != NULL && snapshot == SIZE_MAX) || self->lines->map.line_count == 0)
        return true; /* refused for that reason */
    if (leaves->len > 0 && g_array_index(leaves, uint32_t, 0) == *leaf)
        return true;
    if (self->request->target->kind == BK_RECOVERY_TARGET_SNAPSHOT ||
        (wanted != NULL && self->request->target->kind == BK_RECOVERY_TARGET_IMMEDIATE)) {
        *leaf = self->lines->input.snapshots[snapshot].timeline;
        return true;
    }
    if (leaves->len != 1)
        return refuse_ambiguous(self, error);
    *leaf = g_array_index(leaves, uint32_t, 0);
    return true;
}

/* --- what several lines may have -------------------------------------------------------------- */

/* Returns true if both plans reach the same state: the same position in WAL that both their lines
 * share. */
static bool
is_same_place(const BkPlan *a, const BkPlan *b, const BkLines *lines)
{
    const BkLineMap *map = &lines->map;
    size_t left = bk_line_map_find_line(map, a->timeline);
    size_t right = bk_line_map_find_line(map, b->timeline);

    if (a->stop_lsn != b->stop_lsn)
        return false;
    if (a->timeline == b->timeline)
        return true;
    if (left == BK_LINE_NONE || right == BK_LINE_NONE)
        return false;
    for (size_t at = map->lines[left].end; at != BK_LINE_NONE; at = map->stretches[at].before)
        if (a->stop_lsn >= map->stretches[at].begin_lsn && a->stop_lsn < map->stretches[at].end_lsn)
            return bk_line_map_has(map, right, at);
    return false;
}

static bool
is_empty_line(const Choice *self, uint32_t leaf)
{
    return line_at(self, bk_line_map_find_line(&self->lines->map, leaf))->is_empty;
}

static void
take_plan(BkPlan *to, BkPlan *from)
{
    bk_plan_clear(to);
    *to = *from;
    *from = (BkPlan){0}; /* moved */
}

typedef struct LineSearch {
    const Choice *choice;
    BkPlan *plan;      /* of the first line that has one */
    GArray *places;    /* of uint32_t: the lines on which it is at another place each */
    GError *worst;     /* the worst reason of a line without one; NULL: none was */
    uint32_t doubtful; /* the first line that could not be searched; 0: all could */
} LineSearch;

/* Notes why there is no plan on a line; fails where that ends the whole search. */
static bool
keep_line_failure(LineSearch *self, uint32_t leaf, GError **cause, GError **error)
{
    if (!bk_op_check(self->choice->op, error))
        return false;
    /* It is on this line, so that another line's answer is not the only one. */
    if (bk_error_is(*cause, BK_ERROR_AMBIGUOUS))
        return bk_propagate(error, cause);
    if (!bk_error_is(*cause, BK_ERROR_NOT_FOUND) && self->doubtful == 0)
        self->doubtful = leaf; /* bk_targets_keep_worst keeps the first such reason, too */
    bk_targets_keep_worst(&self->worst, cause);
    return true;
}

static bool
search_line(LineSearch *self, uint32_t leaf, GError **error)
{
    const Choice *choice = self->choice;
    g_auto(BkPlan) next = {0};
    g_autoptr(GError) cause = NULL;

    if (self->places->len > 0 && is_empty_line(choice, leaf))
        return true;
    if (!bk_plan_make_along(choice->past, choice->request, leaf, &next, choice->op, &cause))
        return keep_line_failure(self, leaf, &cause, error);
    if (self->places->len > 0 && is_same_place(self->plan, &next, choice->lines))
        return true;
    g_array_append_val(self->places, leaf);
    if (self->places->len == 1)
        take_plan(self->plan, &next);
    return true;
}

/* It is on line `leaf`, and may be on `doubtful`, too. Who names none means the living one as a
 * rule: that one needs no other to be searched. */
static bool
check_doubted_line(const Choice *self, uint32_t leaf, uint32_t doubtful, const GError *doubt,
                   GError **error)
{
    const BkLine *living = bk_lines_living(self->lines);
    g_autoptr(GArray) leaves = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    g_autofree char *target = NULL;
    g_autofree char *lines = NULL;

    if (doubt == NULL)
        return true;
    if (living != NULL && living->timeline == leaf) {
        bk_log(BK_LOG_WARNING, "timeline %u could not be searched: %s", doubtful, doubt->message);
        return true;
    }
    g_array_append_val(leaves, leaf);
    g_array_append_val(leaves, doubtful);
    target = bk_recovery_target_describe(self->request->target);
    lines = describe_lines(self->request, leaves);
    return bk_throw(error, BK_ERROR_AMBIGUOUS,
                    "%s of \"%s\" was found on timeline %u, and may also be on timeline %u, which "
                    "could not be searched (%s): choose one%s",
                    target, bk_source_repo_source(self->past->source_repo), leaf, doubtful,
                    doubt->message, lines);
}

/* Looks for the target on every line. */
static bool
search_lines(const Choice *self, BkPlan *plan, GError **error)
{
    const char *wanted = wanted_of(self->request);
    size_t snapshot = wanted != NULL ? bk_lines_find_snapshot(self->lines, wanted) : SIZE_MAX;
    g_autoptr(GArray) leaves = find_lines(self, snapshot);
    g_autoptr(GArray) places = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    LineSearch search = {.choice = self, .plan = plan, .places = places};
    g_autoptr(GError) worst = NULL;
    bool ok = true;

    for (guint i = 0; ok && i < leaves->len; i++)
        ok = search_line(&search, g_array_index(leaves, uint32_t, i), error);
    worst = search.worst;
    if (!ok)
        return false;
    if (places->len == 0)
        return worst != NULL ? bk_propagate(error, &worst) : refuse_ambiguous(self, error);
    if (places->len < 2)
        return check_doubted_line(self, g_array_index(places, uint32_t, 0), search.doubtful,
                                  search.doubtful != 0 ? worst : NULL, error);
    bk_plan_clear(plan);
    return refuse_places(self->request, bk_source_repo_source(self->past->source_repo), places,
                         error);
}

/* A plan that leaves the living line says so. */
static void
note_left_line(const Choice *self, BkPlan *plan)
{
    const BkLine *living = bk_lines_living(self->lines);
    size_t line = bk_line_map_find_line(&self->lines->map, plan->timeline);

    if (self->lines->map.line_count < 2 || line == BK_LINE_NONE || line == self->lines->map.living)
        return;
    if (living != NULL)
        plan->note = g_strdup_printf(
            "this is on timeline %u, while the current timeline of the cluster is %u",
            plan->timeline, living->timeline);
    else
        plan->note =
            g_strdup_printf("this is on timeline %u; it is ambiguous which of %zu lines is current",
                            plan->timeline, self->lines->map.line_count);
}

static bool
is_on_any_line(BkRecoveryTargetKind kind)
{
    return kind == BK_RECOVERY_TARGET_TIME || kind == BK_RECOVERY_TARGET_LSN ||
           kind == BK_RECOVERY_TARGET_XID || kind == BK_RECOVERY_TARGET_NAME;
}

static bool
make_plan(const Choice *self, BkPlan *plan, GError **error)
{
    const char *timeline = self->request->timeline;
    bool is_latest = timeline == NULL || strcmp(timeline, "latest") == 0;
    uint32_t leaf = 0;

    if (is_latest && is_on_any_line(self->request->target->kind) &&
        self->lines->map.line_count > 0) {
        if (!search_lines(self, plan, error))
            return false;
        note_left_line(self, plan);
        return true;
    }
    if (is_latest ? !choose_one(self, &leaf, error)
                  : strcmp(timeline, "current") == 0 && !find_current(self, &leaf, error))
        return false;
    if (!is_latest && strcmp(timeline, "current") != 0)
        leaf = (uint32_t)g_ascii_strtoull(timeline, NULL, 10);
    if (!bk_plan_make_along(self->past, self->request, leaf, plan, self->op, error))
        return false;
    if (is_latest)
        note_left_line(self, plan);
    return true;
}

bool
bk_plan_make(const BkRecoveryIndex *past, const BkPlanRequest *request, BkPlan *plan, BkOp *op,
             GError **error)
{
    g_autoptr(GPtrArray) pasts = g_ptr_array_new();
    g_auto(BkLines) own = {.pasts = NULL};
    BkPlanRequest resolved = *request;
    Choice self = {.past = past, .request = &resolved, .op = op};

    *plan = (BkPlan){0};
    g_ptr_array_add(pasts, (void *)(uintptr_t)past);
    if (!bk_plan_check_timeline(request->timeline, error) ||
        (request->lines == NULL && !bk_lines_load(pasts, request->source, &own, op, error)))
        return false;
    if (resolved.lines == NULL)
        resolved.lines = &own;
    self.lines = resolved.lines;
    return make_plan(&self, plan, error);
}
