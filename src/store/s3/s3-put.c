/* s3-put.c - puts an object so that the first put of a name wins, and sets its lock. */
#include "base/log.h"
#include "base/secret.h"
#include "store/s3/s3-priv.h"

#include <string.h>

/* One put of one object. */
typedef struct Put {
    S3Store *store;
    const char *name;
    const BkBuf *data;
    const uint8_t *sha256;
    char id[BK_S3_ID_SIZE + 1]; /* by which it is recognised */
    bool is_uncertain;          /* an attempt may have put it, whose answer was lost */
} Put;

static bool
choose_id(char id[BK_S3_ID_SIZE + 1], GError **error)
{
    uint8_t bytes[BK_S3_ID_SIZE / 2];

    if (!bk_random_fill(bytes, sizeof bytes, error))
        return false;
    for (size_t i = 0; i < sizeof bytes; i++)
        (void)g_snprintf(id + 2 * i, 3, "%02x", bytes[i]);
    return true;
}

static bool
put_whole(Put *self, BkHttpAnswer *answer, BkOp *op, GError **error)
{
    static const unsigned accepted[] = {412, 501, 0};
    S3Store *store = self->store;
    uint8_t digest[BK_SHA256_SIZE];
    g_auto(S3Fields) headers = {0};
    S3Call call = {
        .kind = BK_REQUEST_PUT,
        .method = "PUT",
        .what = "put an object",
        .name = self->name,
        .headers = &headers,
        .body = self->data->data,
        .body_size = self->data->size,
        .sha256 = self->sha256,
        .limit = BK_S3_ANSWER_MAX,
        .accepted = accepted,
        .may_hold_fault = true,
    };

    if (call.sha256 == NULL) {
        bk_sha256(self->data->data, self->data->size, digest);
        call.sha256 = digest;
    }
    bk_s3_fields_init(&headers);
    if (!atomic_load(&store->is_bare))
        bk_s3_fields_add(&headers, "if-none-match", "*");
    bk_s3_add_object_headers(store, self->name, self->id, &headers);
    if (store->options.sends_checksum) {
        g_autofree char *checksum = g_base64_encode(call.sha256, BK_SHA256_SIZE);

        bk_s3_fields_add(&headers, "x-amz-checksum-sha256", checksum);
    }
    if (bk_s3_is_locked_kind(store, self->name))
        bk_s3_add_md5(&headers, self->data->data, self->data->size);
    return bk_s3_call(store, &call, answer, &self->is_uncertain, op, error);
}

/* Is an object, or one version of it, what this very put has put? */
static bool
is_version_of_put(const Put *self, const char *version, bool *is_own, BkOp *op, GError **error)
{
    static const unsigned accepted[] = {404, 405, 0};
    g_auto(BkHttpAnswer) answer = {0};
    g_auto(S3Fields) fields = {0};
    g_auto(S3Fields) headers = {0};
    const S3Call call = {
        .kind = BK_REQUEST_HEAD,
        .method = "HEAD",
        .what = "look at an object",
        .name = self->name,
        .fields = &fields,
        .headers = &headers,
        .accepted = accepted,
    };
    const char *id;

    bk_http_answer_init(&answer);
    bk_s3_fields_init(&fields);
    bk_s3_fields_init(&headers);
    bk_s3_add_access_headers(self->store, &headers);
    if (version != NULL)
        bk_s3_fields_add(&fields, "versionId", version);
    if (!bk_s3_call(self->store, &call, &answer, NULL, op, error))
        return false;
    id = bk_http_answer_get(&answer, BK_S3_PUT_HEADER);
    *is_own = id != NULL && strcmp(id, self->id) == 0;
    return true;
}

/* Takes back what was put on top of an earlier version, or hides it (NULL), whereby the name gets a
 * mark on top of it. */
static bool
take_back(const Put *self, const char *version, BkOp *op, GError **error)
{
    g_auto(BkHttpAnswer) answer = {0};
    g_auto(S3Fields) fields = {0};
    const S3Call call = {
        .kind = BK_REQUEST_DELETE,
        .method = "DELETE",
        .what = "delete an object that lost to another writer",
        .name = self->name,
        .fields = &fields,
        .limit = BK_S3_ANSWER_MAX,
    };

    bk_http_answer_init(&answer);
    bk_s3_fields_init(&fields);
    if (version != NULL)
        bk_s3_fields_add(&fields, "versionId", version);
    return bk_s3_call(self->store, &call, &answer, NULL, op, error);
}

/* Where a lock forbids to take it back it is hidden: who finds an object hidden reads its first
 * version. So is an earlier attempt of ours that may lie there, too. Who may not delete at all
 * leaves it, and reads the first one itself. */
static void
withdraw_own_version(const Put *self, const char *version, const char *first, BkOp *op)
{
    g_autoptr(GError) cause = NULL;

    bk_s3_remember_first(self->store, self->name, first);
    if ((take_back(self, version, op, NULL) && !self->is_uncertain) ||
        take_back(self, NULL, op, &cause))
        return;
    bk_log(BK_LOG_WARNING, "\"%s\" in %s has a second version, which should be deleted: %s",
           self->name, self->store->base.description, cause->message);
}

/* In a bucket with versions the condition may have been ignored: who came first? */
static bool
check_is_first(const Put *self, const char *version, BkOp *op, GError **error)
{
    g_autoptr(GPtrArray) versions = NULL;
    const BkS3Entry *first;
    bool own = false;

    if (!bk_s3_get_versions(self->store, self->name, &versions, op, error))
        return false;
    first = bk_s3_find_first(versions);
    if (first == NULL)
        return bk_throw(error, BK_ERROR_STORE, "the object that was just put does not exist");
    if (strcmp(first->version, version) == 0)
        return true;
    if (self->is_uncertain && !is_version_of_put(self, first->version, &own, op, error))
        return false;
    withdraw_own_version(self, version, first->version, op);
    return own || bk_store_throw_exists(error);
}

static bool
judge_put_answer(Put *self, const BkHttpAnswer *answer, BkOp *op, GError **error)
{
    const char *version = bk_http_answer_get(answer, "x-amz-version-id");
    bool own = false;

    if (answer->status == 501)
        return bk_throw(error, BK_ERROR_STORE,
                        "the store does not support \"If-None-Match\", without which two writers "
                        "might overwrite each other: turn on versioning for the bucket, or set "
                        "\"conditions: false\" and write from one host only");
    if (answer->status == 412) {
        if (self->is_uncertain && !is_version_of_put(self, NULL, &own, op, error))
            return false;
        return own || bk_store_throw_exists(error);
    }
    if (version == NULL || strcmp(version, "null") == 0) {
        const bool needs_version =
            atomic_load(&self->store->is_bare) && !self->store->options.is_unconditional;

        return !needs_version ||
               bk_throw(
                   error, BK_ERROR_STORE,
                   "the store does not support \"If-None-Match\", and does not return the version "
                   "of a put object: set \"conditions: false\" and write from one host only");
    }
    atomic_store(&self->store->versions, BK_S3_VERSIONS_KEPT);
    return check_is_first(self, version, op, error);
}

static bool
put_once(Put *self, BkHttpAnswer *answer, BkOp *op, GError **error)
{
    S3Store *store = self->store;

    if (self->data->size > store->single_max)
        return bk_s3_put_parts(store, self->name, self->data, self->id, answer, &self->is_uncertain,
                               op, error);
    return (!atomic_load(&store->is_bare) || bk_s3_check_is_free(store, self->name, op, error)) &&
           put_whole(self, answer, op, error);
}

/* Some stores ignore the lock that was asked for when an upload in parts began. */
static bool
lock_parts(const Put *self, BkOp *op, GError **error)
{
    return self->data->size <= self->store->single_max ||
           bk_s3_retain(&self->store->base, self->name, op, error);
}

bool
bk_s3_put(BkStore *store, const char *name, const BkBuf *data, const uint8_t *sha256, BkOp *op,
          GError **error)
{
    S3Store *self = (S3Store *)store;
    Put put = {.store = self, .name = name, .data = data, .sha256 = sha256};

    if (!choose_id(put.id, error))
        return false;
    for (unsigned attempt = 0;; attempt++) {
        g_auto(BkHttpAnswer) answer = {0};
        bool keeps = false;

        bk_http_answer_init(&answer);
        if (!put_once(&put, &answer, op, error) || (answer.status == 501 && attempt == 0 &&
                                                    !bk_s3_keeps_versions(self, &keeps, op, error)))
            return false;
        if (!keeps)
            return judge_put_answer(&put, &answer, op, error) && lock_parts(&put, op, error);
        /* It does not know the condition, but serves as well without it: its versions tell who was
         * first. */
        atomic_store(&self->is_bare, true);
    }
}
