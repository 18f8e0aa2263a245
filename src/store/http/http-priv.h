/* http-priv.h - the insides of http.c and http-fault.c.
 *
 * Threads: as http.h. */
#pragma once
#include "store/http/curl.h"
#include "store/http/http.h"

#include <pthread.h>
#include <stdatomic.h>

/* When the next byte may pass in one direction. */
typedef struct Pace {
    uint64_t rate; /* bytes per second; 0: no limit */
    int64_t next_us;
} Pace;

struct BkHttp {
    char *ca_file;
    char *proxy;
    int64_t connect_timeout_us;
    int64_t idle_timeout_us;
    unsigned max_connections;
    atomic_bool has_answered; /* by HTTP, as it was spoken to */

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t released;
    GPtrArray *idle; /* of CURL, the last used last */
    unsigned busy;
    Pace sending;
    Pace receiving;
};

/* One request under way: what libcurl's callbacks work on. */
typedef struct Transfer {
    BkHttp *http;
    const BkHttpRequest *request;
    BkHttpAnswer *answer;
    BkOp *op;
    size_t sent;      /* of the body */
    curl_off_t moved; /* either way, as far as it was counted as progress */
    size_t header_bytes;
    bool has_headers; /* all of them: the blank line behind them has come */
    bool is_too_long;
    char message[CURL_ERROR_SIZE];
} Transfer;

/* The proxy by which a request to `url` goes, or none. */
void bk_http_set_proxy(BkCurlSetup *setup, const BkHttp *http, const char *url);

/* The outcome of a transfer that ended with `code`: true if there is an answer that is complete
 * according to HTTP. Sets `answer->outcome` otherwise, and fails as bk_http_send. */
bool bk_http_judge(Transfer *self, CURL *handle, CURLcode code, GError **error) BK_MUST_USE;
