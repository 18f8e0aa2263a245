/* config.c - the configuration file, checked: what to back up, and where to. */
#include "config/config.h"

#include "base/escape.h"
#include "base/fd.h"
#include "config/check.h"
#include "config/config-take.h"
#include "config/value.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MAX_FILE_SIZE           BK_MIB
#define DEFAULT_CHECKPOINT_US   (INT64_C(5) * 60 * BK_USEC_PER_SEC)
#define DEFAULT_PUSH_TIMEOUT_US (INT64_C(10) * BK_USEC_PER_SEC)
#define MAX_DEFAULT_WORKERS     8

static void
repository_free(void *data)
{
    BkConfigRepository *self = data;

    g_free(self->name);
    g_free(self->path);
    bk_config_s3_free(self->s3);
    g_free(self->key_file);
    g_free(self);
}

static void
source_free(void *data)
{
    BkConfigSource *self = data;

    g_free(self->name);
    g_free(self->pg.connection);
    g_free(self->pg.data);
    bk_config_files_free(self->files);
    g_ptr_array_unref(self->to);
    g_ptr_array_unref(self->best_effort);
    g_free(self->schedule_backup);
    g_free(self);
}

void
bk_config_free(BkConfig *self)
{
    if (self == NULL)
        return;
    g_free(self->path);
    g_free(self->state_dir);
    g_ptr_array_unref(self->sources);
    g_ptr_array_unref(self->repositories);
    g_free(self);
}

const BkConfigSource *
bk_config_find_source(const BkConfig *self, const char *name)
{
    for (unsigned i = 0; i < self->sources->len; i++) {
        const BkConfigSource *source = g_ptr_array_index(self->sources, i);

        if (strcmp(source->name, name) == 0)
            return source;
    }
    return NULL;
}

const BkConfigRepository *
bk_config_find_repository(const BkConfig *self, const char *name)
{
    for (unsigned i = 0; i < self->repositories->len; i++) {
        const BkConfigRepository *repository = g_ptr_array_index(self->repositories, i);

        if (strcmp(repository->name, name) == 0)
            return repository;
    }
    return NULL;
}

/* A repository is in a directory or in a bucket. */
static bool
take_repository_map(BkConfig *config, const BkNode *node, GError **error)
{
    const BkNode *s3 = bk_node_find(node, "s3");
    BkConfigRepository *self = g_new0(BkConfigRepository, 1);

    g_ptr_array_add(config->repositories, self);
    self->name = g_strdup(node->key);
    self->path = bk_take_path(node, "path");
    self->key_file = bk_take_path(node, "key_file");
    if ((self->path != NULL) == (s3 != NULL))
        return bk_throw(error, BK_ERROR_CONFIG, "%s:%zu: repositories.%s: %s", config->path,
                        node->key_line, node->key,
                        s3 != NULL ? "has both \"path\" and \"s3\": only one is allowed"
                                   : "\"path\" or \"s3\" is missing");
    if (s3 != NULL)
        self->s3 = bk_config_s3_take(s3, config->path, node->key, error);
    self->location = (BkLocation){self->path, self->s3 != NULL ? &self->s3->options : NULL};
    return s3 == NULL || self->s3 != NULL;
}

static bool
take_destinations(const BkConfig *config, BkConfigSource *source, const BkNode *node,
                  GError **error)
{
    const BkNode *to = bk_node_find(node, "to");

    for (unsigned i = 0; i < to->children->len; i++) {
        const BkNode *name = g_ptr_array_index(to->children, i);
        const BkConfigRepository *repository = bk_config_find_repository(config, name->text);

        if (repository == NULL)
            return bk_throw(error, BK_ERROR_CONFIG,
                            "%s:%zu: sources.%s.to: there is no repository \"%s\"", config->path,
                            name->line, source->name, name->text);
        g_ptr_array_add(source->to, (void *)(uintptr_t)repository);
    }
    return true;
}

static bool
take_best_effort_key(const BkConfig *config, BkConfigSource *source, const BkNode *node,
                     GError **error)
{
    const BkNode *names = bk_node_find(node, "best_effort");

    if (names == NULL)
        return true;
    for (unsigned i = 0; i < names->children->len; i++) {
        const BkNode *name = g_ptr_array_index(names->children, i);
        const BkConfigRepository *repository = bk_config_find_repository(config, name->text);

        if (repository == NULL || !g_ptr_array_find(source->to, repository, NULL))
            return bk_throw(error, BK_ERROR_CONFIG,
                            "%s:%zu: sources.%s.best_effort: \"%s\" is not one of those in \"to\"",
                            config->path, name->line, source->name, name->text);
        g_ptr_array_add(source->best_effort, (void *)(uintptr_t)repository);
    }
    return source->best_effort->len < source->to->len ||
           bk_throw(error, BK_ERROR_CONFIG,
                    "%s:%zu: sources.%s.best_effort: names all of \"to\": at least one must be "
                    "required",
                    config->path, names->line, source->name);
}

static void
take_keep(BkConfigKeep *keep, const BkNode *node)
{
    keep->is_set = node != NULL && node->children->len > 0;
    keep->last = bk_take_int(node, "last", 0);
    keep->daily = bk_take_int(node, "daily", 0);
    keep->weekly = bk_take_int(node, "weekly", 0);
    keep->monthly = bk_take_int(node, "monthly", 0);
    keep->yearly = bk_take_int(node, "yearly", 0);
    keep->wal_us = bk_take_duration(node, "wal");
}

static unsigned
default_workers(void)
{
    return CLAMP(g_get_num_processors(), 1, MAX_DEFAULT_WORKERS);
}

static bool
take_compress(const BkConfig *config, BkConfigSource *source, const BkNode *node, GError **error)
{
    g_autofree char *method = bk_take_text(node, "method");
    const BkNode *level = bk_node_find(node, "level");
    bool ok =
        bk_value_parse_method(method != NULL ? method : "zstd", &source->compress.method, NULL);

    g_assert(ok);
    source->compress.level = (int)bk_take_int(node, "level", 1);
    if (level == NULL || method == NULL || strcmp(method, "zstd") == 0)
        return true;
    return bk_throw(error, BK_ERROR_CONFIG,
                    "%s:%zu: sources.%s.compress.level: \"%s\" has no levels", config->path,
                    level->line, source->name, method);
}

/* A source is of one kind. */
static bool
take_kind(const BkConfig *config, BkConfigSource *source, const BkNode *node, GError **error)
{
    const BkNode *pg = bk_node_find(node, "postgres");
    const BkNode *files = bk_node_find(node, "files");

    if ((pg != NULL) == (files != NULL))
        return bk_throw(error, BK_ERROR_CONFIG, "%s:%zu: sources.%s: %s", config->path,
                        node->key_line, source->name,
                        pg != NULL ? "has both \"postgres\" and \"files\": it is of one kind"
                                   : "\"postgres\" or \"files\" is missing");
    source->kind = pg != NULL ? BK_SOURCE_POSTGRES : BK_SOURCE_FILES;
    source->pg.connection = bk_take_text(pg, "connection");
    source->pg.data = bk_take_path(pg, "data");
    if (files != NULL)
        source->files = bk_config_files_take(files);
    return true;
}

static bool
take_source_map(BkConfig *config, const BkNode *node, GError **error)
{
    const BkNode *objectives = bk_node_find(node, "objectives");
    BkConfigSource *source = g_new0(BkConfigSource, 1);

    source->to = g_ptr_array_new();
    source->best_effort = g_ptr_array_new();
    g_ptr_array_add(config->sources, source);
    source->name = g_strdup(node->key);
    source->state_dir = config->state_dir;
    source->schedule_backup = bk_take_text(bk_node_find(node, "schedule"), "backup");
    take_keep(&source->keep, bk_node_find(node, "keep"));
    source->objectives.rpo_us = bk_take_duration(objectives, "rpo");
    source->objectives.rto_us = bk_take_duration(objectives, "rto");
    source->workers = (unsigned)bk_take_int(node, "workers", default_workers());
    source->max_rate = bk_take_size(node, "max_rate");
    source->repack_after_us = bk_take_duration(node, "repack_after");
    source->resume_interval_us = bk_take_duration(node, "resume_interval");
    if (source->resume_interval_us == 0)
        source->resume_interval_us = DEFAULT_CHECKPOINT_US;
    source->push_timeout_us = bk_take_duration(node, "push_timeout");
    if (source->push_timeout_us == 0)
        source->push_timeout_us = DEFAULT_PUSH_TIMEOUT_US;
    return take_kind(config, source, node, error) &&
           take_compress(config, source, bk_node_find(node, "compress"), error) &&
           take_destinations(config, source, node, error) &&
           take_best_effort_key(config, source, node, error);
}

static char *
describe_place(const BkConfigRepository *repository)
{
    return repository->s3 != NULL ? bk_config_s3_describe(&repository->s3->options)
                                  : g_strdup(repository->path);
}

/* Two repositories in one place would each take the other's for its own. */
static bool
check_distinct(const BkConfig *config, const BkNode *repositories, GError **error)
{
    for (unsigned i = 0; i < config->repositories->len; i++)
        for (unsigned j = 0; j < i; j++) {
            const BkConfigRepository *one = g_ptr_array_index(config->repositories, j);
            const BkConfigRepository *two = g_ptr_array_index(config->repositories, i);
            g_autofree char *one_place = describe_place(one);
            g_autofree char *two_place = describe_place(two);
            const char *key = two->s3 != NULL ? "s3" : "path";

            if (strcmp(one_place, two_place) == 0)
                return bk_throw(error, BK_ERROR_CONFIG,
                                "%s:%zu: repositories.%s.%s: is also used by \"%s\"", config->path,
                                bk_node_find(bk_node_find(repositories, two->name), key)->line,
                                two->name, key, one->name);
        }
    return true;
}

static bool
take_tree(BkConfig *config, const BkNode *root, GError **error)
{
    const BkNode *repositories = bk_node_find(root, "repositories");
    const BkNode *sources = bk_node_find(root, "sources");

    config->state_dir = bk_take_path(root, "state_dir");
    if (repositories->children->len == 0)
        return bk_throw(error, BK_ERROR_CONFIG, "%s:%zu: repositories: is empty", config->path,
                        repositories->line);
    for (unsigned i = 0; i < repositories->children->len; i++)
        if (!take_repository_map(config, g_ptr_array_index(repositories->children, i), error))
            return false;
    if (!check_distinct(config, repositories, error))
        return false;
    for (unsigned i = 0; sources != NULL && i < sources->children->len; i++)
        if (!take_source_map(config, g_ptr_array_index(sources->children, i), error))
            return false;
    return true;
}

const BkConfigSource *
bk_config_add_source(BkConfig *self, const char *name)
{
    BkConfigSource *source = g_new0(BkConfigSource, 1);

    source->name = g_strdup(name);
    source->state_dir = self->state_dir;
    source->kind = BK_SOURCE_POSTGRES;
    source->to = g_ptr_array_new();
    source->best_effort = g_ptr_array_new();
    source->workers = default_workers();
    source->compress.method = 1;
    source->compress.level = 1;
    source->resume_interval_us = DEFAULT_CHECKPOINT_US;
    source->push_timeout_us = DEFAULT_PUSH_TIMEOUT_US;
    for (unsigned i = 0; i < self->repositories->len; i++)
        g_ptr_array_add(source->to, g_ptr_array_index(self->repositories, i));
    g_ptr_array_add(self->sources, source);
    return source;
}

static BkConfig *
parse_config(const BkBuf *content, const char *path, GError **error)
{
    g_autoptr(BkNode) root = bk_node_parse(content, path, error);
    g_autoptr(BkConfig) config = NULL;

    if (root == NULL || !bk_check_tree(root, path, error))
        return NULL;
    config = g_new0(BkConfig, 1);
    config->path = g_strdup(path);
    config->repositories = g_ptr_array_new_with_free_func(repository_free);
    config->sources = g_ptr_array_new_with_free_func(source_free);
    return take_tree(config, root, error) ? g_steal_pointer(&config) : NULL;
}

BkConfig *
bk_config_parse(const void *data, size_t size, const char *path, GError **error)
{
    g_auto(BkBuf) content = BK_BUF_INIT;

    if (size > MAX_FILE_SIZE)
        return bk_throw_null(error, BK_ERROR_CONFIG, "\"%s\" is larger than %zu bytes", path,
                             MAX_FILE_SIZE);
    bk_buf_append(&content, data, size);
    return parse_config(&content, path, error);
}

static bool
throw_readable(const char *path, GError **error)
{
    g_autofree char *quoted = bk_escape_argument(path);

    return bk_throw(error, BK_ERROR_CONFIG, "\"%s\" can be read by others: chmod 600 %s", path,
                    quoted);
}

/* Reads through one descriptor what was checked through it: the name may come to mean another file
 * in between. */
static bool
read_private_file(const char *path, BkBuf *content, GError **error)
{
    /* Not blocking: opening a pipe must not wait for its writer. */
    g_auto(BkFd) fd = bk_fd_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK, 0, error);
    struct stat st;
    size_t got;

    if (fd < 0)
        return false;
    if (fstat(fd, &st) < 0)
        return bk_throw_errno(error, "stat \"%s\"", path);
    if (!S_ISREG(st.st_mode))
        return bk_throw(error, BK_ERROR_CONFIG, "\"%s\" is not a regular file", path);
    if ((st.st_mode & 077) != 0)
        return throw_readable(path, error);
    if (!bk_buf_reserve(content, MAX_FILE_SIZE + 1, error))
        return false;
    if (!bk_fd_pread(fd, content->data, MAX_FILE_SIZE + 1, 0, &got, error))
        return bk_prefix(error, "\"%s\"", path);
    content->size = got;
    return got <= MAX_FILE_SIZE ||
           bk_throw(error, BK_ERROR_CONFIG, "\"%s\" is larger than %zu bytes", path, MAX_FILE_SIZE);
}

BkConfig *
bk_config_load(const char *path, GError **error)
{
    g_autofree char *absolute = g_canonicalize_filename(path, NULL);
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_autoptr(GError) cause = NULL;

    if (!read_private_file(absolute, &content, &cause)) {
        const char *what = bk_error_is(cause, BK_ERROR_CONFIG) ? "" : "configuration: ";

        return bk_throw_null(error, BK_ERROR_CONFIG, "%s%s", what, cause->message);
    }
    return parse_config(&content, absolute, error);
}
