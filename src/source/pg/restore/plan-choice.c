/* plan-choice.c - the plan of a restore from several repositories. */
#include "source/pg/restore/plan-choice.h"

#include "base/log.h"
#include "repo/targets/targets.h"
#include "source/pg/restore/plan-lines.h"
#include "source/pg/restore/plan-proof.h"

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

static void
warn_of_failures(const BkPlanChoice *self, const GPtrArray *failures)
{
    const BkRecoveryIndex *past = self->system->lines.past;

    for (guint i = 0; i < past->unreadable->len; i++) {
        const BkRecoveryIndexUnreadable *unreadable = g_ptr_array_index(past->unreadable, i);

        bk_log(BK_LOG_WARNING, "%s: recovery begins at snapshot %s instead", unreadable->why,
               self->plan.snapshot->head.id);
    }
    bk_problem_log(past->problems);
    bk_problem_log(self->systems.problems);
    bk_problem_log(self->system->lines.problems);
    for (guint i = 0; i < failures->len; i++) {
        const GError *failure = g_ptr_array_index(failures, i);

        if (!bk_error_is(failure, BK_ERROR_NOT_FOUND))
            bk_log(BK_LOG_WARNING, "%s: other repositories have what leads to the target",
                   failure->message);
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
load_systems(BkPlanChoice *self, const GPtrArray *source_repos, GPtrArray *failures, BkOp *op,
             GError **error)
{
    bk_systems_init(&self->systems);
    for (guint i = 0; i < source_repos->len; i++) {
        GError *cause = NULL;

        if (bk_systems_add(&self->systems, g_ptr_array_index(source_repos, i),
                           BK_RECOVERY_INDEX_WHOLE_ARCHIVE, op, &cause))
            continue;
        g_ptr_array_add(failures, cause);
        if (!bk_op_check(op, error))
            return false;
    }
    return true;
}

/* The first repository that has the plan's snapshot. */
static guint
find_part(const GPtrArray *source_repos, const BkRecoveryIndex *past, const char *id)
{
    const BkSourceRepo *source_repo = bk_recovery_index_find_member(past, id)->source_repo;
    guint index = 0;

    while (g_ptr_array_index(source_repos, index) != source_repo)
        index++;
    return index;
}

typedef struct Choosing {
    const GPtrArray *source_repos;
    const BkPlanRequest *request;
    BkPlanChoice *choice;
    GPtrArray *failures; /* of GError: of repositories that could not be asked */
    GError *left_out;    /* why the first snapshot was; NULL: none was */
    unsigned outages;    /* for which snapshots were left out */
} Choosing;

/* Plans in one cluster. What a repository may have that could not be asked is unknown, not absent.
 */
static bool
plan_in(const Choosing *self, const BkSystem *system, const BkPlanRequest *request, BkPlan *plan,
        BkOp *op, GError **error)
{
    g_autoptr(GError) cause = NULL;

    if (bk_plan_make(system->lines.past, request, plan, op, &cause))
        return true;
    if (!bk_op_check(op, error))
        return false;
    if (bk_error_is(cause, BK_ERROR_NOT_FOUND) && self->failures->len > 0)
        return throw_worst(self->failures, error);
    return bk_propagate(error, &cause);
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
    g_autofree char *target = bk_recovery_target_describe(request->target);
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < found->len; i++) {
        g_autofree char *what = describe_system(g_ptr_array_index(found, i), request);

        g_string_append_printf(text, "; %s", what);
    }
    return bk_throw(error, BK_ERROR_AMBIGUOUS,
                    "%s of \"%s\" is in %u clusters (system identifiers): choose one%s", target,
                    source, found->len, text->str);
}

/* The last moment of a cluster that can be restored, or the first: a new string. */
static char *
describe_reach(const BkSystem *system, const BkPlanRequest *request, bool is_end, BkOp *op)
{
    const BkRecoveryTarget latest = BK_RECOVERY_TARGET_INIT;
    BkPlanRequest own = *request;
    g_autoptr(GString) text = g_string_new(NULL);
    const BkRecoveryIndex *past = system->lines.past;
    const BkWindow *first = NULL;

    own.target = &latest;
    own.timeline = NULL;
    own.system_id = system->id;
    own.names_system = true;
    own.lines = &system->lines;
    for (size_t i = 0; i < past->windows.count; i++)
        if (first == NULL || past->windows.windows[i].from_lsn < first->from_lsn)
            first = &past->windows.windows[i];
    if (first == NULL) {
        g_string_printf(text, "cluster %" G_GUINT64_FORMAT " has no usable snapshot", system->id);
    } else if (is_end) {
        g_auto(BkPlan) plan = {0};
        g_autofree char *command = bk_plan_format_command(&own, NULL, 0);
        g_autofree char *end = bk_plan_make(past, &own, &plan, op, NULL) && plan.end_time_us != 0
                                   ? bk_plan_format_time(plan.end_time_us)
                                   : NULL;

        g_string_printf(text, "cluster %" G_GUINT64_FORMAT " ends %s%s: %s", system->id,
                        end != NULL ? "with the transaction of " : "", end != NULL ? end : "before",
                        command);
    } else {
        const char *id = past->input.snapshots[first->first_snapshot].id;
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
    g_autofree char *target = bk_recovery_target_describe(request->target);
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
                    "%s of \"%s\" cannot be reached in any of its %u clusters; nothing between "
                    "them can be recovered%s",
                    target, source, self->systems.systems->len, text->str);
}

/* Why a cluster may have the target though it was not found there: a new string; NULL if it has
 * not.
 */
static char *
find_doubted_target(const BkSystem *system, const BkPlanRequest *request, const GError *cause)
{
    const GPtrArray *unreadable = system->lines.past->unreadable;

    if (!bk_error_is(cause, BK_ERROR_NOT_FOUND))
        return g_strdup(cause->message);
    if (unreadable->len > 0)
        return g_strdup(((const BkRecoveryIndexUnreadable *)g_ptr_array_index(unreadable, 0))->why);
    return request->lacks_repositories
               ? g_strdup("a repository could not be read and may have more")
               : NULL;
}

/* It is in one cluster, and may be in `doubtful`, too. Who names none means the current one as a
 * rule: that one needs no other to be searched. */
static bool
check_doubted_system(const BkPlanChoice *self, const BkPlanRequest *request,
                     const BkSystem *doubtful, const char *doubt, const char *source,
                     GError **error)
{
    g_autofree char *target = NULL;
    g_autofree char *found = NULL;
    g_autofree char *other = NULL;

    if (doubt == NULL)
        return true;
    if (self->system == bk_systems_current(&self->systems)) {
        bk_log(BK_LOG_WARNING, "cluster %" G_GUINT64_FORMAT " could not be searched: %s",
               doubtful->id, doubt);
        return true;
    }
    target = bk_recovery_target_describe(request->target);
    found = describe_system(self->system, request);
    other = describe_system(doubtful, request);
    return bk_throw(error, BK_ERROR_AMBIGUOUS,
                    "%s of \"%s\" was found in a former cluster, and may also be in another one, "
                    "which could not be searched (%s): choose one; %s; %s",
                    target, source, doubt, found, other);
}

typedef struct SystemSearch {
    const Choosing *choosing;
    BkPlan *plan;             /* of the first cluster that has one */
    GPtrArray *found;         /* of BkSystem: those that have one */
    GError *worst;            /* why another could not be searched; NULL: each could */
    char *doubt;              /* why `doubtful` may have the target as well; NULL: it has not */
    const BkSystem *doubtful; /* the first with such a doubt */
} SystemSearch;

static bool
search_system(SystemSearch *self, BkSystem *system, BkOp *op, GError **error)
{
    BkPlanRequest own = *self->choosing->request;
    g_auto(BkPlan) next = {0};
    g_autoptr(GError) cause = NULL;

    own.names_system = true;
    own.lines = &system->lines;
    own.system_id = system->id;
    if (plan_in(self->choosing, system, &own, &next, op, &cause)) {
        g_ptr_array_add(self->found, system);
        if (self->found->len > 1)
            return true;
        self->choosing->choice->system = system;
        *self->plan = next;
        next = (BkPlan){0}; /* moved */
        return true;
    }
    if (!bk_op_check(op, error))
        return false;
    if (bk_error_is(cause, BK_ERROR_AMBIGUOUS)) /* it is there */
        return bk_propagate(error, &cause);
    if (self->doubt == NULL) {
        self->doubt = find_doubted_target(system, self->choosing->request, cause);
        self->doubtful = system;
    }
    if (!bk_error_is(cause, BK_ERROR_NOT_FOUND))
        bk_targets_keep_worst(&self->worst, &cause);
    return true;
}

/* Looks in every cluster, the current one first, then back in time; choice->system is NULL. */
static bool
search_systems(const Choosing *self, const char *source, BkPlan *plan, BkOp *op, GError **error)
{
    BkPlanChoice *choice = self->choice;
    const GPtrArray *systems = choice->systems.systems;
    g_autoptr(GPtrArray) found = g_ptr_array_new();
    SystemSearch search = {.choosing = self, .plan = plan, .found = found};
    g_autoptr(GError) worst = NULL;
    g_autofree char *doubt = NULL;
    bool ok = true;

    for (guint i = systems->len; ok && i-- > 0;) {
        BkSystem *system = g_ptr_array_index(systems, i);

        ok = system->pasts->len == 0 || search_system(&search, system, op, error);
    }
    worst = search.worst;
    doubt = search.doubt;
    if (!ok)
        return false;
    if (found->len > 1)
        return refuse_systems(found, self->request, source, error);
    if (choice->system != NULL)
        return check_doubted_system(choice, self->request, search.doubtful, doubt, source, error);
    return worst != NULL ? bk_propagate(error, &worst)
                         : refuse_everywhere(choice, self->request, source, op, error);
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
                    "\"%s\" was continued with a new cluster (system identifier %" G_GUINT64_FORMAT
                    "), which has no snapshot yet: run \"backstay backup %s\", or restore the "
                    "previous cluster; %s",
                    source, self->system->id, source, what);
}

static bool
is_in_any(BkRecoveryTargetKind kind)
{
    return kind == BK_RECOVERY_TARGET_TIME || kind == BK_RECOVERY_TARGET_LSN ||
           kind == BK_RECOVERY_TARGET_XID || kind == BK_RECOVERY_TARGET_NAME;
}

/* The cluster that is meant; with `*self` NULL every one is. */
static bool
choose_system(const BkPlanChoice *self, const BkPlanRequest *request, const char *source,
              const BkSystem **system, GError **error)
{
    const char *wanted = request->target->kind == BK_RECOVERY_TARGET_SNAPSHOT
                             ? request->target->text
                             : request->snapshot;

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
        plan->note =
            g_strdup_printf("this is of cluster %" G_GUINT64_FORMAT
                            ", while the current cluster of the source is %" G_GUINT64_FORMAT
                            " (system identifiers)%s%s",
                            self->system->id, current->id, before != NULL ? "; " : "",
                            before != NULL ? before : "");
}

/* --- the proof -------------------------------------------------------------------------------- */

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
        bk_recovery_index_exclude(g_ptr_array_index(pasts, i), id, (*cause)->message);
    if (self->left_out == NULL)
        self->left_out = g_steal_pointer(cause);
    return true;
}

/* The best plan in the cluster that is meant, or in the only one that has the target. */
static bool
choose_in_systems(Choosing *self, BkPlan *plan, BkOp *op, GError **error)
{
    const char *source = bk_source_repo_source(g_ptr_array_index(self->source_repos, 0));
    BkPlanChoice *choice = self->choice;
    BkPlanRequest resolved = *self->request;

    if (!choose_system(choice, self->request, source, &choice->system, error))
        return false;
    if (choice->system == NULL)
        return search_systems(self, source, plan, op, error);
    resolved.lines = &choice->system->lines;
    resolved.names_system =
        resolved.system_id != 0 || choice->system != bk_systems_current(&choice->systems);
    resolved.system_id = choice->system->id;
    return check_has_snapshot(choice, self->request, source, error) &&
           plan_in(self, choice->system, &resolved, plan, op, error);
}

/* One plan, of what is not left out yet: choice->snapshot stays NULL if its snapshot is, from now
 * on. */
static bool
choose_once(Choosing *self, BkOp *op, GError **error)
{
    BkPlanChoice *choice = self->choice;
    const BkSourceSpec *source = self->request->source;
    g_auto(BkPlan) plan = {0};
    g_autoptr(GError) cause = NULL;
    g_autoptr(GPtrArray) ordered = NULL;
    g_autofree char *id = NULL;

    if (!bk_systems_load_lines(&choice->systems, source, op, error))
        return false;
    if (!choose_in_systems(self, &plan, op, &cause))
        return throw_without(self, &cause, error);
    id = g_strdup(plan.snapshot->head.id);
    choice->source_repo = find_part(self->source_repos, choice->system->lines.past, id);
    ordered = bk_plan_proof_order(self->source_repos, choice->source_repo);
    choice->snapshot =
        bk_plan_proof_load(ordered, id, source != NULL ? source->workers : 1, op, &cause);
    if (choice->snapshot == NULL)
        return bk_op_check(op, error) && leave_out(self, id, &cause, error);
    choice->plan = plan;
    plan = (BkPlan){0}; /* moved */
    note_system(choice, &choice->plan);
    warn_of_failures(choice, self->failures);
    return true;
}

bool
bk_plan_choose(const GPtrArray *source_repos, const BkPlanRequest *request, BkPlanChoice *choice,
               BkOp *op, GError **error)
{
    g_autoptr(GPtrArray) failures = g_ptr_array_new_with_free_func(free_error);
    Choosing self = {source_repos, request, choice, failures, NULL, 0};
    bool ok = true;

    *choice = (BkPlanChoice){0};
    if (!bk_plan_check_timeline(request->timeline, error) ||
        !load_systems(choice, source_repos, failures, op, error))
        return false;
    if (choice->systems.pasts->len == 0)
        return throw_worst(failures, error);
    if (!bk_systems_order(&choice->systems, BK_RECOVERY_INDEX_WHOLE_ARCHIVE, op, error))
        return false;
    while (ok && choice->snapshot == NULL)
        ok = choose_once(&self, op, error);
    g_clear_error(&self.left_out);
    return ok;
}
