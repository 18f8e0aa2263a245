/* tablespace-map.c - where the tablespaces of a restored cluster go. */
#include "engine/restore/tablespace-map.h"

#include "base/escape.h"
#include "base/fd.h"
#include "engine/restore/destination.h"
#include "engine/restore/move-aside.h"
#include "source/pg/format/relation-file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void
bk_tablespace_map_free(GArray *self)
{
    if (self == NULL)
        return;
    for (guint i = 0; i < self->len; i++)
        g_free(g_array_index(self, BkRestoreTablespace, i).to);
    g_array_unref(self);
}

static BkRestoreTablespace *
find_tablespace(GArray *self, const char *name)
{
    for (guint i = 0; i < self->len; i++) {
        BkRestoreTablespace *tablespace = &g_array_index(self, BkRestoreTablespace, i);

        if (strcmp(tablespace->name, name) == 0)
            return tablespace;
    }
    return NULL;
}

bool
bk_tablespace_map_check_words(const char *const *remaps, GError **error)
{
    for (size_t i = 0; remaps != NULL && remaps[i] != NULL; i++) {
        const char *equals = strchr(remaps[i], '=');

        if (equals == NULL || equals == remaps[i] || equals[1] == 0)
            return bk_throw(error, BK_ERROR_USAGE, "--tablespace: \"%s\" is not NAME=DIR",
                            remaps[i]);
    }
    return true;
}

/* Takes a word whose form was checked. */
static bool
remap_tablespace(GArray *self, const char *word, GError **error)
{
    const char *equals = strchr(word, '=');
    g_autofree char *name = g_strndup(word, (gsize)(equals - word));
    BkRestoreTablespace *tablespace = find_tablespace(self, name);

    if (tablespace == NULL)
        return bk_throw(error, BK_ERROR_USAGE,
                        "--tablespace: the snapshot has no tablespace \"%s\"", name);
    g_free(tablespace->to);
    tablespace->to = g_canonicalize_filename(equals + 1, NULL);
    return true;
}

static bool
check_tablespaces_apart(const GArray *self, const char *root, GError **error)
{
    g_autofree char *inside = g_strconcat(root, "/", NULL);

    for (guint i = 0; i < self->len; i++) {
        const BkRestoreTablespace *one = &g_array_index(self, BkRestoreTablespace, i);

        if (strcmp(one->to, root) == 0 || g_str_has_prefix(one->to, inside))
            return bk_throw(
                error, BK_ERROR_USAGE,
                "tablespace \"%s\" would be inside the data directory: use --tablespace "
                "%s=DIR",
                one->name, one->name);
        for (guint j = 0; j < i; j++)
            if (strcmp(one->to, g_array_index(self, BkRestoreTablespace, j).to) == 0)
                return bk_throw(error, BK_ERROR_USAGE,
                                "tablespaces \"%s\" and \"%s\" would share \"%s\"", one->name,
                                g_array_index(self, BkRestoreTablespace, j).name, one->to);
    }
    return true;
}

static bool
fill_tablespace_map(GArray *self, const BkPgMeta *meta, const char *const *remaps, const char *root,
                    GError **error)
{
    for (guint i = 0; i < meta->tablespaces->len; i++) {
        const BkPgTablespace *from = g_ptr_array_index(meta->tablespaces, i);
        BkRestoreTablespace tablespace = {from->oid, from->name, from->location,
                                          g_strdup(from->location)};

        g_array_append_val(self, tablespace);
    }
    if (!bk_tablespace_map_check_words(remaps, error))
        return false;
    for (size_t i = 0; remaps != NULL && remaps[i] != NULL; i++)
        if (!remap_tablespace(self, remaps[i], error))
            return false;
    return check_tablespaces_apart(self, root, error);
}

GArray *
bk_tablespace_map_new(const BkPgMeta *meta, const char *const *remaps, const char *root,
                      GError **error)
{
    GArray *self = g_array_new(FALSE, FALSE, sizeof(BkRestoreTablespace));

    if (fill_tablespace_map(self, meta, remaps, root, error))
        return self;
    bk_tablespace_map_free(self);
    return NULL;
}

/* Is `to` the place of this tablespace in the cluster that is at the destination now? */
static bool
is_own_tablespace(const BkRestoreTablespace *tablespace, const char *root)
{
    g_autofree char *link = g_strdup_printf("%s/pg_tblspc/%u", root, tablespace->oid);
    char target[4096];
    ssize_t size = readlink(link, target, sizeof target - 1);

    if (size < 0)
        return false;
    target[size] = 0;
    return strcmp(target, tablespace->to) == 0;
}

static bool
throw_not_empty(const BkRestoreTablespace *tablespace, GError **error)
{
    g_autofree char *quoted = bk_escape_argument(tablespace->name);

    return bk_throw(error, BK_ERROR_UNFIT,
                    "directory \"%s\" of tablespace \"%s\" is not empty: choose another directory "
                    "with --tablespace %s=DIR",
                    tablespace->to, tablespace->name, quoted);
}

/* The directory of the cluster within each directory of a tablespace. */
static char *
version_directory(const BkPgMeta *meta)
{
    return g_strdup_printf("PG_%u_%u", meta->version / 10000, meta->catalog_version);
}

/* Returns true if all that is there belongs to clusters of other versions, as far as is known. */
static bool
is_of_other_versions(const char *path, const char *version)
{
    g_autoptr(GError) ignored = NULL; /* a directory that cannot be read is not called free */
    g_auto(BkFd) fd = bk_fd_open_dir(AT_FDCWD, path, &ignored);
    g_autoptr(GPtrArray) names = fd >= 0 ? bk_dir_list(fd, path, &ignored) : NULL;

    for (guint i = 0; names != NULL && i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);

        if (!bk_aside_is_exempt(name) &&
            (!g_str_has_prefix(name, "PG_") || strcmp(name, version) == 0))
            return false;
    }
    return names != NULL;
}

bool
bk_tablespace_map_check(const GArray *self, const BkPgMeta *meta, const BkRestoreRequest *request,
                        GError **error)
{
    g_autofree char *version = version_directory(meta);

    for (guint i = 0; i < self->len; i++) {
        const BkRestoreTablespace *tablespace = &g_array_index(self, BkRestoreTablespace, i);
        BkDestinationState state;

        if (!bk_destination_inspect(tablespace->to, &state, error))
            return bk_prefix(error, "tablespace \"%s\"", tablespace->name);
        if (state == BK_DESTINATION_NEW || state == BK_DESTINATION_EMPTY ||
            is_of_other_versions(tablespace->to, version))
            continue;
        if ((request->delta || request->replace) && is_own_tablespace(tablespace, request->to))
            continue;
        return throw_not_empty(tablespace, error);
    }
    return true;
}

/* The old cluster's link follows its tablespace: led it to the place still, a server started on the
 * old directory would write into the restored tablespace. */
static bool
follow_moved_tablespace(const char *root, const BkRestoreTablespace *tablespace, const char *moved,
                        GError **error)
{
    g_autofree char *link = g_strdup_printf("%s/pg_tblspc/%u", root, tablespace->oid);

    if (unlink(link) < 0 || symlink(moved, link) < 0)
        return bk_throw_errno(error, "lead the link \"%s\" to \"%s\"", link, moved);
    return bk_file_sync_parent(AT_FDCWD, link, error);
}

bool
bk_tablespace_map_move_aside(const GArray *self, const BkPgMeta *meta, const char *root,
                             const BkIdentity *old, GError **error)
{
    g_auto(BkIdentityScope) scope = bk_identity_enter(old);
    g_autofree char *version = version_directory(meta);

    for (guint i = 0; i < self->len; i++) {
        const BkRestoreTablespace *tablespace = &g_array_index(self, BkRestoreTablespace, i);
        g_autofree char *moved = NULL;

        if (!is_own_tablespace(tablespace, root) || access(tablespace->to, F_OK) < 0)
            continue;
        if (!bk_aside_move(tablespace->to, version, g_get_real_time(), &moved, error) ||
            (moved != NULL && !follow_moved_tablespace(root, tablespace, moved, error)))
            return false;
    }
    return true;
}

static bool
make_one(const BkRestoreTablespace *tablespace, BkBeneath *place, const BkPathOwner *owner,
         mode_t mode, GError **error)
{
    g_autofree char *path = g_strdup_printf("pg_tblspc/%u", tablespace->oid);
    g_autoptr(BkIdentity) above = bk_owned_directory_find_above(tablespace->to, owner, error);
    BkDestinationState state;
    BkPathOwner found = *owner;
    g_auto(BkFd) dir = -1;

    if (above == NULL || !bk_destination_inspect(tablespace->to, &state, error))
        return false;
    dir = bk_owned_directory_open(tablespace->to, above,
                                  state == BK_DESTINATION_NEW || state == BK_DESTINATION_EMPTY,
                                  &found, error);
    if (dir < 0)
        return false;
    if (state == BK_DESTINATION_NEW) {
        g_auto(BkIdentityScope) scope = bk_identity_enter(bk_beneath_identity(place));

        if (fchmod(dir, mode) < 0)
            return bk_throw_errno(error, "set the mode of \"%s\"", tablespace->to);
    }
    bk_beneath_mount(place, path, bk_fd_steal(&dir));
    return true;
}

bool
bk_tablespace_map_make(const GArray *self, BkBeneath *place, const BkPathOwner *owner, mode_t mode,
                       GError **error)
{
    for (guint i = 0; i < self->len; i++) {
        const BkRestoreTablespace *tablespace = &g_array_index(self, BkRestoreTablespace, i);

        if (!make_one(tablespace, place, owner, mode, error))
            return bk_prefix(error, "tablespace \"%s\"", tablespace->name);
    }
    return true;
}

/* NULL for a link that is not that of a tablespace. */
static const char *
place_of_link(const GArray *self, const BkFile *file)
{
    uint32_t oid;

    if (!bk_tablespace_path_parse(file->path, &oid))
        return NULL;
    for (guint i = 0; i < self->len; i++) {
        const BkRestoreTablespace *tablespace = &g_array_index(self, BkRestoreTablespace, i);

        if (tablespace->oid == oid)
            return tablespace->to;
    }
    return NULL;
}

bool
bk_tablespace_map_check_links(const GArray *self, const BkSnapshot *snapshot, GError **error)
{
    size_t count;
    const BkFile *files = bk_snapshot_files(snapshot, &count);

    for (size_t i = 0; i < count; i++)
        if (files[i].kind == BK_FILE_SYMLINK && place_of_link(self, &files[i]) == NULL)
            return bk_throw(error, BK_ERROR_CORRUPT,
                            "the link \"%s\" does not belong to a tablespace of the cluster",
                            files[i].path);
    return true;
}

bool
bk_tablespace_map_link(const GArray *self, const BkBeneath *place, const BkFile *file,
                       GError **error)
{
    const char *to = place_of_link(self, file);

    g_assert(to != NULL);
    return bk_beneath_unlink(place, file->path, 0, error) &&
           bk_beneath_symlink(place, file->path, to, error);
}
