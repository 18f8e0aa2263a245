/* roots.c - whether the roots of a source can be walked, before any of them is. */
#include "source/files/roots.h"

#include "base/fd.h"
#include "source/files/file-system.h"
#include "source/files/files-meta.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

bool
bk_roots_is_below(const char *path, const char *above)
{
    size_t size = strlen(above);

    if (size == 0)
        return path[0] != 0;
    return strncmp(path, above, size) == 0 && path[size] == '/';
}

static int
compare_paths(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorting alone does not bring them together: "a-b" stands between "a" and "a/b". */
static bool
check_apart(const GPtrArray *roots, GError **error)
{
    for (guint i = 0; i < roots->len; i++)
        for (guint j = 0; j < roots->len; j++) {
            const char *root = g_ptr_array_index(roots, i);
            const char *other = g_ptr_array_index(roots, j);

            if (bk_roots_is_below(other, root))
                return bk_throw(error, BK_ERROR_CONFIG,
                                "root \"/%s\" lies below root \"/%s\": leave it out of \"roots\"",
                                other, root);
            if (i != j && strcmp(root, other) == 0)
                return bk_throw(error, BK_ERROR_CONFIG, "root \"/%s\" is there twice", root);
        }
    return true;
}

/* As deep as the system resolves a path at once: a root that is deeper is none that one writes. */
static bool
check_links(const char *path, GError **error)
{
    g_autofree char *resolved = g_malloc(PATH_MAX);

    if (realpath(path, resolved) == NULL)
        return bk_throw_errno(error, "find root \"%s\"", path);
    return strcmp(path, resolved) == 0 ||
           bk_throw(error, BK_ERROR_UNFIT,
                    "root \"%s\" leads over a symbolic link, and links are not followed: write "
                    "\"%s\" instead",
                    path, resolved);
}

static bool
check_root(const char *path, GError **error)
{
    BkFileSystem system;
    g_auto(BkFd) fd = -1;
    struct stat st;

    if (!check_links(path, error))
        return false;
    fd = bk_fd_open(AT_FDCWD, path, O_PATH | O_NOFOLLOW, 0, error);
    if (fd < 0)
        return false;
    if (fstat(fd, &st) < 0 || !bk_file_system_find(fd, &system))
        return bk_throw_errno(error, "stat root \"%s\"", path);
    if (system.special != NULL)
        return bk_throw(error, BK_ERROR_UNFIT,
                        "root \"%s\" is on a file system of kind %s, which has nothing to back up",
                        path, system.special);
    if (S_ISDIR(st.st_mode)) {
        g_autoptr(GPtrArray) names = bk_dir_list(fd, path, error);

        return names != NULL;
    }
    return true;
}

GPtrArray *
bk_roots_open(const GPtrArray *paths, GError **error)
{
    g_autoptr(GPtrArray) roots = g_ptr_array_new_with_free_func(g_free);
    size_t bytes = 0;

    if (paths->len == 0 || paths->len > BK_FILES_ROOTS_MAX)
        return bk_throw_null(error, BK_ERROR_CONFIG, "there must be 1 to %u roots and not %u",
                             BK_FILES_ROOTS_MAX, paths->len);
    for (guint i = 0; i < paths->len; i++) {
        const char *path = g_ptr_array_index(paths, i);
        g_autofree char *canonical = NULL;

        if (path[0] != '/')
            return bk_throw_null(error, BK_ERROR_CONFIG, "root \"%s\" is not an absolute path",
                                 path);
        canonical = g_canonicalize_filename(path, "/");
        g_ptr_array_add(roots, g_strdup(canonical + 1));
        bytes += strlen(canonical);
    }
    if (bytes > BK_FILES_TEXTS_MAX)
        return bk_throw_null(error, BK_ERROR_CONFIG, "the roots are longer than %zu bytes together",
                             BK_FILES_TEXTS_MAX);
    if (!check_apart(roots, error))
        return NULL;
    for (guint i = 0; i < roots->len; i++) {
        g_autofree char *path = g_strconcat("/", g_ptr_array_index(roots, i), NULL);

        if (!check_root(path, error))
            return NULL;
    }
    g_ptr_array_sort(roots, compare_paths);
    return g_steal_pointer(&roots);
}
