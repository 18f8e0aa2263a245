/* source.c - from the command line and the configuration to what the engine works on. */
#include "cli/source.h"

#include "config/value.h"

#include <string.h>

#define OWN_DIR "/var/lib/backstay"

static void
add_repositories(BkCliSource *self, const BkConfigSource *source)
{
    self->repositories = g_new0(BkRepositorySpec, source->to->len);
    for (guint i = 0; i < source->to->len; i++) {
        const BkConfigRepository *repository = g_ptr_array_index(source->to, i);

        self->repositories[i] = (BkRepositorySpec){
            .name = repository->name,
            .place = repository->location,
            .key_file = repository->key_file,
            .is_required = !g_ptr_array_find(source->best_effort, repository, NULL),
        };
    }
}

/* A new string. */
static char *
find_state_dir(const BkConfigSource *source)
{
    if (source->state_dir != NULL)
        return g_strdup(source->state_dir);
    if (g_file_test(OWN_DIR, G_FILE_TEST_IS_DIR))
        return g_build_filename(OWN_DIR, "state", NULL);
    return g_build_filename(g_get_user_state_dir(), "backstay", NULL);
}

void
bk_cli_source_init(BkCliSource *self, const BkConfigSource *source)
{
    *self = (BkCliSource){.source = source, .state_dir = find_state_dir(source)};
    add_repositories(self, source);
    self->spec = (BkSourceSpec){
        .name = source->name,
        .connection = source->pg.connection,
        .data = source->pg.data,
        .repositories = self->repositories,
        .repository_count = source->to->len,
        .workers = source->workers,
        .codec = (BkCodec)source->compress.method,
        .level = source->compress.level,
        .max_rate = source->max_rate,
        .repack_after_us = source->repack_after_us,
        .resume_interval_us = source->resume_interval_us,
        .push_timeout_us = source->push_timeout_us,
        .state_dir = self->state_dir,
    };
}

bool
bk_cli_source_keep_only(BkCliSource *self, const char *repository, GError **error)
{
    for (size_t i = 0; repository != NULL && i < self->spec.repository_count; i++) {
        if (strcmp(self->repositories[i].name, repository) != 0)
            continue;
        self->repositories[i].is_required = true;
        self->spec.repositories = &self->repositories[i];
        self->spec.repository_count = 1;
        return true;
    }
    return repository == NULL ||
           bk_throw(error, BK_ERROR_USAGE, "source \"%s\" has no repository \"%s\"",
                    self->spec.name, repository);
}

void
bk_cli_source_clear(BkCliSource *self)
{
    bk_config_free(self->config);
    g_free(self->repositories);
    g_free(self->state_dir);
    *self = (BkCliSource){0};
}

static const BkConfigSource *
find(const BkConfig *config, const char *name, GError **error)
{
    const BkConfigSource *source = bk_config_find_source(config, name);

    if (source == NULL)
        return bk_throw_null(error, BK_ERROR_USAGE, "there is no source \"%s\" in \"%s\"", name,
                             config->path);
    return source;
}

static bool
check_kind(const BkConfigSource *source, GError **error)
{
    return source->kind == BK_SOURCE_POSTGRES ||
           bk_throw(error, BK_ERROR_UNSUPPORTED,
                    "source \"%s\" is of files, which no command of this version supports",
                    source->name);
}

/* A configuration without sources is that of a machine that knows the repositories alone. In one
 * with sources a name that is not among them is a slip of the pen. */
static const BkConfigSource *
find_or_add(BkConfig *config, const char *name, GError **error)
{
    const BkConfigSource *source = bk_config_find_source(config, name);
    g_autoptr(GError) cause = NULL;

    if (source != NULL)
        return source;
    if (config->sources->len > 0)
        return find(config, name, error);
    if (!bk_value_check_name(name, &cause))
        return bk_throw_null(error, BK_ERROR_USAGE, "source %s", cause->message);
    return bk_config_add_source(config, name);
}

static bool
load(const BkArgs *args, const BkCliContext *context, bool only_reads, BkCliSource *self,
     GError **error)
{
    BkConfig *config = bk_config_load(context->config_path, error);
    const char *name = bk_args_get_string(args, "source");
    const BkConfigSource *source;

    if (config == NULL)
        return false;
    self->config = config;
    source = only_reads ? find_or_add(config, name, error) : find(config, name, error);
    if (source == NULL || !check_kind(source, error))
        return false;
    bk_cli_source_init(self, source);
    self->config = config;
    return true;
}

bool
bk_cli_source_load(const BkArgs *args, const BkCliContext *context, BkCliSource *self,
                   GError **error)
{
    return load(args, context, false, self, error);
}

bool
bk_cli_source_load_for_reading(const BkArgs *args, const BkCliContext *context, BkCliSource *self,
                               GError **error)
{
    return load(args, context, true, self, error);
}

/* "METHOD" or "METHOD:LEVEL". */
static bool
override_compression(BkSourceSpec *spec, const char *text, GError **error)
{
    g_auto(GStrv) source_repos = g_strsplit(text, ":", 2);
    int64_t level = spec->level;
    int method;

    if (!bk_value_parse_method(source_repos[0], &method, error) ||
        (source_repos[1] != NULL && !bk_value_parse_int(source_repos[1], 1, 19, &level, error)))
        return bk_prefix(error, "--compress");
    spec->codec = (BkCodec)method;
    spec->level = (int)level;
    return true;
}

bool
bk_cli_source_override(BkCliSource *self, const BkArgs *args, GError **error)
{
    self->spec.workers = (unsigned)bk_args_get_int(args, "workers", self->spec.workers);
    if (bk_args_has(args, "max-rate"))
        self->spec.max_rate = bk_args_get_size(args, "max-rate", self->spec.max_rate);
    return !bk_args_has(args, "compress") ||
           override_compression(&self->spec, bk_args_get_string(args, "compress"), error);
}

/* Adds what the repositories hold to a configuration without sources. */
static bool
add_held_sources(BkConfig *config, BkOp *op, GError **error)
{
    for (guint i = 0; i < config->repositories->len; i++) {
        const BkConfigRepository *repository = g_ptr_array_index(config->repositories, i);
        BkRepositorySpec spec = {
            .name = repository->name,
            .place = repository->location,
            .key_file = repository->key_file,
        };
        g_autoptr(BkRepository) opened = NULL;
        g_autoptr(GPtrArray) names = NULL;

        opened = bk_repository_spec_open(&spec, NULL, op, error);
        names = opened != NULL ? bk_repository_list_sources(opened, op, error) : NULL;
        if (names == NULL)
            return false;
        for (guint j = 0; j < names->len; j++)
            if (bk_config_find_source(config, g_ptr_array_index(names, j)) == NULL)
                (void)bk_config_add_source(config, g_ptr_array_index(names, j));
    }
    return true;
}

GPtrArray *
bk_cli_sources(const BkArgs *args, BkConfig *config, BkOp *op, GError **error)
{
    const char *name = bk_args_get_string(args, "source");
    g_autoptr(GPtrArray) sources = g_ptr_array_new();

    if (name != NULL) {
        const BkConfigSource *source = find_or_add(config, name, error);

        if (source == NULL || !check_kind(source, error))
            return NULL;
        g_ptr_array_add(sources, (void *)(uintptr_t)source);
        return g_steal_pointer(&sources);
    }
    if (config->sources->len == 0 && !add_held_sources(config, op, error))
        return NULL;
    for (guint i = 0; i < config->sources->len; i++) {
        if (!check_kind(g_ptr_array_index(config->sources, i), error))
            return NULL;
        g_ptr_array_add(sources, g_ptr_array_index(config->sources, i));
    }
    return g_steal_pointer(&sources);
}
