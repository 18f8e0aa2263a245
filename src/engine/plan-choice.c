#include "engine/plan-choice.h"

#include "base/log.h"
#include "engine/plan-proof.h"

#define OUTAGES_MAX 3

void
bk_plan_choice_clear(BkPlanChoice *self)
{
    bk_snapshot_free(self->snapshot);
    bk_plan_clear(&self->plan);
    bk_lines_clear(&self->lines);
    g_clear_pointer(&self->pasts, g_ptr_array_unref);
    *self = (BkPlanChoice){0};
}

/* The plan of one repository. */
typedef struct Offer {
    guint part;
    const BkPast *past;
    BkPlan plan;
} Offer;

static void
offer_clear(Offer *self)
{
    bk_plan_clear(&self->plan);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Offer, offer_clear)

static int
compare_numbers(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* Greater than 0 when `a` comes further than `b`, which follow the same line. A snapshot alone is
 * its own end. */
static int
compare_reach(const BkPlan *a, const BkPlan *b, BkTargetKind kind)
{
    int order = 0;

    if (kind == BK_TARGET_LATEST)
        order = compare_numbers(a->end_lsn, b->end_lsn);
    if (order == 0)
        order = compare_numbers(a->snapshot->head.state == BK_SNAPSHOT_COMPLETE,
                                b->snapshot->head.state == BK_SNAPSHOT_COMPLETE);
    if (order == 0)
        order = compare_numbers(a->snapshot->meta.stop_lsn, b->snapshot->meta.stop_lsn);
    return order;
}

static bool
is_better(const Offer *self, const Offer *best, BkTargetKind kind)
{
    if (kind == BK_TARGET_LATEST || kind == BK_TARGET_IMMEDIATE)
        return compare_reach(&self->plan, &best->plan, kind) > 0;
    return self->past->unreadable->len == 0 && best->past->unreadable->len > 0;
}

/* Nothing can be better than a plan to a fixed target by a repository that is whole. */
static bool
is_settled(const Offer *self, BkTargetKind kind)
{
    return kind != BK_TARGET_LATEST && kind != BK_TARGET_IMMEDIATE &&
           self->past->unreadable->len == 0;
}

static void
warn(const BkPlanChoice *self, const BkPast *past, const GPtrArray *failures)
{
    for (guint i = 0; i < past->unreadable->len; i++) {
        const BkPastUnreadable *unreadable = g_ptr_array_index(past->unreadable, i);

        bk_log(BK_LOG_WARNING, "%s: it is left out, and recovery begins at snapshot %s",
               unreadable->why, self->plan.snapshot->head.id);
    }
    for (guint i = 0; i < past->problems->len; i++)
        bk_log(BK_LOG_WARNING, "%s", (const char *)g_ptr_array_index(past->problems, i));
    for (guint i = 0; i < self->lines.problems->len; i++)
        bk_log(BK_LOG_WARNING, "%s", (const char *)g_ptr_array_index(self->lines.problems, i));
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

static void
free_past(void *data)
{
    bk_past_clear(data);
    g_free(data);
}

static bool
load_pasts(BkPlanChoice *self, const GPtrArray *parts, GPtrArray *failures, BkOp *op,
           GError **error)
{
    self->pasts = g_ptr_array_new_with_free_func(free_past);
    for (guint i = 0; i < parts->len; i++) {
        BkPast *past = g_new0(BkPast, 1);
        GError *cause = NULL;

        if (bk_past_load(g_ptr_array_index(parts, i), BK_PAST_WHOLE_ARCHIVE, past, op, &cause)) {
            g_ptr_array_add(self->pasts, past);
            continue;
        }
        free_past(past);
        g_ptr_array_add(failures, cause);
        if (!bk_op_check(op, error))
            return false;
    }
    return true;
}

static guint
find_part(const GPtrArray *parts, const BkPast *past)
{
    guint index = 0;

    while (g_ptr_array_index(parts, index) != past->part)
        index++;
    return index;
}

/* Each repository leads to the target on the lines that it has: where they differ, both may be
 * meant.
 */
static bool
check_agreement(const Offer *best, const Offer *next, const BkPlanRequest *request, GError **error)
{
    g_autoptr(GArray) timelines = g_array_new(FALSE, FALSE, sizeof(uint32_t));

    if (best->plan.timeline == next->plan.timeline ||
        bk_plan_is_same(&best->plan, &next->plan, request->lines))
        return true;
    g_array_append_val(timelines, best->plan.timeline);
    g_array_append_val(timelines, next->plan.timeline);
    return bk_plan_refuse_places(request, bk_part_source(best->past->part), timelines, error);
}

static bool
choose_offer(const BkPlanChoice *self, const BkPlanRequest *request, Offer *best,
             GPtrArray *failures, BkOp *op, GError **error)
{
    BkTargetKind kind = request->target->kind;

    for (guint i = 0; i < self->pasts->len; i++) {
        g_auto(Offer) next = {.part = i, .past = g_ptr_array_index(self->pasts, i)};
        GError *cause = NULL;

        if (best->past != NULL && is_settled(best, kind) && self->lines.map.line_count < 2)
            return true;
        if (!bk_plan_make(next.past, request, &next.plan, op, &cause)) {
            g_ptr_array_add(failures, cause);
            if (!bk_op_check(op, error))
                return false;
            if (bk_error_is(cause, BK_ERROR_AMBIGUOUS)) {
                g_propagate_error(error, g_error_copy(cause));
                return false;
            }
        } else if (best->past != NULL && !check_agreement(best, &next, request, error)) {
            return false;
        } else if (best->past == NULL || is_better(&next, best, kind)) {
            offer_clear(best);
            *best = next;
            next = (Offer){0}; /* moved */
        }
    }
    return best->past != NULL || throw_worst(failures, error);
}

/* --- the proof -------------------------------------------------------------------------------- */

typedef struct Choosing {
    const GPtrArray *parts;
    const BkPlanRequest *request;
    BkPlanChoice *choice;
    GPtrArray *failures; /* of GError */
    GError *left_out;    /* why the first snapshot was; NULL: none was */
    unsigned outages;    /* for which snapshots were left out */
} Choosing;

/* The first snapshot that was left out says more than what could not be reached without it. */
static bool
throw_without(const Choosing *self, GError **cause, GError **error)
{
    if (self->left_out == NULL || !bk_error_is(*cause, BK_ERROR_NOT_FOUND))
        return bk_propagate(error, cause);
    return bk_throw(error, (BkErrorCode)self->left_out->code, "%s; without that snapshot, %s",
                    self->left_out->message, (*cause)->message);
}

/* The snapshot `id` cannot be restored, and the plan is to be made without it. */
static bool
leave_out(Choosing *self, const char *id, GError **cause, GError **error)
{
    if (!bk_plan_proof_is_of_snapshot(*cause))
        return bk_propagate(error, cause);
    self->outages += bk_error_is(*cause, BK_ERROR_STORE);
    if (self->outages == OUTAGES_MAX)
        return bk_propagate(error, cause);
    for (guint i = 0; i < self->choice->pasts->len; i++)
        bk_past_exclude(g_ptr_array_index(self->choice->pasts, i), id, (*cause)->message);
    if (self->left_out == NULL)
        self->left_out = g_steal_pointer(cause);
    return true;
}

/* One plan, of what is not left out yet: choice->snapshot stays NULL if its snapshot is, from now
 * on. */
static bool
choose_once(Choosing *self, BkOp *op, GError **error)
{
    BkPlanChoice *choice = self->choice;
    const BkSourceSpec *source = self->request->source;
    BkPlanRequest resolved = *self->request;
    g_auto(Offer) best = {0};
    g_autoptr(GError) cause = NULL;
    g_autoptr(GPtrArray) ordered = NULL;
    g_autofree char *id = NULL;

    if (!bk_lines_load(choice->pasts, source, &choice->lines, op, error))
        return false;
    resolved.lines = &choice->lines;
    if (!choose_offer(choice, &resolved, &best, self->failures, op, &cause))
        return throw_without(self, &cause, error);
    choice->part = find_part(self->parts, best.past);
    ordered = bk_plan_proof_order(self->parts, choice->part);
    id = g_strdup(best.plan.snapshot->head.id);
    choice->snapshot =
        bk_plan_proof_load(ordered, id, source != NULL ? source->workers : 1, op, &cause);
    if (choice->snapshot == NULL)
        return bk_op_check(op, error) && leave_out(self, id, &cause, error);
    choice->plan = best.plan;
    best.plan = (BkPlan){0}; /* moved */
    warn(choice, best.past, self->failures);
    return true;
}

bool
bk_plan_choose(const GPtrArray *parts, const BkPlanRequest *request, BkPlanChoice *choice, BkOp *op,
               GError **error)
{
    g_autoptr(GPtrArray) failures = g_ptr_array_new_with_free_func(free_error);
    Choosing self = {parts, request, choice, failures, NULL, 0};
    guint failed;
    bool ok = true;

    *choice = (BkPlanChoice){0};
    if (!load_pasts(choice, parts, failures, op, error))
        return false;
    if (choice->pasts->len == 0)
        return throw_worst(failures, error);
    failed = failures->len;
    while (ok && choice->snapshot == NULL) {
        g_ptr_array_set_size(failures, (int)failed);
        bk_lines_clear(&choice->lines);
        ok = choose_once(&self, op, error);
    }
    g_clear_error(&self.left_out);
    return ok;
}
