/* repository.h - a repository: its identity, its keys, and the source repositories in it.
 *
 * Objects: "backstay.json" says that a store is a repository and in which format;
 * "keys/SLOT" holds the repository key sealed with the secret of a key file (the place for further
 * kinds of slot: passphrase, KMS, public key); "SOURCE/key/GENERATION" holds a source's key sealed
 * with the repository key. backstay.json is put last, so a store without it holds no data, and a
 * creation that was cut short is simply continued.
 * Threads: a repository or source repository may be read by many threads at once. */
#pragma once
#include "repo/keyfile.h"
#include "repo/seal.h"
#include "store/s3/s3.h"

#define BK_REPOSITORY_FORMAT 1

typedef struct BkRepository BkRepository;

/* One source in one repository: key, packs, snapshots, archive, lease. */
typedef struct BkSourceRepo BkSourceRepo;

/* Makes `store` (owned by the result, freed on failure) a repository that `key` opens, or opens it
 * when it is one already; `*created` tells which. `name` is the configured one, for messages. */
BkRepository *bk_repository_create(BkStore *store, const char *name, const BkKeyFile *key,
                                   bool *created, BkOp *op, GError **error) BK_MUST_USE;

/* Opens a repository; `store` as above. Fails with BK_ERROR_STORE (no repository there),
 * BK_ERROR_KEY (the key does not open it), BK_ERROR_UNSUPPORTED (newer format), BK_ERROR_CORRUPT,
 * or as the store. */
BkRepository *bk_repository_open(BkStore *store, const char *name, const BkKeyFile *key, BkOp *op,
                                 GError **error) BK_MUST_USE;

/* Where a repository is: in a directory or in a bucket. */
typedef struct BkLocation {
    const char *path;      /* NULL: it is in a bucket */
    const BkS3Options *s3; /* NULL: it is in a directory */
} BkLocation;

/* The same for a place: the first makes a directory, never a bucket. One that is not there:
 * BK_ERROR_STORE. `source` (or NULL) is the one whose source repository is opened next: from a
 * bucket its key is read along. */
BkRepository *bk_repository_create_at(const BkLocation *place, const char *name,
                                      const BkKeyFile *key, bool *created, BkOp *op,
                                      GError **error) BK_MUST_USE;
BkRepository *bk_repository_open_at(const BkLocation *place, const char *name, const BkKeyFile *key,
                                    const char *source, BkOp *op, GError **error) BK_MUST_USE;

/* The same for whoever opens one source in a bucket again and again: by what this host has kept of
 * it (kept.h), when one request shows that the source's newest key is still what it was; otherwise
 * as bk_repository_open_at, and what is read then, also by bk_source_repo_open, is kept. */
BkRepository *bk_repository_open_kept(const BkLocation *place, const char *name,
                                      const BkKeyFile *key, const char *source, BkOp *op,
                                      GError **error) BK_MUST_USE;

/* Opens a repository in a bucket, and the source repository of `source`, from the local cache and
 * without a request. Nothing proves that they are still there: it is good for asking, and for
 * writing only after bk_source_repo_prove. Returns NULL if nothing usable is kept. */
BkRepository *bk_repository_recall(const BkLocation *place, const char *name, const BkKeyFile *key,
                                   const char *source, BkSourceRepo **source_repo,
                                   BkOp *op) BK_MUST_USE;

/* Forgets what is kept of a source in that place. */
void bk_repository_forget_kept(const BkLocation *place, const char *source);

/* Identifies a location: 16 hex digits, a new string. */
char *bk_location_digest(const BkLocation *place);

/* Returns true if there is a repository in that location. */
bool bk_repository_is_at(const BkLocation *place, bool *found, BkOp *op,
                         GError **error) BK_MUST_USE;

/* Names of the sources that it holds, in order: a new array of char *. */
GPtrArray *bk_repository_list_sources(const BkRepository *self, BkOp *op,
                                      GError **error) BK_MUST_USE;

void bk_repository_free(BkRepository *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkRepository, bk_repository_free)

const char *bk_repository_name(const BkRepository *self);
const char *bk_repository_id(const BkRepository *self); /* 32 hex digits */
BkStore *bk_repository_store(const BkRepository *self); /* borrowed */

/* Opens the source repository of `source`; `repository` must outlive it. When the repository has
 * none: BK_ERROR_NOT_FOUND. */
BkSourceRepo *bk_source_repo_open(BkRepository *repository, const char *source, BkOp *op,
                                  GError **error) BK_MUST_USE;

/* The same, but creates it if it is missing: with the keys of `model` (of the same source in
 * another repository, so that sealed objects serve both), or with a new key when that is NULL. */
BkSourceRepo *bk_source_repo_create(BkRepository *repository, const char *source,
                                    const BkSourceRepo *model, BkOp *op,
                                    GError **error) BK_MUST_USE;

/* Requests the newest key of a source repository that was opened from the cache. `*is_proven` is
 * set if it still exists and is the same. Fails as the store, when that gives no answer. */
bool bk_source_repo_prove(const BkSourceRepo *self, bool *is_proven, BkOp *op,
                          GError **error) BK_MUST_USE;

void bk_source_repo_free(BkSourceRepo *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkSourceRepo, bk_source_repo_free)

const char *bk_source_repo_source(const BkSourceRepo *self);
BkRepository *bk_source_repo_repository(const BkSourceRepo *self);
const char *bk_source_repo_repository_name(const BkSourceRepo *self);
BkStore *bk_source_repo_store(const BkSourceRepo *self);
const BkKeyring *bk_source_repo_keys(const BkSourceRepo *self);
const BkXxh3Secret *bk_source_repo_hash_secret(const BkSourceRepo *self, uint32_t generation);

/* Locks what is needed to open the repository and the source repository against deletion, for the
 * store's time from now on: the identity and every slot and key. Nothing in a store that does not
 * lock. Fails as bk_store_retain. */
bool bk_source_repo_retain_keys(const BkSourceRepo *self, BkOp *op, GError **error) BK_MUST_USE;

/* Returns true if both source repositories seal with the same keys, so that an object sealed for
 * one is valid in the other. */
bool bk_source_repo_shares_keys(const BkSourceRepo *self, const BkSourceRepo *other);

/* "SOURCE/…": a new string. */
char *bk_source_repo_object_name(const BkSourceRepo *self, const char *format, ...) BK_PRINTF(2, 3);

/* Logs a warning that object `name`, which a listing of `place` ("the leases") has shown, is none
 * of Backstay's: an NFS client's ".nfs…", an editor's copy. It must not keep the others from use.
 */
void bk_repository_warn_foreign(const char *name, const char *place);
