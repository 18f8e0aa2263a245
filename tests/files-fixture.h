/* files-fixture.h - a tree of files for one test, and what a walk tells of it.
 *
 * Threads: belongs to one thread. */
#pragma once
#include "source/files/roots.h"
#include "source/files/walk.h"
#include "temp-dir.h"

#include <string.h>
#include <unistd.h>

typedef struct FilesTree {
    char *root; /* absolute */
    GPtrArray *roots;
    BkPatterns *patterns;
    BkFilesMeta meta;
    GPtrArray *told;  /* "KIND PATH" of each entry, with " > LINK"; paths below the root */
    GPtrArray *paths; /* full */
    bool one_file_system;
    size_t link_memory;
    BkOp *op;
} FilesTree;

static inline void
files_tree_set_up(FilesTree *self, const void *data)
{
    (void)data;
    self->root = temp_dir_new();
    self->roots = g_ptr_array_new_with_free_func(g_free);
    self->patterns = bk_patterns_new();
    self->told = g_ptr_array_new_with_free_func(g_free);
    self->paths = g_ptr_array_new_with_free_func(g_free);
    self->op = bk_op_new(NULL);
    bk_files_meta_init(&self->meta);
}

static inline void
files_tree_tear_down(FilesTree *self, const void *data)
{
    (void)data;
    bk_files_meta_clear(&self->meta);
    bk_op_free(self->op);
    g_ptr_array_unref(self->paths);
    g_ptr_array_unref(self->told);
    bk_patterns_free(self->patterns);
    g_ptr_array_unref(self->roots);
    temp_dir_free(self->root);
}

#define FILES_TREE_TEST(name, function)                                                            \
    g_test_add(name, FilesTree, NULL, files_tree_set_up, function, files_tree_tear_down)

/* A new string. */
static inline char *
files_tree_path(const FilesTree *self, const char *path)
{
    return path[0] != 0 ? g_build_filename(self->root, path, NULL) : g_strdup(self->root);
}

/* Makes files, and directories of those that end with a slash. */
static inline void
files_tree_make(const FilesTree *self, const char *names)
{
    g_auto(GStrv) each = g_strsplit(names, " ", -1);

    for (char **name = each; *name != NULL; name++) {
        g_autofree char *path = files_tree_path(self, *name);

        if (g_str_has_suffix(path, "/"))
            g_assert_cmpint(mkdir(path, 0755), ==, 0);
        else
            g_assert_true(g_file_set_contents(path, *name, -1, NULL));
    }
}

static inline bool
files_tree_tell(void *data, const BkFilesEntry *entry, GError **error)
{
    static const char kinds[] = "?fdlhpcb";
    FilesTree *self = data;
    size_t size = strlen(self->root) - 1;
    const char *path = entry->path;
    const char *link = entry->link;

    (void)error;
    g_ptr_array_add(self->paths, g_strdup(path));
    if (entry->is_above)
        return true;
    if (strncmp(path, self->root + 1, size) == 0)
        path += size + (path[size] == '/' ? 1 : 0);
    if (strncmp(link, self->root + 1, size) == 0)
        link += size + 1;
    g_ptr_array_add(self->told, g_strdup_printf("%c %s%s%s", kinds[entry->kind], path,
                                                link[0] != 0 ? " > " : "", link));
    return true;
}

static inline bool
files_tree_walk(FilesTree *self, GError **error)
{
    g_autoptr(GPtrArray) paths = g_ptr_array_new();
    g_autoptr(GPtrArray) roots = NULL;
    BkWalkOptions options = {.patterns = self->patterns,
                             .one_file_system = self->one_file_system,
                             .link_memory = self->link_memory};

    for (guint i = 0; i < self->roots->len; i++)
        g_ptr_array_add(paths, g_ptr_array_index(self->roots, i));
    if (paths->len == 0)
        g_ptr_array_add(paths, self->root);
    roots = bk_roots_open(paths, error);
    options.roots = roots;
    return roots != NULL &&
           bk_walk_run(&options, &self->meta, files_tree_tell, self, self->op, error);
}

/* The entries told of, one behind the other with ", " between. A new string. */
static inline char *
files_tree_told(const FilesTree *self)
{
    GString *all = g_string_new(NULL);

    for (guint i = 0; i < self->told->len; i++)
        g_string_append_printf(all, "%s%s", i > 0 ? ", " : "",
                               (const char *)g_ptr_array_index(self->told, i));
    return g_string_free(all, FALSE);
}
