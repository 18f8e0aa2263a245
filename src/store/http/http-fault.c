/* http-fault.c - why a request has no answer, whether it is worth trying again, and what may not be
 * sent at all. */
#include "store/http/http-priv.h"

#include <arpa/inet.h>
#include <string.h>

#define PROBE_TIMEOUT_MS 5000L
#define BODY_LOOKED_AT   ((size_t)1024)

static bool
is_this_host(const char *host)
{
    struct in_addr address;

    return g_ascii_strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
           (strlen(host) > strlen(".localhost") &&
            g_ascii_strcasecmp(host + strlen(host) - strlen(".localhost"), ".localhost") == 0) ||
           (inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127);
}

static bool
leads_to_this_host(const char *url)
{
    const char *mark = strstr(url, "://");
    const char *begin = mark != NULL ? mark + strlen("://") : url;
    g_autofree char *host = g_strndup(begin, strcspn(begin, "/?#"));
    char *port = strrchr(host, ':');

    if (port != NULL && port[1 + strspn(port + 1, "0123456789")] == 0)
        *port = 0;
    return is_this_host(host);
}

bool
bk_http_is_private(const char *url, const char *proxy)
{
    static const char plain[] = "http://";

    if (g_ascii_strncasecmp(url, "https://", strlen("https://")) == 0)
        return true;
    return g_ascii_strncasecmp(url, plain, strlen(plain)) == 0 &&
           (proxy == NULL || proxy[0] == 0) && leads_to_this_host(url);
}

void
bk_http_set_proxy(BkCurlSetup *setup, const BkHttp *http, const char *url)
{
    if (http->proxy != NULL)
        bk_curl_set_pointer(setup, CURLOPT_PROXY, http->proxy);
    else if (url != NULL && leads_to_this_host(url))
        bk_curl_set_pointer(setup, CURLOPT_PROXY, ""); /* not even that of the environment */
}

static BkHttpOutcome
outcome_of(CURL *handle, CURLcode code)
{
    switch ((unsigned)code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR: /* a server that is being started breaks off, too */
        return BK_HTTP_NOT_SENT;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return BK_HTTP_IMPOSSIBLE;
    case CURLE_OPERATION_TIMEDOUT:
        return bk_curl_get_offset(handle, CURLINFO_PRETRANSFER_TIME_T) == 0 ? BK_HTTP_NOT_SENT
                                                                            : BK_HTTP_BROKEN;
    default:
        return BK_HTTP_BROKEN;
    }
}

/* "https://host:port": no more of the address gets into a message. */
static char *
origin_of(const char *url)
{
    const char *host = strstr(url, "://");
    size_t size = host != NULL ? (size_t)(host + 3 - url) + strcspn(host + 3, "/?") : 0;

    return g_strndup(url, size);
}

static bool
is_plain(const char *url)
{
    return g_str_has_prefix(url, "http://");
}

static int
stop_probe(void *user, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
    (void)down_total;
    (void)down;
    (void)up_total;
    (void)up;
    return bk_op_check(user, NULL) ? 0 : 1;
}

/* Returns true if the server at the other end of http://… speaks TLS there. Nothing is sent but the
 * handshake, so nobody needs to be trusted. */
static bool
speaks_tls(const Transfer *self, const char *origin)
{
    g_autofree char *url = g_strconcat("https", origin + strlen("http"), "/", NULL);
    BkCurlSetup setup = {.handle = curl_easy_init()};
    bool ok;

    if (setup.handle == NULL)
        return false;
    bk_curl_set_long(&setup, CURLOPT_NOSIGNAL, 1);
    bk_curl_set_long(&setup, CURLOPT_QUICK_EXIT, 1);
    bk_curl_set_long(&setup, CURLOPT_CONNECT_ONLY, 1);
    bk_curl_set_long(&setup, CURLOPT_SSL_VERIFYPEER, 0);
    bk_curl_set_long(&setup, CURLOPT_SSL_VERIFYHOST, 0);
    bk_curl_set_long(&setup, CURLOPT_TIMEOUT_MS, PROBE_TIMEOUT_MS);
    bk_curl_set_function(&setup, CURLOPT_XFERINFOFUNCTION, (BkCurlFunction)stop_probe);
    bk_curl_set_pointer(&setup, CURLOPT_XFERINFODATA, self->op);
    bk_curl_set_long(&setup, CURLOPT_NOPROGRESS, 0);
    bk_http_set_proxy(&setup, self->http, url);
    bk_curl_set_pointer(&setup, CURLOPT_URL, url);
    ok = setup.code == CURLE_OK && curl_easy_perform(setup.handle) == CURLE_OK;
    curl_easy_cleanup(setup.handle);
    return ok;
}

/* A server for TLS that was spoken to without it ends the connection, or answers in TLS. */
static bool
needs_tls(const Transfer *self, CURLcode code, const char *origin)
{
    return is_plain(origin) && self->header_bytes == 0 && !atomic_load(&self->http->has_answered) &&
           (code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR ||
            code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_HTTP2) &&
           speaks_tls(self, origin);
}

/* A server without TLS that was spoken to in it: OpenSSL takes "HTTP/" for a record's head. */
static bool
lacks_tls(CURLcode code, const char *text)
{
    return code == CURLE_SSL_CONNECT_ERROR &&
           (strstr(text, "wrong version number") != NULL || strstr(text, "http request") != NULL ||
            strstr(text, "packet length too long") != NULL);
}

static bool
throw_scheme(Transfer *self, const char *origin, bool needs, GError **error)
{
    self->answer->outcome = BK_HTTP_IMPOSSIBLE;
    if (needs)
        return bk_throw(error, BK_ERROR_STORE,
                        "%s: the server speaks TLS there: write \"https://\" instead of "
                        "\"http://\"",
                        origin);
    return bk_throw(error, BK_ERROR_STORE,
                    "%s: the server does not speak TLS there: correct the port, or write "
                    "\"http://\" if nobody else can read the traffic",
                    origin);
}

static bool
explain_curl_code(Transfer *self, CURL *handle, CURLcode code, const char *origin, GError **error)
{
    BkHttpAnswer *answer = self->answer;
    /* With an "@" it may quote a proxy's address with a password in it. */
    bool is_public = self->message[0] != 0 && strchr(self->message, '@') == NULL;
    const char *text = is_public ? self->message : curl_easy_strerror(code);

    if (!bk_op_check(self->op, error)) {
        answer->outcome = BK_HTTP_ENDED;
        return false;
    }
    answer->outcome = outcome_of(handle, code);
    if (self->is_too_long) {
        answer->outcome = BK_HTTP_IMPOSSIBLE;
        return bk_throw(error, BK_ERROR_STORE, "%s: the answer is longer than %zu bytes", origin,
                        self->request->limit);
    }
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        return bk_throw(
            error, BK_ERROR_STORE,
            "%s: the certificate is not trusted: %s: set ca_file to the file of its CA certificate",
            origin, text);
    if (lacks_tls(code, text))
        return throw_scheme(self, origin, false, error);
    if (needs_tls(self, code, origin))
        return throw_scheme(self, origin, true, error);
    return bk_throw(error, BK_ERROR_STORE, "%s: %s", origin, text);
}

/* Some servers for TLS say in plain HTTP what is wrong. */
static bool
is_told_to_use_tls(const Transfer *self)
{
    const BkBuf *body = &self->answer->body;
    g_autofree char *text = NULL;

    if (self->answer->status != 400 || !is_plain(self->request->url) || body->size == 0)
        return false;
    text = g_strndup((const char *)body->data, MIN(body->size, BODY_LOOKED_AT));
    return strstr(text, "HTTPS port") != NULL || strstr(text, "HTTPS server") != NULL;
}

bool
bk_http_judge(Transfer *self, CURL *handle, CURLcode code, GError **error)
{
    g_autofree char *origin = origin_of(self->request->url);

    if (code != CURLE_OK)
        return explain_curl_code(self, handle, code, origin, error);
    if (is_told_to_use_tls(self))
        return throw_scheme(self, origin, true, error);
    if (self->has_headers) {
        atomic_store(&self->http->has_answered, true);
        return true;
    }
    /* libcurl takes the end of the connection for the end of the headers. */
    self->answer->outcome = BK_HTTP_BROKEN;
    return bk_throw(error, BK_ERROR_STORE, "%s: the answer ends inside its headers", origin);
}
