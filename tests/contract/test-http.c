/* test-http.c - requests over a socket to a server in this program: what becomes of them, and what
 * ends them. */
#include "expect.h"
#include "store/http/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Accepts connections and gives to each request the one answer; "" reads and never answers. One
 * that begins with "!" is cut off: behind it the connection ends. */
typedef struct Server {
    int fd;
    char *url;
    const char *answer;
    unsigned connections;
    pthread_t thread;
} Server;

typedef struct Fixture {
    Server server;
    BkHttp *http;
    BkOp *op;
    BkHttpAnswer answer;
} Fixture;

/* The head of a request, or what a client of TLS begins with. */
static bool
read_head(int fd)
{
    char buffer[4096];
    size_t size = 0;

    do {
        ssize_t got = read(fd, buffer + size, sizeof buffer - 1 - size);

        if (got <= 0)
            return false;
        size += (size_t)got;
        buffer[size] = 0;
    } while (buffer[0] != 0x16 && strstr(buffer, "\r\n\r\n") == NULL);
    return true;
}

static void *
serve(void *data)
{
    Server *self = data;
    int fd;

    while ((fd = accept4(self->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        self->connections++;
        while (read_head(fd)) {
            const char *answer = self->answer[0] == '!' ? self->answer + 1 : self->answer;

            if ((answer[0] != 0 && write(fd, answer, strlen(answer)) < 0) || answer != self->answer)
                break;
        }
        (void)close(fd);
    }
    return NULL;
}

static void
set_up(Fixture *self, const void *data)
{
    const BkHttpOptions options = {.proxy = "", .idle_timeout_us = BK_USEC_PER_SEC};
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    g_autoptr(GError) error = NULL;
    Server *server = &self->server;

    *server = (Server){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .answer = data};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    g_assert_cmpint(bind(server->fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(listen(server->fd, 8), ==, 0);
    g_assert_cmpint(getsockname(server->fd, (struct sockaddr *)&address, &size), ==, 0);
    server->url = g_strdup_printf("http://127.0.0.1:%u/secret?token=1", ntohs(address.sin_port));
    g_assert_cmpint(pthread_create(&server->thread, NULL, serve, server), ==, 0);
    self->http = bk_http_new(&options, &error);
    g_assert_no_error(error);
    self->op = bk_op_new(NULL);
    bk_http_answer_init(&self->answer);
}

static void
tear_down(Fixture *self, const void *data)
{
    (void)data;
    bk_http_free(self->http); /* ends kept connections, so that the server stops */
    (void)shutdown(self->server.fd, SHUT_RDWR);
    (void)pthread_join(self->server.thread, NULL);
    (void)close(self->server.fd);
    g_free(self->server.url);
    bk_op_free(self->op);
    bk_http_answer_clear(&self->answer);
}

static bool
get(Fixture *self, size_t limit, GError **error)
{
    const BkHttpRequest request = {.method = "GET", .url = self->server.url, .limit = limit};

    return bk_http_send(self->http, &request, &self->answer, self->op, error);
}

static void
expect_failed(Fixture *self, GError **error, BkErrorCode code, BkHttpOutcome outcome)
{
    g_assert_error(*error, BK_ERROR, (int)code);
    g_assert_cmpint(self->answer.outcome, ==, outcome);
    g_assert_null(strstr((*error)->message, "token"));
    g_clear_error(error);
}

/* Status, headers of any case, body; one connection for all. */
static void
test_answers(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    for (unsigned i = 0; i < 3; i++) {
        EXPECT_DONE(get(self, 100, &error));
        g_assert_cmpint(self->answer.outcome, ==, BK_HTTP_ANSWERED);
        g_assert_cmpuint(self->answer.status, ==, 404);
        g_assert_cmpstr(bk_http_answer_get(&self->answer, "x-some"), ==, "Thing: too");
        g_assert_null(bk_http_answer_get(&self->answer, "none"));
        EXPECT_BYTES(self->answer.body.data, self->answer.body.size, (const uint8_t *)"gone", 4);
    }
    g_assert_cmpuint(self->server.connections, ==, 1);
    g_assert_false(get(self, 3, &error));
    expect_failed(self, &error, BK_ERROR_STORE, BK_HTTP_IMPOSSIBLE);
}

/* A body that ends early is no answer. */
static void
test_broken(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    g_assert_false(get(self, 100, &error)); /* idle: the rest never comes */
    expect_failed(self, &error, BK_ERROR_STORE, BK_HTTP_BROKEN);
}

/* No blank line behind the headers: whatever they say, it is not the whole answer. */
static void
test_cut_headers(Fixture *self, const void *data)
{
    static const char *const methods[] = {"GET", "PUT", "HEAD", "POST", "DELETE"};
    g_autoptr(GError) error = NULL;

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(methods); i++) {
        const BkHttpRequest request = {.method = methods[i],
                                       .url = self->server.url,
                                       .body = "body",
                                       .body_size = i % 2 == 0 ? 0 : 4,
                                       .limit = 100};

        g_assert_false(bk_http_send(self->http, &request, &self->answer, self->op, &error));
        expect_failed(self, &error, BK_ERROR_STORE, BK_HTTP_BROKEN);
    }
}

/* A name that cannot be looked up: as often as it is asked for. */
static void
test_no_such_name(Fixture *self, const void *data)
{
    g_autofree char *label = g_strnfill(70, 'a'); /* longer than DNS knows, so nobody is asked */
    g_autofree char *url = g_strdup_printf("http://%s/x?token=1", label);
    const BkHttpRequest request = {.method = "GET", .url = url, .limit = 10};
    g_autoptr(GError) error = NULL;

    (void)data;
    for (unsigned i = 0; i < 3; i++) {
        g_assert_false(bk_http_send(self->http, &request, &self->answer, self->op, &error));
        expect_failed(self, &error, BK_ERROR_STORE, BK_HTTP_NOT_SENT);
    }
    EXPECT_DONE(get(self, 100, &error));
}

/* A server that speaks no TLS, asked for it; what it would say instead helps nobody. */
static void
test_no_tls(Fixture *self, const void *data)
{
    g_autofree char *url = g_strconcat("https", self->server.url + strlen("http"), NULL);
    const BkHttpRequest request = {.method = "GET", .url = url, .limit = 10};
    g_autoptr(GError) error = NULL;

    (void)data;
    g_assert_false(bk_http_send(self->http, &request, &self->answer, self->op, &error));
    g_assert_nonnull(error);
    g_assert_nonnull(strstr(error->message, "does not speak TLS"));
    expect_failed(self, &error, BK_ERROR_STORE, BK_HTTP_IMPOSSIBLE);
}

/* And one that says that it wants TLS. */
static void
test_wants_tls(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    g_assert_false(get(self, 100, &error));
    g_assert_nonnull(error);
    g_assert_nonnull(strstr(error->message, "write \"https://\""));
    expect_failed(self, &error, BK_ERROR_STORE, BK_HTTP_IMPOSSIBLE);
}

static void
test_nobody(Fixture *self, const void *data)
{
    const BkHttpRequest request = {.method = "GET", .url = "http://127.0.0.1:1/x", .limit = 10};
    const BkHttpRequest no_url = {.method = "GET", .url = "ftp://127.0.0.1/x", .limit = 10};
    g_autoptr(GError) error = NULL;

    (void)data;
    g_assert_false(bk_http_send(self->http, &request, &self->answer, self->op, &error));
    expect_failed(self, &error, BK_ERROR_STORE, BK_HTTP_NOT_SENT);
    g_assert_false(bk_http_send(self->http, &no_url, &self->answer, self->op, &error));
    expect_failed(self, &error, BK_ERROR_STORE, BK_HTTP_IMPOSSIBLE);
}

/* What goes to this very host in the clear goes nowhere else, whatever the environment says. */
static void
test_proxy_of_the_environment(Fixture *self, const void *data)
{
    static const char *const names[] = {"http_proxy", "all_proxy", "ALL_PROXY"};
    const BkHttpOptions options = {.idle_timeout_us = BK_USEC_PER_SEC};
    const BkHttpRequest request = {.method = "GET", .url = self->server.url, .limit = 10};
    g_autoptr(GError) error = NULL;

    (void)data;
    g_unsetenv("no_proxy");
    g_unsetenv("NO_PROXY");
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        BkHttp *http = bk_http_new(&options, &error);

        g_assert_no_error(error);
        g_setenv(names[i], "http://192.0.2.1:1", TRUE);
        g_assert_true(bk_http_is_private(request.url, NULL));
        EXPECT_DONE(bk_http_send(http, &request, &self->answer, self->op, &error));
        g_assert_cmpuint(self->answer.status, ==, 404);
        g_unsetenv(names[i]);
        bk_http_free(http);
    }
}

/* libcurl quotes the proxy's whole address where it cannot use it: its password is for nobody. */
static void
test_proxy_with_a_password(Fixture *self, const void *data)
{
    const BkHttpOptions options = {.proxy = "foo://user:secret@localhost:1"};
    const BkHttpRequest request = {.method = "GET", .url = "http://127.0.0.1:1/x", .limit = 10};
    g_autoptr(BkHttp) http = NULL;
    g_autoptr(GError) error = NULL;

    (void)data;
    http = bk_http_new(&options, &error);
    g_assert_no_error(error);
    g_assert_false(bk_http_send(http, &request, &self->answer, self->op, &error));
    g_assert_nonnull(error);
    g_assert_null(strstr(error->message, "secret"));
}

static void *
cancel_soon(void *data)
{
    g_usleep(100000);
    bk_op_cancel(data);
    return NULL;
}

/* While an answer does not come, cancelling and the deadline end the wait. */
static void
test_ended(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    pthread_t thread;

    (void)data;
    bk_op_set_deadline(self->op, g_get_monotonic_time() + 100000);
    g_assert_false(get(self, 10, &error));
    expect_failed(self, &error, BK_ERROR_TIMEOUT, BK_HTTP_ENDED);
    bk_op_set_deadline(self->op, 0);
    g_assert_cmpint(pthread_create(&thread, NULL, cancel_soon, self->op), ==, 0);
    g_assert_false(get(self, 10, &error));
    expect_failed(self, &error, BK_ERROR_CANCELLED, BK_HTTP_ENDED);
    (void)pthread_join(thread, NULL);
}

int
main(int argc, char **argv)
{
    static const char whole[] = "HTTP/1.1 404 Not Found\r\nX-SOME:  Thing: too \r\n"
                                "Content-Length: 4\r\n\r\ngone";
    static const char cut[] = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf";

    static const char half[] = "!HTTP/1.1 200 OK\r\nContent-Le";
    static const char no_blank[] = "!HTTP/1.1 200 OK\r\nETag: \"x\"\r\n";
    static const char only_status[] = "!HTTP/1.1 200 OK\r\n";
    static const char plain[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 47\r\n\r\n"
                                "Client sent an HTTP request to an HTTPS server.";
    static const char no_tls[] = "!HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";

    g_test_init(&argc, &argv, NULL);
    g_test_add("/http/answers", Fixture, whole, set_up, test_answers, tear_down);
    g_test_add("/http/broken", Fixture, cut, set_up, test_broken, tear_down);
    g_test_add("/http/cut-headers/half", Fixture, half, set_up, test_cut_headers, tear_down);
    g_test_add("/http/cut-headers/no-blank", Fixture, no_blank, set_up, test_cut_headers,
               tear_down);
    g_test_add("/http/cut-headers/only-status", Fixture, only_status, set_up, test_cut_headers,
               tear_down);
    g_test_add("/http/no-such-name", Fixture, whole, set_up, test_no_such_name, tear_down);
    g_test_add("/http/no-tls", Fixture, no_tls, set_up, test_no_tls, tear_down);
    g_test_add("/http/wants-tls", Fixture, plain, set_up, test_wants_tls, tear_down);
    g_test_add("/http/nobody", Fixture, whole, set_up, test_nobody, tear_down);
    g_test_add("/http/proxy-of-the-environment", Fixture, whole, set_up,
               test_proxy_of_the_environment, tear_down);
    g_test_add("/http/proxy-with-a-password", Fixture, whole, set_up, test_proxy_with_a_password,
               tear_down);
    g_test_add("/http/ended", Fixture, "", set_up, test_ended, tear_down);
    return g_test_run();
}
