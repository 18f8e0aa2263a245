/* start-config.c - the configuration with which a restored server will start, read before it is
 * restored. */
#include "source/pg/restore/start-config.h"

#include "repo/extract/extract.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAIN_FILE  "postgresql.conf"
#define FILES_MAX  256u
#define FILE_LIMIT (1 * BK_MIB)
#define TREE_DEPTH 16

static int
remove_config_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void
bk_start_config_clear(BkStartConfig *self)
{
    if (self->directory != NULL)
        (void)nftw(self->directory, remove_config_entry, TREE_DEPTH, FTW_DEPTH | FTW_PHYS);
    g_free(self->directory);
    g_free(self->file);
    *self = (BkStartConfig){0};
}

/* --- the snapshot's files ------------------------------------------------------------------- */

/* Files of settings may have any name, but those that others include end like this. */
static bool
is_config(const BkFile *file)
{
    return g_str_has_suffix(file->path, ".conf") &&
           ((file->kind == BK_FILE_REGULAR && file->size <= FILE_LIMIT) ||
            (file->kind == BK_FILE_SYMLINK && g_path_is_absolute(file->link)));
}

/* Root keeps what it makes: whoever the server runs as may read it, and nobody else. */
static bool
open_to_group(const BkStartConfigRequest *request, const char *path, mode_t mode, GError **error)
{
    gid_t group = request->process->groups != NULL ? request->process->gid : (gid_t)-1;

    return (lchown(path, (uid_t)-1, group) == 0 && chmod(path, mode) == 0) ||
           bk_throw_errno(error, "prepare \"%s\"", path);
}

static bool
make_config_directories(const BkStartConfigRequest *request, const char *top, const char *file,
                        GError **error)
{
    for (const char *slash = strchr(file, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        g_autofree char *path = g_strdup_printf("%s/%.*s", top, (int)(slash - file), file);

        if (mkdir(path, 0700) < 0 && errno != EEXIST)
            return bk_throw_errno(error, "create \"%s\"", path);
        if (!open_to_group(request, path, 0750, error))
            return false;
    }
    return true;
}

static bool
bring_file(const BkStartConfigRequest *request, const char *top, const BkFile *file, BkOp *op,
           GError **error)
{
    const BkExtractOptions options = {
        .source_repos = request->source_repos, .snapshot = request->snapshot, .workers = 1};
    g_autofree char *path = g_build_filename(top, file->path, NULL);
    g_auto(BkBuf) content = BK_BUF_INIT;

    if (!make_config_directories(request, top, file->path, error))
        return false;
    if (file->kind == BK_FILE_SYMLINK)
        return symlink(file->link, path) == 0 || bk_throw_errno(error, "create \"%s\"", path);
    return bk_extract_read(&options, file, FILE_LIMIT, &content, op, error) &&
           bk_file_write(AT_FDCWD, path, content.data, content.size, 0600, BK_FILE_NEW, error) &&
           open_to_group(request, path, 0640, error);
}

static bool
bring_files(const BkStartConfigRequest *request, BkStartConfig *self, BkOp *op, GError **error)
{
    unsigned brought = 0;
    size_t count;
    const BkFile *files = bk_snapshot_files(request->snapshot, &count);

    self->directory = g_dir_make_tmp("backstay-config-XXXXXX", NULL);
    if (self->directory == NULL)
        return bk_throw_errno(error, "create a temporary directory");
    if (!open_to_group(request, self->directory, 0750, error))
        return false;
    for (size_t i = 0; i < count && brought < FILES_MAX; i++) {
        if (!is_config(&files[i]))
            continue;
        brought++;
        if (!bring_file(request, self->directory, &files[i], op, error))
            return false;
    }
    return true;
}

/* --- finding it elsewhere ------------------------------------------------------------------- */

static int
compare_config_paths(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* One beside a data directory is of that directory's version. */
static bool
is_of_major(const char *path, unsigned major)
{
    g_autofree char *directory = g_path_get_dirname(path);
    g_autofree char *version = g_build_filename(directory, "PG_VERSION", NULL);
    g_autofree char *text = NULL;

    return !g_file_get_contents(version, &text, NULL, NULL) ||
           g_ascii_strtoull(text, NULL, 10) == major;
}

GPtrArray *
bk_start_config_candidates(const char *root, unsigned major, const char *but)
{
    g_autofree char *inside = g_strconcat(but, "/", NULL);
    g_autofree char *debian = g_strdup_printf("%s/etc/postgresql/%u/*/" MAIN_FILE, root, major);
    g_autofree char *pgdg = g_strdup_printf("%s/var/lib/pgsql/%u/data/" MAIN_FILE, root, major);
    g_autofree char *rhel = g_strdup_printf("%s/var/lib/pgsql/data/" MAIN_FILE, root);
    const char *const patterns[] = {debian, pgdg, rhel};
    GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);

    for (size_t i = 0; i < G_N_ELEMENTS(patterns); i++) {
        glob_t found = {0};

        if (glob(patterns[i], 0, NULL, &found) == 0)
            for (size_t j = 0; j < found.gl_pathc; j++)
                if (!g_str_has_prefix(found.gl_pathv[j], inside) &&
                    is_of_major(found.gl_pathv[j], major))
                    g_ptr_array_add(paths, g_strdup(found.gl_pathv[j]));
        globfree(&found);
    }
    g_ptr_array_sort(paths, compare_config_paths);
    return paths;
}

/* Was the file written for the source's directory or the destination? */
static bool
is_meant(const BkStartConfigRequest *request, const char *file)
{
    const BkStartConfig candidate = {.file = (char *)(uintptr_t)file};
    g_autofree char *directory =
        bk_start_config_get(&candidate, request->process, "data_directory", NULL);

    return directory != NULL && (g_strcmp0(directory, request->to) == 0 ||
                                 g_strcmp0(directory, request->old_data_dir) == 0);
}

static bool
throw_many(const BkStartConfigRequest *request, GPtrArray *candidates, GError **error)
{
    g_autofree char *list = NULL;

    if (candidates->len == 0)
        return bk_throw(error, BK_ERROR_UNFIT,
                        "the snapshot has no postgresql.conf, because the cluster had it outside "
                        "of its data directory, and the usual directories have none for PostgreSQL "
                        "%u: give it with --pg-config",
                        request->major);
    g_ptr_array_add(candidates, NULL);
    list = g_strjoinv(" or ", (char **)candidates->pdata);
    return bk_throw(error, BK_ERROR_UNFIT,
                    "the snapshot has no postgresql.conf, because the cluster had it outside of "
                    "its data directory: give it with --pg-config (%s)",
                    list);
}

static bool
find_elsewhere(const BkStartConfigRequest *request, BkStartConfig *self, GError **error)
{
    g_autoptr(GPtrArray) candidates = bk_start_config_candidates("", request->major, request->to);
    const char *chosen = candidates->len == 1 ? g_ptr_array_index(candidates, 0) : NULL;
    unsigned meant = 0;

    for (guint i = 0; i < candidates->len && candidates->len > 1; i++)
        if (is_meant(request, g_ptr_array_index(candidates, i)) && ++meant == 1)
            chosen = g_ptr_array_index(candidates, i);
    if (chosen == NULL || meant > 1)
        return throw_many(request, candidates, error);
    self->file = g_strdup(chosen);
    self->is_found = true;
    return true;
}

bool
bk_start_config_find(const BkStartConfigRequest *request, BkStartConfig *self, BkOp *op,
                     GError **error)
{
    *self = (BkStartConfig){0};
    if (!bring_files(request, self, op, error))
        return false;
    if (request->file == NULL)
        return bk_snapshot_find_file(request->snapshot, MAIN_FILE) != NULL ||
               find_elsewhere(request, self, error);
    if (!g_file_test(request->file, G_FILE_TEST_IS_REGULAR))
        return bk_throw(error, BK_ERROR_UNFIT, "--pg-config: there is no file \"%s\"",
                        request->file);
    self->file = g_canonicalize_filename(request->file, NULL);
    return true;
}

/* --- asking --------------------------------------------------------------------------------- */

char *
bk_start_config_get(const BkStartConfig *self, const BkServerProcess *process, const char *name,
                    GError **error)
{
    g_autofree char *file =
        self->file != NULL ? g_strconcat("config_file=", self->file, NULL) : NULL;
    g_autofree char *directory =
        self->directory != NULL ? g_strconcat("data_directory=", self->directory, NULL) : NULL;
    const char *argv[10] = {process->program, "-C", name}; /* first: root may ask, too */
    size_t count = 3;
    g_autofree char *out = NULL;

    if (self->file != NULL) {
        argv[count++] = "-c";
        argv[count++] = file;
    }
    /* What the file says of its directory is asked for without ours. */
    if (self->directory != NULL) {
        argv[count++] = "-c";
        argv[count++] = directory;
        argv[count++] = "-D";
        argv[count++] = self->directory;
    }
    g_assert(count < G_N_ELEMENTS(argv));
    if (!bk_server_process_ask(process, argv, &out, error)) {
        (void)bk_prefix(error, "the configuration%s%s cannot be used",
                        self->file != NULL ? " " : "", self->file != NULL ? self->file : "");
        return NULL;
    }
    return g_steal_pointer(&out);
}
