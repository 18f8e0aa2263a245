/* destination.c - the destination of a restore: its state, and preparing it. */
#include "engine/restore/destination.h"

#include "base/fd.h"
#include "engine/restore/move-aside.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_LINKS 40 /* as the kernel's */

/* Does a server run in the directory? Its lock file begins with its process number, negated by a
 * single-user server. */
static bool
check_no_server(int dir, const char *path, GError **error)
{
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_autoptr(GError) cause = NULL;
    g_auto(BkFd) fd = -1;
    gint64 pid;

    /* Neither a link nor a pipe in its place may lead root elsewhere, or hold it up. */
    fd = bk_fd_open(dir, "postmaster.pid", O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, &cause);
    if (fd < 0 && bk_error_is(cause, BK_ERROR_ABSENT))
        return true;
    if (fd < 0 || !bk_fd_read_all(fd, "postmaster.pid", 64 * BK_KIB, &content, &cause))
        return bk_propagate(error, &cause);
    pid = g_ascii_strtoll((const char *)content.data, NULL, 10);
    pid = CLAMP(pid, -(gint64)INT32_MAX, (gint64)INT32_MAX);
    pid = ABS(pid);
    if (pid == 0 || (kill((pid_t)pid, 0) < 0 && errno == ESRCH))
        return true; /* left over from a crash */
    return bk_throw(error, BK_ERROR_UNFIT,
                    "a server (process %" G_GINT64_FORMAT
                    ") is running in \"%s\": stop it, or restore to another directory",
                    pid, path);
}

bool
bk_destination_has_server(const char *path)
{
    g_auto(BkFd) dir = bk_fd_open_dir(AT_FDCWD, path, NULL);

    return dir >= 0 && !check_no_server(dir, path, NULL);
}

static bool
has_entry(int dir, const char *name)
{
    struct stat st;

    return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool
is_empty_directory(int dir, const char *path, bool *empty, GError **error)
{
    g_autoptr(GPtrArray) names = bk_dir_list(dir, path, error);

    *empty = true;
    for (guint i = 0; names != NULL && *empty && i < names->len; i++)
        *empty = bk_aside_is_exempt(g_ptr_array_index(names, i));
    return names != NULL;
}

/* The nearest directory above that exists must take a new name. */
static bool
check_parent(const char *path, GError **error)
{
    g_autofree char *parent = g_path_get_dirname(path);

    while (access(parent, F_OK) < 0 && errno == ENOENT && strcmp(parent, "/") != 0) {
        char *above = g_path_get_dirname(parent);

        g_free(parent);
        parent = above;
    }
    return access(parent, W_OK | X_OK) == 0 ||
           bk_throw_errno(error, "cannot create \"%s\" in \"%s\"", path, parent);
}

bool
bk_destination_inspect(const char *path, BkDestinationState *state, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_auto(BkFd) dir = bk_fd_open_dir(AT_FDCWD, path, &cause);
    bool empty;

    *state = BK_DESTINATION_NEW;
    if (dir < 0 && bk_error_is(cause, BK_ERROR_ABSENT))
        return check_parent(path, error);
    if (dir < 0) {
        g_propagate_prefixed_error(error, g_steal_pointer(&cause), "destination \"%s\": ", path);
        return false;
    }
    if (!check_no_server(dir, path, error) || !is_empty_directory(dir, path, &empty, error))
        return false;
    if (access(path, W_OK | X_OK) < 0)
        return bk_throw_errno(error, "destination \"%s\" cannot be written", path);
    if (empty)
        *state = BK_DESTINATION_EMPTY;
    else if (has_entry(dir, BK_DESTINATION_MARK))
        *state = BK_DESTINATION_PART;
    else if (has_entry(dir, "PG_VERSION"))
        *state = BK_DESTINATION_DATA;
    else
        *state = BK_DESTINATION_OTHER;
    return true;
}

static char *
resolve_links(const char *path, unsigned links)
{
    g_autofree char *resolved = realpath(path, NULL);
    g_autofree char *target = resolved == NULL ? g_file_read_link(path, NULL) : NULL;
    g_autofree char *parent = g_path_get_dirname(path);
    g_autofree char *base = NULL;
    g_autofree char *above = NULL;

    if (resolved != NULL)
        return g_strdup(resolved);
    if (strcmp(parent, path) == 0 || strcmp(parent, ".") == 0 || links > MAX_LINKS)
        return g_strdup(path);
    if (target != NULL) {
        g_autofree char *full = g_canonicalize_filename(target, parent);

        return resolve_links(full, links + 1);
    }
    base = g_path_get_basename(path);
    above = resolve_links(parent, links);
    return g_build_filename(above, base, NULL);
}

char *
bk_destination_resolve(const char *path)
{
    return resolve_links(path, 0);
}

static bool
is_below(const char *path, const char *directory)
{
    size_t size = strlen(directory);

    while (size > 0 && directory[size - 1] == '/')
        size--;
    return strncmp(path, directory, size) == 0 && (path[size] == '/' || path[size] == 0);
}

bool
bk_destination_overlaps(const char *path, const char *other)
{
    g_autofree char *one = bk_destination_resolve(path);
    g_autofree char *two = bk_destination_resolve(other);

    return is_below(one, two) || is_below(two, one);
}

bool
bk_destination_is_same(const char *path, const char *other)
{
    g_autofree char *one = bk_destination_resolve(path);
    g_autofree char *two = bk_destination_resolve(other);

    return strcmp(one, two) == 0;
}

const char *
bk_destination_describe(BkDestinationState state)
{
    switch (state) {
    case BK_DESTINATION_NEW:
        return "is new";
    case BK_DESTINATION_EMPTY:
        return "is empty";
    case BK_DESTINATION_PART:
        return "contains an incomplete restore";
    case BK_DESTINATION_DATA:
        return "contains a data directory";
    case BK_DESTINATION_OTHER:
        break;
    }
    return "contains files that are not a data directory";
}

/* Renames and replaces nothing. NFS and others cannot do both in one step (EINVAL): there it is
 * looked first, which leaves a moment in which somebody may create the name. Even then rename(2)
 * puts a directory in the place of nothing but an empty directory. */
static bool
rename_to_new(const char *path, const char *to)
{
    struct stat st;

    if (renameat2(AT_FDCWD, path, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return true;
    if (errno != EINVAL && errno != ENOSYS)
        return false;
    if (lstat(to, &st) == 0)
        errno = EEXIST;
    return errno == ENOENT && rename(path, to) == 0;
}

bool
bk_destination_move_aside(const char *path, int64_t now_us, char **moved, GError **error)
{
    for (unsigned attempt = 1;; attempt++) {
        g_autofree char *stamp = bk_aside_stamp(now_us, attempt);
        g_autofree char *to = g_strdup_printf("%s.%s", path, stamp);

        if (rename_to_new(path, to)) {
            *moved = g_steal_pointer(&to);
            return bk_file_sync_parent(AT_FDCWD, path, error);
        }
        if (errno != EEXIST || attempt == BK_ASIDE_MAX_ATTEMPTS)
            return bk_throw_errno(error, "move \"%s\" aside to \"%s\"", path, to);
    }
}

typedef struct Sweep {
    const BkBeneath *place;
    uid_t owner;        /* of the files */
    GHashTable *wanted; /* path → const BkFile * */
    BkOp *op;
} Sweep;

static bool sweep_directory(const Sweep *sweep, int dir, const char *path, bool keep_wanted,
                            GError **error);

/* Opens a directory of the destination; a link is not followed. */
static bool
enter_destination_directory(const Sweep *sweep, int dir, const char *name, const char *path,
                            bool keep_wanted, GError **error)
{
    g_auto(BkFd) fd = bk_fd_open(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, error);

    if (fd >= 0)
        return sweep_directory(sweep, fd, path, keep_wanted, error);
    return bk_prefix(error, "\"%s\"", path);
}

/* Enters what is mounted at a link; elsewhere a link is none of the destination's directories. */
static bool
enter_mounted(const Sweep *sweep, const char *path, GError **error)
{
    int mounted = bk_beneath_mounted(sweep->place, path);

    return mounted < 0 || sweep_directory(sweep, mounted, path, true, error);
}

static bool
remove_destination_entry(const Sweep *sweep, int dir, const char *name, const char *path,
                         bool is_dir, GError **error)
{
    if (is_dir && !enter_destination_directory(sweep, dir, name, path, false, error))
        return false;
    if (unlinkat(dir, name, is_dir ? AT_REMOVEDIR : 0) < 0 && errno != ENOENT)
        return bk_throw_errno(error, "remove \"%s\"", path);
    return true;
}

/* A file that has another name too belongs to someone else as well: a copy made of links would be
 * overwritten with this one. One that its owner cannot write, or that is another user's, is made
 * anew.
 */
static bool
can_be_mended(const Sweep *sweep, const struct stat *st)
{
    return S_ISREG(st->st_mode) && st->st_nlink == 1 && (st->st_mode & 0600) == 0600 &&
           st->st_uid == sweep->owner;
}

static bool
sweep_entry(const Sweep *sweep, int dir, const char *name, const char *path, bool keep_wanted,
            GError **error)
{
    const BkFile *file = keep_wanted ? g_hash_table_lookup(sweep->wanted, path) : NULL;
    struct stat st;
    bool is_dir;
    bool is_link;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT || bk_throw_errno(error, "stat \"%s\"", path);
    is_dir = S_ISDIR(st.st_mode);
    is_link = S_ISLNK(st.st_mode);
    if (file == NULL)
        return remove_destination_entry(sweep, dir, name, path, is_dir, error);
    switch (file->kind) {
    case BK_FILE_SYMLINK:
        return is_link ? enter_mounted(sweep, path, error)
                       : remove_destination_entry(sweep, dir, name, path, is_dir, error);
    case BK_FILE_DIRECTORY:
        if (is_link && bk_beneath_mounted(sweep->place, path) >= 0)
            return enter_mounted(sweep, path, error);
        return is_dir ? enter_destination_directory(sweep, dir, name, path, true, error)
                      : remove_destination_entry(sweep, dir, name, path, false, error);
    case BK_FILE_REGULAR:
        break;
    case BK_FILE_HARD_LINK:
    case BK_FILE_FIFO:
    case BK_FILE_CHARACTER_DEVICE:
    case BK_FILE_BLOCK_DEVICE:
        return remove_destination_entry(sweep, dir, name, path, is_dir, error);
    }
    return can_be_mended(sweep, &st) ||
           remove_destination_entry(sweep, dir, name, path, is_dir, error);
}

/* Is the directory the directory of a tablespace, which other clusters may use too? */
static bool
is_tablespace_directory(const Sweep *sweep, const char *path)
{
    const BkFile *file = g_hash_table_lookup(sweep->wanted, path);

    return file != NULL && file->kind == BK_FILE_SYMLINK;
}

/* In the data directory itself and in pg_wal, which may be file systems of their own. */
static bool
is_exempt(const char *directory, const char *name)
{
    return (directory[0] == '\0' || strcmp(directory, "pg_wal") == 0) && bk_aside_is_exempt(name);
}

static bool
sweep_directory(const Sweep *sweep, int dir, const char *path, bool keep_wanted, GError **error)
{
    bool leave_others = keep_wanted && is_tablespace_directory(sweep, path);
    g_autoptr(GPtrArray) names = bk_dir_list(dir, path, error);
    bool ok = names != NULL;

    for (guint i = 0; ok && i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        g_autofree char *entry_path =
            path[0] != 0 ? g_strconcat(path, "/", name, NULL) : g_strdup(name);

        if (strcmp(entry_path, BK_DESTINATION_MARK) == 0 || is_exempt(path, name) ||
            (leave_others && !g_hash_table_contains(sweep->wanted, entry_path)))
            continue;
        ok = bk_op_check(sweep->op, error) &&
             sweep_entry(sweep, dir, name, entry_path, keep_wanted, error);
    }
    return ok;
}

bool
bk_destination_remove_others(const BkBeneath *place, const BkSnapshot *snapshot, BkOp *op,
                             GError **error)
{
    g_auto(BkIdentityScope) scope = bk_identity_enter(bk_beneath_identity(place));
    g_autoptr(GHashTable) wanted = g_hash_table_new(g_str_hash, g_str_equal);
    Sweep sweep = {.place = place, .wanted = wanted, .op = op};
    struct stat st;
    size_t count;
    const BkFile *files = bk_snapshot_files(snapshot, &count);

    if (fstat(bk_beneath_dir(place), &st) < 0)
        return bk_throw_errno(error, "stat the directory");
    sweep.owner = st.st_uid;
    for (size_t i = 0; i < count; i++)
        (void)g_hash_table_insert(wanted, (void *)(uintptr_t)files[i].path,
                                  (void *)(uintptr_t)&files[i]);
    return sweep_directory(&sweep, bk_beneath_dir(place), "", true, error);
}

static void
close_fd(void *fd)
{
    bk_fd_clear(fd);
}

/* Takes the directory when it is on a file system that none of `directories` is on. */
static bool
add_file_system(GArray *directories, GArray *devices, const BkBeneath *place, const char *path,
                GError **error)
{
    struct stat st;
    BkFd fd = bk_beneath_open(place, path, O_RDONLY | O_DIRECTORY, 0, error);
    bool is_known = false;

    if (fd < 0)
        return false;
    if (fstat(fd, &st) < 0) {
        bk_throw_errno(error, "stat \"%s\"", path);
        bk_fd_clear(&fd);
        return false;
    }
    for (guint i = 0; i < devices->len; i++)
        is_known = is_known || g_array_index(devices, dev_t, i) == st.st_dev;
    if (is_known) {
        bk_fd_clear(&fd);
        return true;
    }
    g_array_append_val(directories, fd);
    g_array_append_val(devices, st.st_dev);
    return true;
}

GArray *
bk_destination_file_systems(const BkBeneath *place, const BkSnapshot *snapshot, GError **error)
{
    g_auto(BkIdentityScope) scope = bk_identity_enter(bk_beneath_identity(place));
    g_autoptr(GArray) directories = g_array_new(FALSE, FALSE, sizeof(BkFd));
    g_autoptr(GArray) devices = g_array_new(FALSE, FALSE, sizeof(dev_t));
    size_t count;
    const BkFile *files = bk_snapshot_files(snapshot, &count);

    g_array_set_clear_func(directories, close_fd);
    if (!add_file_system(directories, devices, place, "", error))
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (files[i].kind != BK_FILE_REGULAR &&
            !add_file_system(directories, devices, place, files[i].path, error))
            return NULL;
    return g_steal_pointer(&directories);
}
