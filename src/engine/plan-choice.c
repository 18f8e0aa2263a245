#include "engine/plan-choice.h"

#include "base/log.h"
#include "engine/plan-proof.h"

#include <string.h>

#define OUTAGES_MAX 3

void
bk_plan_choice_clear(BkPlanChoice *self)
{
    bk_snapshot_free(self->snapshot);
    bk_plan_clear(&self->plan);
    bk_systems_clear(&self->systems);
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
warn_each(const GPtrArray *problems)
{
    for (guint i = 0; i < problems->len; i++)
        bk_log(BK_LOG_WARNING, "%s", (const char *)g_ptr_array_index(problems, i));
}

static void
warn(const BkPlanChoice *self, const BkPast *past, const GPtrArray *failures)
{
    for (guint i = 0; i < past->unreadable->len; i++) {
        const BkPastUnreadable *unreadable = g_ptr_array_index(past->unreadable, i);

        bk_log(BK_LOG_WARNING, "%s: it is left out, and recovery begins at snapshot %s",
               unreadable->why, self->plan.snapshot->head.id);
    }
    warn_each(past->problems);
    warn_each(self->systems.problems);
    warn_each(self->system->lines.problems);
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

static bool
load_systems(BkPlanChoice *self, const GPtrArray *parts, GPtrArray *failures, BkOp *op,
             GError **error)
{
    bk_systems_init(&self->systems);
    for (guint i = 0; i < parts->len; i++) {
        GError *cause = NULL;

        if (bk_systems_add(&self->systems, g_ptr_array_index(parts, i), BK_PAST_WHOLE_ARCHIVE, op,
                           &cause))
            continue;
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
choose_offer(const BkSystem *system, const BkPlanRequest *request, Offer *best, GPtrArray *failures,
             BkOp *op, GError **error)
{
    BkTargetKind kind = request->target->kind;

    for (guint i = 0; i < system->pasts->len; i++) {
        g_auto(Offer) next = {.part = i, .past = g_ptr_array_index(system->pasts, i)};
        GError *cause = NULL;

        if (best->past != NULL && is_settled(best, kind) && system->lines.map.line_count < 2)
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

/* --- clusters --------------------------------------------------------------------------------- */

/* What is known of a cluster, in a few words, and the command that leads to the target in it. */
static char *
describe_system(const BkSystem *system, const BkPlanRequest *request)
{
    BkPlanRequest own = *request;
    g_autofree char *command = NULL;

    own.system_id = system->id;
    own.names_system = true;
    command = bk_plan_format_command(&own, NULL, 0);
    return g_strdup_printf("cluster %" G_GUINT64_FORMAT ": %s", system->id, command);
}

static bool
refuse_systems(const GPtrArray *found, const BkPlanRequest *request, const char *source,
               GError **error)
{
    g_autofree char *target = bk_target_describe(request->target);
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < found->len; i++) {
        g_autofree char *what = describe_system(g_ptr_array_index(found, i), request);

        g_string_append_printf(text, "; %s", what);
    }
    return bk_throw(error, BK_ERROR_AMBIGUOUS,
                    "%s of \"%s\" is in %u clusters (system identifiers): say which one is "
                    "meant%s",
                    target, source, found->len, text->str);
}

/* The last moment of a cluster that can be restored, or the first: a new string. */
static char *
describe_reach(const BkSystem *system, const BkPlanRequest *request, bool is_end, BkOp *op)
{
    const BkTarget latest = BK_TARGET_INIT;
    BkPlanRequest own = *request;
    g_autoptr(GString) text = g_string_new(NULL);
    const BkWindow *first = NULL;
    const BkWindowInput *input = NULL;

    own.target = &latest;
    own.timeline = NULL;
    own.system_id = system->id;
    own.names_system = true;
    own.lines = &system->lines;
    for (guint i = 0; i < system->pasts->len; i++) {
        const BkPast *past = g_ptr_array_index(system->pasts, i);

        for (size_t j = 0; j < past->windows.count; j++)
            if (first == NULL || past->windows.windows[j].from_lsn < first->from_lsn) {
                first = &past->windows.windows[j];
                input = &past->input;
            }
    }
    if (first == NULL) {
        g_string_printf(text, "cluster %" G_GUINT64_FORMAT " has no usable snapshot", system->id);
    } else if (is_end) {
        g_auto(BkPlan) plan = {0};
        const BkPast *past = g_ptr_array_index(system->pasts, 0);
        g_autofree char *command = bk_plan_format_command(&own, NULL, 0);
        g_autofree char *end = bk_plan_make(past, &own, &plan, op, NULL) && plan.end_time_us != 0
                                   ? bk_plan_format_time(plan.end_time_us)
                                   : NULL;

        g_string_printf(text, "cluster %" G_GUINT64_FORMAT " ends %s%s: %s", system->id,
                        end != NULL ? "with the transaction of " : "", end != NULL ? end : "before",
                        command);
    } else {
        const char *id = input->snapshots[first->first_snapshot].id;
        g_autofree char *command = bk_plan_format_command(&own, id, 0);
        g_autofree char *from = bk_plan_format_time(first->from_time_us);

        g_string_printf(text, "cluster %" G_GUINT64_FORMAT " begins with the snapshot of %s: %s",
                        system->id, from, command);
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* Where nothing has the target, what each cluster reaches. */
static bool
refuse_everywhere(const BkPlanChoice *self, const BkPlanRequest *request, const char *source,
                  BkOp *op, GError **error)
{
    g_autofree char *target = bk_target_describe(request->target);
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < self->systems.systems->len; i++) {
        const BkSystem *system = g_ptr_array_index(self->systems.systems, i);
        g_autofree char *first = describe_reach(system, request, false, op);
        g_autofree char *last = describe_reach(system, request, true, op);

        g_string_append_printf(text, "; %s", first);
        if (strcmp(first, last) != 0)
            g_string_append_printf(text, "; %s", last);
    }
    return bk_throw(error, BK_ERROR_NOT_FOUND,
                    "%s of \"%s\" cannot be reached in any of its %u clusters, between which "
                    "nothing can be recovered%s",
                    target, source, self->systems.systems->len, text->str);
}

/* Looks in every cluster, the current one first, then back in time. */
static bool
search_systems(BkPlanChoice *self, const BkPlanRequest *request, const char *source, Offer *best,
               GPtrArray *failures, BkOp *op, GError **error)
{
    g_autoptr(GPtrArray) found = g_ptr_array_new();
    g_autoptr(GError) worst = NULL;
    BkPlanRequest own = *request;

    own.names_system = true;
    for (guint i = self->systems.systems->len; i-- > 0;) {
        BkSystem *system = g_ptr_array_index(self->systems.systems, i);
        const guint failed = failures->len;
        g_auto(Offer) next = {0};
        g_autoptr(GError) cause = NULL;

        own.lines = &system->lines;
        own.system_id = system->id;
        if (system->pasts->len == 0)
            continue;
        if (!choose_offer(system, &own, &next, failures, op, &cause)) {
            if (!bk_op_check(op, error))
                return false;
            if (bk_error_is(cause, BK_ERROR_AMBIGUOUS)) /* it is there */
                return bk_propagate(error, &cause);
            if (!bk_error_is(cause, BK_ERROR_NOT_FOUND))
                bk_parts_keep_worst(&worst, &cause);
            g_ptr_array_set_size(failures, (int)failed); /* of no other cluster */
            continue;
        }
        g_ptr_array_add(found, system);
        if (found->len > 1)
            continue;
        self->system = system;
        offer_clear(best);
        *best = next;
        next = (Offer){0}; /* moved */
    }
    if (found->len > 1)
        return refuse_systems(found, request, source, error);
    if (found->len == 1 && worst != NULL)
        bk_log(BK_LOG_WARNING, "another cluster could not be searched: %s", worst->message);
    if (found->len == 1)
        return true;
    return worst != NULL ? bk_propagate(error, &worst)
                         : refuse_everywhere(self, request, source, op, error);
}

/* The end of the current cluster, of which there is nothing yet, is no end of another one. */
static bool
check_has_snapshot(const BkPlanChoice *self, const BkPlanRequest *request, const char *source,
                   GError **error)
{
    const guint count = self->systems.systems->len;
    const BkSystem *before = count > 1 ? g_ptr_array_index(self->systems.systems, count - 2) : NULL;
    g_autofree char *what = NULL;

    if (before == NULL || bk_system_has_snapshot(self->system) || !bk_system_has_snapshot(before))
        return true;
    what = describe_system(before, request);
    return bk_throw(error, BK_ERROR_NOT_FOUND,
                    "\"%s\" went on with a new cluster (system identifier %" G_GUINT64_FORMAT
                    "), of which there is no snapshot yet: run \"backstay backup %s\"; the cluster "
                    "before it is restored by naming it; %s",
                    source, self->system->id, source, what);
}

static bool
is_in_any(BkTargetKind kind)
{
    return kind == BK_TARGET_TIME || kind == BK_TARGET_LSN || kind == BK_TARGET_XID ||
           kind == BK_TARGET_NAME;
}

/* The cluster that is meant; with `*self` NULL every one is. */
static bool
choose_system(const BkPlanChoice *self, const BkPlanRequest *request, const char *source,
              const BkSystem **system, GError **error)
{
    const char *wanted =
        request->target->kind == BK_TARGET_SNAPSHOT ? request->target->text : request->snapshot;

    *system = bk_systems_current(&self->systems);
    if (request->system_id != 0) {
        g_autofree char *known = bk_systems_describe(&self->systems);

        *system = bk_systems_find(&self->systems, request->system_id);
        return *system != NULL ||
               bk_throw(error, BK_ERROR_NOT_FOUND,
                        "\"%s\" has no cluster with system identifier %" G_GUINT64_FORMAT ": %s",
                        source, request->system_id, known);
    }
    if (wanted != NULL) {
        const BkSystem *own = bk_systems_find_snapshot(&self->systems, wanted);

        if (own != NULL)
            *system = own;
    } else if (is_in_any(request->target->kind) && self->systems.systems->len > 1) {
        *system = NULL;
    }
    return true;
}

/* A plan that leaves the current cluster says so. */
static void
note_system(const BkPlanChoice *self, BkPlan *plan)
{
    const BkSystem *current = bk_systems_current(&self->systems);
    g_autofree char *before = plan->note;

    if (self->system == current)
        plan->note = g_steal_pointer(&before);
    else
        plan->note = g_strdup_printf("this is of cluster %" G_GUINT64_FORMAT
                                     ", while the source goes on with cluster "
                                     "%" G_GUINT64_FORMAT " (system identifiers)%s%s",
                                     self->system->id, current->id, before != NULL ? "; " : "",
                                     before != NULL ? before : "");
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
    const GPtrArray *pasts = self->choice->systems.pasts;

    if (!bk_plan_proof_is_of_snapshot(*cause))
        return bk_propagate(error, cause);
    self->outages += bk_error_is(*cause, BK_ERROR_STORE);
    if (self->outages == OUTAGES_MAX)
        return bk_propagate(error, cause);
    for (guint i = 0; i < pasts->len; i++)
        bk_past_exclude(g_ptr_array_index(pasts, i), id, (*cause)->message);
    if (self->left_out == NULL)
        self->left_out = g_steal_pointer(cause);
    return true;
}

/* The best plan in the cluster that is meant, or in the only one that has the target. */
static bool
choose_in_systems(Choosing *self, Offer *best, BkOp *op, GError **error)
{
    const char *source = bk_part_source(g_ptr_array_index(self->parts, 0));
    BkPlanChoice *choice = self->choice;
    BkPlanRequest resolved = *self->request;

    if (!choose_system(choice, self->request, source, &choice->system, error))
        return false;
    if (choice->system == NULL)
        return search_systems(choice, self->request, source, best, self->failures, op, error);
    resolved.lines = &choice->system->lines;
    resolved.names_system =
        resolved.system_id != 0 || choice->system != bk_systems_current(&choice->systems);
    resolved.system_id = choice->system->id;
    return check_has_snapshot(choice, self->request, source, error) &&
           choose_offer(choice->system, &resolved, best, self->failures, op, error);
}

/* One plan, of what is not left out yet: choice->snapshot stays NULL if its snapshot is, from now
 * on. */
static bool
choose_once(Choosing *self, BkOp *op, GError **error)
{
    BkPlanChoice *choice = self->choice;
    const BkSourceSpec *source = self->request->source;
    g_auto(Offer) best = {0};
    g_autoptr(GError) cause = NULL;
    g_autoptr(GPtrArray) ordered = NULL;
    g_autofree char *id = NULL;

    if (!bk_systems_load_lines(&choice->systems, source, op, error))
        return false;
    if (!choose_in_systems(self, &best, op, &cause))
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
    note_system(choice, &choice->plan);
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
    if (!bk_plan_check_timeline(request->timeline, error) ||
        !load_systems(choice, parts, failures, op, error))
        return false;
    if (choice->systems.pasts->len == 0)
        return throw_worst(failures, error);
    if (!bk_systems_order(&choice->systems, BK_PAST_WHOLE_ARCHIVE, op, error))
        return false;
    failed = failures->len;
    while (ok && choice->snapshot == NULL) {
        g_ptr_array_set_size(failures, (int)failed);
        ok = choose_once(&self, op, error);
    }
    g_clear_error(&self.left_out);
    return ok;
}
