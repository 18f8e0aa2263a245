/* nesting.c - refuses a repository inside another one. */
#include "cli/nesting.h"

#include "engine/restore/destination.h"
#include "store/s3/s3.h"

#include <string.h>

#define IDENTITY  "backstay.json"
#define MAX_DEPTH 4
#define MAX_NAMES 10000 /* a repository has more, and they tell nothing */

/* Requests to a bucket. */
#define MAX_LISTINGS 64

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

static bool
throw_inside(const BkConfigRepository *config, const char *own, const char *around, GError **error)
{
    return bk_throw(error, BK_ERROR_UNFIT,
                    "repository \"%s\": \"%s\" is inside the repository in \"%s\": choose a "
                    "location outside of it",
                    config->name, own, around);
}

static bool
throw_around(const BkConfigRepository *config, const char *own, const char *inside, GError **error)
{
    return bk_throw(
        error, BK_ERROR_UNFIT,
        "repository \"%s\": \"%s\" contains another repository, \"%s\": choose another location",
        config->name, own, inside);
}

static bool
check_directory(const BkConfigRepository *config, GError **error)
{
    g_autofree char *path = bk_destination_resolve(config->path);
    g_autofree char *around = path != NULL ? find_around(path) : NULL;
    g_autofree char *inside = NULL;
    unsigned left = MAX_NAMES;

    if (around != NULL)
        return throw_inside(config, config->path, around, error);
    inside = path != NULL ? find_inside(path, MAX_DEPTH, &left) : NULL;
    return inside == NULL || throw_around(config, config->path, inside, error);
}

/* --- buckets ---------------------------------------------------------------------------------- */

static char *
describe_prefix(const BkS3Options *s3, const char *prefix)
{
    return g_strdup_printf("s3://%s%s%s", s3->bucket, prefix[0] != 0 ? "/" : "", prefix);
}

/* The nearest prefix above that is a repository: a new string in `*around`, or NULL. What the
 * credentials are not good for is passed by. */
static bool
find_prefix_around(const BkS3Options *s3, char **around, BkOp *op, GError **error)
{
    g_autofree char *prefix = g_strdup(s3->prefix);

    *around = NULL;
    while (prefix[0] != 0 && *around == NULL) {
        char *slash = strrchr(prefix, '/');
        BkS3Options above = *s3;
        const BkLocation place = {.s3 = &above};
        g_autoptr(GError) cause = NULL;
        bool found;

        *(slash != NULL ? slash : prefix) = 0;
        above.prefix = prefix;
        if (!bk_repository_is_at(&place, &found, op, &cause)) {
            if (!bk_error_is(cause, BK_ERROR_DENIED))
                return bk_propagate(error, &cause);
            found = false;
        }
        if (found)
            *around = describe_prefix(s3, prefix);
    }
    return true;
}

/* A look into a bucket, level by level. */
typedef struct Walk {
    GPtrArray *prefixes; /* of char *: to be listed, or listed already */
    unsigned names_left;
    bool found; /* below the prefix that is being listed, at no deeper level */
} Walk;

static bool
visit_entry(const BkStoreEntry *entry, void *data, GError **error)
{
    Walk *self = data;

    if (self->names_left == 0)
        return bk_throw(error, BK_ERROR_CANCELLED, "enough names");
    self->names_left--;
    if (g_str_has_suffix(entry->name, "/"))
        g_ptr_array_add(self->prefixes, g_strdup(entry->name));
    else if (strcmp(bk_store_base_name(entry->name), IDENTITY) == 0)
        self->found = true;
    return true;
}

static unsigned
count_levels(const char *prefix)
{
    unsigned levels = 0;

    for (; *prefix != 0; prefix++)
        levels += *prefix == '/';
    return levels;
}

/* A repository below the prefix, and not at it: a new string in `*inside`, or NULL. */
static bool
find_prefix_inside(const BkS3Options *s3, char **inside, BkOp *op, GError **error)
{
    g_autoptr(BkStore) store = bk_store_s3_open(s3, error);
    g_autoptr(GPtrArray) prefixes = g_ptr_array_new_with_free_func(g_free);
    Walk walk = {.prefixes = prefixes, .names_left = MAX_NAMES};

    *inside = NULL;
    if (store == NULL)
        return false;
    g_ptr_array_add(prefixes, g_strdup(""));
    for (guint i = 0; i < MIN(prefixes->len, MAX_LISTINGS) && walk.names_left > 0; i++) {
        const char *prefix = g_ptr_array_index(prefixes, i);
        g_autoptr(GError) cause = NULL;

        if (count_levels(prefix) > MAX_DEPTH)
            break; /* and so are all behind it */
        if (!bk_store_list_directory(store, prefix, visit_entry, &walk, op, &cause) &&
            walk.names_left > 0)
            return bk_propagate(error, &cause);
        if (!walk.found)
            continue;
        if (i > 0) { /* otherwise it is the repository itself, which is there already */
            g_autofree char *below =
                g_strconcat(s3->prefix, s3->prefix[0] != 0 ? "/" : "", prefix, NULL);

            below[strlen(below) - 1] = 0;
            *inside = describe_prefix(s3, below);
        }
        break;
    }
    return true;
}

static bool
check_bucket(const BkConfigRepository *config, const BkS3Options *s3, BkOp *op, GError **error)
{
    g_autofree char *own = describe_prefix(s3, s3->prefix);
    g_autofree char *around = NULL;
    g_autofree char *inside = NULL;

    if (!find_prefix_around(s3, &around, op, error))
        return false;
    if (around != NULL)
        return throw_inside(config, own, around, error);
    return find_prefix_inside(s3, &inside, op, error) &&
           (inside == NULL || throw_around(config, own, inside, error));
}

bool
bk_cli_nesting_check(const BkConfigRepository *config, const BkLocation *place, BkOp *op,
                     GError **error)
{
    return place->s3 != NULL ? check_bucket(config, place->s3, op, error)
                             : check_directory(config, error);
}
