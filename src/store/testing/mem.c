/* mem.c - the store driver that keeps objects in memory: for unit tests. */
#include "store/testing/mem.h"

#include "store/store-priv.h"

#include <pthread.h>
#include <string.h>

typedef struct MemObject {
    char *name;
    uint8_t *data;
    size_t size;
    int64_t modified_us;
} MemObject;

typedef struct MemStore {
    BkStore base;
    pthread_mutex_t mutex; /* guards objects */
    GPtrArray *objects;    /* of MemObject, in byte order of the names */
} MemStore;

static void
object_free(void *data)
{
    MemObject *object = data;

    g_free(object->name);
    g_free(object->data);
    g_free(object);
}

static MemObject *
object_at(const MemStore *self, guint index)
{
    return index < self->objects->len ? g_ptr_array_index(self->objects, index) : NULL;
}

/* Index of the first object whose name is not less than `name`; the mutex is held. */
static guint
lower_bound(const MemStore *self, const char *name)
{
    guint low = 0;
    guint high = self->objects->len;

    while (low < high) {
        guint middle = low + (high - low) / 2;
        const MemObject *object = g_ptr_array_index(self->objects, middle);

        if (strcmp(object->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static MemObject *
find_object(const MemStore *self, const char *name)
{
    MemObject *object = object_at(self, lower_bound(self, name));

    return object != NULL && strcmp(object->name, name) == 0 ? object : NULL;
}

static bool
mem_put(BkStore *store, const char *name, const BkBuf *data, const uint8_t *sha256, BkOp *op,
        GError **error)
{
    MemStore *self = (MemStore *)store;
    bool is_new;

    (void)sha256;
    (void)op;
    (void)pthread_mutex_lock(&self->mutex);
    is_new = find_object(self, name) == NULL;
    if (is_new) {
        MemObject *object = g_new0(MemObject, 1);

        object->name = g_strdup(name);
        object->data = g_memdup2(data->data, data->size);
        object->size = data->size;
        object->modified_us = g_get_real_time();
        g_ptr_array_insert(self->objects, (gint)lower_bound(self, name), object);
    }
    (void)pthread_mutex_unlock(&self->mutex);
    return is_new || bk_store_throw_exists(error);
}

/* The mutex is held. */
static bool
copy_content(const MemObject *object, uint64_t offset, size_t wanted, BkBuf *out, GError **error)
{
    if (!bk_buf_reserve(out, wanted, error))
        return false;
    if (wanted > 0)
        memcpy(out->data, object->data + offset, wanted);
    out->size = wanted;
    return true;
}

static bool
mem_get(BkStore *store, const char *name, uint64_t offset, size_t size, size_t limit, BkBuf *out,
        BkOp *op, GError **error)
{
    MemStore *self = (MemStore *)store;
    const MemObject *object;
    size_t wanted;
    bool done;

    (void)op;
    (void)pthread_mutex_lock(&self->mutex);
    object = find_object(self, name);
    if (object == NULL)
        done = bk_store_throw_absent(error);
    else
        done = bk_store_clip(object->size, offset, size, limit, &wanted, error) &&
               copy_content(object, offset, wanted, out, error);
    (void)pthread_mutex_unlock(&self->mutex);
    return done;
}

static bool
mem_stat(BkStore *store, const char *name, uint64_t *size, BkOp *op, GError **error)
{
    MemStore *self = (MemStore *)store;
    const MemObject *object;

    (void)op;
    (void)pthread_mutex_lock(&self->mutex);
    object = find_object(self, name);
    if (object != NULL)
        *size = object->size;
    (void)pthread_mutex_unlock(&self->mutex);
    return object != NULL || bk_store_throw_absent(error);
}

/* Copies the first object with `prefix` at or after `from`; its name goes to `*name`. The visitor
 * is called without the mutex, since it may well call the store itself. */
static bool
find_stored(MemStore *self, const char *prefix, const char *from, char **name, BkStoreEntry *entry)
{
    const MemObject *object;

    (void)pthread_mutex_lock(&self->mutex);
    object = object_at(self, lower_bound(self, from));
    if (object != NULL && g_str_has_prefix(object->name, prefix)) {
        *name = g_strdup(object->name);
        *entry = (BkStoreEntry){*name, object->size, object->modified_us};
    }
    (void)pthread_mutex_unlock(&self->mutex);
    return *name != NULL;
}

static bool
mem_list(BkStore *store, const char *prefix, const char *after, BkStoreVisit visit, void *data,
         BkOp *op, GError **error)
{
    MemStore *self = (MemStore *)store;
    g_autofree char *from = NULL;

    (void)op;
    /* The least string that is greater than a name is that name with the least character added. */
    from = strcmp(prefix, after) > 0 ? g_strdup(prefix) : g_strconcat(after, "\x01", NULL);
    for (;;) {
        g_autofree char *name = NULL;
        BkStoreEntry entry;

        if (!find_stored(self, prefix, from, &name, &entry))
            return true;
        if (!visit(&entry, data, error))
            return false;
        g_free(from);
        from = g_strconcat(name, "\x01", NULL);
    }
}

/* What is in memory is as durable as it will ever be. */
static bool
mem_settle(BkStore *store, const char *name, BkOp *op, GError **error)
{
    uint64_t size;

    return mem_stat(store, name, &size, op, error);
}

static bool
mem_delete(BkStore *store, const char *name, BkOp *op, GError **error)
{
    MemStore *self = (MemStore *)store;

    (void)op;
    (void)error;
    (void)pthread_mutex_lock(&self->mutex);
    if (find_object(self, name) != NULL)
        g_ptr_array_remove_index(self->objects, lower_bound(self, name));
    (void)pthread_mutex_unlock(&self->mutex);
    return true;
}

static void
mem_free(BkStore *store)
{
    MemStore *self = (MemStore *)store;

    g_ptr_array_unref(self->objects);
    (void)pthread_mutex_destroy(&self->mutex);
    bk_store_clear(&self->base);
    g_free(self);
}

static const BkStoreDriver mem_driver = {
    .put = mem_put,
    .get = mem_get,
    .stat = mem_stat,
    .list = mem_list,
    .settle = mem_settle,
    .delete = mem_delete,
    .free = mem_free,
};

BkStore *
bk_store_mem_new(void)
{
    MemStore *self = g_new0(MemStore, 1);

    bk_store_init(&self->base, &mem_driver, g_strdup("memory"));
    (void)pthread_mutex_init(&self->mutex, NULL);
    self->objects = g_ptr_array_new_with_free_func(object_free);
    return &self->base;
}
