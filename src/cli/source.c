#include "cli/source.h"

#include "config/value.h"

static void
add_repositories(BkCliSource *self, const BkConfigSource *source)
{
    self->repositories = g_new0(BkRepositorySpec, source->to->len);
    for (guint i = 0; i < source->to->len; i++) {
        const BkConfigRepository *repository = g_ptr_array_index(source->to, i);

        self->repositories[i] =
            (BkRepositorySpec){repository->name, repository->path, repository->key_file};
    }
}

void
bk_cli_source_init(BkCliSource *self, const BkConfigSource *source)
{
    *self = (BkCliSource){.source = source};
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
        .refresh_us = source->refresh_us,
        .checkpoint_us = source->checkpoint_us,
    };
}

void
bk_cli_source_clear(BkCliSource *self)
{
    bk_config_free(self->config);
    g_free(self->repositories);
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

bool
bk_cli_source_load(const BkArgs *args, const BkCliContext *context, BkCliSource *self,
                   GError **error)
{
    BkConfig *config = bk_config_load(context->config_path, error);
    const BkConfigSource *source;

    if (config == NULL)
        return false;
    source = find(config, bk_args_get_string(args, "source"), error);
    if (source != NULL)
        bk_cli_source_init(self, source);
    self->config = config;
    return source != NULL;
}

/* "METHOD" or "METHOD:LEVEL". */
static bool
override_compression(BkSourceSpec *spec, const char *text, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, ":", 2);
    int64_t level = spec->level;
    int method;

    if (!bk_value_parse_method(parts[0], &method, error) ||
        (parts[1] != NULL && !bk_value_parse_int(parts[1], 1, 19, &level, error)))
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

GPtrArray *
bk_cli_sources(const BkArgs *args, const BkConfig *config, GError **error)
{
    const char *name = bk_args_get_string(args, "source");
    g_autoptr(GPtrArray) sources = g_ptr_array_new();

    if (name != NULL) {
        const BkConfigSource *source = find(config, name, error);

        if (source == NULL)
            return NULL;
        g_ptr_array_add(sources, (void *)(uintptr_t)source);
        return g_steal_pointer(&sources);
    }
    for (guint i = 0; i < config->sources->len; i++)
        g_ptr_array_add(sources, g_ptr_array_index(config->sources, i));
    return g_steal_pointer(&sources);
}
