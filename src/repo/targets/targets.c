/* targets.c - the steps of a run over its repositories, and the policy for those that fail. */
#include "repo/targets/targets.h"

#include "base/fault.h"
#include "base/log.h"
#include "repo/snapshot/snapshot-manifest.h"
#include "repo/stale-uploads.h"
#include "repo/targets/host-memory.h"
#include "report/problem.h"

#include <string.h>

/* One that is dead once the required repositories have all is not waited for: it must answer within
 * a part of the patience before anything longer is asked of it. */
#define PATIENCE_PARTS 6

static void
free_target(void *data)
{
    bk_target_free(data);
}

static void
init_empty(BkTargets *self, const BkSourceSpec *source, BkOp *op)
{
    *self = (BkTargets){.source = source, .op = op, .budget_op = bk_op_new(op)};
    (void)pthread_mutex_init(&self->mutex, NULL);
    self->all = g_ptr_array_new_with_free_func(free_target);
    self->source_repos = g_ptr_array_new();
}

void
bk_targets_init(BkTargets *self, const BkSourceSpec *source, const BkTargetsOptions *options,
                BkOp *op)
{
    init_empty(self, source, op);
    self->options = *options;
    for (size_t i = 0; i < source->repository_count; i++) {
        const BkRepositorySpec *spec = &source->repositories[i];

        g_ptr_array_add(self->all,
                        bk_target_new(spec, spec->is_required ? NULL : bk_op_new(self->budget_op)));
    }
}

void
bk_targets_clear(BkTargets *self)
{
    if (self->all == NULL)
        return;
    g_clear_pointer(&self->source_repos, g_ptr_array_unref);
    g_clear_pointer(&self->all, g_ptr_array_unref);
    g_clear_pointer(&self->budget_op, bk_op_free);
    (void)pthread_mutex_destroy(&self->mutex);
}

BkTarget *
bk_targets_at(const BkTargets *self, guint index)
{
    return g_ptr_array_index(self->all, index);
}

static bool
is_of_kind(const BkTarget *target, BkTargetKinds kinds)
{
    return (kinds & (target->is_required ? BK_TARGETS_REQUIRED : BK_TARGETS_BEST_EFFORT)) != 0;
}

/* --- the policy ---------------------------------------------------------------------------- */

/* The budget is spent while anything is asked of any target of best effort. */
static void
begin_spending(BkTargets *self)
{
    const int64_t now_us = g_get_monotonic_time();

    if (self->options.budget_us == 0)
        return;
    (void)pthread_mutex_lock(&self->mutex);
    if (self->calls++ == 0) {
        self->since_us = now_us;
        bk_op_set_deadline(self->budget_op, now_us + self->options.budget_us - self->spent_us);
    }
    (void)pthread_mutex_unlock(&self->mutex);
}

static void
end_spending(BkTargets *self)
{
    if (self->options.budget_us == 0)
        return;
    (void)pthread_mutex_lock(&self->mutex);
    if (--self->calls == 0)
        self->spent_us += g_get_monotonic_time() - self->since_us;
    (void)pthread_mutex_unlock(&self->mutex);
}

static void
drop_late(BkTarget *target, GError **cause)
{
    bk_lease_explain(target->lease, cause);
    if (bk_target_drop(target, *cause))
        bk_log(BK_LOG_WARNING,
               "repository \"%s\" (best effort) is left out from here on, \"copy\" or the next "
               "backup will bring what it misses: %s",
               target->spec->name, (*cause)->message);
}

typedef struct Step {
    BkTargetCall call;
    const void *data;
    BkOp *op; /* the caller's */
    int64_t patience_us;
} Step;

static bool
call_target(BkTargets *self, BkTarget *target, const Step *step, GError **error)
{
    g_autoptr(GError) cause = NULL;
    bool ok;

    if (target->is_required)
        return step->call(target, step->data, step->op, error);
    if (!bk_target_begin_call(target, step->patience_us))
        return true;
    begin_spending(self);
    ok = step->call(target, step->data, target->op, &cause);
    end_spending(self);
    bk_target_end_call(target, ok, step->patience_us);
    if (!ok && !bk_op_check(self->op, error))
        return false;
    if (!ok)
        drop_late(target, &cause);
    return true;
}

static bool
call_targets(BkTargets *self, BkTargetKinds kinds, const Step *step, GError **error)
{
    static const BkTargetKinds in_order[] = {BK_TARGETS_REQUIRED, BK_TARGETS_BEST_EFFORT};

    for (size_t kind = 0; kind < G_N_ELEMENTS(in_order); kind++)
        for (guint i = 0; i < self->all->len; i++)
            if (is_of_kind(bk_targets_at(self, i), kinds & in_order[kind]) &&
                !call_target(self, bk_targets_at(self, i), step, error))
                return false;
    return true;
}

bool
bk_targets_each(BkTargets *self, BkTargetKinds kinds, BkTargetCall call, const void *data, BkOp *op,
                GError **error)
{
    return call_targets(self, kinds, &(Step){call, data, op, self->options.patience_us}, error);
}

/* --- the steps ----------------------------------------------------------------------------- */

static bool
open_target(BkTarget *target, const void *data, BkOp *op, GError **error)
{
    const BkTargets *self = data;

    target->repository = bk_repository_spec_open_kept(target->spec, self->source->name, op, error);
    return target->repository != NULL;
}

bool
bk_targets_open(BkTargets *self, BkTargetKinds kinds, GError **error)
{
    return bk_targets_each(self, kinds, open_target, self, self->op, error);
}

static const BkSourceRepo *
first_source_repo(const BkTargets *self)
{
    return self->source_repos->len > 0 ? g_ptr_array_index(self->source_repos, 0) : NULL;
}

static bool
check_alike(const BkSourceRepo *source_repo, const BkSourceRepo *model, GError **error)
{
    return model == NULL || bk_source_repo_shares_keys(model, source_repo) ||
           bk_throw(error, BK_ERROR_CONFLICT,
                    "repositories \"%s\" and \"%s\" hold \"%s\" under different keys: back it up "
                    "to one of them",
                    bk_repository_name(bk_source_repo_repository(model)),
                    bk_repository_name(bk_source_repo_repository(source_repo)),
                    bk_source_repo_source(source_repo));
}

/* A source that was there is not made anew without being told to: somebody has removed it. */
static bool
check_remembered(const BkTargets *self, const BkTarget *target, const BkSourceRepo *source_repo,
                 GError **error)
{
    BkMarks marks;

    bk_host_memory_load(self->source, &target->spec->place, &marks);
    if (bk_host_memory_check(self->source, &marks, target->repository, source_repo, error))
        return true;
    /* The next look is a fresh one. */
    bk_repository_forget_kept(&target->spec->place, self->source->name);
    return false;
}

static bool
create_target(BkTarget *target, const void *data, BkOp *op, GError **error)
{
    const BkTargets *self = data;
    const BkSourceRepo *model = first_source_repo(self);
    g_autoptr(GError) cause = NULL;
    g_autoptr(BkSourceRepo) source_repo =
        bk_source_repo_open(target->repository, self->source->name, op, &cause);

    if (source_repo == NULL && !bk_error_is(cause, BK_ERROR_NOT_FOUND))
        return bk_propagate(error, &cause);
    if (!check_remembered(self, target, source_repo, error))
        return false;
    if (source_repo == NULL)
        source_repo =
            bk_source_repo_create(target->repository, self->source->name, model, op, error);
    if (source_repo == NULL || !check_alike(source_repo, model, error))
        return false;
    target->source_repo = g_steal_pointer(&source_repo);
    if (target->is_required)
        g_ptr_array_add(self->source_repos, target->source_repo);
    return true;
}

bool
bk_targets_create(BkTargets *self, BkTargetKinds kinds, GError **error)
{
    return bk_targets_each(self, kinds, create_target, self, self->op, error);
}

static bool
take_target(BkTarget *target, const void *data, BkOp *op, GError **error)
{
    const BkTargetsTaking *taking = data;
    const BkLeaseOptions options = {.break_held = taking->break_lease};

    target->lease = bk_lease_acquire(target->source_repo, &options, op, error);
    if (target->lease == NULL)
        return false;
    target->snapshots = bk_snapshot_list(target->source_repo, op, error);
    if (target->snapshots == NULL || !taking->check(target, taking->data, op, error))
        return false;
    bk_stale_uploads_abort(target->source_repo, target->lease, taking->log_file_size, op);
    return true;
}

bool
bk_targets_take(BkTargets *self, BkTargetKinds kinds, const BkTargetsTaking *taking, GError **error)
{
    return bk_targets_each(self, kinds, take_target, taking, self->op, error);
}

typedef struct Pack {
    const uint8_t *name;
    const BkBuf *object;
} Pack;

static bool
put_target_pack(BkTarget *target, const void *data, BkOp *op, GError **error)
{
    const Pack *pack = data;

    return bk_fault(BK_FAULT_BACKUP_PUT_PACK, error) &&
           bk_pack_put(target->source_repo, pack->name, pack->object, op, error);
}

bool
bk_targets_put_pack(BkTargets *self, const uint8_t name[BK_SHA256_SIZE], const BkBuf *object,
                    BkOp *op, GError **error)
{
    return bk_targets_each(self, BK_TARGETS_ALL, put_target_pack, &(Pack){name, object}, op, error);
}

static bool
ask_whether_alive(BkTarget *target, const void *data, BkOp *op, GError **error)
{
    uint64_t size;

    (void)data;
    return bk_store_stat(bk_source_repo_store(target->source_repo), "backstay.json", &size, op,
                         error) ||
           bk_prefix(error, "at the end of the backup");
}

/* What is new was put, and did not fail; it may have been away for what is older. */
static bool
find_missing_pack(const BkTarget *target, const BkPublishRequest *request, char **lack, BkOp *op,
                  GError **error)
{
    g_autoptr(GHashTable) present = NULL;
    size_t count;
    const BkPackRef *packs = bk_snapshot_packs(request->snapshot, &count);

    if (request->parent == NULL)
        return true;
    present = bk_pack_list(target->source_repo, op, error);
    if (present == NULL)
        return false;
    for (size_t i = 0; i < count && *lack == NULL; i++) {
        g_autofree char *name = bk_pack_object_name(target->source_repo, packs[i].name);

        if (GPOINTER_TO_SIZE(g_hash_table_lookup(present, name)) != packs[i].size)
            *lack = g_strdup_printf("it lacks packs of earlier snapshots, such as \"%s\"", name);
    }
    return true;
}

/* What a required target lacks has failed the run before. */
static bool
find_lack(const BkTarget *target, const BkPublishRequest *request, char **lack, BkOp *op,
          GError **error)
{
    *lack = NULL;
    return target->is_required || (find_missing_pack(target, request, lack, op, error) &&
                                   (*lack != NULL || request->find_lack == NULL ||
                                    request->find_lack(target, request->data, lack, op, error)));
}

static bool
publish_target(BkTarget *target, const void *data, BkOp *op, GError **error)
{
    const BkPublishRequest *request = data;
    char *lack;

    if (!find_lack(target, request, &lack, op, error))
        return false;
    if (lack != NULL) {
        bk_target_set_behind(target, lack);
        return true;
    }
    if (!bk_publish(request, target, op, error))
        return false;
    bk_target_set_done(target);
    return true;
}

bool
bk_targets_publish(BkTargets *self, BkTargetKinds kinds, const BkPublishRequest *request,
                   GError **error)
{
    const Step alive = {ask_whether_alive, NULL, self->op,
                        MAX(self->options.patience_us / PATIENCE_PARTS, BK_USEC_PER_SEC)};

    return call_targets(self, kinds & BK_TARGETS_BEST_EFFORT, &alive, error) &&
           bk_targets_each(self, kinds, publish_target, request, self->op, error);
}

void
bk_targets_explain(const BkTargets *self, GError **cause)
{
    for (guint i = 0; self->all != NULL && i < self->all->len; i++)
        if (bk_targets_at(self, i)->is_required)
            bk_lease_explain(bk_targets_at(self, i)->lease, cause);
}

void
bk_targets_release(BkTargets *self)
{
    for (guint i = 0; i < self->all->len; i++)
        if (bk_targets_at(self, i)->is_required)
            g_clear_pointer(&bk_targets_at(self, i)->lease, bk_lease_release);
}

/* --- what this host remembers -------------------------------------------------------------- */

/* Those that the source was opened in, and that were not dropped. */
static GPtrArray *
list_served(const BkTargets *self, BkTargetKinds kinds)
{
    GPtrArray *served = g_ptr_array_new();

    for (guint i = 0; i < self->all->len; i++) {
        BkTarget *target = bk_targets_at(self, i);

        if (is_of_kind(target, kinds) && target->source_repo != NULL &&
            target->state != BK_TARGET_DROPPED)
            g_ptr_array_add(served, target);
    }
    return served;
}

void
bk_targets_remember(const BkTargets *self, BkTargetKinds kinds, const char *snapshot,
                    uint64_t system_id, const char *segment)
{
    g_autoptr(GPtrArray) served = list_served(self, kinds);

    for (guint i = 0; i < served->len; i++) {
        const BkTarget *target = g_ptr_array_index(served, i);
        bool has_it = target->state == BK_TARGET_DONE;

        bk_host_memory_add(self->source, target->source_repo, has_it ? snapshot : NULL, system_id,
                           segment, self->op);
    }
}

void
bk_targets_remember_anew(const BkTargets *self, BkTargetKinds kinds)
{
    g_autoptr(GPtrArray) served = list_served(self, kinds);

    for (guint i = 0; self->source->is_new && i < served->len; i++) {
        const BkTarget *target = g_ptr_array_index(served, i);

        bk_host_memory_begin_anew(self->source, target->source_repo, self->op);
    }
}

/* --- reading ------------------------------------------------------------------------------- */

bool
bk_targets_recall(const BkSourceSpec *source, BkTargets *self, BkOp *op)
{
    bk_targets_init(self, source, &(BkTargetsOptions){0}, op);
    for (guint i = 0; i < self->all->len; i++) {
        BkTarget *target = bk_targets_at(self, i);
        const BkRepositorySpec *spec = target->spec;
        g_auto(BkKeyFile) key = {0};

        if (!target->is_required)
            continue;
        if (!bk_key_file_read(spec->key_file, &key, NULL))
            return false;
        target->repository = bk_repository_recall(&spec->place, spec->name, &key, source->name,
                                                  &target->source_repo, op);
        if (target->repository == NULL)
            return false;
        g_ptr_array_add(self->source_repos, target->source_repo);
    }
    return true;
}

/* Holding nothing of the source is an answer, too. */
static bool
open_to_read(BkTargets *self, BkTarget *target, BkOp *op, GError **error)
{
    g_autoptr(GError) cause = NULL;

    target->repository = bk_repository_spec_open(target->spec, self->source->name, op, error);
    if (target->repository == NULL)
        return false;
    target->source_repo = bk_source_repo_open(target->repository, self->source->name, op, &cause);
    if (target->source_repo != NULL)
        g_ptr_array_add(self->source_repos, target->source_repo);
    return target->source_repo != NULL || bk_error_is(cause, BK_ERROR_NOT_FOUND) ||
           bk_propagate(error, &cause);
}

bool
bk_targets_open_for_reading(const BkSourceSpec *source, const char *only, BkTargets *self, BkOp *op,
                            GError **error)
{
    g_autoptr(GError) first = NULL;

    init_empty(self, source, op);
    for (size_t i = 0; i < source->repository_count; i++) {
        g_autoptr(GError) cause = NULL;
        BkTarget *target;

        if (only != NULL && strcmp(only, source->repositories[i].name) != 0)
            continue;
        target = bk_target_new(&source->repositories[i], NULL);
        g_ptr_array_add(self->all, target);
        if (open_to_read(self, target, op, &cause))
            continue;
        (void)bk_target_drop(target, cause);
        if (first == NULL)
            first = g_steal_pointer(&cause);
    }
    if (self->all->len == 0)
        return bk_throw(error, BK_ERROR_USAGE, "source \"%s\" has no repository \"%s\"",
                        source->name, only);
    return self->source_repos->len > 0 || first == NULL || bk_propagate(error, &first);
}

static void
add_problem(const BkTarget *target, GPtrArray *problems)
{
    const BkProblemCode code = target->is_required ? BK_PROBLEM_REPOSITORY_UNUSABLE
                                                   : BK_PROBLEM_REPOSITORY_UNUSABLE_BEST_EFFORT;
    g_autofree char *prefix = g_strdup_printf("repository \"%s\": ", target->spec->name);
    const char *cause = target->why;

    if (g_str_has_prefix(cause, prefix))
        cause += strlen(prefix); /* the sentence says so */
    bk_problem_add(problems, code, .repository = target->spec->name, .cause = cause);
}

void
bk_targets_add_problems(const BkTargets *self, GPtrArray *problems)
{
    for (guint i = 0; i < self->all->len; i++)
        if (bk_targets_at(self, i)->state == BK_TARGET_DROPPED)
            add_problem(bk_targets_at(self, i), problems);
}

bool
bk_targets_are_all_there(const BkTargets *self)
{
    for (guint i = 0; i < self->all->len; i++)
        if (bk_targets_at(self, i)->state == BK_TARGET_DROPPED)
            return false;
    return true;
}

void
bk_targets_drop(const BkTargets *self, const BkSourceRepo *source_repo, const GError *cause)
{
    for (guint i = 0; i < self->all->len; i++)
        if (bk_targets_at(self, i)->source_repo == source_repo)
            (void)bk_target_drop(bk_targets_at(self, i), cause);
}

bool
bk_targets_is_at_fault(const GError *error)
{
    static const BkErrorCode codes[] = {BK_ERROR_STORE, BK_ERROR_NO_SPACE, BK_ERROR_DENIED,
                                        BK_ERROR_KEY,   BK_ERROR_CORRUPT,  BK_ERROR_UNSUPPORTED};

    for (size_t i = 0; i < G_N_ELEMENTS(codes); i++)
        if (bk_error_is(error, codes[i]))
            return true;
    return false;
}

void
bk_targets_keep_worst(GError **worst, GError **cause)
{
    if (*worst != NULL && !bk_error_is(*worst, BK_ERROR_NOT_FOUND))
        return;
    g_clear_error(worst);
    *worst = g_steal_pointer(cause);
}
