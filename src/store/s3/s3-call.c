/* s3-call.c - one call of S3: signing, retries, and what its errors mean. */
#include "base/fault.h"
#include "base/log.h"
#include "base/secret.h"
#include "store/s3/s3-priv.h"

#include <string.h>
#include <time.h>

#define DEFAULT_RETRY_US (60 * BK_USEC_PER_SEC)
#define FIRST_PAUSE_US   (BK_USEC_PER_SEC / 10)
#define MAX_PAUSE_US     (10 * BK_USEC_PER_SEC)

void
bk_s3_fields_init(S3Fields *self)
{
    self->fields = g_array_new(FALSE, FALSE, sizeof(BkS3Parameter));
    self->strings = g_ptr_array_new_with_free_func(g_free);
}

void
bk_s3_fields_clear(S3Fields *self)
{
    g_clear_pointer(&self->fields, g_array_unref);
    g_clear_pointer(&self->strings, g_ptr_array_unref);
}

void
bk_s3_fields_add(S3Fields *self, const char *name, const char *value)
{
    char *copy = g_strdup(value);
    BkS3Parameter field = {name, copy};

    g_ptr_array_add(self->strings, copy);
    g_array_append_val(self->fields, field);
}

char *
bk_s3_key(const S3Store *self, const char *name)
{
    return g_strconcat(self->prefix, name, NULL);
}

const char *
bk_s3_name(const S3Store *self, const char *key)
{
    const char *name = g_str_has_prefix(key, self->prefix) ? key + strlen(self->prefix) : NULL;

    return name != NULL && bk_store_is_name(name) ? name : NULL;
}

void
bk_s3_add_access_headers(const S3Store *self, S3Fields *headers)
{
    if (self->customer_key != NULL) {
        bk_s3_fields_add(headers, "x-amz-server-side-encryption-customer-algorithm", "AES256");
        bk_s3_fields_add(headers, "x-amz-server-side-encryption-customer-key", self->customer_key);
        bk_s3_fields_add(headers, "x-amz-server-side-encryption-customer-key-md5",
                         self->customer_key_md5);
    }
    if (self->options.requester_pays)
        bk_s3_fields_add(headers, "x-amz-request-payer", "requester");
}

void
bk_s3_format_date(int64_t time_us, char text[21])
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(time_us / BK_USEC_PER_SEC);
    g_autofree char *formatted = g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ");

    (void)g_strlcpy(text, formatted, 21);
}

void
bk_s3_add_md5(S3Fields *headers, const void *data, size_t size)
{
    GChecksum *checksum = g_checksum_new(G_CHECKSUM_MD5);
    uint8_t digest[16];
    gsize digest_size = sizeof digest;
    g_autofree char *text = NULL;

    g_checksum_update(checksum, data, (gssize)size);
    g_checksum_get_digest(checksum, digest, &digest_size);
    g_checksum_free(checksum);
    text = g_base64_encode(digest, sizeof digest);
    bk_s3_fields_add(headers, "content-md5", text);
}

/* One attempt at a call. */
typedef struct Attempt {
    S3Store *store;
    const S3Call *call;
    const uint8_t *sha256;
    BkHttpAnswer *answer;
    BkCredentials credentials;
    BkS3Fault fault; /* of the answer, when it is one of failure */
} Attempt;

static void
attempt_clear(Attempt *self)
{
    bk_credentials_clear(&self->credentials);
    bk_s3_fault_clear(&self->fault);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Attempt, attempt_clear)

static void
wipe_list(char **list)
{
    for (size_t i = 0; list[i] != NULL; i++)
        bk_wipe(list[i], strlen(list[i]));
    g_strfreev(list);
}

/* A session token is as good as a password to whoever reads it, while a signature is good for its
 * one request. */
static bool
check_privacy(const Attempt *self, GError **error)
{
    self->answer->outcome = BK_HTTP_IMPOSSIBLE;
    return self->credentials.session_token == NULL || self->store->is_private ||
           bk_throw(error, BK_ERROR_CONFIG,
                    "the credentials have a session token, which others on the network could read "
                    "over plain http: use https");
}

static bool
send_once(Attempt *self, BkOp *op, GError **error)
{
    const S3Call *call = self->call;
    S3Store *store = self->store;
    const BkS3Credentials credentials = {self->credentials.access_key, self->credentials.secret_key,
                                         self->credentials.session_token};
    g_autofree char *key = call->name != NULL ? bk_s3_key(store, call->name) : g_strdup("");
    g_autofree char *path = g_strconcat(store->root, key, NULL);
    BkS3Request request = {
        .method = call->method,
        .host = store->host,
        .path = path,
        .payload_sha256 = self->sha256,
        .region = store->options.region,
        .service = "s3",
        .time_us = store->now_us(),
    };
    g_autofree char *target = NULL;
    g_autofree char *url = NULL;
    BkHttpRequest http = {
        .method = call->method,
        .body = call->body,
        .body_size = call->body_size,
        .limit = call->limit,
    };
    char **headers;
    bool ok;

    if (call->fields != NULL) {
        request.parameters = (const void *)call->fields->fields->data;
        request.parameter_count = call->fields->fields->len;
    }
    if (call->headers != NULL) {
        request.headers = (const void *)call->headers->fields->data;
        request.header_count = call->headers->fields->len;
    }
    target = bk_s3_encode_target(&request);
    url = g_strconcat(store->origin, target, NULL);
    http.url = url;
    headers = bk_s3_sign(&request, &credentials);
    http.headers = (const char *const *)headers;
    self->answer->outcome = BK_HTTP_IMPOSSIBLE; /* should a fault come before the request */
    ok = bk_fault(BK_FAULT_STORE_S3_SEND, error) &&
         bk_http_send(store->http, &http, self->answer, op, error);
    if (ok && !bk_fault(BK_FAULT_STORE_S3_ANSWERED, error)) {
        self->answer->outcome = BK_HTTP_IMPOSSIBLE;
        ok = false;
    }
    bk_op_count_request(op, call->kind, call->body_size, self->answer->body.size);
    wipe_list(headers);
    return ok;
}

static bool
is_accepted(const S3Call *call, unsigned status)
{
    if (status >= 200 && status < 300)
        return true;
    for (size_t i = 0; call->accepted != NULL && call->accepted[i] != 0; i++)
        if (call->accepted[i] == status)
            return true;
    return false;
}

static bool
is_one_of(const char *text, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(text, list[i]) == 0)
            return true;
    return false;
}

/* Does it pay to ask again as it is? */
static bool
is_passing_attempt(const Attempt *self)
{
    static const char *const codes[] = {"SlowDown",           "RequestTimeout",
                                        "InternalError",      "OperationAborted",
                                        "ServiceUnavailable", "ConditionalRequestConflict"};
    unsigned status = self->answer->status;

    if (self->answer->outcome != BK_HTTP_ANSWERED)
        return self->answer->outcome == BK_HTTP_NOT_SENT || self->answer->outcome == BK_HTTP_BROKEN;
    return status == 500 || status == 502 || status == 503 || status == 504 || status == 429 ||
           is_one_of(self->fault.code, codes, G_N_ELEMENTS(codes));
}

static bool
has_expired(const Attempt *self)
{
    static const char *const codes[] = {"ExpiredToken", "InvalidToken", "TokenRefreshRequired"};

    return self->credentials.session_token != NULL &&
           is_one_of(self->fault.code, codes, G_N_ELEMENTS(codes));
}

/* By how much the server's clock differs from ours, for people. */
static char *
describe_skew(const Attempt *self)
{
    const char *date = bk_http_answer_get(self->answer, "date");
    struct tm fields = {0};
    int64_t difference;

    if (date == NULL || strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &fields) == NULL)
        return g_strdup("differs too much from");
    difference = self->store->now_us() / BK_USEC_PER_SEC - (int64_t)timegm(&fields);
    return g_strdup_printf("is %" G_GINT64_FORMAT " s %s", ABS(difference),
                           difference < 0 ? "behind" : "ahead of");
}

static bool
throw_region(const Attempt *self, GError **error)
{
    const char *region = bk_http_answer_get(self->answer, "x-amz-bucket-region");

    if (region == NULL)
        region = self->fault.region;
    return bk_throw(error, BK_ERROR_STORE, "the bucket is not in region \"%s\"%s%s%s",
                    self->store->options.region, region != NULL ? " but in \"" : "",
                    region != NULL ? region : "", region != NULL ? "\"" : "");
}

static BkErrorCode
code_of(const Attempt *self)
{
    static const char *const full[] = {"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull",
                                       "EntityTooLarge"};
    unsigned status = self->answer->status;

    if (status == 507 || is_one_of(self->fault.code, full, G_N_ELEMENTS(full)))
        return BK_ERROR_NO_SPACE;
    return status == 401 || status == 403 ? BK_ERROR_DENIED : BK_ERROR_STORE;
}

/* What the codes mean for who reads the message. */
static const char *
explain_s3_code(const char *code)
{
    static const struct {
        const char *code;
        const char *meaning;
    } known[] = {
        {"AccessDenied", "the credentials do not allow it"},
        {"InvalidAccessKeyId", "the server does not know the access key"},
        {"SignatureDoesNotMatch", "the secret key is wrong"},
        {"NoSuchBucket", "there is no such bucket: create it first"},
        {"QuotaExceeded", "the quota is used up"},
        {"InvalidObjectState",
         "the object is in an archive storage class: have the store restore it first"},
        {"InvalidStorageClass", "the store has no such storage class"},
        {"ObjectLockConfigurationNotFoundError", "the bucket was created without object lock"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(known); i++)
        if (strcmp(known[i].code, code) == 0)
            return known[i].meaning;
    return NULL;
}

static bool
throw_fault(const Attempt *self, GError **error)
{
    const char *code = self->fault.code;
    const char *meaning = explain_s3_code(code);
    unsigned status = self->answer->status;

    if (strcmp(code, "RequestTimeTooSkewed") == 0) {
        g_autofree char *skew = describe_skew(self);

        return bk_throw(error, BK_ERROR_STORE,
                        "the clock of this host %s that of the server: set it", skew);
    }
    if (status == 301 || status == 307 || strcmp(code, "AuthorizationHeaderMalformed") == 0 ||
        strcmp(code, "PermanentRedirect") == 0)
        return throw_region(self, error);
    if (meaning == NULL && self->fault.message[0] != 0)
        meaning = self->fault.message;
    if (meaning == NULL && status == 403)
        meaning = "the credentials do not allow it";
    return bk_throw(error, code_of(self), "%s: answer %u%s%s%s%s", self->call->what, status,
                    code[0] != 0 ? " " : "", code, meaning != NULL ? ": " : "",
                    meaning != NULL ? meaning : "");
}

bool
bk_s3_total(const BkHttpAnswer *answer, uint64_t *total, GError **error)
{
    const char *range = bk_http_answer_get(answer, "content-range");
    const char *slash = range != NULL ? strrchr(range, '/') : NULL;
    guint64 size;

    if (answer->status == 200) {
        *total = answer->body.size;
        return true;
    }
    if (slash == NULL || !g_ascii_string_to_unsigned(slash + 1, 10, 0, UINT64_MAX, &size, NULL))
        return bk_throw(error, BK_ERROR_STORE,
                        "the server answered %u with a range of unknown size, \"%s\"",
                        answer->status, range != NULL ? range : "");
    *total = size;
    return true;
}

/* Returns true if the answer tells where its body ends: otherwise the end of the connection is it,
 * whatever is missing then. */
static bool
has_end(const BkHttpAnswer *answer)
{
    return bk_http_answer_get(answer, "content-length") != NULL ||
           bk_http_answer_get(answer, "transfer-encoding") != NULL;
}

/* A part of an object that does not tell which one, or an object that may have been cut off, is as
 * good as a broken connection: ask again. */
static bool
check_extent(const Attempt *self, GError **error)
{
    const BkHttpAnswer *answer = self->answer;
    uint64_t total;

    if (self->call->kind != BK_REQUEST_GET || self->call->name == NULL ||
        (answer->status != 200 && answer->status != 206))
        return true;
    if (answer->status == 200
            ? has_end(answer) ||
                  bk_throw(error, BK_ERROR_STORE, "the server does not say where its answer ends")
            : bk_s3_total(answer, &total, error))
        return true;
    self->answer->outcome = BK_HTTP_BROKEN;
    return false;
}

/* Sends once and judges the answer: true when the call is done. */
static bool
attempt_call(Attempt *self, BkOp *op, GError **error)
{
    bool is_good;

    bk_s3_fault_clear(&self->fault);
    if (!check_privacy(self, error) || !send_once(self, op, error) || !check_extent(self, error)) {
        self->fault.code = g_strdup("");
        self->fault.message = g_strdup("");
        return false;
    }
    is_good = is_accepted(self->call, self->answer->status);
    if (is_good && !(self->call->may_hold_fault && self->answer->status == 200))
        return true;
    if (!bk_s3_xml_is_fault(&self->answer->body, &self->fault) && is_good)
        return true;
    return throw_fault(self, error);
}

/* Half of a growing pause is left to chance, so that many who were refused do not come back at
 * once. */
static int64_t
choose_pause_us(unsigned failures)
{
    int64_t pause_us = FIRST_PAUSE_US << MIN(failures, 10);
    uint32_t chance = 0;

    if (!bk_random_fill(&chance, sizeof chance, NULL))
        chance = 0; /* then without chance */
    pause_us = MIN(pause_us, MAX_PAUSE_US);
    return pause_us / 2 + chance % (pause_us / 2);
}

/* May an attempt have had an effect that its answer does not tell? A fault under 200 is found when
 * the work is as good as done. */
static bool
may_have_had_effect(const BkHttpAnswer *answer, bool is_done)
{
    return answer->was_sent_twice || answer->outcome == BK_HTTP_BROKEN ||
           answer->outcome == BK_HTTP_ENDED ||
           (answer->outcome == BK_HTTP_ANSWERED && !is_done &&
            (answer->status < 300 || answer->status >= 500));
}

/* Again, unless it is in vain or has been tried for long enough. */
static bool
wait_for_next(Attempt *self, unsigned failures, int64_t start_us, GError **cause, BkOp *op,
              GError **error)
{
    int64_t retry_us =
        self->store->options.retry_us > 0 ? self->store->options.retry_us : DEFAULT_RETRY_US;
    int64_t tried_us = g_get_monotonic_time() - start_us;
    int64_t pause_us = choose_pause_us(failures);

    if (has_expired(self) && failures == 0) {
        bk_credentials_expire(self->store->credentials, &self->credentials);
        g_clear_error(cause);
        return true;
    }
    if (!is_passing_attempt(self) || !bk_op_check(op, NULL))
        return bk_propagate(error, cause);
    if (tried_us + pause_us > retry_us)
        return bk_propagate(error, cause) ||
               bk_prefix(error, "tried for %" G_GINT64_FORMAT " s", tried_us / BK_USEC_PER_SEC);
    bk_log(BK_LOG_DEBUG, "%s: %s: again in %" G_GINT64_FORMAT " ms", self->store->base.description,
           (*cause)->message, pause_us / 1000);
    g_clear_error(cause);
    return bk_op_sleep(op, pause_us, error);
}

bool
bk_s3_call(S3Store *self, const S3Call *call, BkHttpAnswer *answer, bool *is_uncertain, BkOp *op,
           GError **error)
{
    uint8_t digest[BK_SHA256_SIZE];
    g_auto(Attempt) state = {.store = self, .call = call, .sha256 = call->sha256, .answer = answer};
    int64_t start_us = g_get_monotonic_time();

    if (is_uncertain != NULL)
        *is_uncertain = false;
    if (state.sha256 == NULL) {
        bk_sha256(call->body, call->body_size, digest);
        state.sha256 = digest;
    }
    for (unsigned failures = 0;; failures++) {
        g_autoptr(GError) cause = NULL;
        bool is_done;

        bk_credentials_clear(&state.credentials);
        if (!bk_credentials_get(self->credentials, &state.credentials, op, error))
            return false;
        is_done = attempt_call(&state, op, &cause);
        if (is_uncertain != NULL && may_have_had_effect(answer, is_done))
            *is_uncertain = true;
        if (is_done) {
            if (answer->status < 300)
                atomic_store(&self->has_bucket, true);
            return true;
        }
        if (!wait_for_next(&state, failures, start_us, &cause, op, error))
            return false;
    }
}

bool
bk_s3_is_absent(const S3Store *self, const BkHttpAnswer *answer, bool *is_absent, GError **error)
{
    g_auto(BkS3Fault) fault = {0};

    *is_absent = answer->status == 404;
    if (!*is_absent || !bk_s3_xml_is_fault(&answer->body, &fault) ||
        strcmp(fault.code, "NoSuchBucket") != 0)
        return true;
    return bk_throw(error, BK_ERROR_STORE, "there is no bucket \"%s\": create it first",
                    self->options.bucket);
}
