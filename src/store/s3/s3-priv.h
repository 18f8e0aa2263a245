/* s3-priv.h - the insides of the driver for buckets.
 *
 * Threads: as store.h. */
#pragma once
#include "store/http/http.h"
#include "store/s3/s3-xml.h"
#include "store/s3/s3.h"
#include "store/store-priv.h"

#include <pthread.h>
#include <stdatomic.h>

#define BK_S3_PART_SIZE  ((size_t)32 * 1024 * 1024)
#define BK_S3_SINGLE_MAX (2 * BK_S3_PART_SIZE) /* what is larger is put in parts */
#define BK_S3_ANSWER_MAX ((size_t)16 * 1024 * 1024)
#define BK_S3_PUT_HEADER "x-amz-meta-put" /* a random number of each put */
#define BK_S3_ID_SIZE    32               /* hex digits of it */

typedef enum { BK_S3_VERSIONS_UNKNOWN, BK_S3_VERSIONS_NONE, BK_S3_VERSIONS_KEPT } BkS3Versions;

typedef struct S3Store {
    BkStore base;
    BkS3Options options; /* strings in `strings` */
    GPtrArray *strings;
    BkHttp *http;
    BkCredentialSource *credentials;
    char *origin;                    /* "https://host:port" */
    char *host;                      /* as in the Host header */
    char *root;                      /* "/bucket/" or "/" */
    char *prefix;                    /* "" or "a/b/" */
    bool is_private;                 /* nobody on the way can read what is sent */
    char *customer_key;              /* base64, or NULL */
    char *customer_key_md5;          /* likewise */
    int64_t (*now_us)(void);         /* since 1970; tests set it */
    size_t single_max;               /* what is larger is put in parts; tests set it */
    atomic_int versions;             /* BkS3Versions */
    atomic_bool versions_are_untold; /* they are taken for kept since we may not ask */
    atomic_bool has_bucket;          /* an answer has shown that there is one */
    atomic_bool is_bare;             /* puts have no condition: the store does not support it */

    pthread_mutex_t mutex; /* guards what follows */
    GHashTable *firsts;    /* name -> version id, where the current version is not the first */
    GHashTable *ahead;     /* name -> BkBuf, read before it is asked for */
} S3Store;

/* Headers or parameters with their texts. */
typedef struct S3Fields {
    GArray *fields;     /* BkS3Parameter */
    GPtrArray *strings; /* owned */
} S3Fields;
void bk_s3_fields_init(S3Fields *self);
void bk_s3_fields_clear(S3Fields *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(S3Fields, bk_s3_fields_clear)
void bk_s3_fields_add(S3Fields *self, const char *name, const char *value); /* copies */

/* One request, tried until it is answered for good. */
typedef struct S3Call {
    BkRequestKind kind;
    const char *method;
    const char *what;        /* for messages: "put an object" */
    const char *name;        /* of an object; NULL: the bucket */
    const S3Fields *fields;  /* of the query; may be NULL */
    const S3Fields *headers; /* may be NULL */
    const void *body;
    size_t body_size;
    const uint8_t *sha256;    /* of the body; NULL: computed */
    size_t limit;             /* of the answer's body */
    const unsigned *accepted; /* statuses other than 2xx that are answers, 0-terminated; or NULL */
    bool may_hold_fault;      /* a 200 may contain an error */
} S3Call;

/* True with an answer of 2xx or one that is accepted. `*is_uncertain` (may be NULL): an attempt
 * before the last may have had its effect, too. */
bool bk_s3_call(S3Store *self, const S3Call *call, BkHttpAnswer *answer, bool *is_uncertain,
                BkOp *op, GError **error) BK_MUST_USE;

/* Did a call that accepts 404 find the bucket, but not the object? Otherwise fails. */
bool bk_s3_is_absent(const S3Store *self, const BkHttpAnswer *answer, bool *is_absent,
                     GError **error) BK_MUST_USE;

/* The size of the whole object, of which an answer to GET holds a part: "bytes 0-9/1234". */
bool bk_s3_total(const BkHttpAnswer *answer, uint64_t *total, GError **error) BK_MUST_USE;

/* The key that a name has in the bucket: a new string. */
char *bk_s3_key(const S3Store *self, const char *name);

/* The name of a key, in `key`; NULL when it is none of ours. */
const char *bk_s3_name(const S3Store *self, const char *key);

/* Headers of every request about an object's content: the customer's key, who pays. */
void bk_s3_add_access_headers(const S3Store *self, S3Fields *headers);

void bk_s3_format_date(int64_t time_us, char text[21]); /* "2026-11-24T00:00:00Z" */
void bk_s3_add_md5(S3Fields *headers, const void *data, size_t size);

/* --- s3-object.c --- */

/* All headers of a new object but those of its body. */
void bk_s3_add_object_headers(const S3Store *self, const char *name, const char *id,
                              S3Fields *headers);

/* Until when an object that is put now is locked. */
int64_t bk_s3_lock_until_us(const S3Store *self);
/* Returns true if objects of the name are put with a lock. */
bool bk_s3_is_locked_kind(const S3Store *self, const char *name);

/* --- s3-versioning.c --- */

/* Sets `*keeps` when the bucket keeps versions. Asked once. One that does not let us ask counts as
 * one that does: listing versions is right in any bucket. */
bool bk_s3_keeps_versions(S3Store *self, bool *keeps, BkOp *op, GError **error) BK_MUST_USE;

/* See bk_store_has_no_versions and bk_store_take_no_versions. */
bool bk_s3_has_no_versions(const BkStore *store);
void bk_s3_take_no_versions(BkStore *store);

/* The oldest of the versions of a name that is no marker, or NULL. */
const BkS3Entry *bk_s3_find_first(const GPtrArray *versions);

/* Which version get and stat mean: a new string, or NULL for the current one. */
char *bk_s3_first_of(S3Store *self, const char *name);

/* From now on an object is that version of its name. */
void bk_s3_remember_first(S3Store *self, const char *name, const char *version);

/* --- s3-ahead.c --- */
void bk_s3_ahead_init(S3Store *self);
void bk_s3_give_ahead(BkStore *store, const char *name, const BkBuf *data);
bool bk_s3_read_ahead(BkStore *store, const char *const *names, size_t count, BkOp *op,
                      GError **error) BK_MUST_USE;

/* The whole object, if it was read ahead: once. */
bool bk_s3_take_ahead(S3Store *self, const char *name, size_t limit, BkBuf *out) BK_MUST_USE;

/* --- s3-list.c --- */
bool bk_s3_list(BkStore *store, const char *prefix, const char *after, BkStoreVisit visit,
                void *data, BkOp *op, GError **error) BK_MUST_USE;
bool bk_s3_list_directory(BkStore *store, const char *directory, BkStoreVisit visit, void *data,
                          BkOp *op, GError **error) BK_MUST_USE;

bool bk_s3_list_uploads(BkStore *store, const char *prefix, BkStoreVisitUpload visit, void *data,
                        BkOp *op, GError **error) BK_MUST_USE;

/* The versions of one name, newest first: an array of BkS3Entry * with markers among them. */
bool bk_s3_get_versions(S3Store *self, const char *name, GPtrArray **versions, BkOp *op,
                        GError **error) BK_MUST_USE;

/* --- s3-versions.c --- */

/* Fails with BK_ERROR_EXISTS when there is an object of the name, of whatever version. */
bool bk_s3_check_is_free(S3Store *self, const char *name, BkOp *op, GError **error) BK_MUST_USE;

/* What get answered is `version`, the current one: is it the first? Otherwise remembers the first.
 */
bool bk_s3_check_first(S3Store *self, const char *name, const char *version, bool *is_first,
                       BkOp *op, GError **error) BK_MUST_USE;

/* Is there a first version? Remembers it. */
bool bk_s3_find_hidden(S3Store *self, const char *name, bool *found, BkOp *op,
                       GError **error) BK_MUST_USE;

bool bk_s3_distrust(BkStore *store, const char *name, bool *has_other, BkOp *op,
                    GError **error) BK_MUST_USE;
bool bk_s3_delete(BkStore *store, const char *name, BkOp *op, GError **error) BK_MUST_USE;
bool bk_s3_delete_many(BkStore *store, const char *const *names, size_t count, BkOp *op,
                       GError **error) BK_MUST_USE;
bool bk_s3_get_lock(BkStore *store, const char *name, int64_t *until_us, BkOp *op,
                    GError **error) BK_MUST_USE;
bool bk_s3_retain(BkStore *store, const char *name, BkOp *op, GError **error) BK_MUST_USE;

/* --- s3-multipart.c, s3-put.c: each uses what stands above --- */

bool bk_s3_put(BkStore *store, const char *name, const BkBuf *data, const uint8_t *sha256, BkOp *op,
               GError **error) BK_MUST_USE;

/* Puts an object in parts; `*answer` is that of its completion. */
bool bk_s3_put_parts(S3Store *self, const char *name, const BkBuf *data, const char *id,
                     BkHttpAnswer *answer, bool *is_uncertain, BkOp *op,
                     GError **error) BK_MUST_USE;

bool bk_s3_abort_upload(BkStore *store, const char *name, const char *id, BkOp *op,
                        GError **error) BK_MUST_USE;
