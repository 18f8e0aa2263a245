/* hook-store.h - a store that calls back before a put or a get of a certain object: so that a test
 * can do in between what another process might. It may say that it locks, and counts who asks.
 *
 * Threads: belongs to one thread. */
#pragma once
#include "store/store-priv.h"

#include <string.h>

typedef struct HookStore {
    BkStore base;
    BkStore *inner;        /* borrowed: several processes share it */
    const char *name_part; /* of the name to be put; NULL: not armed */
    const char *get;       /* the same for gets */
    void (*hook)(void *data);
    void *data;
    int64_t lock_us; /* how long it says it locks */
    size_t retained; /* so many calls */
} HookStore;

static inline bool
hook_put(BkStore *store, const char *name, const BkBuf *data, const uint8_t *sha256, BkOp *op,
         GError **error)
{
    HookStore *self = (HookStore *)store;

    if (self->name_part != NULL && strstr(name, self->name_part) != NULL) {
        self->name_part = NULL; /* once */
        self->hook(self->data);
    }
    return self->inner->driver->put(self->inner, name, data, sha256, op, error);
}

static inline bool
hook_get(BkStore *store, const char *name, uint64_t offset, size_t size, size_t limit, BkBuf *out,
         BkOp *op, GError **error)
{
    HookStore *self = (HookStore *)store;
    BkStore *inner = self->inner;

    if (self->get != NULL && strstr(name, self->get) != NULL) {
        self->get = NULL;
        self->hook(self->data);
    }
    return inner->driver->get(inner, name, offset, size, limit, out, op, error);
}

static inline bool
hook_stat(BkStore *store, const char *name, uint64_t *size, BkOp *op, GError **error)
{
    BkStore *inner = ((HookStore *)store)->inner;

    return inner->driver->stat(inner, name, size, op, error);
}

static inline bool
hook_list(BkStore *store, const char *prefix, const char *after, BkStoreVisit visit, void *data,
          BkOp *op, GError **error)
{
    BkStore *inner = ((HookStore *)store)->inner;

    return inner->driver->list(inner, prefix, after, visit, data, op, error);
}

static inline bool
hook_delete(BkStore *store, const char *name, BkOp *op, GError **error)
{
    BkStore *inner = ((HookStore *)store)->inner;

    return inner->driver->delete (inner, name, op, error);
}

static inline bool
hook_settle(BkStore *store, const char *name, BkOp *op, GError **error)
{
    BkStore *inner = ((HookStore *)store)->inner;

    return inner->driver->settle(inner, name, op, error);
}

static inline int64_t
hook_lock_us(const BkStore *store)
{
    return ((const HookStore *)store)->lock_us;
}

static inline bool
hook_retain(BkStore *store, const char *name, BkOp *op, GError **error)
{
    HookStore *self = (HookStore *)store;
    uint64_t size;

    self->retained++;
    return self->inner->driver->stat(self->inner, name, &size, op, error);
}

static inline void
hook_free(BkStore *store)
{
    bk_store_clear(store);
    g_free(store);
}

/* `inner` must outlive it. Arm it by setting name_part or get, hook and data. */
static inline HookStore *
hook_store_new(BkStore *inner)
{
    static const BkStoreDriver driver = {
        .put = hook_put,
        .get = hook_get,
        .stat = hook_stat,
        .list = hook_list,
        .delete = hook_delete,
        .settle = hook_settle,
        .lock_us = hook_lock_us,
        .retain = hook_retain,
        .free = hook_free,
    };
    HookStore *self = g_new0(HookStore, 1);

    bk_store_init(&self->base, &driver, g_strdup("hooked memory"));
    self->inner = inner;
    return self;
}
