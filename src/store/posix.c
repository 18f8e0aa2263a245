/* posix.c - the store driver for a directory. */
#include "store/posix.h"

#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/secret.h"
#include "store/posix-owner.h"
#include "store/store-priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define FILE_MODE      0600
#define DIRECTORY_MODE 0700

/* The directory of the temporary files, and the start of every name that is ours and not an
 * object's.
 */
#define TEMP_DIRECTORY ".tmp"
#define RESERVED       ".tmp"
#define TEMP_AGE_US    (INT64_C(24) * 3600 * BK_USEC_PER_SEC)
#define WRITEBACK      (4 * BK_MIB)
#define RANDOM_BYTES   8
#define TEMP_NAME_MAX  64

typedef struct PosixStore {
    BkStore base;
    char *path; /* absolute */
    BkFd root;
    BkPosixOwner owner;
    dev_t device; /* of root */
    ino_t inode;
    atomic_bool has_put;
    pthread_mutex_t mutex; /* guards durable */
    GHashTable *durable;   /* set of directories whose name is known to survive a power loss */
} PosixStore;

static bool
is_reserved(const char *name)
{
    return g_str_has_prefix(name, RESERVED);
}

static int64_t
modified_us(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * BK_USEC_PER_SEC + st->st_mtim.tv_nsec / 1000;
}

/* Is the directory still the one that was opened? Our descriptor outlives its removal and its
 * unmounting, and a mount point without its mount is an empty directory. */
static bool
check_store_root(const PosixStore *self, GError **error)
{
    struct stat st;

    if (stat(self->path, &st) == 0) {
        if (st.st_dev == self->device && st.st_ino == self->inode)
            return true;
    } else if (errno != ENOENT && errno != ENOTDIR) {
        return bk_throw_errno(error, "the directory \"%s\"", self->path);
    }
    return bk_throw(error, BK_ERROR_STORE, "the directory \"%s\" is gone", self->path);
}

/* Makes of the error that a call met what the caller is to be told; false. The contract has fewer
 * codes than errno: ENOENT in the middle of a put does not mean that an object is absent. */
static bool
fail_posix_call(const PosixStore *self, GError **error)
{
    GError *root_error = NULL;

    if (error == NULL || *error == NULL)
        return false;
    if (bk_error_is(*error, BK_ERROR_ABSENT) && !check_store_root(self, &root_error)) {
        g_clear_error(error);
        g_propagate_error(error, root_error);
    }
    if (bk_error_is(*error, BK_ERROR_SYSTEM) || bk_error_is(*error, BK_ERROR_ABSENT) ||
        bk_error_is(*error, BK_ERROR_EXISTS))
        (*error)->code = BK_ERROR_STORE;
    return false;
}

/* Nothing is at the name: absent, unless there is nothing left that could hold it. */
static bool
fail_absent(const PosixStore *self, GError **error)
{
    if (!check_store_root(self, error))
        return fail_posix_call(self, error);
    return bk_store_throw_absent(error);
}

static bool
throw_irregular(const char *name, GError **error)
{
    return bk_throw(error, BK_ERROR_STORE, "\"%s\" is not a regular file", name);
}

/* Opens the directory `part` of `dir`; -1 with errno. No link is followed. A file in the place of a
 * directory means that nothing is below it (ENOENT); a link there is left to be an error. */
static int
open_component(int dir, const char *part, int access)
{
    struct stat st;
    int fd;

    do
        fd = openat(dir, part, access | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd < 0 && errno == ENOTDIR) {
        bool is_file = fstatat(dir, part, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);

        errno = is_file ? ENOENT : ENOTDIR;
    }
    return fd;
}

static bool
explain_bad_component(const PosixStore *self, int dir, const char *part, GError **error)
{
    return bk_posix_owner_explain(&self->owner, self->path, dir, part, error);
}

/* Opens the directory that holds `name`; `access` is O_PATH, or O_RDONLY to sync or list it. When
 * it is not there: true with `*directory` -1. */
static bool
find_object_directory(const PosixStore *self, const char *name, int access, BkFd *directory,
                      GError **error)
{
    const char *part = name;
    const char *slash;
    g_auto(BkFd) dir = open_component(self->root, ".", access);

    *directory = -1;
    if (dir < 0)
        return bk_throw_errno(error, "open the directory");
    for (; (slash = strchr(part, '/')) != NULL; part = slash + 1) {
        g_autofree char *text = g_strndup(part, (size_t)(slash - part));
        int next = open_component(dir, text, access);

        if (next < 0 && errno == ENOENT)
            return true;
        if (next < 0) {
            bk_throw_errno(error, "open the directory \"%.*s\"", (int)(slash - name), name);
            return explain_bad_component(self, dir, text, error);
        }
        bk_fd_clear(&dir);
        dir = next;
    }
    *directory = bk_fd_steal(&dir);
    return true;
}

static bool
is_durable(PosixStore *self, const char *path)
{
    bool known;

    (void)pthread_mutex_lock(&self->mutex);
    known = g_hash_table_contains(self->durable, path);
    (void)pthread_mutex_unlock(&self->mutex);
    return known;
}

static void
note_durable(PosixStore *self, const char *path)
{
    (void)pthread_mutex_lock(&self->mutex);
    (void)g_hash_table_add(self->durable, g_strdup(path));
    (void)pthread_mutex_unlock(&self->mutex);
}

/* Opens the directory `path`, whose last component is in `dir`, and makes it when it is missing.
 * Its name is durable afterwards: a directory that was there may have been made a moment ago by a
 * process that has not synced it yet, or that died, so the first use of each syncs too. */
static int
make_part(PosixStore *self, int dir, const char *path, GError **error)
{
    const char *slash = strrchr(path, '/');
    const char *part = slash != NULL ? slash + 1 : path;
    g_auto(BkFd) fd = open_component(dir, part, O_RDONLY);
    bool is_missing = fd < 0 && errno == ENOENT;
    bool is_made = false;

    if (is_missing) {
        if (!bk_fault(BK_FAULT_STORE_POSIX_MAKE_DIRECTORY, error))
            return -1;
        is_made = mkdirat(dir, part, DIRECTORY_MODE) == 0;
        if (is_made || errno == EEXIST) {
            fd = open_component(dir, part, O_RDONLY);
            errno = errno == ENOENT ? ENOTDIR : errno; /* a file has the name */
        }
    }
    if (fd < 0) {
        bk_throw_errno(error, "create the directory \"%s\"", path);
        explain_bad_component(self, dir, part, error);
        return -1;
    }
    if (is_made && !bk_posix_owner_give(&self->owner, fd, self->owner.directory_mode, error))
        return -1;
    if (is_missing || !is_durable(self, path)) {
        if (!bk_fd_sync(dir, error)) {
            bk_prefix(error, "create the directory \"%s\"", path);
            return -1;
        }
        note_durable(self, path);
    }
    return bk_fd_steal(&fd);
}

/* Opens the directory that is to hold `name`, made and durable up to the root. */
static int
make_object_directory(PosixStore *self, const char *name, GError **error)
{
    g_auto(BkFd) dir = open_component(self->root, ".", O_RDONLY);

    if (dir < 0)
        bk_throw_errno(error, "open the directory");
    for (const char *slash = strchr(name, '/'); dir >= 0 && slash != NULL;
         slash = strchr(slash + 1, '/')) {
        g_autofree char *path = g_strndup(name, (size_t)(slash - name));
        int next = make_part(self, dir, path, error);

        bk_fd_clear(&dir);
        dir = next;
    }
    return bk_fd_steal(&dir);
}

static const char *
last_part(const char *name)
{
    const char *slash = strrchr(name, '/');

    return slash != NULL ? slash + 1 : name;
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DIR, closedir)

/* Removes what crashed writers left. A young temporary may belong to a living one, here or on
 * another host. Failing is no reason to fail a put: the next handle tries again. */
static void
remove_old_temporaries(int temp_dir)
{
    g_auto(BkFd) fd = open_component(temp_dir, ".", O_RDONLY);
    g_autoptr(DIR) entries = fd >= 0 ? fdopendir(fd) : NULL;
    int64_t oldest_us = g_get_real_time() - TEMP_AGE_US;
    const struct dirent *entry;
    struct stat st;

    if (entries == NULL)
        return;
    (void)bk_fd_steal(&fd);
    while ((entry = readdir(entries)) != NULL)
        if (fstatat(temp_dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode) && modified_us(&st) < oldest_us)
            (void)unlinkat(temp_dir, entry->d_name, 0);
}

/* Not made durable: what is in it may be lost at any time. */
static int
open_temp_directory(PosixStore *self, GError **error)
{
    g_auto(BkFd) fd = open_component(self->root, TEMP_DIRECTORY, O_RDONLY);
    bool is_made = false;

    if (fd < 0 && errno == ENOENT) {
        is_made = mkdirat(self->root, TEMP_DIRECTORY, DIRECTORY_MODE) == 0;
        if (is_made || errno == EEXIST)
            fd = open_component(self->root, TEMP_DIRECTORY, O_RDONLY);
    }
    if (fd < 0) {
        bk_throw_errno(error, "create the directory \"" TEMP_DIRECTORY "\"");
        explain_bad_component(self, self->root, TEMP_DIRECTORY, error);
        return -1;
    }
    if (is_made && !bk_posix_owner_give(&self->owner, fd, self->owner.directory_mode, error))
        return -1;
    if (!atomic_exchange(&self->has_put, true))
        remove_old_temporaries(fd);
    return bk_fd_steal(&fd);
}

static bool
choose_temp_name(char name[TEMP_NAME_MAX], GError **error)
{
    uint8_t random[RANDOM_BYTES];
    int end = g_snprintf(name, TEMP_NAME_MAX, "%ld-", (long)getpid());

    if (!bk_random_fill(random, sizeof random, error))
        return false;
    for (size_t i = 0; i < sizeof random; i++)
        end += g_snprintf(name + end, (gulong)(TEMP_NAME_MAX - end), "%02x", random[i]);
    return true;
}

/* Writes and syncs. The kernel is told to begin writing each piece to the disk while the next one
 * is copied, so that the sync at the end has little left to wait for. */
static bool
write_temporary_object(int fd, const BkBuf *data, BkOp *op, GError **error)
{
    size_t offset = 0;

    do {
        size_t count = MIN(data->size - offset, WRITEBACK);

        if (!bk_op_check(op, error))
            return false;
        if (count > 0 && !bk_fd_pwrite(fd, data->data + offset, count, offset, error))
            return false;
        offset += count;
        if (!bk_fault(BK_FAULT_STORE_POSIX_WRITE, error))
            return false;
        if (offset < data->size)
            (void)sync_file_range(fd, (off_t)(offset - count), (off_t)count, SYNC_FILE_RANGE_WRITE);
    } while (offset < data->size);
    return bk_fault(BK_FAULT_STORE_POSIX_SYNC, error) && bk_fd_sync(fd, error);
}

static bool
write_temp(const PosixStore *self, int temp_dir, const char *temp, const BkBuf *data, BkOp *op,
           GError **error)
{
    g_auto(BkFd) fd =
        bk_fd_open(temp_dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, FILE_MODE, error);

    if (fd < 0)
        return false;
    return bk_posix_owner_give(&self->owner, fd, self->owner.file_mode, error) &&
           write_temporary_object(fd, data, op, error);
}

static bool
sync_directory(int directory, GError **error)
{
    if (bk_fault(BK_FAULT_STORE_POSIX_SYNC_DIR, error) && bk_fd_sync(directory, error))
        return true;
    return bk_prefix(error, "sync the directory");
}

/* The name is taken. Its first writer may have linked it and not synced yet, and our caller is
 * about to rely on it (promise 2). */
static bool
refuse_taken(int directory, const char *name, GError **error)
{
    struct stat st;

    if (fstatat(directory, last_part(name), &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode))
        return throw_irregular(name, error);
    return sync_directory(directory, error) && bk_store_throw_exists(error);
}

/* Gives the finished file its name. link(2), not rename(2): rename would replace an object that
 * another process put first (promise 3). The temporary name goes last, so that an object with one
 * name only is known to be durable; after a failed sync it stays, and the object is not. */
static bool
publish_object(PosixStore *self, int temp_dir, const char *temp, const char *name, GError **error)
{
    g_auto(BkFd) directory = make_object_directory(self, name, error);
    bool is_linked = false;
    int number = 0;

    if (directory >= 0 && bk_fault(BK_FAULT_STORE_POSIX_LINK, error)) {
        is_linked = linkat(temp_dir, temp, directory, last_part(name), 0) == 0;
        number = errno;
    }
    if (is_linked && !sync_directory(directory, error))
        return false;
    (void)unlinkat(temp_dir, temp, 0);
    if (is_linked || (error != NULL && *error != NULL))
        return is_linked;
    if (number == EEXIST)
        return refuse_taken(directory, name, error);
    errno = number;
    return bk_throw_errno(error, "link");
}

static bool
posix_put(BkStore *store, const char *name, const BkBuf *data, const uint8_t *sha256, BkOp *op,
          GError **error)
{
    PosixStore *self = (PosixStore *)store;
    g_auto(BkFd) temp_dir = -1;
    char temp[TEMP_NAME_MAX];
    g_autoptr(GError) put_error = NULL;
    bool is_taken;

    (void)sha256;
    if (is_reserved(name))
        return bk_throw(error, BK_ERROR_STORE,
                        "names that start with \"" RESERVED "\" are reserved");
    if (!check_store_root(self, error) || !choose_temp_name(temp, error))
        return fail_posix_call(self, error);
    temp_dir = open_temp_directory(self, error);
    if (temp_dir < 0)
        return fail_posix_call(self, error);
    if (!write_temp(self, temp_dir, temp, data, op, &put_error))
        (void)unlinkat(temp_dir, temp, 0);
    else if (publish_object(self, temp_dir, temp, name, &put_error))
        return true;
    is_taken = bk_error_is(put_error, BK_ERROR_EXISTS);
    if (!is_taken)
        fail_posix_call(self, &put_error);
    return bk_propagate(error, &put_error);
}

/* Opens an object; true with `*fd` -1 when it is absent. O_NONBLOCK: opening a FIFO would wait. */
static bool
open_object(const PosixStore *self, const char *name, BkFd *fd, uint64_t *size, GError **error)
{
    g_auto(BkFd) directory = -1;
    g_auto(BkFd) object = -1;
    struct stat st;

    *fd = -1;
    if (is_reserved(name))
        return true;
    if (!find_object_directory(self, name, O_PATH, &directory, error))
        return false;
    if (directory < 0)
        return true;
    do
        object = openat(directory, last_part(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    while (object < 0 && errno == EINTR);
    if (object < 0 && errno == ENOENT)
        return true;
    if (object < 0 && (errno == ELOOP || errno == ENXIO))
        return throw_irregular(name, error);
    if (object < 0) {
        bk_throw_errno(error, "open");
        return explain_bad_component(self, directory, last_part(name), error);
    }
    if (fstat(object, &st) < 0)
        return bk_throw_errno(error, "stat");
    if (!S_ISREG(st.st_mode))
        return throw_irregular(name, error);
    *size = (uint64_t)st.st_size;
    *fd = bk_fd_steal(&object);
    return true;
}

static bool
posix_get(BkStore *store, const char *name, uint64_t offset, size_t size, size_t limit, BkBuf *out,
          BkOp *op, GError **error)
{
    PosixStore *self = (PosixStore *)store;
    g_auto(BkFd) fd = -1;
    uint64_t total = 0;
    size_t wanted;

    (void)op;
    if (!open_object(self, name, &fd, &total, error))
        return fail_posix_call(self, error);
    if (fd < 0)
        return fail_absent(self, error);
    if (!bk_store_clip(total, offset, size, limit, &wanted, error) ||
        !bk_buf_reserve(out, wanted, error))
        return false;
    if (!bk_fault(BK_FAULT_STORE_POSIX_READ, error) ||
        !bk_fd_pread(fd, out->data, wanted, offset, &out->size, error))
        return fail_posix_call(self, error);
    if (out->size < wanted)
        return bk_throw(error, BK_ERROR_STORE, "read: %zu bytes instead of %zu", out->size, wanted);
    return true;
}

static bool
posix_stat(BkStore *store, const char *name, uint64_t *size, BkOp *op, GError **error)
{
    PosixStore *self = (PosixStore *)store;
    g_auto(BkFd) directory = -1;
    struct stat st;

    (void)op;
    if (is_reserved(name))
        return fail_absent(self, error);
    if (!find_object_directory(self, name, O_PATH, &directory, error))
        return fail_posix_call(self, error);
    if (directory < 0)
        return fail_absent(self, error);
    if (fstatat(directory, last_part(name), &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno == ENOENT)
            return fail_absent(self, error);
        bk_throw_errno(error, "stat");
        return fail_posix_call(self, error);
    }
    if (!S_ISREG(st.st_mode))
        return throw_irregular(name, error);
    *size = (uint64_t)st.st_size;
    return true;
}

/* A deletion is durable too, and also when the name was gone: deleting a snapshot comes before
 * deleting its packs, and the snapshot must not come back alone after a power loss. */
/* An object whose temporary name is gone was synced before that went (see publish). */
static bool
posix_settle(BkStore *store, const char *name, BkOp *op, GError **error)
{
    PosixStore *self = (PosixStore *)store;
    g_auto(BkFd) directory = -1;
    struct stat st;

    (void)op;
    if (!check_store_root(self, error) ||
        !find_object_directory(self, name, O_RDONLY, &directory, error))
        return fail_posix_call(self, error);
    if (directory < 0)
        return fail_absent(self, error);
    if (fstatat(directory, last_part(name), &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? fail_absent(self, error)
                               : bk_throw_errno(error, "stat") || fail_posix_call(self, error);
    if (st.st_nlink == 1)
        return true;
    bk_fd_clear(&directory);
    directory = make_object_directory(self, name, error);
    return (directory >= 0 && sync_directory(directory, error)) || fail_posix_call(self, error);
}

static bool
posix_delete(BkStore *store, const char *name, BkOp *op, GError **error)
{
    PosixStore *self = (PosixStore *)store;
    g_auto(BkFd) directory = -1;

    (void)op;
    if (is_reserved(name))
        return true;
    if (!check_store_root(self, error) ||
        !find_object_directory(self, name, O_RDONLY, &directory, error))
        return fail_posix_call(self, error);
    if (directory < 0)
        return true;
    if (!bk_fault(BK_FAULT_STORE_POSIX_DELETE, error))
        return fail_posix_call(self, error);
    if (unlinkat(directory, last_part(name), 0) < 0 && errno != ENOENT) {
        bk_throw_errno(error, "unlink");
        return fail_posix_call(self, error);
    }
    return sync_directory(directory, error) || fail_posix_call(self, error);
}

typedef struct Walk {
    const PosixStore *self;
    const char *prefix;
    const char *after;
    BkStoreVisit visit;
    void *data;
    const BkOp *op;
} Walk;

/* Can `key` be listed, or something below it? A key is the full name of an object, or that of a
 * directory with a slash at its end: in byte order of the keys stand the names below them, too. */
static bool
may_match(const Walk *walk, const char *key)
{
    bool is_directory = g_str_has_suffix(key, "/");

    if (!g_str_has_prefix(key, walk->prefix) &&
        !(is_directory && g_str_has_prefix(walk->prefix, key)))
        return false;
    return strcmp(key, walk->after) > 0 || (is_directory && g_str_has_prefix(walk->after, key));
}

/* The key of a directory's entry, NULL for what is no object and no directory. `path` is "" or ends
 * with a slash. */
static char *
key_of_entry(int dir, const char *path, const struct dirent *entry)
{
    g_autofree char *name = g_strconcat(path, entry->d_name, NULL);
    struct stat st = {.st_mode = (mode_t)DTTOIF(entry->d_type)};

    if (!bk_store_is_name(name) || is_reserved(name))
        return NULL;
    if (entry->d_type == DT_UNKNOWN && fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return NULL;
    if (S_ISDIR(st.st_mode))
        return g_strconcat(name, "/", NULL);
    if (S_ISREG(st.st_mode))
        return g_steal_pointer(&name);
    bk_log(BK_LOG_WARNING, "skipped \"%s\": not a regular file", name);
    return NULL;
}

static int
compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The keys in a directory that may match, in order. */
static GPtrArray *
read_directory(const Walk *walk, int dir, const char *path, GError **error)
{
    g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);
    g_auto(BkFd) fd = open_component(dir, ".", O_RDONLY);
    g_autoptr(DIR) entries = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;

    if (entries != NULL)
        (void)bk_fd_steal(&fd);
    while (entries != NULL && (errno = 0, entry = readdir(entries)) != NULL) {
        g_autofree char *key = key_of_entry(dir, path, entry);

        if (key != NULL && may_match(walk, key))
            g_ptr_array_add(keys, g_steal_pointer(&key));
    }
    if (entries == NULL || errno != 0) {
        bk_throw_errno(error, "read the directory \"%s\"", path);
        return NULL;
    }
    g_ptr_array_sort(keys, compare_keys);
    return g_steal_pointer(&keys);
}

static bool
visit_stored_file(const Walk *walk, int dir, const char *name, GError **error)
{
    BkStoreEntry entry = {.name = name};
    struct stat st;

    if (fstatat(dir, last_part(name), &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno == ENOENT)
            return true; /* deleted a moment ago */
        bk_throw_errno(error, "stat \"%s\"", name);
        return fail_posix_call(walk->self, error);
    }
    if (!S_ISREG(st.st_mode))
        return true;
    entry.size = (uint64_t)st.st_size;
    entry.modified_us = modified_us(&st);
    return walk->visit(&entry, walk->data, error);
}

static bool
walk_store_directory(const Walk *walk, int dir, const char *path, GError **error)
{
    g_autoptr(GPtrArray) keys = NULL;

    if (!bk_op_check(walk->op, error))
        return false;
    keys = read_directory(walk, dir, path, error);
    if (keys == NULL)
        return fail_posix_call(walk->self, error);
    for (guint i = 0; i < keys->len; i++) {
        const char *key = g_ptr_array_index(keys, i);
        g_auto(BkFd) directory = -1;
        g_autofree char *part = NULL;

        if (!g_str_has_suffix(key, "/")) {
            if (!visit_stored_file(walk, dir, key, error))
                return false;
            continue;
        }
        part = g_strndup(key + strlen(path), strlen(key) - strlen(path) - 1);
        directory = open_component(dir, part, O_RDONLY);
        if (directory < 0 && errno == ENOENT)
            continue;
        if (directory < 0) {
            bk_throw_errno(error, "open the directory \"%s\"", key);
            explain_bad_component(walk->self, dir, part, error);
            return fail_posix_call(walk->self, error);
        }
        if (!walk_store_directory(walk, directory, key, error))
            return false;
    }
    return true;
}

/* Walks from the deepest directory that the prefix names. */
static bool
posix_list(BkStore *store, const char *prefix, const char *after, BkStoreVisit visit, void *data,
           BkOp *op, GError **error)
{
    PosixStore *self = (PosixStore *)store;
    Walk walk = {self, prefix, after, visit, data, op};
    size_t length = (size_t)(last_part(prefix) - prefix);
    g_autofree char *path = g_strndup(prefix, length);
    g_autofree char *directory_name = g_strndup(prefix, length > 0 ? length - 1 : 0);
    g_auto(BkFd) directory = -1;

    if (!check_store_root(self, error))
        return fail_posix_call(self, error);
    if (length > 0 && (!bk_store_is_name(directory_name) || is_reserved(directory_name)))
        return true;
    if (!find_object_directory(self, path, O_RDONLY, &directory, error))
        return fail_posix_call(self, error);
    if (directory >= 0 && !walk_store_directory(&walk, directory, path, error))
        return false;
    /* What vanished while it was listed may have vanished with the whole directory. */
    return check_store_root(self, error) || fail_posix_call(self, error);
}

static void
posix_free(BkStore *store)
{
    PosixStore *self = (PosixStore *)store;

    bk_fd_clear(&self->root);
    g_hash_table_unref(self->durable);
    (void)pthread_mutex_destroy(&self->mutex);
    g_free(self->path);
    bk_store_clear(&self->base);
    g_free(self);
}

static const BkStoreDriver posix_driver = {
    .put = posix_put,
    .get = posix_get,
    .stat = posix_stat,
    .list = posix_list,
    .settle = posix_settle,
    .delete = posix_delete,
    .free = posix_free,
};

static char *
absolute_path(const char *path)
{
    g_autofree char *here = NULL;

    if (g_path_is_absolute(path))
        return g_strdup(path);
    here = g_get_current_dir();
    return g_build_filename(here, path, NULL);
}

/* What opening may tell: absent, denied, full, or that the storage is not as it must be. */
static BkStore *
fail_open(const char *path, GError **error)
{
    if (error != NULL && *error != NULL && bk_error_is(*error, BK_ERROR_SYSTEM))
        (*error)->code = BK_ERROR_STORE;
    bk_prefix(error, "directory \"%s\"", path);
    return NULL;
}

BkStore *
bk_store_posix_open(const char *path, bool create, GError **error)
{
    g_auto(BkFd) root = -1;
    struct stat st;
    PosixStore *self;

    if (create && !bk_dir_make(AT_FDCWD, path, DIRECTORY_MODE, error))
        return fail_open(path, error);
    root = bk_fd_open_dir(AT_FDCWD, path, error);
    if (root < 0) {
        bk_posix_owner_explain(NULL, path, AT_FDCWD, path, error);
        return fail_open(path, error);
    }
    if (fstat(root, &st) < 0) {
        bk_throw_errno(error, "stat");
        return fail_open(path, error);
    }
    self = g_new0(PosixStore, 1);
    bk_store_init(&self->base, &posix_driver, g_strdup_printf("directory \"%s\"", path));
    self->path = absolute_path(path);
    self->root = bk_fd_steal(&root);
    bk_posix_owner_init(&self->owner, &st);
    self->device = st.st_dev;
    self->inode = st.st_ino;
    (void)pthread_mutex_init(&self->mutex, NULL);
    self->durable = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return &self->base;
}
