#include "engine/fetch-ahead.h"

#include "base/boot.h"
#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define FOLDER   ".backstay-ahead"
#define LOCK     "lock" /* holds the name of the last segment that is being fetched */
#define PAUSE_US 1000

struct BkFetchAhead {
    char *top;
    char *folder; /* in `top`: of this boot */
    BkFd lock;
};

BkFetchAhead *
bk_fetch_ahead_new(const char *path)
{
    BkFetchAhead *self = g_new0(BkFetchAhead, 1);
    g_autofree char *parent = g_path_get_dirname(path);
    g_autofree char *boot = bk_boot_id();

    /* What is fetched ahead is not synced: after a crash of the host it may be torn, and is not
     * ours. */
    self->top = g_build_filename(parent, FOLDER, NULL);
    self->folder = g_build_filename(self->top, boot[0] != 0 ? boot : "boot", NULL);
    self->lock = -1;
    return self;
}

void
bk_fetch_ahead_free(BkFetchAhead *self)
{
    if (self == NULL)
        return;
    bk_fd_clear(&self->lock);
    g_free(self->top);
    g_free(self->folder);
    g_free(self);
}

static char *
path_in(const BkFetchAhead *self, const char *name)
{
    return g_build_filename(self->folder, name, NULL);
}

/* Is a process alive that has announced `name` or one behind it? */
static bool
is_coming(const BkFetchAhead *self, const char *name)
{
    g_autofree char *path = path_in(self, LOCK);
    g_auto(BkFd) fd = open(path, O_RDONLY | O_CLOEXEC);
    char last[32] = "";
    size_t got;

    if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) == 0)
        return false; /* nobody holds it: the process has ended */
    if (!bk_fd_pread(fd, last, sizeof last - 1, 0, &got, NULL))
        return false;
    return strlen(last) == strlen(name) && strncmp(last, name, 8) == 0 && strcmp(name, last) <= 0;
}

bool
bk_fetch_ahead_take(BkFetchAhead *self, const char *name, const char *path, bool *taken, BkOp *op,
                    GError **error)
{
    g_autofree char *from = path_in(self, name);
    bool coming;

    *taken = false;
    do {
        coming = is_coming(self, name);
        if (rename(from, path) == 0) {
            *taken = true;
            return true;
        }
        if (errno != ENOENT)
            return bk_throw_errno(error, "move \"%s\" to \"%s\"", from, path);
    } while (coming && bk_op_sleep(op, PAUSE_US, error));
    return bk_op_check(op, error);
}

/* Segments before `name` will not be asked for again, nor will unfinished files of a dead process.
 */
static void
remove_passed(const BkFetchAhead *self, const char *name)
{
    DIR *dir = opendir(self->folder);
    const struct dirent *entry;

    if (dir == NULL)
        return;
    while ((entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, LOCK) != 0 &&
            (strcmp(entry->d_name, name) <= 0 || strlen(entry->d_name) != strlen(name)))
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    (void)closedir(dir);
}

bool
bk_fetch_ahead_lock(BkFetchAhead *self, const char *name)
{
    g_autofree char *path = path_in(self, LOCK);

    if ((mkdir(self->top, 0700) < 0 && errno != EEXIST) ||
        (mkdir(self->folder, 0700) < 0 && errno != EEXIST))
        return false;
    self->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (self->lock < 0 || flock(self->lock, LOCK_EX | LOCK_NB) < 0) {
        bk_fd_clear(&self->lock);
        return false;
    }
    remove_passed(self, name);
    return true;
}

bool
bk_fetch_ahead_announce(BkFetchAhead *self, const char *name, GError **error)
{
    return bk_fd_pwrite(self->lock, name, strlen(name) + 1, 0, error);
}

bool
bk_fetch_ahead_has(const BkFetchAhead *self, const char *name)
{
    g_autofree char *path = path_in(self, name);

    return access(path, F_OK) == 0;
}

bool
bk_fetch_ahead_put(BkFetchAhead *self, const char *name, const void *data, size_t size,
                   GError **error)
{
    g_autofree char *path = path_in(self, name);
    g_autofree char *temp = g_strconcat(path, ".tmp", NULL);
    g_auto(BkFd) fd = bk_fd_open(AT_FDCWD, temp, O_WRONLY | O_CREAT | O_TRUNC, 0600, error);

    if (fd < 0 || !bk_fd_write(fd, data, size, error))
        return false;
    return rename(temp, path) == 0 || bk_throw_errno(error, "rename \"%s\"", temp);
}
