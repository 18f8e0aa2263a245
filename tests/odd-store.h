/* odd-store.h - a store around one in memory that hangs when told to, and locks what it keeps: for
 * tests.
 *
 * Threads: as store.h, once it is set up. */
#pragma once
#include "store/store-priv.h"
#include "store/testing/mem.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

typedef struct OddStore {
    BkStore base;
    BkStore *inner;
    _Atomic(const char *) hang;   /* part of the names whose puts take `hang_us` */
    int64_t hang_us;              /* 0: they never end by themselves */
    _Atomic(const char *) refuse; /* the same of those that cannot be put or retained */
    atomic_bool is_dead;          /* nothing is answered any more */
    atomic_uint tries;            /* puts, whatever became of them */
    bool overwrites;              /* as no store of ours may */
    int64_t lock_us;
    pthread_mutex_t mutex; /* guards retained */
    GPtrArray *retained;   /* of char *: names, in the order of the calls */
} OddStore;

static inline bool
odd_is_meant(const char *part, const char *name)
{
    return part != NULL && strstr(name, part) != NULL;
}

static inline bool
odd_put(BkStore *store, const char *name, const BkBuf *data, const uint8_t *sha256, BkOp *op,
        GError **error)
{
    OddStore *self = (OddStore *)store;

    atomic_fetch_add(&self->tries, 1);
    if (odd_is_meant(atomic_load(&self->refuse), name))
        return bk_throw(error, BK_ERROR_NO_SPACE, "refused");
    if ((odd_is_meant(atomic_load(&self->hang), name) || atomic_load(&self->is_dead)) &&
        !bk_op_sleep(op, self->hang_us != 0 ? self->hang_us : 3600 * BK_USEC_PER_SEC, error))
        return false;
    if (self->overwrites && !self->inner->driver->delete (self->inner, name, op, error))
        return false;
    return self->inner->driver->put(self->inner, name, data, sha256, op, error);
}

static inline bool
odd_get(BkStore *store, const char *name, uint64_t offset, size_t size, size_t limit, BkBuf *out,
        BkOp *op, GError **error)
{
    BkStore *inner = ((OddStore *)store)->inner;

    return inner->driver->get(inner, name, offset, size, limit, out, op, error);
}

static inline bool
odd_stat(BkStore *store, const char *name, uint64_t *size, BkOp *op, GError **error)
{
    BkStore *inner = ((OddStore *)store)->inner;

    if (atomic_load(&((OddStore *)store)->is_dead) &&
        !bk_op_sleep(op, 3600 * BK_USEC_PER_SEC, error))
        return false;
    return inner->driver->stat(inner, name, size, op, error);
}

static inline bool
odd_list(BkStore *store, const char *prefix, const char *after, BkStoreVisit visit, void *data,
         BkOp *op, GError **error)
{
    BkStore *inner = ((OddStore *)store)->inner;

    return inner->driver->list(inner, prefix, after, visit, data, op, error);
}

static inline bool
odd_settle(BkStore *store, const char *name, BkOp *op, GError **error)
{
    BkStore *inner = ((OddStore *)store)->inner;

    return inner->driver->settle(inner, name, op, error);
}

static inline bool
odd_delete(BkStore *store, const char *name, BkOp *op, GError **error)
{
    BkStore *inner = ((OddStore *)store)->inner;

    return inner->driver->delete (inner, name, op, error);
}

static inline int64_t
odd_lock_us(const BkStore *store)
{
    return ((const OddStore *)store)->lock_us;
}

static inline bool
odd_retain(BkStore *store, const char *name, BkOp *op, GError **error)
{
    OddStore *self = (OddStore *)store;
    uint64_t size;

    if (odd_is_meant(atomic_load(&self->refuse), name))
        return bk_throw(error, BK_ERROR_DENIED, "refused");
    if (!self->inner->driver->stat(self->inner, name, &size, op, error))
        return false;
    (void)pthread_mutex_lock(&self->mutex);
    g_ptr_array_add(self->retained, g_strdup(name));
    (void)pthread_mutex_unlock(&self->mutex);
    return true;
}

static inline void
odd_free(BkStore *store)
{
    OddStore *self = (OddStore *)store;

    bk_store_free(self->inner);
    (void)pthread_mutex_destroy(&self->mutex);
    g_ptr_array_unref(self->retained);
    bk_store_clear(store);
    g_free(self);
}

/* Behaves like memory until its fields are set. */
static inline OddStore *
odd_store_new(void)
{
    static const BkStoreDriver driver = {
        .put = odd_put,
        .get = odd_get,
        .stat = odd_stat,
        .list = odd_list,
        .settle = odd_settle,
        .delete = odd_delete,
        .lock_us = odd_lock_us,
        .retain = odd_retain,
        .free = odd_free,
    };
    OddStore *self = g_new0(OddStore, 1);

    bk_store_init(&self->base, &driver, g_strdup("odd memory"));
    self->inner = bk_store_mem_new();
    (void)pthread_mutex_init(&self->mutex, NULL);
    self->retained = g_ptr_array_new_with_free_func(g_free);
    return self;
}
