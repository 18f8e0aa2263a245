/* move-aside.c - makes room in a directory that cannot be renamed itself: a mount point, one whose
 * parent directory the user may not change, a tablespace's directory, pg_wal on a disk of its own.
 */
#include "engine/restore/move-aside.h"

#include "source/pg/cluster/data-dir-list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#ifndef STATX_ATTR_MOUNT_ROOT
#define STATX_ATTR_MOUNT_ROOT 0x00002000
#endif

bool
bk_aside_is_exempt(const char *name)
{
    return bk_data_dir_list_is_apart(name);
}

/* Older kernels do not tell; there another device tells, which a bind mount need not have. */
static bool
is_mount(int dir, const char *name)
{
    struct statx found = {0};
    struct stat above;

    if (statx(dir, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &found) < 0)
        return false;
    if ((found.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0)
        return (found.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
    return fstat(dir, &above) == 0 &&
           makedev(found.stx_dev_major, found.stx_dev_minor) != above.st_dev;
}

bool
bk_aside_is_inside(const char *path)
{
    g_autofree char *parent = g_path_get_dirname(path);
    g_autofree char *name = g_path_get_basename(path);
    g_auto(BkFd) dir = bk_fd_open(AT_FDCWD, parent, O_PATH | O_DIRECTORY, 0, NULL);

    return dir >= 0 &&
           (is_mount(dir, name) || faccessat(AT_FDCWD, parent, W_OK | X_OK, AT_EACCESS) < 0);
}

/* Names in the directory that count, "global" first. */
static GPtrArray *
list_moved_names(int dir, const char *path, GError **error)
{
    g_autoptr(GPtrArray) all = bk_dir_list(dir, path, error);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);

    if (all == NULL)
        return NULL;
    for (guint i = 0; i < all->len; i++) {
        const char *name = g_ptr_array_index(all, i);

        if (!bk_aside_is_exempt(name))
            g_ptr_array_insert(names, strcmp(name, "global") == 0 ? 0 : -1, g_strdup(name));
    }
    return g_steal_pointer(&names);
}

bool
bk_aside_check(const char *path, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_auto(BkFd) dir = bk_fd_open_dir(AT_FDCWD, path, &cause);
    g_autoptr(GPtrArray) names = NULL;

    if (dir < 0)
        return bk_error_is(cause, BK_ERROR_ABSENT) || bk_propagate(error, &cause);
    names = list_moved_names(dir, path, error);
    for (guint i = 0; names != NULL && i < names->len; i++)
        if (is_mount(dir, g_ptr_array_index(names, i)))
            return bk_throw(error, BK_ERROR_UNFIT,
                            "\"%s/%s\" is a mount point, which --replace cannot move aside: "
                            "unmount it, or use --delta",
                            path, (const char *)g_ptr_array_index(names, i));
    return names != NULL;
}

char *
bk_aside_stamp(int64_t now_us, unsigned attempt)
{
    time_t now = (time_t)(now_us / BK_USEC_PER_SEC);
    struct tm utc;
    char stamp[32] = "";

    if (gmtime_r(&now, &utc) != NULL)
        (void)strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &utc);
    return attempt == 1 ? g_strdup_printf("before-restore-%s", stamp)
                        : g_strdup_printf("before-restore-%s-%u", stamp, attempt);
}

/* Makes a new directory, whose name it returns: nothing is moved to where something is already. */
static char *
make_aside(int dir, const char *path, int64_t now_us, GError **error)
{
    for (unsigned attempt = 1;; attempt++) {
        g_autofree char *stamp = bk_aside_stamp(now_us, attempt);
        g_autofree char *aside = g_strdup_printf("backstay-%s", stamp);

        if (mkdirat(dir, aside, 0700) == 0)
            return g_steal_pointer(&aside);
        if (errno != EEXIST || attempt == BK_ASIDE_MAX_ATTEMPTS) {
            bk_throw_errno(error, "make \"%s/%s\"", path, aside);
            return NULL;
        }
    }
}

static bool
move_names(int dir, const char *path, const char *aside, const GPtrArray *names, GError **error)
{
    g_auto(BkFd) to = -1;

    to = bk_fd_open(dir, aside, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, error);
    if (to < 0)
        return false;
    for (guint i = 0; i < names->len; i++)
        if (renameat(dir, g_ptr_array_index(names, i), to, g_ptr_array_index(names, i)) < 0)
            return bk_throw_errno(error, "move \"%s/%s\" aside to \"%s/%s\"", path,
                                  (const char *)g_ptr_array_index(names, i), path, aside);
    return bk_fd_sync(to, error) && bk_fd_sync(dir, error);
}

bool
bk_aside_move(const char *path, const char *only, int64_t now_us, char **moved, GError **error)
{
    g_auto(BkFd) dir = bk_fd_open_dir(AT_FDCWD, path, error);
    g_autoptr(GPtrArray) names = dir >= 0 ? list_moved_names(dir, path, error) : NULL;
    g_autofree char *aside = NULL;

    *moved = NULL;
    if (names == NULL)
        return false;
    if (only != NULL) {
        g_ptr_array_set_size(names, 0);
        if (faccessat(dir, only, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            g_ptr_array_add(names, g_strdup(only));
    }
    if (names->len == 0)
        return true;
    aside = make_aside(dir, path, now_us, error);
    if (aside == NULL || !move_names(dir, path, aside, names, error))
        return false;
    *moved = g_build_filename(path, aside, NULL);
    return true;
}
