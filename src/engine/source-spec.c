#include "engine/source-spec.h"

#include "engine/remembered.h"

#include <string.h>

static void
free_repository(void *data)
{
    bk_repository_free(data);
}

static void
free_part(void *data)
{
    bk_part_free(data);
}

static void
init(BkParts *self)
{
    self->repositories = g_ptr_array_new_with_free_func(free_repository);
    self->parts = g_ptr_array_new_with_free_func(free_part);
    self->failed = g_ptr_array_new_with_free_func(g_free);
    self->failed_names = g_ptr_array_new_with_free_func(g_free);
}

void
bk_parts_add_failed(BkParts *self, const char *name, const GError *cause)
{
    g_ptr_array_add(self->failed, g_strdup(cause->message));
    g_ptr_array_add(self->failed_names, g_strdup(name));
}

void
bk_parts_clear(BkParts *self)
{
    g_clear_pointer(&self->parts, g_ptr_array_unref); /* they refer to repositories */
    g_clear_pointer(&self->repositories, g_ptr_array_unref);
    g_clear_pointer(&self->failed, g_ptr_array_unref);
    g_clear_pointer(&self->failed_names, g_ptr_array_unref);
}

typedef BkRepository *(*Opening)(const BkPlace *place, const char *name, const BkKeyFile *key,
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
    return open_by(bk_repository_open_in, spec, source, op, error);
}

BkRepository *
bk_repository_spec_open_kept(const BkRepositorySpec *spec, const char *source, BkOp *op,
                             GError **error)
{
    return open_by(bk_repository_open_kept, spec, source, op, error);
}

bool
bk_parts_recall(const BkSourceSpec *spec, BkParts *parts, BkOp *op)
{
    init(parts);
    for (size_t i = 0; i < spec->repository_count; i++) {
        const BkRepositorySpec *own = &spec->repositories[i];
        g_auto(BkKeyFile) key = {0};
        BkRepository *repository;
        BkPart *part;

        if (!own->is_required)
            continue;
        if (!bk_key_file_read(own->key_file, &key, NULL))
            return false;
        repository = bk_repository_recall(&own->place, own->name, &key, spec->name, &part, op);
        if (repository == NULL)
            return false;
        g_ptr_array_add(parts->repositories, repository);
        g_ptr_array_add(parts->parts, part);
    }
    return true;
}

bool
bk_parts_open_repositories(const BkSourceSpec *spec, BkParts *parts, BkOp *op, GError **error)
{
    init(parts);
    for (size_t i = 0; i < spec->repository_count; i++) {
        BkRepository *repository;

        if (!spec->repositories[i].is_required)
            continue;
        repository = bk_repository_spec_open_kept(&spec->repositories[i], spec->name, op, error);
        if (repository == NULL)
            return false;
        g_ptr_array_add(parts->repositories, repository);
    }
    g_assert(parts->repositories->len > 0);
    return true;
}

static bool
check_alike(const BkPart *part, const BkPart *model, GError **error)
{
    return model == NULL || bk_part_shares_keys(model, part) ||
           bk_throw(error, BK_ERROR_CONFLICT,
                    "repositories \"%s\" and \"%s\" hold \"%s\" under different keys: back it up "
                    "to one of them",
                    bk_repository_name(bk_part_repository(model)),
                    bk_repository_name(bk_part_repository(part)), bk_part_source(part));
}

BkPart *
bk_part_create_alike(BkRepository *repository, const char *source, const BkPart *model, BkOp *op,
                     GError **error)
{
    g_autoptr(BkPart) part = bk_part_create(repository, source, model, op, error);

    return part != NULL && check_alike(part, model, error) ? g_steal_pointer(&part) : NULL;
}

/* A part that was there is not made anew without being told to: somebody has removed it. */
BkPart *
bk_part_open_or_create(const BkSourceSpec *spec, BkRepository *repository, const BkPart *model,
                       BkOp *op, GError **error)
{
    const BkRepositorySpec *own = spec->repositories;
    g_autoptr(GError) cause = NULL;
    g_autoptr(BkPart) part = bk_part_open(repository, spec->name, op, &cause);
    BkMarks marks;

    if (part == NULL && !bk_error_is(cause, BK_ERROR_NOT_FOUND))
        return bk_propagate(error, &cause), NULL;
    while (strcmp(own->name, bk_repository_name(repository)) != 0)
        own++;
    bk_remembered_load(spec, &own->place, &marks);
    if (!bk_remembered_check(spec, &marks, repository, part, error)) {
        bk_repository_forget_kept(&own->place, spec->name); /* the next look is a fresh one */
        return NULL;
    }
    if (part == NULL)
        return bk_part_create_alike(repository, spec->name, model, op, error);
    return check_alike(part, model, error) ? g_steal_pointer(&part) : NULL;
}

bool
bk_parts_create(const BkSourceSpec *spec, BkParts *parts, BkOp *op, GError **error)
{
    for (guint i = 0; i < parts->repositories->len; i++) {
        const BkPart *model = i > 0 ? g_ptr_array_index(parts->parts, 0) : NULL;
        BkPart *part = bk_part_open_or_create(spec, g_ptr_array_index(parts->repositories, i),
                                              model, op, error);

        if (part == NULL)
            return false;
        g_ptr_array_add(parts->parts, part);
    }
    return true;
}

bool
bk_parts_open_for_writing(const BkSourceSpec *spec, BkParts *parts, BkOp *op, GError **error)
{
    return bk_parts_open_repositories(spec, parts, op, error) &&
           bk_parts_create(spec, parts, op, error);
}

/* Holding nothing of the source is an answer, too. */
static bool
add_part(BkParts *parts, BkRepository *repository, const char *source, BkOp *op, GError **error)
{
    g_autoptr(GError) cause = NULL;
    BkPart *part = bk_part_open(repository, source, op, &cause);

    if (part != NULL)
        g_ptr_array_add(parts->parts, part);
    return part != NULL || bk_error_is(cause, BK_ERROR_NOT_FOUND) || bk_propagate(error, &cause);
}

bool
bk_parts_open_for_reading(const BkSourceSpec *spec, const char *only, BkParts *parts, BkOp *op,
                          GError **error)
{
    g_autoptr(GError) first = NULL;
    size_t asked = 0;

    init(parts);
    for (size_t i = 0; i < spec->repository_count; i++) {
        g_autoptr(GError) cause = NULL;
        BkRepository *repository;

        if (only != NULL && strcmp(only, spec->repositories[i].name) != 0)
            continue;
        asked++;
        repository = bk_repository_spec_open(&spec->repositories[i], spec->name, op, &cause);
        if (repository != NULL)
            g_ptr_array_add(parts->repositories, repository);
        if (repository != NULL && add_part(parts, repository, spec->name, op, &cause))
            continue;
        bk_parts_add_failed(parts, spec->repositories[i].name, cause);
        if (first == NULL)
            first = g_steal_pointer(&cause);
    }
    if (asked == 0)
        return bk_throw(error, BK_ERROR_USAGE, "source \"%s\" has no repository \"%s\"", spec->name,
                        only);
    if (parts->parts->len == 0 && parts->failed->len > 0)
        return bk_propagate(error, &first);
    return true;
}

bool
bk_parts_is_at_fault(const GError *error)
{
    static const BkErrorCode codes[] = {BK_ERROR_STORE, BK_ERROR_NO_SPACE, BK_ERROR_DENIED,
                                        BK_ERROR_KEY,   BK_ERROR_CORRUPT,  BK_ERROR_UNSUPPORTED};

    for (size_t i = 0; i < G_N_ELEMENTS(codes); i++)
        if (bk_error_is(error, codes[i]))
            return true;
    return false;
}

void
bk_parts_keep_worst(GError **worst, GError **cause)
{
    if (*worst != NULL && !bk_error_is(*worst, BK_ERROR_NOT_FOUND))
        return;
    g_clear_error(worst);
    *worst = g_steal_pointer(cause);
}
