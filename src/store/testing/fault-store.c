/* fault-store.c - a store that fails when told to, around another one: for tests. */
#include "store/testing/fault-store.h"

#include "store/store-priv.h"

#include <pthread.h>

typedef struct Fault {
    unsigned calls_left; /* 0: not armed */
    BkErrorCode code;
    bool after_effect;
} Fault;

typedef struct FaultStore {
    BkStore base;
    BkStore *inner;        /* owned */
    pthread_mutex_t mutex; /* guards faults */
    Fault faults[BK_STORE_OPERATION_COUNT];
} FaultStore;

/* Counts one call of `operation`. The result has a code other than 0 when this call is to fail. */
static Fault
count_call(FaultStore *self, BkStoreOperation operation)
{
    Fault *armed = &self->faults[operation];
    Fault due = {0};

    (void)pthread_mutex_lock(&self->mutex);
    if (armed->calls_left > 0 && --armed->calls_left == 0)
        due = *armed;
    (void)pthread_mutex_unlock(&self->mutex);
    return due;
}

static bool
passes_before(const Fault *due, GError **error)
{
    if (due->code == 0 || due->after_effect)
        return true;
    return bk_throw(error, due->code, "armed fault before the effect");
}

static bool
passes_after(const Fault *due, GError **error)
{
    if (due->code == 0 || !due->after_effect)
        return true;
    return bk_throw(error, due->code, "armed fault after the effect");
}

/* The inner driver is called directly: through the public functions its errors would name the store
 * twice. */
static bool
fault_put(BkStore *store, const char *name, const BkBuf *data, const uint8_t *sha256, BkOp *op,
          GError **error)
{
    FaultStore *self = (FaultStore *)store;
    Fault due = count_call(self, BK_STORE_OPERATION_PUT);

    return passes_before(&due, error) &&
           self->inner->driver->put(self->inner, name, data, sha256, op, error) &&
           passes_after(&due, error);
}

static bool
fault_get(BkStore *store, const char *name, uint64_t offset, size_t size, size_t limit, BkBuf *out,
          BkOp *op, GError **error)
{
    FaultStore *self = (FaultStore *)store;
    Fault due = count_call(self, BK_STORE_OPERATION_GET);

    return passes_before(&due, error) &&
           self->inner->driver->get(self->inner, name, offset, size, limit, out, op, error) &&
           passes_after(&due, error);
}

static bool
fault_stat(BkStore *store, const char *name, uint64_t *size, BkOp *op, GError **error)
{
    FaultStore *self = (FaultStore *)store;
    Fault due = count_call(self, BK_STORE_OPERATION_STAT);

    return passes_before(&due, error) &&
           self->inner->driver->stat(self->inner, name, size, op, error) &&
           passes_after(&due, error);
}

static bool
fault_list(BkStore *store, const char *prefix, const char *after, BkStoreVisit visit, void *data,
           BkOp *op, GError **error)
{
    FaultStore *self = (FaultStore *)store;
    Fault due = count_call(self, BK_STORE_OPERATION_LIST);

    return passes_before(&due, error) &&
           self->inner->driver->list(self->inner, prefix, after, visit, data, op, error) &&
           passes_after(&due, error);
}

static bool
fault_settle(BkStore *store, const char *name, BkOp *op, GError **error)
{
    FaultStore *self = (FaultStore *)store;

    return self->inner->driver->settle(self->inner, name, op, error);
}

static bool
fault_delete(BkStore *store, const char *name, BkOp *op, GError **error)
{
    FaultStore *self = (FaultStore *)store;
    Fault due = count_call(self, BK_STORE_OPERATION_DELETE);

    return passes_before(&due, error) &&
           self->inner->driver->delete (self->inner, name, op, error) && passes_after(&due, error);
}

static void
fault_free(BkStore *store)
{
    FaultStore *self = (FaultStore *)store;

    bk_store_free(self->inner);
    (void)pthread_mutex_destroy(&self->mutex);
    bk_store_clear(&self->base);
    g_free(self);
}

static const BkStoreDriver fault_driver = {
    .put = fault_put,
    .get = fault_get,
    .stat = fault_stat,
    .list = fault_list,
    .settle = fault_settle,
    .delete = fault_delete,
    .free = fault_free,
};

BkStore *
bk_store_fault_new(BkStore *inner)
{
    FaultStore *self = g_new0(FaultStore, 1);

    bk_store_init(&self->base, &fault_driver, g_strdup(bk_store_describe(inner)));
    self->inner = inner;
    (void)pthread_mutex_init(&self->mutex, NULL);
    return &self->base;
}

void
bk_store_fault_arm(BkStore *store, BkStoreOperation operation, unsigned nth, BkErrorCode code,
                   bool after_effect)
{
    FaultStore *self = (FaultStore *)store;

    g_assert(store->driver == &fault_driver && nth >= 1 && operation < BK_STORE_OPERATION_COUNT);
    (void)pthread_mutex_lock(&self->mutex);
    self->faults[operation] = (Fault){nth, code, after_effect};
    (void)pthread_mutex_unlock(&self->mutex);
}
