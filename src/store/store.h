/* store.h - immutable objects by name, in a directory, a bucket or memory.
 *
 * A store knows nothing of packs, keys or snapshots; repo/ does. Every driver keeps four promises,
 * and tests/contract/test-store.c holds each driver to them:
 *   1. Whole    a reader sees an object whole or not at all, also after a crash.
 *   2. Durable  once put returns true, the object survives a power loss.
 *   3. First    put of a name that exists keeps the first object and fails with BK_ERROR_EXISTS.
 *   4. Listed   list sees every object whose put returned before list began.
 * Names are [A-Za-z0-9/._-]{1,512} without an empty, "." or ".." component; others are a
 * programming mistake, except in names read from outside, which bk_store_is_name checks. `op`
 * (never NULL) cancels a call and bounds its retries. Threads: any number of threads may use one
 * BkStore at once. */
#pragma once
#include "base/buf.h"
#include "base/op.h"
#include "codec/digest.h"

typedef struct BkStore BkStore;

#define BK_STORE_LAST_US (INT64_C(253402300799) * BK_USEC_PER_SEC) /* the end of 9999 */

typedef struct BkStoreEntry {
    const char *name; /* valid during the visit */
    uint64_t size;
    int64_t modified_us; /* since 1970, the store's clock; from 0 to BK_STORE_LAST_US */
} BkStoreEntry;

/* Called for each entry of a listing; false with `error` set ends it. */
typedef bool (*BkStoreVisit)(const BkStoreEntry *entry, void *data, GError **error);

bool bk_store_is_name(const char *name);

/* The part of a name after its last slash; all of it if it has none. In `name`. */
const char *bk_store_base_name(const char *name);

/* What the store is, for people: `directory "/var/lib/backstay"`. Owned by the store. */
const char *bk_store_describe(const BkStore *self);

/* Returns true if it is remote, so that small reads are slow and cost money. */
bool bk_store_is_remote(const BkStore *self);

/* Puts `data` under `name`; borrows both.
 * Fails with BK_ERROR_EXISTS, BK_ERROR_NO_SPACE, BK_ERROR_DENIED or BK_ERROR_STORE. */
bool bk_store_put(BkStore *self, const char *name, const BkBuf *data, BkOp *op,
                  GError **error) BK_MUST_USE;

/* The same when the SHA-256 of `data` is known already, for stores that send it along. */
bool bk_store_put_hashed(BkStore *self, const char *name, const BkBuf *data,
                         const uint8_t sha256[BK_SHA256_SIZE], BkOp *op,
                         GError **error) BK_MUST_USE;

/* Reads `size` bytes from `offset` of an object into `out` (its content is replaced, its memory
 * reused); fewer when the object ends before, so SIZE_MAX as size reads to the end, and `limit`
 * bounds what is accepted. Fails with BK_ERROR_ABSENT, BK_ERROR_CORRUPT (more than `limit` bytes
 * would be read), BK_ERROR_DENIED or BK_ERROR_STORE. */
bool bk_store_get(BkStore *self, const char *name, uint64_t offset, size_t size, size_t limit,
                  BkBuf *out, BkOp *op, GError **error) BK_MUST_USE;

/* Reads the first `size` bytes (fewer when the object ends before) of an object that a listing has
 * shown. A store with a local cache may answer from that, as bytes never change; a caller that
 * finds them damaged calls bk_store_reread_original and reads again. Fails as get. */
bool bk_store_get_start(BkStore *self, const char *name, size_t size, BkBuf *out, BkOp *op,
                        GError **error) BK_MUST_USE;

/* Reads `count` (>= 1) small objects at once, where each would cost a way of its own: the next
 * bk_store_get of one, whole, is answered by that. It is a hint for reads that follow at once: an
 * absent object is not a failure here. Fails otherwise as get, with the first of `names` that did.
 */
bool bk_store_prefetch(BkStore *self, const char *const *names, size_t count, BkOp *op,
                       GError **error) BK_MUST_USE;

/* Makes the next complete bk_store_get of `name` return `data`, which was read before, as if it
 * were prefetched now. Nothing in a store that is not remote. */
void bk_store_prefetched(BkStore *self, const char *name, const BkBuf *data);

/* Returns true if the store has said that it keeps no versions of objects; it is not asked. */
bool bk_store_has_no_versions(const BkStore *self);

/* The store said so to an earlier process: it is not asked again. The answer to a put that bears a
 * version tells otherwise, and counts. */
void bk_store_take_no_versions(BkStore *self);

/* The caller found that what get returned is not what was put. `*has_other` is set if the store has
 * another answer, which get, get_start and stat return from now on: what is in the bucket rather
 * than in a cache, or the first of an object's versions rather than the last. */
bool bk_store_reread_original(BkStore *self, const char *name, bool *has_other, BkOp *op,
                              GError **error) BK_MUST_USE;

/* Size of an object. Fails with BK_ERROR_ABSENT, BK_ERROR_DENIED or BK_ERROR_STORE. */
bool bk_store_stat(BkStore *self, const char *name, uint64_t *size, BkOp *op,
                   GError **error) BK_MUST_USE;

/* Visits every object whose name starts with `prefix` (any string, not only a directory) and is
 * greater than `after` (NULL: all), in byte order of the names. Whatever a server answers, what is
 * visited is a name (bk_store_is_name) of those, strictly greater than the one before; a listing
 * with another one fails with BK_ERROR_STORE. */
bool bk_store_list(BkStore *self, const char *prefix, const char *after, BkStoreVisit visit,
                   void *data, BkOp *op, GError **error) BK_MUST_USE;

/* Visits what lies directly below `directory` ("" or a name and "/"), in byte order: objects, and
 * directories, whose names end in "/" and whose sizes and times are 0. Checked likewise. */
bool bk_store_list_directory(BkStore *self, const char *directory, BkStoreVisit visit, void *data,
                             BkOp *op, GError **error) BK_MUST_USE;

/* Makes an object that is seen durable: another process may have put it and not finished. Fails as
 * put, or with BK_ERROR_ABSENT. */
bool bk_store_ensure_durable(BkStore *self, const char *name, BkOp *op, GError **error) BK_MUST_USE;

/* A multipart upload that is not complete: it cannot be read, but is paid for. */
typedef struct BkStoreUpload {
    const char *name; /* of the object; valid during the visit, like `id` */
    const char *id;
    int64_t begun_us; /* since 1970, the store's clock; from 0 to BK_STORE_LAST_US */
} BkStoreUpload;
typedef bool (*BkStoreVisitUpload)(const BkStoreUpload *upload, void *data, GError **error);

/* Visits the uploads of objects whose names start with `prefix`, those under way included; none in
 * a store that knows no uploads. */
bool bk_store_list_uploads(BkStore *self, const char *prefix, BkStoreVisitUpload visit, void *data,
                           BkOp *op, GError **error) BK_MUST_USE;

/* Drops the parts of one; one that is gone is fine. */
bool bk_store_abort_upload(BkStore *self, const char *name, const char *id, BkOp *op,
                           GError **error) BK_MUST_USE;

/* Deletes an object; one that is absent is fine. */
bool bk_store_delete(BkStore *self, const char *name, BkOp *op, GError **error) BK_MUST_USE;

/* Deletes objects, by as few requests as the store allows; those that are absent are fine. */
bool bk_store_delete_many(BkStore *self, const char *const *names, size_t count, BkOp *op,
                          GError **error) BK_MUST_USE;

/* For how long the store refuses to delete what was just put or retained; 0: it does not. */
int64_t bk_store_lock_us(const BkStore *self);

/* Locks an object against deletion for that time from now on; does nothing in a store that does not
 * lock. Fails with BK_ERROR_ABSENT, BK_ERROR_DENIED or BK_ERROR_STORE. */
bool bk_store_retain(BkStore *self, const char *name, BkOp *op, GError **error) BK_MUST_USE;

/* Until when an object refuses deletion: since 1970; 0 when it does not, INT64_MAX where the store
 * cannot tell. Fails as retain. */
bool bk_store_get_lock(BkStore *self, const char *name, int64_t *until_us, BkOp *op,
                       GError **error) BK_MUST_USE;

/* Caches what later commands would request again: keeps `data` under `name` on this host, for as
 * long as it pleases, where the store has a local cache; bk_store_cache_get reads it back, false
 * when it is not there. What is recalled is as it was kept, or not at all. */
void bk_store_cache_put(BkStore *self, const char *name, const BkBuf *data);
bool bk_store_cache_get(BkStore *self, const char *name, BkBuf *out) BK_MUST_USE;

void bk_store_free(BkStore *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkStore, bk_store_free)
