/* http.h - one HTTP request and its answer, over libcurl.
 *
 * Nothing is tried twice and no answer is taken for an error here: that is for who knows what the
 * request means. Connections are kept and used again. Cancelling the operation, or its deadline,
 * ends a request that is under way. libcurl is loaded when the first BkHttp is made (it brings some
 * thirty libraries along, see libpq.h). Threads: any number of threads may use one BkHttp at once.
 */
#pragma once
#include "base/buf.h"
#include "base/op.h"

typedef struct BkHttp BkHttp;

typedef struct BkHttpOptions {
    const char *ca_file;        /* PEM; NULL: the system's */
    const char *proxy;          /* URL; NULL: as the environment says, but none to this very host;
                                   "": none */
    int64_t connect_timeout_us; /* 0: 10 s */
    int64_t idle_timeout_us;    /* nothing moved for so long; 0: 60 s */
    uint64_t max_send_rate;     /* bytes per second, of all requests together; 0: no limit */
    uint64_t max_receive_rate;
    unsigned max_connections; /* requests beyond it wait; 0: no bound */
} BkHttpOptions;

/* Strings are copied. Fails with BK_ERROR_SYSTEM (libcurl cannot be loaded) or BK_ERROR_CONFIG (an
 * option is not usable: no such CA file, say). */
BkHttp *bk_http_new(const BkHttpOptions *options, GError **error) BK_MUST_USE;
void bk_http_free(BkHttp *self); /* NULL is fine; no request may be under way */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkHttp, bk_http_free)

/* Returns true if nobody on the way can read what is sent to `url`: it is https, or this very host,
 * not by way of `proxy` (as in the options). */
bool bk_http_is_private(const char *url, const char *proxy);

typedef struct BkHttpRequest {
    const char *method;         /* "GET", "PUT", "HEAD", "POST", "DELETE" */
    const char *url;            /* sent as it is: encoded by the caller */
    const char *const *headers; /* "name: value", NULL-terminated; no others but libcurl's own
                                   Host, Accept and Content-Length are sent; may be NULL */
    const void *body;           /* of PUT and POST; borrowed */
    size_t body_size;
    size_t limit; /* an answer with a longer body fails with BK_ERROR_STORE */
} BkHttpRequest;

/* The outcome of a request without an answer: whether trying again can help, and whether it may
 * have had its effect. */
typedef enum {
    BK_HTTP_ANSWERED,   /* there is an answer, whatever its status */
    BK_HTTP_NOT_SENT,   /* no connection came about: refused, no route, no such host (yet) */
    BK_HTTP_BROKEN,     /* the connection broke or timed out: the effect is unknown */
    BK_HTTP_IMPOSSIBLE, /* it cannot work: TLS that cannot be trusted, a URL that is none */
    BK_HTTP_ENDED,      /* cancelled, or past the operation's deadline: the effect is unknown */
} BkHttpOutcome;

typedef struct BkHttpAnswer {
    BkHttpOutcome outcome;
    bool was_sent_twice; /* on a new connection, after a kept one broke: the first may have had its
                            effect */
    unsigned status;     /* 200 and so on */
    GHashTable *headers; /* lower-case name -> value, both owned; of several the last */
    BkBuf body;          /* reused over calls */
} BkHttpAnswer;

void bk_http_answer_init(BkHttpAnswer *self);
void bk_http_answer_clear(BkHttpAnswer *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkHttpAnswer, bk_http_answer_clear)

/* A header's value, or NULL. `name` in lower case. */
const char *bk_http_answer_get(const BkHttpAnswer *self, const char *name);

/* True when there is an answer. Fails with BK_ERROR_STORE, BK_ERROR_CANCELLED or BK_ERROR_TIMEOUT;
 * `answer->outcome` tells more. */
bool bk_http_send(BkHttp *self, const BkHttpRequest *request, BkHttpAnswer *answer, BkOp *op,
                  GError **error) BK_MUST_USE;
