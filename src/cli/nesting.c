#include "cli/nesting.h"

#include "engine/destination.h"

#include <string.h>

#define IDENTITY  "backstay.json"
#define MAX_DEPTH 4
#define MAX_NAMES 10000 /* a repository has more, and they tell nothing */

static bool
is_repository(const char *path)
{
    g_autofree char *mark = g_build_filename(path, IDENTITY, NULL);

    return g_file_test(mark, G_FILE_TEST_EXISTS);
}

/* The nearest directory above that is a repository: a new string, or NULL. */
static char *
find_around(const char *path)
{
    g_autofree char *above = g_path_get_dirname(path);

    while (!is_repository(above)) {
        char *next = g_path_get_dirname(above);
        bool is_top = strcmp(next, above) == 0;

        g_free(above);
        above = next;
        if (is_top)
            return NULL;
    }
    return g_steal_pointer(&above);
}

/* A repository in `path`, not `path` itself: a new string, or NULL. What cannot be listed, and what
 * links lead to, is passed by. `left` is how many names may still be looked at. */
static char *
find_inside(const char *path, unsigned depth, unsigned *left)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL && *left > 0) {
        g_autofree char *entry = g_build_filename(path, name, NULL);
        char *found = NULL;

        --*left;
        if (g_file_test(entry, G_FILE_TEST_IS_SYMLINK) || !g_file_test(entry, G_FILE_TEST_IS_DIR))
            continue;
        if (is_repository(entry))
            return g_steal_pointer(&entry);
        if (depth > 1)
            found = find_inside(entry, depth - 1, left);
        if (found != NULL)
            return found;
    }
    return NULL;
}

bool
bk_cli_nesting_check(const BkConfigRepository *config, GError **error)
{
    g_autofree char *path = config->path != NULL ? bk_destination_resolve(config->path) : NULL;
    g_autofree char *around = path != NULL ? find_around(path) : NULL;
    g_autofree char *inside = NULL;
    unsigned left = MAX_NAMES;

    if (around != NULL)
        return bk_throw(error, BK_ERROR_UNFIT,
                        "repository \"%s\": \"%s\" is inside the repository in \"%s\": put it "
                        "beside that",
                        config->name, config->path, around);
    inside = path != NULL ? find_inside(path, MAX_DEPTH, &left) : NULL;
    return inside == NULL || bk_throw(error, BK_ERROR_UNFIT,
                                      "repository \"%s\": in \"%s\" is another repository, \"%s\": "
                                      "put it beside that",
                                      config->name, config->path, inside);
}
