/* kept.h - what is needed to open a source in a bucket, cached on this host, so that most calls
 * need no request for it.
 *
 * Kept are the objects themselves, sealed as they are in the bucket: without the key file they are
 * worth nothing. What is found here is never believed alone. Whoever opens a source by it either
 * asks for the newest of its keys again and finds the same bytes, or uses it for nothing but to ask
 * for something else; see bk_repository_open_kept. The files are in the local cache (cache-file.h),
 * and may be deleted at any time.
 * Threads: a BkKept belongs to one; files are safe between processes. */
#pragma once
#include "repo/repository.h"

#define BK_KEPT_OBJECT_MAX ((size_t)4096) /* of an object that opens something */
#define BK_KEPT_KEYS_MAX   1024

/* For how long what is kept saves a full look, by which another key file's slot that was taken
 * away, a newer key or a damaged identity are noticed. */
#define BK_KEPT_US (INT64_C(3600) * 1000000)

typedef struct BkKeptKey {
    uint32_t generation;
    BkBuf object;
} BkKeptKey;

typedef struct BkKept {
    int64_t made_us;      /* when all of it was read from the bucket */
    bool has_no_versions; /* the bucket said so then */
    char slot[BK_SLOT_SIZE + 1];
    BkBuf identity;
    BkBuf slot_object;
    GArray *keys; /* of BkKeptKey, ascending, at least one */
} BkKept;

void bk_kept_init(BkKept *self);
void bk_kept_clear(BkKept *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkKept, bk_kept_clear)

/* Copies `object`; generations come in order. */
void bk_kept_add_key(BkKept *self, uint32_t generation, const BkBuf *object);

void bk_kept_encode(const BkKept *self, BkBuf *out);

/* `self` is initialised, and to be cleared also after a failure, which is BK_ERROR_CORRUPT. */
bool bk_kept_decode(const void *data, size_t size, BkKept *self, GError **error) BK_MUST_USE;

/* Reads what is kept of `source` in that place. Returns false if there is nothing that the slot's
 * owner could use, or it is older than BK_KEPT_US at `now_us`, or from the future. */
bool bk_kept_load(BkKept *self, const BkLocation *place, const char *source, const char *slot,
                  int64_t now_us) BK_MUST_USE;
void bk_kept_save(const BkKept *self, const BkLocation *place, const char *source);
void bk_kept_drop(const BkLocation *place, const char *source);
