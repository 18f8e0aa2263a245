/* cache.c - a local cache of the beginnings of objects, and of notes, for a remote store. */
#include "store/cache.h"

#include "base/fd.h"
#include "base/log.h"
#include "store/cache-file.h"
#include "store/store-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ASKED_SIZE 4 /* bytes before the content: how many were asked for, little-endian */
#define MAX_KEPT   ((size_t)64 * 1024) /* of an object */
#define MIN_KEPT   ((size_t)1024)      /* of one that is put: leases need not be kept */
#define MAX_NOTE   ((size_t)16 * 1024 * 1024)
#define MAX_FILES  4096
#define LOOK_EVERY 256 /* files that are kept, between two counts of them */
#define TEMP_START "new-"

typedef struct CacheStore {
    BkStore base;
    BkStore *inner;
    char *directory; /* NULL: nothing is kept */
    atomic_uint kept;
    pthread_mutex_t mutex; /* guards what follows */
    GHashTable *own;       /* names of what we have kept ourselves: it is what the store gave us */
} CacheStore;

static char *
path_of(const CacheStore *self, const char *name)
{
    uint8_t digest[BK_SHA256_SIZE];
    char text[2 * BK_SHA256_SIZE + 1];

    bk_sha256(name, strlen(name), digest);
    bk_sha256_format(digest, text);
    return g_strdup_printf("%s/%.40s", self->directory, text);
}

/* What was asked for when this was kept must have been as much, unless the object ends before. */
static bool
find_cached(const char *path, size_t size, BkBuf *out)
{
    g_auto(BkBuf) file = BK_BUF_INIT;
    size_t asked, length;

    if (!bk_file_read(AT_FDCWD, path, MAX_KEPT + ASKED_SIZE, &file, NULL) || file.size < ASKED_SIZE)
        return false;
    asked = (size_t)file.data[0] | (size_t)file.data[1] << 8 | (size_t)file.data[2] << 16 |
            (size_t)file.data[3] << 24;
    length = file.size - ASKED_SIZE;
    if (asked < size && length >= asked)
        return false;
    out->size = 0;
    bk_buf_append(out, file.data + ASKED_SIZE, MIN(length, size));
    return true;
}

/* Nothing here is worth keeping for long: a full directory is emptied. */
static void
empty_when_full(const char *directory)
{
    g_auto(BkFd) dir = bk_fd_open_dir(AT_FDCWD, directory, NULL);
    g_autoptr(GPtrArray) names = dir >= 0 ? bk_dir_list(dir, directory, NULL) : NULL;

    if (names == NULL || names->len <= MAX_FILES)
        return;
    for (guint i = 0; i < names->len; i++)
        (void)unlinkat(dir, g_ptr_array_index(names, i), 0);
}

static bool
write_file(const char *path, const BkBuf *content, size_t asked)
{
    const uint8_t head[ASKED_SIZE] = {(uint8_t)asked, (uint8_t)(asked >> 8), (uint8_t)(asked >> 16),
                                      (uint8_t)(asked >> 24)};
    g_auto(BkFd) fd = bk_fd_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, 0600, NULL);

    return fd >= 0 && bk_fd_write(fd, head, sizeof head, NULL) &&
           (content->size == 0 || bk_fd_write(fd, content->data, content->size, NULL));
}

static void
keep_cached(CacheStore *self, const char *path, const BkBuf *content, size_t asked)
{
    g_autofree char *name = g_path_get_basename(path);
    g_autofree char *temp =
        g_strdup_printf("%s/" TEMP_START "%d-%s", self->directory, (int)getpid(), name);

    /* Another thread that writes the same has the name; one of them is enough. */
    if (write_file(temp, content, asked) && rename(temp, path) == 0) {
        if (atomic_fetch_add(&self->kept, 1) % LOOK_EVERY == LOOK_EVERY - 1)
            empty_when_full(self->directory);
        return;
    }
    if (errno != EEXIST)
        (void)unlink(temp);
}

static void
note_own_put(CacheStore *self, const char *name)
{
    (void)pthread_mutex_lock(&self->mutex);
    (void)g_hash_table_add(self->own, g_strdup(name));
    (void)pthread_mutex_unlock(&self->mutex);
}

static bool
is_own_put(CacheStore *self, const char *name)
{
    bool is;

    (void)pthread_mutex_lock(&self->mutex);
    is = g_hash_table_contains(self->own, name);
    (void)pthread_mutex_unlock(&self->mutex);
    return is;
}

static bool
cache_get_start(BkStore *store, const char *name, size_t size, BkBuf *out, BkOp *op, GError **error)
{
    CacheStore *self = (CacheStore *)store;
    g_autofree char *path = self->directory != NULL ? path_of(self, name) : NULL;

    if (path != NULL && find_cached(path, size, out))
        return true;
    if (!self->inner->driver->get(self->inner, name, 0, size, size, out, op, error))
        return false;
    if (path != NULL && out->size <= MAX_KEPT) {
        note_own_put(self, name);
        keep_cached(self, path, out, size);
    }
    return true;
}

/* The file of a note, which no object's is. A new string. */
static char *
note_file_name(const char *name)
{
    uint8_t digest[BK_SHA256_SIZE];
    char text[2 * BK_SHA256_SIZE + 1];

    bk_sha256(name, strlen(name), digest);
    bk_sha256_format(digest, text);
    return g_strdup_printf("note-%.40s", text);
}

static void
cache_note(BkStore *store, const char *name, const BkBuf *data)
{
    const CacheStore *self = (const CacheStore *)store;
    g_autofree char *file = note_file_name(name);

    if (self->directory != NULL && data->size <= MAX_NOTE)
        (void)bk_cache_file_put(self->directory, file, data);
}

static bool
cache_recall(BkStore *store, const char *name, BkBuf *out)
{
    const CacheStore *self = (const CacheStore *)store;
    g_autofree char *file = note_file_name(name);

    return self->directory != NULL && bk_cache_file_get(self->directory, file, MAX_NOTE, out);
}

/* True when there was something kept of it. */
static bool
drop_cached(const CacheStore *self, const char *name)
{
    g_autofree char *path = self->directory != NULL ? path_of(self, name) : NULL;

    return path != NULL && unlink(path) == 0;
}

static bool
cache_distrust(BkStore *store, const char *name, bool *has_other, BkOp *op, GError **error)
{
    CacheStore *self = (CacheStore *)store;
    const BkStoreDriver *driver = self->inner->driver;

    /* What we have kept ourselves is no other answer than the store's. */
    *has_other = drop_cached(self, name) && !is_own_put(self, name);
    return *has_other || driver->distrust == NULL ||
           driver->distrust(self->inner, name, has_other, op, error);
}

/* What was put is what get_start would give. */
static void
keep_put(CacheStore *self, const char *name, const BkBuf *data)
{
    g_autofree char *path = self->directory != NULL ? path_of(self, name) : NULL;

    if (path == NULL || data->size < MIN_KEPT || data->size > MAX_KEPT)
        return;
    note_own_put(self, name);
    keep_cached(self, path, data, UINT32_MAX);
}

static bool
cache_put(BkStore *store, const char *name, const BkBuf *data, const uint8_t *sha256, BkOp *op,
          GError **error)
{
    CacheStore *self = (CacheStore *)store;

    if (!self->inner->driver->put(self->inner, name, data, sha256, op, error))
        return false;
    keep_put(self, name, data);
    return true;
}

static bool
cache_get(BkStore *store, const char *name, uint64_t offset, size_t size, size_t limit, BkBuf *out,
          BkOp *op, GError **error)
{
    CacheStore *self = (CacheStore *)store;

    return self->inner->driver->get(self->inner, name, offset, size, limit, out, op, error);
}

static void
cache_give_ahead(BkStore *store, const char *name, const BkBuf *data)
{
    bk_store_prefetched(((CacheStore *)store)->inner, name, data);
}

static bool
cache_has_no_versions(const BkStore *store)
{
    return bk_store_has_no_versions(((const CacheStore *)store)->inner);
}

static void
cache_take_no_versions(BkStore *store)
{
    bk_store_take_no_versions(((CacheStore *)store)->inner);
}

static bool
cache_stat(BkStore *store, const char *name, uint64_t *size, BkOp *op, GError **error)
{
    CacheStore *self = (CacheStore *)store;

    return self->inner->driver->stat(self->inner, name, size, op, error);
}

static bool
cache_list(BkStore *store, const char *prefix, const char *after, BkStoreVisit visit, void *data,
           BkOp *op, GError **error)
{
    CacheStore *self = (CacheStore *)store;

    return self->inner->driver->list(self->inner, prefix, after, visit, data, op, error);
}

static bool
cache_list_directory(BkStore *store, const char *directory, BkStoreVisit visit, void *data,
                     BkOp *op, GError **error)
{
    CacheStore *self = (CacheStore *)store;

    return bk_store_list_directory(self->inner, directory, visit, data, op, error);
}

static bool
cache_settle(BkStore *store, const char *name, BkOp *op, GError **error)
{
    CacheStore *self = (CacheStore *)store;

    return self->inner->driver->settle(self->inner, name, op, error);
}

static bool
cache_delete(BkStore *store, const char *name, BkOp *op, GError **error)
{
    CacheStore *self = (CacheStore *)store;

    (void)drop_cached(self, name);
    return self->inner->driver->delete (self->inner, name, op, error);
}

static bool
cache_delete_many(BkStore *store, const char *const *names, size_t count, BkOp *op, GError **error)
{
    CacheStore *self = (CacheStore *)store;

    for (size_t i = 0; i < count; i++)
        (void)drop_cached(self, names[i]);
    return bk_store_delete_many(self->inner, names, count, op, error);
}

static bool
cache_list_uploads(BkStore *store, const char *prefix, BkStoreVisitUpload visit, void *data,
                   BkOp *op, GError **error)
{
    BkStore *inner = ((CacheStore *)store)->inner;

    return inner->driver->list_uploads == NULL ||
           inner->driver->list_uploads(inner, prefix, visit, data, op, error);
}

static bool
cache_abort_upload(BkStore *store, const char *name, const char *id, BkOp *op, GError **error)
{
    BkStore *inner = ((CacheStore *)store)->inner;

    return inner->driver->abort_upload == NULL ||
           inner->driver->abort_upload(inner, name, id, op, error);
}

static int64_t
cache_lock_us(const BkStore *store)
{
    return bk_store_lock_us(((const CacheStore *)store)->inner);
}

static bool
cache_get_lock(BkStore *store, const char *name, int64_t *until_us, BkOp *op, GError **error)
{
    return bk_store_get_lock(((CacheStore *)store)->inner, name, until_us, op, error);
}

static bool
cache_retain(BkStore *store, const char *name, BkOp *op, GError **error)
{
    CacheStore *self = (CacheStore *)store;

    return self->inner->driver->retain == NULL ||
           self->inner->driver->retain(self->inner, name, op, error);
}

static void
cache_free(BkStore *store)
{
    CacheStore *self = (CacheStore *)store;

    bk_store_free(self->inner);
    g_hash_table_unref(self->own);
    (void)pthread_mutex_destroy(&self->mutex);
    g_free(self->directory);
    bk_store_clear(store);
    g_free(self);
}

static const BkStoreDriver cache_driver = {
    .put = cache_put,
    .get = cache_get,
    .stat = cache_stat,
    .list = cache_list,
    .settle = cache_settle,
    .delete = cache_delete,
    .get_start = cache_get_start,
    .give_ahead = cache_give_ahead,
    .has_no_versions = cache_has_no_versions,
    .take_no_versions = cache_take_no_versions,
    .distrust = cache_distrust,
    .delete_many = cache_delete_many,
    .list_uploads = cache_list_uploads,
    .abort_upload = cache_abort_upload,
    .lock_us = cache_lock_us,
    .get_lock = cache_get_lock,
    .retain = cache_retain,
    .list_directory = cache_list_directory,
    .note = cache_note,
    .recall = cache_recall,
    .is_remote = true,
    .free = cache_free,
};

BkStore *
bk_store_cache_new(BkStore *inner, const char *directory)
{
    CacheStore *self = g_new0(CacheStore, 1);

    bk_store_init(&self->base, &cache_driver, g_strdup(bk_store_describe(inner)));
    self->inner = inner;
    (void)pthread_mutex_init(&self->mutex, NULL);
    self->own = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    if (bk_cache_directory_make(directory)) {
        self->directory = g_strdup(directory);
        empty_when_full(directory);
    } else {
        bk_log(BK_LOG_INFO,
               "nothing is cached in \"%s\": it cannot be created, or others can read it",
               directory);
    }
    return &self->base;
}
