/* prefetch.c - WAL segments that were fetched before the server asked for them. */
#include "source/pg/archive/prefetch.h"

#include "base/boot.h"
#include "base/fd.h"
#include "codec/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define DIRECTORY ".backstay-ahead"
#define LOCK      "lock" /* holds the name of the last segment that is being fetched */
#define PAUSE_US  1000

#define DISCARD_TRIES    20
#define DISCARD_PAUSE_US 50000

struct BkPrefetch {
    char *top;
    char *boot;
    char *directory; /* in `top`: of this boot and this archive */
    BkFd lock;
};

BkPrefetch *
bk_prefetch_new(const char *path, const char *archive)
{
    BkPrefetch *self = g_new0(BkPrefetch, 1);
    g_autofree char *parent = g_path_get_dirname(path);
    uint8_t digest[BK_SHA256_SIZE];
    char text[2 * BK_SHA256_SIZE + 1];

    bk_sha256(archive, strlen(archive), digest);
    bk_sha256_format(digest, text);
    /* What is fetched ahead is not synced: after a crash of the host it may be torn, and is not
     * ours. */
    self->top = g_build_filename(parent, DIRECTORY, NULL);
    self->boot = bk_boot_id();
    self->directory =
        g_strdup_printf("%s/%s-%.16s", self->top, self->boot[0] != 0 ? self->boot : "boot", text);
    self->lock = -1;
    return self;
}

void
bk_prefetch_free(BkPrefetch *self)
{
    if (self == NULL)
        return;
    bk_fd_clear(&self->lock);
    g_free(self->top);
    g_free(self->boot);
    g_free(self->directory);
    g_free(self);
}

/* Is it a directory that nobody else can put anything into? */
static bool
is_safe_directory(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
           (st.st_mode & 022) == 0;
}

static char *
path_in(const BkPrefetch *self, const char *name)
{
    return g_build_filename(self->directory, name, NULL);
}

/* Is a process alive that has announced `name` or one behind it? */
static bool
is_coming(const BkPrefetch *self, const char *name)
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
bk_prefetch_take(BkPrefetch *self, const char *name, const char *path, bool *taken, BkOp *op,
                 GError **error)
{
    g_autofree char *from = path_in(self, name);
    bool coming;

    *taken = false;
    if (!is_safe_directory(self->top) || !is_safe_directory(self->directory))
        return true;
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

/* The names in a directory, on which `*dir` is open then. NULL: it could not be read to its end,
 * and nothing is removed from it now. */
static GPtrArray *
list_prefetched_names(const char *path, BkFd *dir)
{
    *dir = bk_fd_open_dir(AT_FDCWD, path, NULL);
    return *dir >= 0 ? bk_dir_list(*dir, path, NULL) : NULL;
}

/* Segments before `name` will not be asked for again, nor will unfinished files of a dead process.
 */
static void
remove_passed(const BkPrefetch *self, const char *name)
{
    g_auto(BkFd) dir = -1;
    g_autoptr(GPtrArray) names = list_prefetched_names(self->directory, &dir);

    for (guint i = 0; names != NULL && i < names->len; i++) {
        const char *found = g_ptr_array_index(names, i);

        if (found[0] != '.' && strcmp(found, LOCK) != 0 &&
            (strcmp(found, name) <= 0 || strlen(found) != strlen(name)))
            (void)unlinkat(dir, found, 0);
    }
}

bool
bk_prefetch_lock(BkPrefetch *self, const char *name)
{
    g_autofree char *path = path_in(self, LOCK);

    if ((mkdir(self->top, 0700) < 0 && errno != EEXIST) ||
        (mkdir(self->directory, 0700) < 0 && errno != EEXIST) || !is_safe_directory(self->top) ||
        !is_safe_directory(self->directory))
        return false;
    self->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (self->lock < 0 || flock(self->lock, LOCK_EX | LOCK_NB) < 0) {
        bk_fd_clear(&self->lock);
        return false;
    }
    remove_passed(self, name);
    return true;
}

/* Removes a directory that holds files only. */
static void
remove_directory(const char *path)
{
    g_auto(BkFd) dir = -1;
    g_autoptr(GPtrArray) names = list_prefetched_names(path, &dir);

    for (guint i = 0; names != NULL && i < names->len; i++)
        (void)unlinkat(dir, g_ptr_array_index(names, i), 0);
    (void)rmdir(path);
}

static void
remove_of_other_boots(const BkPrefetch *self)
{
    g_auto(BkFd) dir = -1;
    g_autoptr(GPtrArray) names = list_prefetched_names(self->top, &dir);

    for (guint i = 0; names != NULL && i < names->len; i++) {
        const char *found = g_ptr_array_index(names, i);
        g_autofree char *path = g_build_filename(self->top, found, NULL);

        if (found[0] != '.' && !g_str_has_prefix(found, self->boot))
            remove_directory(path);
    }
}

void
bk_prefetch_discard(BkPrefetch *self)
{
    g_autofree char *path = path_in(self, LOCK);
    g_auto(BkFd) lock = -1;
    bool is_locked = false;

    if (!is_safe_directory(self->top))
        return;
    lock = open(path, O_RDWR | O_CLOEXEC);
    for (unsigned i = 0; lock >= 0 && !is_locked && i < DISCARD_TRIES; i++) {
        is_locked = flock(lock, LOCK_EX | LOCK_NB) == 0;
        if (!is_locked)
            g_usleep(DISCARD_PAUSE_US);
    }
    if (is_locked)
        remove_directory(self->directory);
    remove_of_other_boots(self);
    (void)rmdir(self->top); /* stays when another archive's directory is in it */
}

bool
bk_prefetch_announce(BkPrefetch *self, const char *name, GError **error)
{
    return bk_fd_pwrite(self->lock, name, strlen(name) + 1, 0, error);
}

bool
bk_prefetch_has(const BkPrefetch *self, const char *name)
{
    g_autofree char *path = path_in(self, name);

    return access(path, F_OK) == 0;
}

bool
bk_prefetch_put(BkPrefetch *self, const char *name, const void *data, size_t size, GError **error)
{
    g_autofree char *path = path_in(self, name);
    g_autofree char *temp = g_strconcat(path, ".tmp", NULL);
    g_auto(BkFd) fd = bk_fd_open(AT_FDCWD, temp, O_WRONLY | O_CREAT | O_TRUNC,
                                 bk_file_mode_beside(self->top), error);

    if (fd < 0 || !bk_fd_write(fd, data, size, error))
        return false;
    return rename(temp, path) == 0 || bk_throw_errno(error, "rename \"%s\"", temp);
}
