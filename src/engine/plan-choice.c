#include "engine/plan-choice.h"

#include "base/log.h"

void
bk_plan_choice_clear(BkPlanChoice *self)
{
    bk_plan_clear(&self->plan);
    bk_past_clear(&self->past);
    *self = (BkPlanChoice){0};
}

static bool
make(BkPlanChoice *self, const BkPart *part, const BkPlanRequest *request, BkOp *op, GError **error)
{
    return bk_past_load(part, BK_PAST_WHOLE_ARCHIVE, &self->past, op, error) &&
           bk_plan_make(&self->past, request, &self->plan, op, error);
}

static int
compare_numbers(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* Greater than 0 when `a` comes further than `b`. A snapshot alone is its own end. */
static int
compare_reach(const BkPlan *a, const BkPlan *b, BkTargetKind kind)
{
    int order = compare_numbers(a->timeline, b->timeline);

    if (order == 0 && kind == BK_TARGET_LATEST)
        order = compare_numbers(a->end_lsn, b->end_lsn);
    if (order == 0)
        order = compare_numbers(a->snapshot->head.state == BK_SNAPSHOT_COMPLETE,
                                b->snapshot->head.state == BK_SNAPSHOT_COMPLETE);
    if (order == 0)
        order = compare_numbers(a->snapshot->meta.stop_lsn, b->snapshot->meta.stop_lsn);
    return order;
}

static bool
is_better(const BkPlanChoice *self, const BkPlanChoice *best, BkTargetKind kind)
{
    if (kind == BK_TARGET_LATEST || kind == BK_TARGET_IMMEDIATE)
        return compare_reach(&self->plan, &best->plan, kind) > 0;
    return self->past.unreadable->len == 0 && best->past.unreadable->len > 0;
}

/* Nothing can be better than a plan to a fixed target by a repository that is whole. */
static bool
is_settled(const BkPlanChoice *self, BkTargetKind kind)
{
    return kind != BK_TARGET_LATEST && kind != BK_TARGET_IMMEDIATE &&
           self->past.unreadable->len == 0;
}

static void
warn(const BkPlanChoice *self, const GPtrArray *failures)
{
    for (guint i = 0; i < self->past.unreadable->len; i++) {
        const BkPastUnreadable *unreadable = g_ptr_array_index(self->past.unreadable, i);

        bk_log(BK_LOG_WARNING, "%s", unreadable->why);
    }
    for (guint i = 0; i < self->past.problems->len; i++)
        bk_log(BK_LOG_WARNING, "%s", (const char *)g_ptr_array_index(self->past.problems, i));
    for (guint i = 0; i < failures->len; i++) {
        const GError *failure = g_ptr_array_index(failures, i);

        if (!bk_error_is(failure, BK_ERROR_NOT_FOUND))
            bk_log(BK_LOG_WARNING, "%s: another repository leads to the target", failure->message);
    }
}

/* One that could not be asked, or holds the wanted thing damaged, matters more than one that has
 * answered: what nobody has said to be absent is unknown. */
static bool
throw_worst(GPtrArray *failures, GError **error)
{
    guint worst = 0;

    for (guint i = failures->len; i-- > 0;)
        if (!bk_error_is(g_ptr_array_index(failures, i), BK_ERROR_NOT_FOUND))
            worst = i;
    g_propagate_error(error, g_error_copy(g_ptr_array_index(failures, worst)));
    return false;
}

static void
free_error(void *data)
{
    g_error_free(data);
}

bool
bk_plan_choose(const GPtrArray *parts, const BkPlanRequest *request, BkPlanChoice *choice, BkOp *op,
               GError **error)
{
    g_autoptr(GPtrArray) failures = g_ptr_array_new_with_free_func(free_error);
    BkTargetKind kind = request->target->kind;
    bool found = false;

    *choice = (BkPlanChoice){0};
    for (guint i = 0; i < parts->len && !(found && is_settled(choice, kind)); i++) {
        g_auto(BkPlanChoice) next = {.part = i};
        GError *cause = NULL;

        if (!make(&next, g_ptr_array_index(parts, i), request, op, &cause)) {
            g_ptr_array_add(failures, cause);
            if (!bk_op_check(op, error))
                return false;
        } else if (!found || is_better(&next, choice, kind)) {
            bk_plan_choice_clear(choice);
            *choice = next;
            next = (BkPlanChoice){0};
            found = true;
        }
    }
    if (!found)
        return throw_worst(failures, error);
    warn(choice, failures);
    return true;
}
