/* wal-directory.c - pg_wal on a disk of its own: a link in the data directory. */
#include "engine/restore/wal-directory.h"

#include "engine/restore/move-aside.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "pg_wal"

/* Where the link of the cluster at the destination leads, or NULL if that has none. */
static char *
read_current_link(const char *to)
{
    g_autofree char *link = g_build_filename(to, NAME, NULL);
    struct stat st;

    return lstat(link, &st) == 0 && S_ISLNK(st.st_mode) ? bk_destination_resolve(link) : NULL;
}

static bool
check_wal_directory(const BkRestoreRequest *request, const char *directory, const char *own,
                    GError **error)
{
    BkDestinationState state;

    if (bk_destination_overlaps(request->to, directory))
        return bk_throw(error, BK_ERROR_UNFIT,
                        "directory \"%s\" for pg_wal and destination \"%s\" must not contain each "
                        "other: choose another directory",
                        directory, request->to);
    if (own != NULL && strcmp(own, directory) == 0)
        return true;
    if (!bk_destination_inspect(directory, &state, error))
        return false;
    return state == BK_DESTINATION_NEW || state == BK_DESTINATION_EMPTY ||
           bk_throw(error, BK_ERROR_UNFIT,
                    "directory \"%s\" for pg_wal is not empty: choose another one with --wal-dir",
                    directory);
}

bool
bk_wal_directory_find(const BkRestoreRequest *request, BkDestinationState state, char **found,
                      GError **error)
{
    bool is_there = state == BK_DESTINATION_PART || state == BK_DESTINATION_DATA;
    g_autofree char *own = is_there ? read_current_link(request->to) : NULL;
    g_autofree char *wanted =
        request->wal_dir != NULL ? bk_destination_resolve(request->wal_dir) : g_strdup(own);

    *found = NULL;
    if (wanted == NULL)
        return true;
    if (is_there && request->delta && g_strcmp0(own, wanted) != 0)
        return bk_throw(error, BK_ERROR_UNFIT,
                        "--delta does not move pg_wal to \"%s\": use --replace, or omit --wal-dir",
                        wanted);
    if (!check_wal_directory(request, wanted, own, error))
        return false;
    *found = g_steal_pointer(&wanted);
    return true;
}

bool
bk_wal_directory_move_aside(const char *root, const char *directory, GError **error)
{
    g_autofree char *link = g_build_filename(root, NAME, NULL);
    g_autofree char *own = read_current_link(root);
    g_autofree char *moved = NULL;

    if (own == NULL || strcmp(own, directory) != 0 || access(directory, F_OK) < 0)
        return true;
    if (!bk_aside_move(directory, NULL, g_get_real_time(), &moved, error))
        return false;
    if (moved == NULL)
        return true;
    /* Led it there still, a server started on the old directory would write into the new one. */
    if (unlink(link) < 0 || symlink(moved, link) < 0)
        return bk_throw_errno(error, "lead the link \"%s\" to \"%s\"", link, moved);
    return bk_file_sync_parent(AT_FDCWD, link, error);
}

bool
bk_wal_directory_make(const char *directory, BkBeneath *place, const BkPathOwner *owner,
                      mode_t mode, GError **error)
{
    g_autoptr(BkIdentity) above = bk_owned_directory_find_above(directory, owner, error);
    BkPathOwner found_owner = *owner;
    BkDestinationState state;
    g_auto(BkFd) dir = -1;
    struct stat st;
    bool found;

    if (above == NULL || !bk_destination_inspect(directory, &state, error) ||
        !bk_beneath_stat(place, NAME, &st, &found, error))
        return false;
    dir = bk_owned_directory_open(directory, above,
                                  state == BK_DESTINATION_NEW || state == BK_DESTINATION_EMPTY,
                                  &found_owner, error);
    if (dir < 0)
        return false;
    if (state == BK_DESTINATION_NEW) {
        g_auto(BkIdentityScope) scope = bk_identity_enter(bk_beneath_identity(place));

        if (fchmod(dir, mode) < 0)
            return bk_throw_errno(error, "set the mode of \"%s\"", directory);
    }
    if (!found && !bk_beneath_symlink(place, NAME, directory, error))
        return false;
    bk_beneath_mount(place, NAME, bk_fd_steal(&dir));
    return true;
}
