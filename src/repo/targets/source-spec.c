/* source-spec.c - a source as the engine needs to know it, and its opened repositories. */
#include "repo/targets/source-spec.h"

#include "repo/targets/host-memory.h"
#include "report/problem.h"

#include <string.h>

static void
free_repository(void *data)
{
    bk_repository_free(data);
}

static void
free_part(void *data)
{
    bk_source_repo_free(data);
}

static void
init(BkTargets *self)
{
    self->repositories = g_ptr_array_new_with_free_func(free_repository);
    self->source_repos = g_ptr_array_new_with_free_func(free_part);
    self->failed = g_ptr_array_new_with_free_func(g_free);
    self->failed_names = g_ptr_array_new_with_free_func(g_free);
}

void
bk_targets_add_failed(BkTargets *self, const char *name, const GError *cause)
{
    g_ptr_array_add(self->failed, g_strdup(cause->message));
    g_ptr_array_add(self->failed_names, g_strdup(name));
}

static bool
is_best_effort(const BkSourceSpec *source, const char *repository)
{
    for (size_t i = 0; i < source->repository_count; i++)
        if (strcmp(source->repositories[i].name, repository) == 0)
            return !source->repositories[i].is_required;
    return false;
}

void
bk_targets_add_problems(const BkTargets *self, const BkSourceSpec *source, GPtrArray *problems)
{
    for (guint i = 0; i < self->failed->len; i++) {
        const char *name = g_ptr_array_index(self->failed_names, i);
        const char *cause = g_ptr_array_index(self->failed, i);
        g_autofree char *prefix = g_strdup_printf("repository \"%s\": ", name);

        if (g_str_has_prefix(cause, prefix))
            cause += strlen(prefix); /* the sentence says so */
        bk_problem_add(problems,
                       is_best_effort(source, name) ? BK_PROBLEM_REPOSITORY_UNUSABLE_BEST_EFFORT
                                                    : BK_PROBLEM_REPOSITORY_UNUSABLE,
                       .repository = name, .cause = cause);
    }
}

void
bk_targets_clear(BkTargets *self)
{
    g_clear_pointer(&self->source_repos, g_ptr_array_unref); /* they refer to repositories */
    g_clear_pointer(&self->repositories, g_ptr_array_unref);
    g_clear_pointer(&self->failed, g_ptr_array_unref);
    g_clear_pointer(&self->failed_names, g_ptr_array_unref);
}

typedef BkRepository *(*Opening)(const BkLocation *place, const char *name, const BkKeyFile *key,
                                 const char *source, BkOp *op, GError **error);

static BkRepository *
open_by(Opening open, const BkRepositorySpec *spec, const char *source, BkOp *op, GError **error)
{
    g_auto(BkKeyFile) key = {0};
    BkRepository *repository;
    GError *cause = NULL;

    if (!bk_key_file_read(spec->key_file, &key, error))
        return NULL;
    repository = open(&spec->place, spec->name, &key, source, op, &cause);
    if (bk_error_is(cause, BK_ERROR_KEY))
        (void)bk_prefix(&cause, "key file \"%s\"", spec->key_file);
    if (repository == NULL)
        g_propagate_error(error, cause);
    return repository;
}

BkRepository *
bk_repository_spec_open(const BkRepositorySpec *spec, const char *source, BkOp *op, GError **error)
{
    return open_by(bk_repository_open_at, spec, source, op, error);
}

BkRepository *
bk_repository_spec_open_kept(const BkRepositorySpec *spec, const char *source, BkOp *op,
                             GError **error)
{
    return open_by(bk_repository_open_kept, spec, source, op, error);
}

bool
bk_targets_recall(const BkSourceSpec *spec, BkTargets *targets, BkOp *op)
{
    init(targets);
    for (size_t i = 0; i < spec->repository_count; i++) {
        const BkRepositorySpec *own = &spec->repositories[i];
        g_auto(BkKeyFile) key = {0};
        BkRepository *repository;
        BkSourceRepo *source_repo;

        if (!own->is_required)
            continue;
        if (!bk_key_file_read(own->key_file, &key, NULL))
            return false;
        repository =
            bk_repository_recall(&own->place, own->name, &key, spec->name, &source_repo, op);
        if (repository == NULL)
            return false;
        g_ptr_array_add(targets->repositories, repository);
        g_ptr_array_add(targets->source_repos, source_repo);
    }
    return true;
}

bool
bk_targets_open_repositories(const BkSourceSpec *spec, BkTargets *targets, BkOp *op, GError **error)
{
    init(targets);
    for (size_t i = 0; i < spec->repository_count; i++) {
        BkRepository *repository;

        if (!spec->repositories[i].is_required)
            continue;
        repository = bk_repository_spec_open_kept(&spec->repositories[i], spec->name, op, error);
        if (repository == NULL)
            return false;
        g_ptr_array_add(targets->repositories, repository);
    }
    g_assert(targets->repositories->len > 0);
    return true;
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

BkSourceRepo *
bk_source_repo_create_alike(BkRepository *repository, const char *source, const BkSourceRepo *model,
                            BkOp *op, GError **error)
{
    g_autoptr(BkSourceRepo) source_repo =
        bk_source_repo_create(repository, source, model, op, error);

    return source_repo != NULL && check_alike(source_repo, model, error)
               ? g_steal_pointer(&source_repo)
               : NULL;
}

/* A part that was there is not made anew without being told to: somebody has removed it. */
BkSourceRepo *
bk_source_repo_open_or_create(const BkSourceSpec *spec, BkRepository *repository,
                              const BkSourceRepo *model, BkOp *op, GError **error)
{
    const BkRepositorySpec *own = spec->repositories;
    g_autoptr(GError) cause = NULL;
    g_autoptr(BkSourceRepo) source_repo = bk_source_repo_open(repository, spec->name, op, &cause);
    BkMarks marks;

    if (source_repo == NULL && !bk_error_is(cause, BK_ERROR_NOT_FOUND))
        return bk_propagate(error, &cause), NULL;
    while (strcmp(own->name, bk_repository_name(repository)) != 0)
        own++;
    bk_host_memory_load(spec, &own->place, &marks);
    if (!bk_host_memory_check(spec, &marks, repository, source_repo, error)) {
        bk_repository_forget_kept(&own->place, spec->name); /* the next look is a fresh one */
        return NULL;
    }
    if (source_repo == NULL)
        return bk_source_repo_create_alike(repository, spec->name, model, op, error);
    return check_alike(source_repo, model, error) ? g_steal_pointer(&source_repo) : NULL;
}

bool
bk_targets_create(const BkSourceSpec *spec, BkTargets *targets, BkOp *op, GError **error)
{
    for (guint i = 0; i < targets->repositories->len; i++) {
        const BkSourceRepo *model = i > 0 ? g_ptr_array_index(targets->source_repos, 0) : NULL;
        BkSourceRepo *source_repo = bk_source_repo_open_or_create(
            spec, g_ptr_array_index(targets->repositories, i), model, op, error);

        if (source_repo == NULL)
            return false;
        g_ptr_array_add(targets->source_repos, source_repo);
    }
    return true;
}

bool
bk_targets_open_for_writing(const BkSourceSpec *spec, BkTargets *targets, BkOp *op, GError **error)
{
    return bk_targets_open_repositories(spec, targets, op, error) &&
           bk_targets_create(spec, targets, op, error);
}

/* Holding nothing of the source is an answer, too. */
static bool
add_part(BkTargets *targets, BkRepository *repository, const char *source, BkOp *op, GError **error)
{
    g_autoptr(GError) cause = NULL;
    BkSourceRepo *source_repo = bk_source_repo_open(repository, source, op, &cause);

    if (source_repo != NULL)
        g_ptr_array_add(targets->source_repos, source_repo);
    return source_repo != NULL || bk_error_is(cause, BK_ERROR_NOT_FOUND) ||
           bk_propagate(error, &cause);
}

bool
bk_targets_open_for_reading(const BkSourceSpec *spec, const char *only, BkTargets *targets,
                            BkOp *op, GError **error)
{
    g_autoptr(GError) first = NULL;
    size_t asked = 0;

    init(targets);
    for (size_t i = 0; i < spec->repository_count; i++) {
        g_autoptr(GError) cause = NULL;
        BkRepository *repository;

        if (only != NULL && strcmp(only, spec->repositories[i].name) != 0)
            continue;
        asked++;
        repository = bk_repository_spec_open(&spec->repositories[i], spec->name, op, &cause);
        if (repository != NULL)
            g_ptr_array_add(targets->repositories, repository);
        if (repository != NULL && add_part(targets, repository, spec->name, op, &cause))
            continue;
        bk_targets_add_failed(targets, spec->repositories[i].name, cause);
        if (first == NULL)
            first = g_steal_pointer(&cause);
    }
    if (asked == 0)
        return bk_throw(error, BK_ERROR_USAGE, "source \"%s\" has no repository \"%s\"", spec->name,
                        only);
    if (targets->source_repos->len == 0 && targets->failed->len > 0)
        return bk_propagate(error, &first);
    return true;
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
