/* http.c - one HTTP request and its answer, over libcurl. */
#include "base/cond.h"
#include "store/http/http-priv.h"

#include <string.h>
#include <unistd.h>

#define DEFAULT_CONNECT_US (10 * BK_USEC_PER_SEC)
#define DEFAULT_IDLE_US    (60 * BK_USEC_PER_SEC)
#define MAX_HEADER_BYTES   ((size_t)64 * 1024)
#define UPLOAD_BUFFER      (1024L * 1024)
#define DOWNLOAD_BUFFER    (512L * 1024)
#define ACQUIRE_STEP_NS    50000000L
#define PACE_STEP_US       INT64_C(20000)
#define USER_AGENT         "backstay/" BK_VERSION

void
bk_http_answer_init(BkHttpAnswer *self)
{
    *self = (BkHttpAnswer){.body = BK_BUF_INIT};
    self->headers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

void
bk_http_answer_clear(BkHttpAnswer *self)
{
    g_clear_pointer(&self->headers, g_hash_table_unref);
    bk_buf_clear(&self->body);
}

const char *
bk_http_answer_get(const BkHttpAnswer *self, const char *name)
{
    return g_hash_table_lookup(self->headers, name);
}

BkHttp *
bk_http_new(const BkHttpOptions *options, GError **error)
{
    BkHttp *self;

    if (!bk_curl_load(error))
        return NULL;
    if (options->ca_file != NULL && access(options->ca_file, R_OK) < 0)
        return bk_throw_errno(error, "file of certificates \"%s\"", options->ca_file), NULL;
    self = g_new0(BkHttp, 1);
    self->ca_file = g_strdup(options->ca_file);
    self->proxy = g_strdup(options->proxy);
    self->connect_timeout_us =
        options->connect_timeout_us > 0 ? options->connect_timeout_us : DEFAULT_CONNECT_US;
    self->idle_timeout_us =
        options->idle_timeout_us > 0 ? options->idle_timeout_us : DEFAULT_IDLE_US;
    self->max_connections = options->max_connections;
    self->sending.rate = options->max_send_rate;
    self->receiving.rate = options->max_receive_rate;
    self->idle = g_ptr_array_new();
    (void)pthread_mutex_init(&self->mutex, NULL);
    bk_cond_init(&self->released);
    return self;
}

void
bk_http_free(BkHttp *self)
{
    if (self == NULL)
        return;
    g_assert(self->busy == 0);
    for (guint i = 0; i < self->idle->len; i++)
        curl_easy_cleanup(g_ptr_array_index(self->idle, i));
    g_ptr_array_unref(self->idle);
    (void)pthread_mutex_destroy(&self->mutex);
    (void)pthread_cond_destroy(&self->released);
    g_free(self->ca_file);
    g_free(self->proxy);
    g_free(self);
}

/* Waits for a free connection where they are bounded. NULL when the operation ends before. */
static CURL *
acquire_connection(BkHttp *self, const BkOp *op, GError **error)
{
    CURL *handle = NULL;
    bool ok;

    (void)pthread_mutex_lock(&self->mutex);
    while ((ok = bk_op_check(op, error)) && self->max_connections > 0 &&
           self->busy >= self->max_connections) {
        struct timespec until;

        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += ACQUIRE_STEP_NS; /* then look whether the operation has ended */
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        (void)pthread_cond_timedwait(&self->released, &self->mutex, &until);
    }
    if (ok) {
        self->busy++;
        if (self->idle->len > 0)
            handle = g_ptr_array_steal_index(self->idle, self->idle->len - 1);
        else if ((handle = curl_easy_init()) == NULL) {
            self->busy--;
            (void)bk_throw(error, BK_ERROR_MEMORY, "libcurl returned no handle");
        }
    }
    (void)pthread_mutex_unlock(&self->mutex);
    return handle;
}

/* Of a handle whose transfer failed nothing is used again: neither its connections nor the
 * addresses that it has found for a name. */
static void
release_connection(BkHttp *self, CURL *handle, bool is_good)
{
    if (!is_good)
        curl_easy_cleanup(handle);
    (void)pthread_mutex_lock(&self->mutex);
    if (is_good)
        g_ptr_array_add(self->idle, handle);
    self->busy--;
    (void)pthread_cond_signal(&self->released);
    (void)pthread_mutex_unlock(&self->mutex);
}

/* Waits until `size` bytes may pass; false when the operation ends before. */
static bool
keep_pace(Transfer *self, Pace *pace, size_t size)
{
    int64_t start_us;

    if (pace->rate == 0)
        return true;
    (void)pthread_mutex_lock(&self->http->mutex);
    start_us = MAX(pace->next_us, g_get_monotonic_time());
    pace->next_us = start_us + (int64_t)((double)size / (double)pace->rate * BK_USEC_PER_SEC);
    (void)pthread_mutex_unlock(&self->http->mutex);
    for (;;) {
        int64_t left_us = start_us - g_get_monotonic_time();

        if (left_us <= 0 || !bk_op_check(self->op, NULL))
            return left_us <= 0;
        g_usleep((gulong)MIN(left_us, PACE_STEP_US));
    }
}

static size_t
send_body(char *data, size_t item_size, size_t items, void *user)
{
    Transfer *self = user;
    size_t size = MIN(item_size * items, self->request->body_size - self->sent);

    if (!keep_pace(self, &self->http->sending, size))
        return CURL_READFUNC_ABORT;
    if (size > 0)
        memcpy(data, (const char *)self->request->body + self->sent, size);
    self->sent += size;
    return size;
}

/* A kept connection had been closed at the other end: libcurl sends the body again on a new one. */
static int
rewind_body(void *user, curl_off_t offset, int origin)
{
    Transfer *self = user;

    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > self->request->body_size)
        return CURL_SEEKFUNC_FAIL;
    self->sent = (size_t)offset;
    self->answer->was_sent_twice = true;
    return CURL_SEEKFUNC_OK;
}

static size_t
receive_body(char *data, size_t item_size, size_t items, void *user)
{
    Transfer *self = user;
    size_t size = item_size * items;

    if (size > self->request->limit - self->answer->body.size) {
        self->is_too_long = true;
        return 0;
    }
    if (!keep_pace(self, &self->http->receiving, size))
        return 0;
    bk_buf_append(&self->answer->body, data, size);
    return size;
}

static bool
is_blank_line(const char *line, size_t size)
{
    return (size == 1 && line[0] == '\n') || (size == 2 && memcmp(line, "\r\n", 2) == 0);
}

static size_t
receive_header(char *data, size_t item_size, size_t items, void *user)
{
    Transfer *self = user;
    size_t size = item_size * items;
    const char *colon = memchr(data, ':', size);

    self->header_bytes += size;
    if (self->header_bytes > MAX_HEADER_BYTES)
        return 0;
    if (size >= 5 && memcmp(data, "HTTP/", 5) == 0) {
        g_hash_table_remove_all(self->answer->headers); /* what came before was "100 Continue" */
        self->has_headers = false;
    } else if (is_blank_line(data, size)) {
        self->has_headers = true;
    } else if (colon != NULL) {
        g_autofree char *name = g_strndup(data, (size_t)(colon - data));
        char *value = g_strndup(colon + 1, size - (size_t)(colon + 1 - data));

        g_hash_table_insert(self->answer->headers, g_ascii_strdown(name, -1), g_strstrip(value));
    }
    return size;
}

static int
look_up(void *user, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
    Transfer *self = user;

    (void)down_total;
    (void)up_total;
    if (down + up > self->moved) {
        self->moved = down + up;
        bk_op_advance(self->op, 0); /* slow is not dead */
    }
    return bk_op_check(self->op, NULL) ? 0 : 1;
}

static void
set_callbacks(BkCurlSetup *setup, Transfer *transfer)
{
    bk_curl_set_function(setup, CURLOPT_WRITEFUNCTION, (BkCurlFunction)receive_body);
    bk_curl_set_pointer(setup, CURLOPT_WRITEDATA, transfer);
    bk_curl_set_function(setup, CURLOPT_HEADERFUNCTION, (BkCurlFunction)receive_header);
    bk_curl_set_pointer(setup, CURLOPT_HEADERDATA, transfer);
    bk_curl_set_function(setup, CURLOPT_XFERINFOFUNCTION, (BkCurlFunction)look_up);
    bk_curl_set_pointer(setup, CURLOPT_XFERINFODATA, transfer);
    bk_curl_set_long(setup, CURLOPT_NOPROGRESS, 0);
    bk_curl_set_pointer(setup, CURLOPT_ERRORBUFFER, transfer->message);
}

static void
set_connection(BkCurlSetup *setup, const BkHttp *self)
{
    bk_curl_set_long(setup, CURLOPT_NOSIGNAL, 1);
    bk_curl_set_pointer(setup, CURLOPT_PROTOCOLS_STR, "http,https");
    bk_curl_set_long(setup, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    bk_curl_set_long(setup, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
    bk_curl_set_long(setup, CURLOPT_PATH_AS_IS, 1);
    bk_curl_set_long(setup, CURLOPT_TCP_KEEPALIVE, 1);
    bk_curl_set_long(setup, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER);
    bk_curl_set_long(setup, CURLOPT_BUFFERSIZE, DOWNLOAD_BUFFER);
    bk_curl_set_pointer(setup, CURLOPT_USERAGENT, USER_AGENT);
    bk_curl_set_long(setup, CURLOPT_CONNECTTIMEOUT_MS, (long)(self->connect_timeout_us / 1000));
    bk_curl_set_long(setup, CURLOPT_LOW_SPEED_LIMIT, 1);
    bk_curl_set_long(setup, CURLOPT_LOW_SPEED_TIME,
                     (long)MAX(self->idle_timeout_us / BK_USEC_PER_SEC, 1));
    /* While a name is being looked up, cancelling and time-outs do not wait for the answer: the
     * library's thread that waits is left to itself, and frees what it has when it ends. */
    bk_curl_set_long(setup, CURLOPT_QUICK_EXIT, 1);
    if (self->ca_file != NULL)
        bk_curl_set_pointer(setup, CURLOPT_CAINFO, self->ca_file);
}

static void
set_body(BkCurlSetup *setup, Transfer *transfer)
{
    bk_curl_set_function(setup, CURLOPT_READFUNCTION, (BkCurlFunction)send_body);
    bk_curl_set_pointer(setup, CURLOPT_READDATA, transfer);
    bk_curl_set_function(setup, CURLOPT_SEEKFUNCTION, (BkCurlFunction)rewind_body);
    bk_curl_set_pointer(setup, CURLOPT_SEEKDATA, transfer);
}

static void
set_method(BkCurlSetup *setup, Transfer *transfer)
{
    const BkHttpRequest *request = transfer->request;

    if (strcmp(request->method, "PUT") == 0) {
        bk_curl_set_long(setup, CURLOPT_UPLOAD, 1);
        bk_curl_set_offset(setup, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body_size);
        set_body(setup, transfer);
    } else if (strcmp(request->method, "POST") == 0) {
        bk_curl_set_long(setup, CURLOPT_POST, 1);
        bk_curl_set_offset(setup, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);
        set_body(setup, transfer);
    } else if (strcmp(request->method, "HEAD") == 0) {
        bk_curl_set_long(setup, CURLOPT_NOBODY, 1);
    } else {
        bk_curl_set_long(setup, CURLOPT_HTTPGET, 1);
        bk_curl_set_pointer(setup, CURLOPT_CUSTOMREQUEST, request->method);
    }
}

static struct curl_slist *
list_headers(const BkHttpRequest *request)
{
    /* What libcurl would add by itself and nobody waits for. */
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");

    list = curl_slist_append(list, "Content-Type:");
    for (size_t i = 0; request->headers != NULL && request->headers[i] != NULL; i++)
        list = curl_slist_append(list, request->headers[i]);
    return list;
}

static bool
perform_transfer(Transfer *self, CURL *handle, GError **error)
{
    struct curl_slist *headers = list_headers(self->request);
    BkCurlSetup setup = {.handle = handle};
    CURLcode code;
    bool ok;

    set_connection(&setup, self->http);
    set_callbacks(&setup, self);
    set_method(&setup, self);
    bk_http_set_proxy(&setup, self->http, self->request->url);
    bk_curl_set_pointer(&setup, CURLOPT_URL, self->request->url);
    bk_curl_set_pointer(&setup, CURLOPT_HTTPHEADER, headers);
    self->answer->outcome = BK_HTTP_IMPOSSIBLE;
    ok = bk_curl_check_setup(&setup, error);
    if (ok) {
        code = curl_easy_perform(handle);
        self->answer->status = (unsigned)bk_curl_get_long(handle, CURLINFO_RESPONSE_CODE);
        self->answer->outcome = BK_HTTP_ANSWERED;
        ok = bk_http_judge(self, handle, code, error);
    }
    curl_easy_reset(handle); /* nothing of this call stays but the connection */
    curl_slist_free_all(headers);
    return ok;
}

bool
bk_http_send(BkHttp *self, const BkHttpRequest *request, BkHttpAnswer *answer, BkOp *op,
             GError **error)
{
    Transfer transfer = {.http = self, .request = request, .answer = answer, .op = op};
    CURL *handle;
    bool ok;

    answer->outcome = BK_HTTP_ENDED;
    answer->was_sent_twice = false;
    answer->status = 0;
    answer->body.size = 0;
    g_hash_table_remove_all(answer->headers);
    handle = acquire_connection(self, op, error);
    if (handle == NULL)
        return false;
    ok = perform_transfer(&transfer, handle, error);
    release_connection(self, handle, ok);
    return ok;
}
