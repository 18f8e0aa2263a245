/* store-priv.h - what a driver implements.
 *
 * store.c checks names and the operation before it calls a driver, and puts what was tried on which
 * store before the driver's errors; so a driver reports only the cause.
 * Threads: as store.h. */
#pragma once
#include "store/store.h"

/* Each as the function of the same name in store.h. `list` receives a prefix and an `after` that
 * are never NULL ("" is less than every name), and passes on a visitor's error unchanged. */
typedef struct BkStoreDriver {
    /* `sha256` is NULL when it is not known. */
    bool (*put)(BkStore *self, const char *name, const BkBuf *data, const uint8_t *sha256, BkOp *op,
                GError **error);
    bool (*get)(BkStore *self, const char *name, uint64_t offset, size_t size, size_t limit,
                BkBuf *out, BkOp *op, GError **error);
    bool (*stat)(BkStore *self, const char *name, uint64_t *size, BkOp *op, GError **error);
    bool (*list)(BkStore *self, const char *prefix, const char *after, BkStoreVisit visit,
                 void *data, BkOp *op, GError **error);
    bool (*settle)(BkStore *self, const char *name, BkOp *op, GError **error);
    bool (*delete)(BkStore *self, const char *name, BkOp *op, GError **error);
    /* These may be NULL: get serves for get_start, list for list_directory and delete for
     * delete_many, nothing is read or given ahead, nothing is known of versions, there are no
     * uploads, stat and INT64_MAX for get_lock, the store has never another answer, does not lock,
     * and keeps no notes.
     */
    bool (*list_directory)(BkStore *self, const char *directory, BkStoreVisit visit, void *data,
                           BkOp *op, GError **error);
    bool (*get_start)(BkStore *self, const char *name, size_t size, BkBuf *out, BkOp *op,
                      GError **error);
    bool (*read_ahead)(BkStore *self, const char *const *names, size_t count, BkOp *op,
                       GError **error);
    void (*give_ahead)(BkStore *self, const char *name, const BkBuf *data);
    bool (*has_no_versions)(const BkStore *self);
    void (*take_no_versions)(BkStore *self);
    bool (*distrust)(BkStore *self, const char *name, bool *has_other, BkOp *op, GError **error);
    bool (*delete_many)(BkStore *self, const char *const *names, size_t count, BkOp *op,
                        GError **error);
    bool (*list_uploads)(BkStore *self, const char *prefix, BkStoreVisitUpload visit, void *data,
                         BkOp *op, GError **error);
    bool (*abort_upload)(BkStore *self, const char *name, const char *id, BkOp *op, GError **error);
    int64_t (*lock_us)(const BkStore *self);
    bool (*get_lock)(BkStore *self, const char *name, int64_t *until_us, BkOp *op, GError **error);
    bool (*retain)(BkStore *self, const char *name, BkOp *op, GError **error);
    void (*note)(BkStore *self, const char *name, const BkBuf *data);
    bool (*recall)(BkStore *self, const char *name, BkBuf *out);
    bool is_remote;              /* small reads are slow, and cost */
    void (*free)(BkStore *self); /* frees all but what bk_store_clear does, and `self` */
} BkStoreDriver;

/* The first member of every driver's struct. */
struct BkStore {
    const BkStoreDriver *driver;
    char *description; /* owned */
};

/* Sets the fields; takes `description`. */
void bk_store_init(BkStore *self, const BkStoreDriver *driver, char *description);
void bk_store_clear(BkStore *self);

/* How many bytes to read of an object of `total` bytes, for a get of `size` at `offset`. Fails with
 * BK_ERROR_CORRUPT when they are more than `limit`. */
bool bk_store_clip(uint64_t total, uint64_t offset, size_t size, size_t limit, size_t *wanted,
                   GError **error) BK_MUST_USE;

/* The errors that every driver words alike; both return false. */
bool bk_store_throw_absent(GError **error);
bool bk_store_throw_exists(GError **error);
