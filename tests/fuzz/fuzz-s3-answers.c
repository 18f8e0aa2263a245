/* fuzz-s3-answers.c - what a server of buckets answers: status line, headers and body. Every
 * operation of the driver succeeds or fails with an error, and what a listing visits is in order.
 *
 * The first byte chooses the operation, the second the bucket; the rest are the answers, one after
 * the other, with a byte 0xff between them. In the place of libcurl is what hands them on, as it
 * would: the head line by line, then the body. Behind the last answer nobody listens any more. */
#include "repo/object-kind.h"
#include "store/http/http-priv.h"
#include "store/s3/s3-priv.h"

#include <string.h>

#define SEPARATOR 0xff
#define NAME      "orders/packs/00/1"
#define PART_FROM ((size_t)16) /* what is larger is put in parts */
#define LIMIT     ((size_t)4096)
#define NOW_US    (INT64_C(1795996800) * BK_USEC_PER_SEC)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- what stands in for libcurl ------------------------------------------------------------- */

typedef size_t (*Receive)(char *data, size_t item_size, size_t items, void *user);

typedef struct Handle {
    Receive receive_header;
    Receive receive_body;
    void *header_user;
    void *body_user;
    bool has_no_body;
    long status;
} Handle;

static const uint8_t *next_answer;
static const uint8_t *answers_end;

bool
bk_curl_load(GError **error)
{
    (void)error;
    return true;
}

CURL *
curl_easy_init(void)
{
    return g_new0(Handle, 1);
}

void
curl_easy_cleanup(CURL *curl)
{
    g_free(curl);
}

void
curl_easy_reset(CURL *curl)
{
    *(Handle *)curl = (Handle){.status = 0};
}

const char *
curl_easy_strerror(CURLcode code)
{
    (void)code;
    return "scripted";
}

/* The only thing that is kept of a list is that there is one. */
struct curl_slist *
curl_slist_append(struct curl_slist *list, const char *data)
{
    (void)data;
    return list != NULL ? list : g_new0(struct curl_slist, 1);
}

void
curl_slist_free_all(struct curl_slist *list)
{
    g_free(list);
}

void
bk_curl_set_long(BkCurlSetup *self, CURLoption option, long value)
{
    if (option == CURLOPT_NOBODY)
        ((Handle *)self->handle)->has_no_body = value != 0;
}

void
bk_curl_set_offset(BkCurlSetup *self, CURLoption option, curl_off_t value)
{
    (void)self;
    (void)option;
    (void)value;
}

void
bk_curl_set_pointer(BkCurlSetup *self, CURLoption option, const void *value)
{
    Handle *handle = self->handle;

    if (option == CURLOPT_HEADERDATA)
        handle->header_user = (void *)(uintptr_t)value;
    if (option == CURLOPT_WRITEDATA)
        handle->body_user = (void *)(uintptr_t)value;
}

void
bk_curl_set_function(BkCurlSetup *self, CURLoption option, BkCurlFunction value)
{
    Handle *handle = self->handle;

    if (option == CURLOPT_HEADERFUNCTION)
        handle->receive_header = (Receive)value;
    if (option == CURLOPT_WRITEFUNCTION)
        handle->receive_body = (Receive)value;
}

bool
bk_curl_check_setup(const BkCurlSetup *self, GError **error)
{
    (void)self;
    (void)error;
    return true;
}

long
bk_curl_get_long(CURL *handle, CURLINFO info)
{
    return info == CURLINFO_RESPONSE_CODE ? ((Handle *)handle)->status : 0;
}

curl_off_t
bk_curl_get_offset(CURL *handle, CURLINFO info)
{
    (void)handle;
    (void)info;
    return 0;
}

/* Of "HTTP/1.1 206 Partial Content": 206. */
static void
take_status(Handle *self, const uint8_t *line, size_t size)
{
    const uint8_t *at = size > 5 && memcmp(line, "HTTP/", 5) == 0 ? memchr(line, ' ', size) : NULL;

    if (at == NULL || line + size - at < 4)
        return;
    self->status = 0;
    for (int i = 1; i <= 3; i++)
        self->status = self->status * 10 + (g_ascii_isdigit(at[i]) ? at[i] - '0' : 0);
}

/* The lines up to a blank one; what follows them, or NULL when a line is refused. */
static const uint8_t *
hand_on_head(Handle *self, const uint8_t *at, const uint8_t *end)
{
    bool is_blank = false;

    while (at < end && !is_blank) {
        const uint8_t *newline = memchr(at, '\n', (size_t)(end - at));
        size_t size = (size_t)((newline != NULL ? newline + 1 : end) - at);
        g_autofree char *line = g_memdup2(at, size);

        take_status(self, at, size);
        is_blank = at[0] == '\n' || (size == 2 && memcmp(at, "\r\n", 2) == 0);
        if (self->receive_header(line, 1, size, self->header_user) != size)
            return NULL;
        at += size;
    }
    return at;
}

CURLcode
curl_easy_perform(CURL *curl)
{
    Handle *self = curl;
    const size_t left = (size_t)(answers_end - next_answer);
    const uint8_t *at = next_answer;
    const uint8_t *end = left > 0 ? memchr(at, SEPARATOR, left) : NULL;
    g_autofree char *body = NULL;
    size_t size;

    if (left == 0)
        return CURLE_COULDNT_CONNECT;
    next_answer = end != NULL ? end + 1 : answers_end;
    if (end == NULL)
        end = answers_end;
    do {
        self->status = 0;
        at = hand_on_head(self, at, end);
    } while (at != NULL && at < end && self->status / 100 == 1); /* "100 Continue" */
    if (at == NULL)
        return CURLE_WRITE_ERROR;
    size = self->has_no_body ? 0 : (size_t)(end - at);
    body = g_memdup2(at, size);
    return size == 0 || self->receive_body(body, 1, size, self->body_user) == size
               ? CURLE_OK
               : CURLE_WRITE_ERROR;
}

/* --- operations ----------------------------------------------------------------------------- */

static int64_t
get_now(void)
{
    return NOW_US;
}

static BkStore *
open_bucket(uint8_t kind)
{
    const BkS3Options options = {
        .bucket = "bucket",
        .prefix = (kind & 1) != 0 ? "a/b" : "",
        .region = "us-east-1",
        .endpoint = "http://127.0.0.1:1",
        .address = BK_S3_ADDRESS_PATH,
        .kind_of = bk_object_kind,
        .lock = (kind & 2) != 0 ? BK_S3_LOCK_GOVERNANCE : BK_S3_LOCK_NONE,
        .lock_us = (kind & 2) != 0 ? 3600 * BK_USEC_PER_SEC : 0,
        .is_unconditional = (kind & 4) != 0,
        .retry_us = 1,
    };
    g_autoptr(GError) error = NULL;
    BkStore *store = bk_store_s3_open(&options, &error);
    S3Store *self = (S3Store *)store;

    g_assert_no_error(error);
    self->now_us = get_now;
    self->single_max = PART_FROM;
    if ((kind & 8) != 0)
        atomic_store(&self->versions, BK_S3_VERSIONS_NONE);
    return store;
}

static bool
visit(const BkStoreEntry *entry, void *data, GError **error)
{
    GString *last = data;

    (void)error;
    g_assert(strcmp(entry->name, last->str) > 0);
    g_string_assign(last, entry->name);
    return true;
}

static bool
visit_upload(const BkStoreUpload *upload, void *data, GError **error)
{
    (void)data;
    (void)error;
    g_assert(bk_store_is_name(upload->name) && upload->id != NULL);
    return true;
}

static bool
run_put(BkStore *store, size_t size, BkOp *op, GError **error)
{
    static uint8_t content[2 * PART_FROM];
    const BkBuf data = {content, size, size};

    return bk_store_put(store, NAME, &data, op, error);
}

static bool
run_get(BkStore *store, const char *name, uint64_t offset, size_t size, BkOp *op, GError **error)
{
    g_auto(BkBuf) out = BK_BUF_INIT;
    bool ok = bk_store_get(store, name, offset, size, LIMIT, &out, op, error);

    g_assert(!ok || out.size <= MIN(size, LIMIT));
    return ok;
}

static bool
run_list(BkStore *store, uint8_t way, BkOp *op, GError **error)
{
    g_autoptr(GString) last = g_string_new(NULL);

    if (way == 0)
        return bk_store_list_directory(store, "orders/", visit, last, op, error);
    return bk_store_list(store, "orders/", way == 1 ? NULL : "orders/n", visit, last, op, error);
}

static bool
run(BkStore *store, uint8_t operation, BkOp *op, GError **error)
{
    static const char *const names[] = {NAME, "orders/packs/00/2"};
    uint64_t size;
    int64_t until_us;
    bool has_other;

    switch (operation % 16) {
    case 0:
        return run_put(store, PART_FROM, op, error);
    case 1:
        return run_put(store, 2 * PART_FROM, op, error);
    case 2:
        return run_get(store, NAME, 0, SIZE_MAX, op, error);
    case 3:
        return run_get(store, NAME, 5, 3, op, error);
    case 4: /* is small, and the first of several */
        return run_get(store, "orders/lease/0000000000000001", 0, SIZE_MAX, op, error);
    case 5:
        return bk_store_stat(store, NAME, &size, op, error);
    case 6:
    case 7:
    case 8:
        return run_list(store, operation % 16 - 6, op, error);
    case 9:
        return bk_store_list_uploads(store, "orders/", visit_upload, NULL, op, error);
    case 10:
        return bk_store_abort_upload(store, NAME, "1", op, error);
    case 11:
        return bk_store_delete(store, NAME, op, error);
    case 12:
        return bk_store_delete_many(store, names, G_N_ELEMENTS(names), op, error);
    case 13:
        return bk_store_get_lock(store, NAME, &until_us, op, error);
    case 14:
        return bk_store_retain(store, NAME, op, error);
    default:
        return bk_store_reread_original(store, NAME, &has_other, op, error);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_autoptr(BkStore) store = NULL;
    g_autoptr(GError) error = NULL;
    bool ok;

    if (size < 2)
        return 0;
    g_assert(g_setenv("AWS_ACCESS_KEY_ID", "fuzz", TRUE));
    g_assert(g_setenv("AWS_SECRET_ACCESS_KEY", "fuzz", TRUE));
    next_answer = data + 2;
    answers_end = data + size;
    store = open_bucket(data[1]);
    ok = run(store, data[0], op, &error);
    g_assert((error == NULL) == ok);
    return 0;
}
