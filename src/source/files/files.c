/* files.c - from the configuration of a source to a walk, and from a snapshot's meta to a restore.
 */
#include "source/files/files.h"

#include "source/files/roots.h"

#include <fcntl.h>

static bool
add_patterns(BkPatterns *patterns, const BkFilesOptions *options, GError **error)
{
    for (guint i = 0; options->exclude != NULL && i < options->exclude->len; i++)
        if (!bk_patterns_exclude(patterns, g_ptr_array_index(options->exclude, i), error))
            return false;
    for (guint i = 0; options->include != NULL && i < options->include->len; i++)
        if (!bk_patterns_include(patterns, g_ptr_array_index(options->include, i), error))
            return false;
    return true;
}

bool
bk_files_scan(const BkFilesOptions *options, BkFilesMeta *meta, BkWalkVisit visit, void *data,
              BkOp *op, GError **error)
{
    g_autoptr(BkPatterns) patterns = bk_patterns_new();
    g_autoptr(GPtrArray) roots = NULL;
    BkWalkOptions walk = {.patterns = patterns, .one_file_system = options->one_file_system};

    if (!add_patterns(patterns, options, error))
        return false;
    roots = bk_roots_open(options->roots, error);
    walk.roots = roots;
    return roots != NULL && bk_walk_run(&walk, meta, visit, data, op, error);
}

BkBeneath *
bk_files_open_place(const char *directory, GError **error)
{
    BkFd fd = bk_fd_open_dir(AT_FDCWD, directory, error);

    return fd >= 0 ? bk_beneath_new(fd, NULL) : NULL;
}

GPtrArray *
bk_files_list_roots(const BkFilesMeta *meta, GError **error)
{
    g_autoptr(GPtrArray) roots = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < meta->roots->len; i++) {
        const BkFilesRoot *root = g_ptr_array_index(meta->roots, i);

        if (root->path[0] != '/')
            return bk_throw_null(error, BK_ERROR_CORRUPT,
                                 "root \"%s\" of the snapshot is not an absolute path", root->path);
        g_ptr_array_add(roots, g_strdup(root->path + 1));
    }
    return g_steal_pointer(&roots);
}
