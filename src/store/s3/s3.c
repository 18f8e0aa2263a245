/* s3.c - the store driver for a bucket of S3 or of a compatible server. */
#include "base/escape.h"
#include "base/fd.h"
#include "base/secret.h"
#include "store/s3/s3-priv.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CUSTOMER_KEY_SIZE 32
#define MAX_KEY_FILE      4096

/* Gets [from, from + size) of an object, or all of it from there. The answer is accepted with 404
 * and 416, too. */
static bool
get_range_once(S3Store *self, const char *name, uint64_t from, uint64_t size, BkHttpAnswer *answer,
               BkOp *op, GError **error)
{
    static const unsigned accepted[] = {404, 416, 0};
    g_autofree char *version = bk_s3_first_of(self, name);
    g_autofree char *range =
        g_strdup_printf("bytes=%" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT, from, from + (size - 1));
    g_auto(S3Fields) fields = {0};
    g_auto(S3Fields) headers = {0};
    const S3Call call = {
        .kind = BK_REQUEST_GET,
        .method = "GET",
        .what = "get an object",
        .name = name,
        .fields = &fields,
        .headers = &headers,
        .limit = (size_t)size + BK_S3_ANSWER_MAX, /* room for a fault */
        .accepted = accepted,
    };

    bk_s3_fields_init(&fields);
    bk_s3_fields_init(&headers);
    bk_s3_fields_add(&headers, "range", range);
    bk_s3_add_access_headers(self, &headers);
    if (version != NULL)
        bk_s3_fields_add(&fields, "versionId", version);
    return bk_s3_call(self, &call, answer, NULL, op, error);
}

/* Is there a version, though there was no current one? It may be under a mark, or have become the
 * current one meanwhile, when another that lay on it was taken back. */
static bool
find_hidden(S3Store *self, const char *name, bool *found, BkOp *op, GError **error)
{
    *found = false;
    return bk_s3_keeps_versions(self, found, op, error) &&
           (!*found || bk_s3_find_hidden(self, name, found, op, error));
}

/* Cuts the answer to what was asked for. */
static bool
clip_answer(BkHttpAnswer *answer, uint64_t offset, size_t size, size_t limit, GError **error)
{
    uint64_t total = 0;
    size_t wanted;

    if (!bk_s3_total(answer, &total, error) ||
        !bk_store_clip(total, offset, size, limit, &wanted, error))
        return false;
    if (answer->status == 200 && offset > 0 && answer->body.size > 0) { /* the range was ignored */
        size_t skipped = (size_t)MIN(offset, answer->body.size);

        memmove(answer->body.data, answer->body.data + skipped, answer->body.size - skipped);
        answer->body.size -= skipped;
    }
    if (answer->body.size < wanted)
        return bk_throw(error, BK_ERROR_STORE, "the server answered with %zu bytes of %zu",
                        answer->body.size, wanted);
    answer->body.size = wanted;
    return true;
}

/* Two who put keys or leases at once may both have put sound ones, where the store ignores the
 * condition, and the later one may not have taken its own back yet. So of these, which are few and
 * small, it is made sure that the first is read. A version "null" is older than all others. */
static bool
is_settled(S3Store *self, const char *name, const BkHttpAnswer *answer, bool *settled, BkOp *op,
           GError **error)
{
    const BkObjectKind kind = self->options.kind_of(name);
    const char *version = bk_http_answer_get(answer, "x-amz-version-id");
    g_autofree char *known = bk_s3_first_of(self, name);

    *settled = true;
    return (kind != BK_OBJECT_KEY && kind != BK_OBJECT_TRANSIENT) || version == NULL ||
           strcmp(version, "null") == 0 || g_strcmp0(known, version) == 0 ||
           bk_s3_check_first(self, name, version, settled, op, error);
}

static bool
get_range(S3Store *self, const char *name, uint64_t offset, size_t size, size_t limit,
          BkHttpAnswer *answer, BkOp *op, GError **error)
{
    /* One byte more than is accepted tells that there is too much. */
    uint64_t asked = MIN((uint64_t)size, (uint64_t)limit + 1);
    bool is_absent;
    bool found;
    bool settled;

    for (unsigned attempt = 0;; attempt++) {
        if (!get_range_once(self, name, offset, asked, answer, op, error) ||
            !bk_s3_is_absent(self, answer, &is_absent, error) ||
            (!is_absent && !is_settled(self, name, answer, &settled, op, error)))
            return false;
        if (!is_absent && settled)
            break;
        if (!is_absent)
            continue;
        if (attempt > 0 || !find_hidden(self, name, &found, op, error))
            return attempt > 0 ? bk_store_throw_absent(error) : false;
        if (!found)
            return bk_store_throw_absent(error);
    }
    if (answer->status != 416)
        return clip_answer(answer, offset, size, limit, error);
    answer->body.size = 0; /* it ends before */
    return true;
}

static bool s3_stat(BkStore *store, const char *name, uint64_t *size, BkOp *op, GError **error);

static bool
s3_get(BkStore *store, const char *name, uint64_t offset, size_t size, size_t limit, BkBuf *out,
       BkOp *op, GError **error)
{
    S3Store *self = (S3Store *)store;
    g_auto(BkHttpAnswer) answer = {0};
    uint64_t total;
    bool ok;

    if (offset == 0 && size == SIZE_MAX && bk_s3_take_ahead(self, name, limit, out))
        return true;
    /* No range is empty, and none begins past the end of what numbers can tell. */
    if (size == 0 || offset > INT64_MAX)
        return s3_stat(store, name, &total, op, error);
    bk_http_answer_init(&answer);
    answer.body = *out; /* lends its memory */
    *out = BK_BUF_INIT;
    ok = get_range(self, name, offset, size, MIN(limit, (size_t)INT64_MAX / 2), &answer, op, error);
    *out = answer.body;
    answer.body = BK_BUF_INIT;
    return ok;
}

static bool
head_once(S3Store *self, const char *name, BkHttpAnswer *answer, BkOp *op, GError **error)
{
    static const unsigned accepted[] = {400, 403, 404, 0};
    g_autofree char *version = bk_s3_first_of(self, name);
    g_auto(S3Fields) fields = {0};
    g_auto(S3Fields) headers = {0};
    const S3Call call = {
        .kind = BK_REQUEST_HEAD,
        .method = "HEAD",
        .what = "look at an object",
        .name = name,
        .fields = &fields,
        .headers = &headers,
        .accepted = accepted,
    };

    bk_s3_fields_init(&fields);
    bk_s3_fields_init(&headers);
    bk_s3_add_access_headers(self, &headers);
    if (version != NULL)
        bk_s3_fields_add(&fields, "versionId", version);
    return bk_s3_call(self, &call, answer, NULL, op, error);
}

/* An answer to HEAD has no body that would tell why, nor a missing bucket from a missing object;
 * one to GET has. */
static bool
stat_by_get(S3Store *self, const char *name, uint64_t *size, BkOp *op, GError **error)
{
    g_auto(BkHttpAnswer) answer = {0};

    bk_http_answer_init(&answer);
    if (!get_range(self, name, 0, 1, 1, &answer, op, error))
        return false;
    *size = 0;
    return answer.status == 416 || bk_s3_total(&answer, size, error);
}

static bool
s3_stat(BkStore *store, const char *name, uint64_t *size, BkOp *op, GError **error)
{
    S3Store *self = (S3Store *)store;
    g_auto(BkHttpAnswer) answer = {0};
    const char *length;
    guint64 value;
    bool is_hidden = true;

    bk_http_answer_init(&answer);
    if (!head_once(self, name, &answer, op, error))
        return false;
    if (answer.status == 404 && atomic_load(&self->has_bucket)) {
        if (!find_hidden(self, name, &is_hidden, op, error))
            return false;
        if (!is_hidden)
            return bk_store_throw_absent(error);
    }
    if (answer.status >= 400)
        return stat_by_get(self, name, size, op, error);
    length = bk_http_answer_get(&answer, "content-length");
    if (length == NULL || !g_ascii_string_to_unsigned(length, 10, 0, UINT64_MAX, &value, NULL))
        return bk_throw(error, BK_ERROR_STORE, "the server does not report the size of the object");
    *size = value;
    return true;
}

/* What can be seen in a bucket is durable. */
static bool
s3_settle(BkStore *store, const char *name, BkOp *op, GError **error)
{
    uint64_t size;

    return s3_stat(store, name, &size, op, error);
}

static int64_t
s3_lock_us(const BkStore *store)
{
    const S3Store *self = (const S3Store *)store;

    return self->options.lock != BK_S3_LOCK_NONE ? self->options.lock_us : 0;
}

static void
s3_free(BkStore *store)
{
    S3Store *self = (S3Store *)store;

    bk_http_free(self->http);
    bk_credential_source_free(self->credentials);
    g_ptr_array_unref(self->strings);
    g_free(self->origin);
    g_free(self->host);
    g_free(self->root);
    g_free(self->prefix);
    if (self->customer_key != NULL)
        bk_wipe(self->customer_key, strlen(self->customer_key));
    g_free(self->customer_key);
    g_free(self->customer_key_md5);
    (void)pthread_mutex_destroy(&self->mutex);
    g_hash_table_unref(self->firsts);
    g_hash_table_unref(self->ahead);
    bk_store_clear(store);
    g_free(self);
}

static const BkStoreDriver s3_driver = {
    .put = bk_s3_put,
    .get = s3_get,
    .stat = s3_stat,
    .list = bk_s3_list,
    .list_directory = bk_s3_list_directory,
    .settle = s3_settle,
    .read_ahead = bk_s3_read_ahead,
    .give_ahead = bk_s3_give_ahead,
    .has_no_versions = bk_s3_has_no_versions,
    .take_no_versions = bk_s3_take_no_versions,
    .delete = bk_s3_delete,
    .distrust = bk_s3_distrust,
    .delete_many = bk_s3_delete_many,
    .list_uploads = bk_s3_list_uploads,
    .abort_upload = bk_s3_abort_upload,
    .lock_us = s3_lock_us,
    .get_lock = bk_s3_get_lock,
    .retain = bk_s3_retain,
    .is_remote = true,
    .free = s3_free,
};

static void
keep_option_text(S3Store *self, const char **text)
{
    char *copy = g_strdup(*text);

    if (copy != NULL)
        g_ptr_array_add(self->strings, copy);
    *text = copy;
}

static void
copy_options(S3Store *self, const BkS3Options *options)
{
    BkS3Options *own = &self->options;
    const char **const texts[] = {&own->bucket,           &own->prefix,  &own->region,
                                  &own->endpoint,         &own->kms_key, &own->tags,
                                  &own->customer_key_file};

    self->options = *options;
    self->strings = g_ptr_array_new_with_free_func(g_free);
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
        keep_option_text(self, texts[i]);
    for (size_t i = 0; i < BK_OBJECT_KINDS; i++)
        keep_option_text(self, &own->storage_class[i]);
    /* These were handed on when the store was made. */
    own->ca_file = own->proxy = own->credentials_file = own->profile = NULL;
}

/* Where requests go: to the bucket's own host, or to the endpoint with the bucket in the path. A
 * name with dots fits no certificate for *.host. */
static void
choose_addresses(S3Store *self, const char *proxy)
{
    const BkS3Options *options = &self->options;
    g_autofree char *amazon = g_strdup_printf("https://s3.%s.amazonaws.com", options->region);
    const char *endpoint = options->endpoint != NULL ? options->endpoint : amazon;
    const char *host = strstr(endpoint, "://") + 3;
    size_t host_size = strcspn(host, "/");
    bool is_virtual =
        options->address == BK_S3_ADDRESS_VIRTUAL &&
        !(g_str_has_prefix(endpoint, "https:") && strchr(options->bucket, '.') != NULL);

    self->host = is_virtual ? g_strdup_printf("%s.%.*s", options->bucket, (int)host_size, host)
                            : g_strndup(host, host_size);
    self->origin = g_strdup_printf("%.*s%s", (int)(host - endpoint), endpoint, self->host);
    self->is_private = bk_http_is_private(self->origin, proxy);
    self->root = is_virtual ? g_strdup("/") : g_strdup_printf("/%s/", options->bucket);
    self->prefix = options->prefix != NULL && options->prefix[0] != 0
                       ? g_strconcat(options->prefix, "/", NULL)
                       : g_strdup("");
}

/* A key for the server that only we keep. It is asked for with each request, so TLS must guard it,
 * unless the request does not leave this host. */
static bool
read_customer_key(S3Store *self, const char *path, GError **error)
{
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_autofree char *text = NULL;
    g_autofree uint8_t *key = NULL;
    gsize size = 0;
    struct stat st;
    GChecksum *md5;
    uint8_t digest[16];
    gsize digest_size = sizeof digest;

    if (stat(path, &st) < 0)
        return bk_throw_errno(error, "file \"%s\"", path);
    if ((st.st_mode & 077) != 0) {
        g_autofree char *quoted = bk_escape_argument(path);

        return bk_throw(error, BK_ERROR_CONFIG, "\"%s\" can be read by others: chmod 600 %s", path,
                        quoted);
    }
    if (!bk_file_read(AT_FDCWD, path, MAX_KEY_FILE, &content, error))
        return false;
    text = g_strndup((const char *)content.data, content.size);
    (void)g_strstrip(text);
    key = g_base64_decode(text, &size);
    bk_wipe(content.data, content.size);
    self->customer_key = g_steal_pointer(&text);
    if (size != CUSTOMER_KEY_SIZE)
        return bk_throw(error, BK_ERROR_CONFIG, "\"%s\" is not 32 bytes in base64", path);
    md5 = g_checksum_new(G_CHECKSUM_MD5);
    g_checksum_update(md5, key, (gssize)size);
    g_checksum_get_digest(md5, digest, &digest_size);
    g_checksum_free(md5);
    bk_wipe(key, size);
    self->customer_key_md5 = g_base64_encode(digest, sizeof digest);
    return true;
}

static char *
describe_bucket(const S3Store *self)
{
    return g_strdup_printf("bucket \"%s\"%s%s%s at %s", self->options.bucket,
                           self->prefix[0] != 0 ? " (prefix \"" : "",
                           self->prefix[0] != 0 ? self->options.prefix : "",
                           self->prefix[0] != 0 ? "\")" : "", self->origin);
}

/* Everything that can fail. */
static bool
set_up_store(S3Store *self, const BkS3Options *options, GError **error)
{
    const BkHttpOptions http = {
        .ca_file = options->ca_file,
        .proxy = options->proxy,
        .connect_timeout_us = options->connect_timeout_us,
        .idle_timeout_us = options->idle_timeout_us,
        .max_send_rate = options->max_send_rate,
        .max_receive_rate = options->max_receive_rate,
        .max_connections = options->connections,
    };

    self->http = bk_http_new(&http, error);
    if (options->sse == BK_S3_SSE_CUSTOMER && !self->is_private)
        return bk_throw(error, BK_ERROR_CONFIG,
                        "the customer key (sse: customer) is sent with each request, and others on "
                        "the network could read it over plain http: use https");
    return self->http != NULL && (options->sse != BK_S3_SSE_CUSTOMER ||
                                  read_customer_key(self, options->customer_key_file, error));
}

BkStore *
bk_store_s3_open(const BkS3Options *options, GError **error)
{
    S3Store *self = g_new0(S3Store, 1);
    const BkCredentialOptions credentials = {
        .file = options->credentials_file,
        .profile = options->profile,
        .region = options->region,
        .ca_file = options->ca_file,
        .proxy = options->proxy,
    };

    copy_options(self, options);
    choose_addresses(self, options->proxy);
    bk_store_init(&self->base, &s3_driver, describe_bucket(self));
    self->now_us = g_get_real_time;
    self->single_max = BK_S3_SINGLE_MAX;
    self->credentials = bk_credential_source_new(&credentials);
    (void)pthread_mutex_init(&self->mutex, NULL);
    self->firsts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    bk_s3_ahead_init(self);
    atomic_store(&self->is_bare, options->is_unconditional);
    if (options->lock != BK_S3_LOCK_NONE)
        atomic_store(&self->versions, BK_S3_VERSIONS_KEPT);
    if (set_up_store(self, options, error))
        return &self->base;
    (void)bk_prefix(error, "%s", self->base.description);
    s3_free(&self->base);
    return NULL;
}
