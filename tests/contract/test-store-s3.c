/* What is a bucket's own, beyond the promises of every store: on a real server, but for the answers
 * that it never gives, which a fake one in this program gives. */
#include "base/workers.h"
#include "expect.h"
#include "repo/reread.h"
#include "s3-fixture.h"

#include <pthread.h>
#include <string.h>

typedef struct Fixture {
    BkStore *store;
    BkS3Options options;
    char *bucket;
    BkOp *op;
    BkBuf out;
} Fixture;

static S3Server server;

static char *
new_bucket_name(void)
{
    static unsigned number;

    return g_strdup_printf("special-%u", number++);
}

static void
set_up(Fixture *self, const void *data)
{
    (void)data;
    self->bucket = new_bucket_name();
    self->options = s3_fixture_options(&server, self->bucket);
    self->op = bk_op_new(NULL);
    self->out = BK_BUF_INIT;
    self->store = s3_fixture_open(&self->options);
    s3_fixture_make_bucket(self->store);
}

static void
set_up_with_versions(Fixture *self, const void *data)
{
    set_up(self, data);
    s3_fixture_keep_versions(self->store);
}

static void
set_up_with_locks(Fixture *self, const void *data)
{
    (void)data;
    self->bucket = new_bucket_name();
    self->options = s3_fixture_options(&server, self->bucket);
    self->options.lock = BK_S3_LOCK_COMPLIANCE;
    self->options.lock_us = 60 * BK_USEC_PER_SEC;
    self->op = bk_op_new(NULL);
    self->out = BK_BUF_INIT;
    self->store = s3_fixture_open(&self->options);
    s3_fixture_make_lock_bucket(self->store);
}

static void
tear_down(Fixture *self, const void *data)
{
    (void)data;
    bk_store_free(self->store);
    bk_op_free(self->op);
    bk_buf_clear(&self->out);
    g_free(self->bucket);
}

static bool
try_put(BkStore *store, const char *name, const char *text, BkOp *op, GError **error)
{
    g_auto(BkBuf) data = BK_BUF_INIT;

    bk_buf_append(&data, text, strlen(text));
    return bk_store_put(store, name, &data, op, error);
}

static void
put(const Fixture *self, const char *name, const char *text)
{
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(try_put(self->store, name, text, self->op, &error));
}

static void
expect_text(Fixture *self, const char *name, const char *text)
{
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(
        bk_store_get(self->store, name, 0, SIZE_MAX, SIZE_MAX, &self->out, self->op, &error));
    EXPECT_BYTES(self->out.data, self->out.size, (const uint8_t *)text, strlen(text));
}

static void
expect_absent(Fixture *self, const char *name)
{
    g_autoptr(GError) error = NULL;

    EXPECT_ERROR(
        bk_store_get(self->store, name, 0, SIZE_MAX, SIZE_MAX, &self->out, self->op, &error),
        BK_ERROR_ABSENT);
}

/* Does to an object what the driver never would: as a thief with the same credentials. */
static void
tamper(const Fixture *self, const char *method, const char *name, const char *text)
{
    g_autoptr(GError) error = NULL;
    g_auto(BkHttpAnswer) answer = {0};
    const S3Call call = {
        .kind = BK_REQUEST_PUT,
        .method = method,
        .what = "tamper with an object",
        .name = name,
        .body = text,
        .body_size = text != NULL ? strlen(text) : 0,
        .limit = BK_S3_ANSWER_MAX,
    };

    bk_http_answer_init(&answer);
    EXPECT_DONE(bk_s3_call((S3Store *)self->store, &call, &answer, NULL, self->op, &error));
}

/* In parts, byte for byte; not on top of what is there. */
static void
test_parts(Fixture *self, const void *data)
{
    const size_t size = 2 * BK_S3_PART_SIZE + 12345;
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;
    BkRequests requests;

    (void)data;
    (void)bk_buf_extend(&content, size);
    for (size_t i = 0; i < size; i++)
        content.data[i] = (uint8_t)(i * 31 + i / 4099);
    EXPECT_DONE(bk_store_put(self->store, "large", &content, self->op, &error));
    bk_op_get_requests(self->op, &requests);
    g_assert_cmpuint(requests.count[BK_REQUEST_PUT], >=, 3);
    g_assert_cmpuint(requests.count[BK_REQUEST_POST], ==, 2);
    EXPECT_DONE(
        bk_store_get(self->store, "large", 0, SIZE_MAX, SIZE_MAX, &self->out, self->op, &error));
    EXPECT_BYTES(self->out.data, self->out.size, content.data, content.size);
    content.data[0] ^= 1;
    EXPECT_ERROR(bk_store_put(self->store, "large", &content, self->op, &error), BK_ERROR_EXISTS);
}

/* What one put, get, stat, list and delete ask for, once the bucket is known. */
static void
test_requests(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    BkRequests requests;
    uint64_t size;

    (void)data;
    put(self, "first", "x");
    EXPECT_DONE(bk_store_delete(self->store, "first", self->op, &error)); /* asks about versions */
    bk_op_free(self->op);
    self->op = bk_op_new(NULL);
    put(self, "a", "content");
    expect_text(self, "a", "content");
    EXPECT_DONE(bk_store_stat(self->store, "a", &size, self->op, &error));
    EXPECT_DONE(bk_store_delete(self->store, "a", self->op, &error));
    bk_op_get_requests(self->op, &requests);
    g_assert_cmpuint(requests.count[BK_REQUEST_PUT], ==, 1);
    g_assert_cmpuint(requests.count[BK_REQUEST_GET], ==, 1);
    g_assert_cmpuint(requests.count[BK_REQUEST_HEAD], ==, 1);
    g_assert_cmpuint(requests.count[BK_REQUEST_DELETE], ==, 1);
    g_assert_cmpuint(requests.count[BK_REQUEST_POST], ==, 0);
    g_assert_cmpuint(requests.count[BK_REQUEST_LIST], ==, 0);
    g_assert_cmpuint(requests.sent, ==, 7);
}

/* What was read ahead answers the next get of it, once, and nothing that was deleted meanwhile. */
static void
test_read_ahead(Fixture *self, const void *data)
{
    static const char *const names[] = {"a", "b", "missing"};
    g_autoptr(GError) error = NULL;
    BkRequests before;
    BkRequests after;

    (void)data;
    put(self, "a", "content of a");
    put(self, "b", "content of b");
    EXPECT_DONE(bk_store_prefetch(self->store, names, G_N_ELEMENTS(names), self->op, &error));
    bk_op_get_requests(self->op, &before);
    expect_text(self, "a", "content of a");
    bk_op_get_requests(self->op, &after);
    g_assert_cmpuint(after.count[BK_REQUEST_GET], ==, before.count[BK_REQUEST_GET]);
    expect_text(self, "a", "content of a");
    bk_op_get_requests(self->op, &after);
    g_assert_cmpuint(after.count[BK_REQUEST_GET], ==, before.count[BK_REQUEST_GET] + 1);
    EXPECT_DONE(bk_store_delete(self->store, "b", self->op, &error));
    expect_absent(self, "b");
    expect_absent(self, "missing");
    put(self, "missing", "put later");
    expect_text(self, "missing", "put later");
}

static bool
count_entry(const BkStoreEntry *entry, void *data, GError **error)
{
    unsigned *count = data;

    (void)entry;
    (void)error;
    (*count)++;
    return true;
}

/* Many at once, by one request; with names that are not there among them. */
static void
test_delete_many(Fixture *self, const void *data)
{
    const char *const names[] = {"d/1", "d/2", "d/none", "d/3"};
    g_autoptr(GError) error = NULL;
    unsigned count = 0;

    (void)data;
    put(self, "d/1", "x");
    put(self, "d/2", "x");
    put(self, "d/3", "x");
    put(self, "d/4", "x");
    EXPECT_DONE(bk_store_delete_many(self->store, names, 4, self->op, &error));
    EXPECT_DONE(bk_store_list(self->store, "d/", NULL, count_entry, &count, self->op, &error));
    g_assert_cmpuint(count, ==, 1);
    expect_text(self, "d/4", "x");
}

/* Deleted by a marker, and overwritten: the first version is the object. */
static void
test_first_version(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    unsigned count = 0;
    uint64_t size;
    bool has_other;

    (void)data;
    put(self, "hidden", "first");
    put(self, "overwritten", "first");
    put(self, "good", "first");
    tamper(self, "DELETE", "hidden", NULL);
    tamper(self, "PUT", "overwritten", "rubbish");
    expect_text(self, "hidden", "first");
    EXPECT_DONE(bk_store_stat(self->store, "hidden", &size, self->op, &error));
    g_assert_cmpuint(size, ==, 5);
    EXPECT_DONE(bk_store_list(self->store, "", NULL, count_entry, &count, self->op, &error));
    g_assert_cmpuint(count, ==, 3);
    expect_text(self, "overwritten", "rubbish");
    EXPECT_DONE(bk_store_reread_original(self->store, "overwritten", &has_other, self->op, &error));
    g_assert_true(has_other);
    expect_text(self, "overwritten", "first");
    EXPECT_DONE(bk_store_reread_original(self->store, "overwritten", &has_other, self->op, &error));
    g_assert_false(has_other);
    EXPECT_DONE(bk_store_reread_original(self->store, "good", &has_other, self->op, &error));
    g_assert_false(has_other);
    EXPECT_ERROR(try_put(self->store, "hidden", "second", self->op, &error), BK_ERROR_EXISTS);
    expect_text(self, "hidden", "first");
    EXPECT_DONE(bk_store_delete(self->store, "overwritten", self->op, &error));
    EXPECT_ERROR(bk_store_stat(self->store, "overwritten", &size, self->op, &error),
                 BK_ERROR_ABSENT);
}

#define READERS 4

typedef struct Reader {
    const Fixture *fixture;
    pthread_barrier_t *start;
    pthread_t thread;
} Reader;

/* As whoever opens an object that turns out to be damaged does. */
static void *
read_until_first(void *data)
{
    const Reader *self = data;
    g_auto(BkBuf) out = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;
    unsigned tries = 0;

    EXPECT_DONE(bk_store_get(self->fixture->store, "overwritten", 0, SIZE_MAX, 100, &out,
                             self->fixture->op, &error));
    (void)pthread_barrier_wait(self->start); /* all of them have read the rubbish */
    while (out.size != 5 || memcmp(out.data, "first", 5) != 0) {
        (void)bk_throw(&error, BK_ERROR_CORRUPT, "rubbish");
        g_assert_true(bk_reread_is_worth(self->fixture->store, "overwritten", &tries, &error,
                                         self->fixture->op));
        EXPECT_DONE(bk_store_get(self->fixture->store, "overwritten", 0, SIZE_MAX, 100, &out,
                                 self->fixture->op, &error));
    }
    return NULL;
}

/* Each of several threads that find an object overwritten comes to the first version. */
static void
test_first_version_for_many_threads(Fixture *self, const void *data)
{
    pthread_barrier_t start;
    Reader readers[READERS];

    (void)data;
    put(self, "overwritten", "first");
    tamper(self, "PUT", "overwritten", "rubbish");
    (void)pthread_barrier_init(&start, NULL, READERS);
    for (size_t i = 0; i < READERS; i++) {
        readers[i] = (Reader){.fixture = self, .start = &start};
        g_assert_cmpint(pthread_create(&readers[i].thread, NULL, read_until_first, &readers[i]), ==,
                        0);
    }
    for (size_t i = 0; i < READERS; i++)
        (void)pthread_join(readers[i].thread, NULL);
    (void)pthread_barrier_destroy(&start);
}

/* Two writers at once, where the store ignores the condition: until the later one has taken its own
 * back, that is the current version, and sound. Nobody may take a key from it. */
static void
test_first_key(Fixture *self, const void *data)
{
    static const char *const names[] = {"orders/key/1"};
    BkRequests before;
    BkRequests after;
    g_autoptr(GError) error = NULL;

    (void)data;
    put(self, names[0], "first");
    bk_op_get_requests(self->op, &before);
    expect_text(self, names[0], "first");
    bk_op_get_requests(self->op, &after);
    g_assert_cmpuint(after.count[BK_REQUEST_GET], ==, before.count[BK_REQUEST_GET] + 1);
    tamper(self, "PUT", names[0], "second");
    expect_text(self, names[0], "first");
    tamper(self, "DELETE", names[0], NULL);
    bk_store_free(self->store);
    self->store = s3_fixture_open(&self->options);
    EXPECT_DONE(bk_store_prefetch(self->store, names, 1, self->op, &error));
    expect_text(self, names[0], "first");
}

/* Where a lock keeps the later writer's object from being taken back, it is hidden, and neither the
 * writer itself nor who reads afterwards takes it for the object. */
static void
test_locked_loser(Fixture *self, const void *data)
{
    static const char name[] = "orders/wal/1/1/1";
    g_autoptr(BkStore) loser = s3_fixture_open(&self->options);
    g_autoptr(GError) error = NULL;

    (void)data;
    put(self, name, "first");
    EXPECT_ERROR(try_put(loser, name, "second", self->op, &error), BK_ERROR_EXISTS);
    expect_text(self, name, "first");
    EXPECT_DONE(bk_store_get(loser, name, 0, SIZE_MAX, SIZE_MAX, &self->out, self->op, &error));
    EXPECT_BYTES(self->out.data, self->out.size, (const uint8_t *)"first", 5);
    bk_store_free(self->store);
    self->store = s3_fixture_open(&self->options);
    expect_text(self, name, "first");
}

/* What is locked is not deleted, in parts or whole; a lease is; a lock grows and never shrinks. */
static void
test_locks(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    S3Store *store = (S3Store *)self->store;

    (void)data;
    store->single_max = 10;
    put(self, "orders/packs/a", "short");
    put(self, "orders/packs/b", "long enough to be put in parts");
    put(self, "orders/lease/1", "short");
    g_assert_cmpint(bk_store_lock_us(self->store), ==, 60 * BK_USEC_PER_SEC);
    EXPECT_ERROR(bk_store_delete(self->store, "orders/packs/a", self->op, &error), BK_ERROR_DENIED);
    EXPECT_ERROR(bk_store_delete(self->store, "orders/packs/b", self->op, &error), BK_ERROR_DENIED);
    expect_text(self, "orders/packs/a", "short");
    EXPECT_DONE(bk_store_delete(self->store, "orders/lease/1", self->op, &error));
    EXPECT_DONE(bk_store_retain(self->store, "orders/packs/a", self->op, &error));
    store->options.lock_us *= 2;
    EXPECT_DONE(bk_store_retain(self->store, "orders/packs/a", self->op, &error));
    store->options.lock_us /= 4; /* in compliance mode the server would refuse less */
    EXPECT_DONE(bk_store_retain(self->store, "orders/packs/a", self->op, &error));
    EXPECT_ERROR(bk_store_retain(self->store, "orders/packs/none", self->op, &error),
                 BK_ERROR_ABSENT);
}

/* A bucket that was made without locks says so. */
static void
test_a_bucket_without_locks(Fixture *self, const void *data)
{
    BkS3Options options = self->options;
    g_autoptr(BkStore) store = NULL;
    g_autoptr(GError) error = NULL;

    (void)data;
    options.lock = BK_S3_LOCK_GOVERNANCE;
    options.lock_us = 60 * BK_USEC_PER_SEC;
    store = s3_fixture_open(&options);
    EXPECT_ERROR(try_put(store, "orders/packs/a", "x", self->op, &error), BK_ERROR_STORE);
}

static int64_t
an_hour_ago(void)
{
    return g_get_real_time() - 3600 * BK_USEC_PER_SEC;
}

static void
expect_message(GError *error, const char *part)
{
    if (strstr(error->message, part) == NULL)
        g_error("\"%s\" is not in \"%s\"", part, error->message);
}

static int64_t
in_an_hour(void)
{
    return g_get_real_time() + 3600 * BK_USEC_PER_SEC;
}

/* Errors are told apart, and say what to do. */
static void
test_errors(Fixture *self, const void *data)
{
    BkS3Options options = self->options;
    BkStore *store = self->store;
    g_autoptr(GError) error = NULL;

    (void)data;
    ((S3Store *)store)->now_us = an_hour_ago;
    g_assert_false(try_put(store, "a", "x", self->op, &error));
    g_assert_true(bk_error_is(error, BK_ERROR_STORE));
    expect_message(error, "clock of this host is 3");
    expect_message(error, " s behind that of the server");
    g_clear_error(&error);
    ((S3Store *)store)->now_us = in_an_hour;
    g_assert_false(try_put(store, "a", "x", self->op, &error));
    expect_message(error, " s ahead of that of the server");
    g_clear_error(&error);
    ((S3Store *)store)->now_us = g_get_real_time;

    options.bucket = "no-such-bucket";
    store = s3_fixture_open(&options);
    g_assert_false(try_put(store, "a", "x", self->op, &error));
    expect_message(error, "there is no such bucket");
    g_clear_error(&error);
    g_assert_false(bk_store_get(store, "a", 0, SIZE_MAX, SIZE_MAX, &self->out, self->op, &error));
    g_assert_true(bk_error_is(error, BK_ERROR_STORE)); /* not that the object is absent */
    g_clear_error(&error);
    bk_store_free(store);

    options.bucket = self->bucket;
    options.storage_class[BK_OBJECT_PACK] = "NO_SUCH_CLASS";
    store = s3_fixture_open(&options);
    g_assert_false(try_put(store, "orders/packs/a", "x", self->op, &error));
    bk_store_free(store);
}

/* --- answers that a real server gives only when it is ill ----------------------------------- */

typedef struct Fake {
    int fd;
    char *url;
    const char *const *answers; /* one a request, NULL-terminated; "" cuts the connection, XML
                                  is given with 200 */
    unsigned asked;
    unsigned conditions; /* requests with If-None-Match */
    pthread_t thread;
} Fake;

/* Reads one request with its body. */
static bool
read_request(Fake *self, int fd)
{
    g_autoptr(GString) text = g_string_new(NULL);
    char buffer[4096];
    const char *end;
    const char *length;
    size_t body;

    while ((end = strstr(text->str, "\r\n\r\n")) == NULL) {
        ssize_t got = read(fd, buffer, sizeof buffer);

        if (got <= 0 || buffer[0] == 0x16) /* does it speak TLS? It does not */
            return false;
        g_string_append_len(text, buffer, got);
    }
    self->conditions += strcasestr(text->str, "\r\nif-none-match: *\r\n") != NULL ? 1 : 0;
    length = strcasestr(text->str, "content-length: ");
    body = length != NULL && length < end ? (size_t)g_ascii_strtoull(length + 16, NULL, 10) : 0;
    while (text->len - (size_t)(end + 4 - text->str) < body) {
        size_t at = (size_t)(end - text->str);
        ssize_t got = read(fd, buffer, sizeof buffer);

        if (got <= 0)
            return false;
        g_string_append_len(text, buffer, got);
        end = text->str + at;
    }
    return true;
}

static void *
run_fake(void *data)
{
    Fake *self = data;

    while (self->answers[self->asked] != NULL) {
        int fd = accept4(self->fd, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0)
            break;
        while (self->answers[self->asked] != NULL && read_request(self, fd)) {
            const char *answer = self->answers[self->asked++];
            g_autofree char *whole =
                answer[0] == '<'
                    ? g_strdup_printf("HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
                                      strlen(answer), answer)
                    : g_strdup(answer);

            const char *end = strstr(whole, "\r\n\r\n");

            /* One that is cut, or does not say where it ends, ends with the connection. */
            if (whole[0] == 0 || write(fd, whole, strlen(whole)) < 0 || end == NULL ||
                strstr(whole, "Content-Length") == NULL)
                break;
        }
        (void)close(fd);
    }
    return NULL;
}

static void
fake_start(Fake *self, const char *const *answers)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;

    *self = (Fake){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .answers = answers};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    g_assert_cmpint(bind(self->fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(listen(self->fd, 8), ==, 0);
    g_assert_cmpint(getsockname(self->fd, (struct sockaddr *)&address, &size), ==, 0);
    self->url = g_strdup_printf("http://127.0.0.1:%u", ntohs(address.sin_port));
    g_assert_cmpint(pthread_create(&self->thread, NULL, run_fake, self), ==, 0);
}

static void
fake_stop(Fake *self, unsigned asked)
{
    (void)shutdown(self->fd, SHUT_RDWR);
    (void)pthread_join(self->thread, NULL);
    (void)close(self->fd);
    g_free(self->url);
    g_assert_cmpuint(self->asked, ==, asked);
}

static BkStore *
open_fake(const Fake *fake)
{
    BkS3Options options = s3_fixture_options(&server, "fake");

    options.endpoint = fake->url;
    return s3_fixture_open(&options);
}

#define ANSWER(status, body) "HTTP/1.1 " status "\r\nContent-Length: " body
#define EMPTY                "0\r\n\r\n"

/* Puts "a" into a store that gives these answers, to so many requests. */
static bool
put_to_fake(const char *const *answers, unsigned asked, GError **error)
{
    g_autoptr(BkOp) op = bk_op_new(NULL);
    BkStore *store;
    Fake fake;
    bool ok;

    fake_start(&fake, answers);
    store = open_fake(&fake);
    ok = try_put(store, "a", "x", op, error);
    bk_store_free(store);
    fake_stop(&fake, asked);
    return ok;
}

/* The same for a get, which must find `text`. */
static void
expect_text_from_fake(const char *const *answers, unsigned asked, const char *text)
{
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_autoptr(GError) error = NULL;
    g_auto(BkBuf) out = BK_BUF_INIT;
    BkStore *store;
    Fake fake;

    fake_start(&fake, answers);
    store = open_fake(&fake);
    EXPECT_DONE(bk_store_get(store, "a", 0, SIZE_MAX, SIZE_MAX, &out, op, &error));
    EXPECT_BYTES(out.data, out.size, (const uint8_t *)text, strlen(text));
    bk_store_free(store);
    fake_stop(&fake, asked);
}

/* A put that is answered 200 with an error in it is tried again, and so is one that is cut. */
static void
test_ill_answers(void)
{
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 41\r\n\r\n<Error><Code>InternalError</Code></Error>\n",
        "",
        ANSWER("503 Slow Down", EMPTY),
        ANSWER("200 OK", EMPTY),
        NULL,
    };
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(put_to_fake(answers, 4, &error));
}

/* So is one that breaks off within its headers, whatever it has said until then. */
static void
test_cut_headers(void)
{
    static const char *const answers[] = {"HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\n",
                                          ANSWER("200 OK", EMPTY), NULL};
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(put_to_fake(answers, 3, &error));
}

static void
test_cut_headers_of_get(void)
{
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
        "HTTP/1.1 404 Not Found\r\nContent-Len",
        "HTTP/1.1 200 OK\r\n\r\nx", /* nor is this one known to be whole */
        "HTTP/1.1 206 Partial Content\r\nContent-Length: 1\r\nContent-Range: bytes 0-0/1\r\n\r\ny",
        NULL,
    };

    expect_text_from_fake(answers, 4, "y");
}

/* A part that does not say of what is asked for again. */
static void
test_part_of_nothing(void)
{
    static const char *const answers[] = {
        ANSWER("206 Partial Content", "1\r\n\r\nx"),
        ANSWER("206 Partial Content", "1\r\nContent-Range: bytes 0-0/?\r\n\r\nx"),
        ANSWER("206 Partial Content", "1\r\nContent-Range: bytes 0-0/1\r\n\r\ny"),
        NULL,
    };

    expect_text_from_fake(answers, 3, "y");
}

/* 412 after an attempt whose answer was lost: whose object is it? Here, another's. */
static void
test_lost_answer_of_another(void)
{
    static const char *const answers[] = {
        "",
        ANSWER("412 Precondition Failed", EMPTY),
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nx-amz-meta-put: 0\r\n\r\n",
        NULL,
    };
    g_autoptr(GError) error = NULL;

    EXPECT_ERROR(put_to_fake(answers, 3, &error), BK_ERROR_EXISTS);
}

/* A kept connection that breaks after a request is one that libcurl sends again by itself: the
 * first may have had its effect, so the same question is asked. */
static void
test_lost_answer_on_a_kept_connection(void)
{
    static const char *const answers[] = {
        ANSWER("200 OK", EMPTY),
        "",
        ANSWER("412 Precondition Failed", EMPTY),
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nx-amz-meta-put: 0\r\n\r\n",
        NULL,
    };
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_autoptr(GError) error = NULL;
    BkStore *store;
    Fake fake;

    fake_start(&fake, answers);
    store = open_fake(&fake);
    EXPECT_DONE(try_put(store, "a", "x", op, &error));
    EXPECT_ERROR(try_put(store, "b", "x", op, &error), BK_ERROR_EXISTS);
    bk_store_free(store);
    fake_stop(&fake, 4);
}

/* One that was not tried before is simply taken. */
static void
test_plain_conflict(void)
{
    static const char *const answers[] = {ANSWER("412 Precondition Failed", EMPTY), NULL};
    g_autoptr(GError) error = NULL;

    EXPECT_ERROR(put_to_fake(answers, 1, &error), BK_ERROR_EXISTS);
}

/* A version that was on top is taken back just as it is asked for: 404, and then the first one is
 * the current one. It was there all the time. */
static void
test_there_all_the_time(void)
{
    static const char *const answers[] = {
        ANSWER("404 Not Found", EMPTY),
        "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
        "<ListVersionsResult><IsTruncated>false</IsTruncated><Version><Key>a</Key>"
        "<VersionId>v1</VersionId><IsLatest>true</IsLatest><Size>1</Size>"
        "<LastModified>2026-11-24T00:00:00.000Z</LastModified></Version></ListVersionsResult>",
        ANSWER("200 OK", "1\r\n\r\nx"),
        NULL,
    };

    expect_text_from_fake(answers, 4, "x");
}

#define VERSIONING_ON  "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
#define VERSIONING_OFF "<VersioningConfiguration/>"
#define NO_VERSIONS    "<ListVersionsResult><IsTruncated>false</IsTruncated></ListVersionsResult>"
#define ONE_VERSION(name)                                                                          \
    "<ListVersionsResult><IsTruncated>false</IsTruncated><Version><Key>" name                      \
    "</Key><VersionId>v1</VersionId><Size>1</Size>"                                                \
    "<LastModified>2026-11-24T00:00:00.000Z</LastModified></Version></ListVersionsResult>"
#define REFUSED   ANSWER("501 Not Implemented", EMPTY)
#define NOT_THERE ANSWER("404 Not Found", EMPTY)
#define PUT_DONE  "HTTP/1.1 200 OK\r\nx-amz-version-id: v1\r\nContent-Length: 0\r\n\r\n"

/* A listing that goes on and does not say where, or where it is already, is an error. */
static void
test_listings_without_end(void)
{
#define PAGE(marker)                                                                               \
    "<ListBucketResult><IsTruncated>true</IsTruncated>" marker "</ListBucketResult>"
    static const char *const answers[] = {
        "<VersioningConfiguration></VersioningConfiguration>",
        PAGE("<NextKeyMarker>a</NextKeyMarker>"),
        PAGE("<NextContinuationToken>a</NextContinuationToken>"),
        PAGE("<NextContinuationToken>a</NextContinuationToken>"),
        NULL,
    };
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_autoptr(GError) error = NULL;
    unsigned count = 0;
    BkStore *store;
    Fake fake;

    fake_start(&fake, answers);
    store = open_fake(&fake);
    for (unsigned i = 0; i < 2; i++)
        EXPECT_ERROR(bk_store_list(store, "", NULL, count_entry, &count, op, &error),
                     BK_ERROR_STORE);
    bk_store_free(store);
    fake_stop(&fake, 4);
#undef PAGE
}

/* A server may not keep us with empty pages for ever, each of which names another one. */
static void
test_empty_pages(void)
{
    const unsigned count = 1000;
    g_autoptr(GPtrArray) answers = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_autoptr(GError) error = NULL;
    unsigned visited = 0;
    BkStore *store;
    Fake fake;

    g_ptr_array_add(answers, g_strdup("<VersioningConfiguration></VersioningConfiguration>"));
    for (unsigned i = 0; i < count; i++)
        g_ptr_array_add(answers, g_strdup_printf("<ListBucketResult><IsTruncated>true</IsTruncated>"
                                                 "<NextContinuationToken>%u</NextContinuationToken>"
                                                 "</ListBucketResult>",
                                                 i));
    g_ptr_array_add(answers, NULL);
    fake_start(&fake, (const char *const *)answers->pdata);
    store = open_fake(&fake);
    g_assert_false(bk_store_list(store, "", NULL, count_entry, &visited, op, &error));
    g_assert_error(error, BK_ERROR, BK_ERROR_STORE);
    expect_message(error, "does not end");
    bk_store_free(store);
    fake_stop(&fake, count + 1);
}

/* A listing that does not tell whether it is complete is not. */
static void
test_listing_without_end_mark(void)
{
    static const char *const answers[] = {
        "<VersioningConfiguration></VersioningConfiguration>",
        "<ListBucketResult></ListBucketResult>",
        "<ListBucketResult><IsTruncated>perhaps</IsTruncated></ListBucketResult>",
        NULL,
    };
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_autoptr(GError) error = NULL;
    unsigned visited = 0;
    BkStore *store;
    Fake fake;

    fake_start(&fake, answers);
    store = open_fake(&fake);
    for (unsigned i = 0; i < 2; i++)
        EXPECT_ERROR(bk_store_list(store, "", NULL, count_entry, &visited, op, &error),
                     BK_ERROR_STORE);
    bk_store_free(store);
    fake_stop(&fake, 3);
}

#define DENIED ANSWER("403 Forbidden", EMPTY)

/* Who may not ask whether the bucket keeps versions does not know that it keeps none. */
static void
test_untold_versions(void)
{
    static const char *const allowed[] = {DENIED, ONE_VERSION("a"), NULL};
    static const char *const denied[] = {DENIED, DENIED, NULL};
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_autoptr(GError) error = NULL;
    unsigned visited = 0;
    BkStore *store;
    Fake fake;

    fake_start(&fake, allowed);
    store = open_fake(&fake);
    EXPECT_DONE(bk_store_list(store, "", NULL, count_entry, &visited, op, &error));
    g_assert_cmpuint(visited, ==, 1);
    bk_store_free(store);
    fake_stop(&fake, 2);
    fake_start(&fake, denied);
    store = open_fake(&fake);
    g_assert_false(bk_store_list(store, "", NULL, count_entry, &visited, op, &error));
    g_assert_error(error, BK_ERROR, BK_ERROR_DENIED);
    expect_message(error, "allow s3:GetBucketVersioning");
    bk_store_free(store);
    fake_stop(&fake, 2);
}

/* What would be of use to whoever listens is not sent where somebody can. */
static void
test_secrets_in_the_clear(void)
{
    static const struct {
        const char *endpoint;
        const char *proxy;
        bool is_private;
    } cases[] = {
        {"https://s3.example.org", NULL, true},
        {"http://127.0.0.1:9000", "", true},
        {"http://127.9.9.9", NULL, true},
        {"http://localhost:1", NULL, true},
        {"http://[::1]:9000/", NULL, true},
        {"http://s3.localhost", NULL, true},
        {"http://127.0.0.1", "http://proxy", false},
        {"http://127.0.0.1.example.org", NULL, false},
        {"http://localhost.example.org", NULL, false},
        {"http://10.0.0.1:9000", NULL, false},
        {"http://1270.0.0.1", NULL, false},
        {"ftp://127.0.0.1", NULL, false},
    };
    BkS3Options options = s3_fixture_options(&server, "fake");
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_autoptr(GError) error = NULL;
    BkStore *store;

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        g_assert_cmpint(bk_http_is_private(cases[i].endpoint, cases[i].proxy), ==,
                        cases[i].is_private);
    options.endpoint = "http://192.0.2.1";
    options.sse = BK_S3_SSE_CUSTOMER;
    options.customer_key_file = "/nowhere";
    store = bk_store_s3_open(&options, &error);
    g_assert_null(store);
    g_assert_error(error, BK_ERROR, BK_ERROR_CONFIG);
    expect_message(error, "use https");
    g_clear_error(&error);
    options.sse = BK_S3_SSE_NONE;
    g_setenv("AWS_SESSION_TOKEN", "session", TRUE);
    store = s3_fixture_open(&options);
    g_assert_false(try_put(store, "a", "x", op, &error));
    g_unsetenv("AWS_SESSION_TOKEN");
    g_assert_error(error, BK_ERROR, BK_ERROR_CONFIG);
    expect_message(error, "session token");
    bk_store_free(store);
}

static void
test_refusals(void)
{
    static const struct {
        const char *answer;
        BkErrorCode code;
        const char *message;
    } cases[] = {
        {"HTTP/1.1 301 Moved Permanently\r\nx-amz-bucket-region: eu-west-3\r\nContent-Length: 0\r\n"
         "\r\n",
         BK_ERROR_STORE, "in \"eu-west-3\""},
        {"HTTP/1.1 403 Forbidden\r\nContent-Length: 73\r\n\r\n"
         "<Error><Code>InvalidObjectState</Code><Message>cold</Message></Error>    ",
         BK_ERROR_DENIED, "archive storage class"},
        {"HTTP/1.1 400 Bad Request\r\nContent-Length: 59\r\n\r\n"
         "<Error><Code>A\nB</Code><Message>\xc2\x9b"
         "31mred\x7f</Message></Error>",
         BK_ERROR_STORE, "A\\x0aB: \\xc2\\x9b31mred\\x7f"},
        {ANSWER("507 Insufficient Storage", EMPTY), BK_ERROR_NO_SPACE, "507"},
        {ANSWER("400 Bad Request", EMPTY), BK_ERROR_STORE, "400"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const char *const answers[] = {cases[i].answer, NULL};
        g_autoptr(BkOp) op = bk_op_new(NULL);
        g_autoptr(GError) error = NULL;
        BkStore *store;
        Fake fake;

        fake_start(&fake, answers);
        store = open_fake(&fake);
        g_assert_false(try_put(store, "a", "x", op, &error));
        g_assert_error(error, BK_ERROR, (int)cases[i].code);
        expect_message(error, cases[i].message);
        bk_store_free(store);
        fake_stop(&fake, 1);
    }
}

/* A store that refuses the condition but keeps versions is asked without it, after a look whether
 * the name is free, and its versions tell who was first. The next put knows. */
static void
test_versions_instead_of_conditions(void)
{
    static const char *const answers[] = {
        REFUSED,
        VERSIONING_ON,
        NOT_THERE,
        NO_VERSIONS,
        PUT_DONE,
        ONE_VERSION("a"),
        NOT_THERE,
        NO_VERSIONS,
        PUT_DONE,
        ONE_VERSION("b"),
        ANSWER("200 OK", "1\r\n\r\n"),
        NULL,
    };
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_autoptr(GError) error = NULL;
    BkStore *store;
    Fake fake;

    fake_start(&fake, answers);
    store = open_fake(&fake);
    EXPECT_DONE(try_put(store, "a", "x", op, &error));
    EXPECT_DONE(try_put(store, "b", "x", op, &error));
    EXPECT_ERROR(try_put(store, "b", "y", op, &error), BK_ERROR_EXISTS);
    bk_store_free(store);
    g_assert_cmpuint(fake.conditions, ==, 1);
    fake_stop(&fake, 11);
}

/* One that keeps none, or does not tell them, is not written to. */
static void
test_neither_versions_nor_conditions(void)
{
    static const char *const none[] = {REFUSED, VERSIONING_OFF, NULL};
    static const char *const untold[] = {REFUSED,     VERSIONING_ON,           NOT_THERE,
                                         NO_VERSIONS, ANSWER("200 OK", EMPTY), NULL};
    static const char *const *const cases[] = {none, untold};

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(BkOp) op = bk_op_new(NULL);
        g_autoptr(GError) error = NULL;
        BkStore *store;
        Fake fake;

        fake_start(&fake, cases[i]);
        store = open_fake(&fake);
        g_assert_false(try_put(store, "a", "x", op, &error));
        g_assert_error(error, BK_ERROR, BK_ERROR_STORE);
        expect_message(error, "conditions: false");
        bk_store_free(store);
        fake_stop(&fake, g_strv_length((char **)(uintptr_t)cases[i]));
    }
}

/* Who promises to write alone still does not overwrite what was there before. */
static void
test_without_conditions(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    bk_store_free(self->store);
    self->options.is_unconditional = true;
    self->store = s3_fixture_open(&self->options);
    put(self, "a", "first");
    EXPECT_ERROR(try_put(self->store, "a", "second", self->op, &error), BK_ERROR_EXISTS);
    expect_text(self, "a", "first");
}

#define PACED_WORKERS 4
#define PACED_SIZE    (BK_MIB)
#define PACED_RATE    (4 * BK_MIB)

static bool
put_and_get(unsigned index, void *data, BkOp *op, GError **error)
{
    const Fixture *self = data;
    g_autofree char *name = g_strdup_printf("paced/%u", index);
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_auto(BkBuf) back = BK_BUF_INIT;

    memset(bk_buf_extend(&content, PACED_SIZE), (int)('a' + index), PACED_SIZE);
    if (!bk_store_put(self->store, name, &content, op, error) ||
        !bk_store_get(self->store, name, 0, SIZE_MAX, SIZE_MAX, &back, op, error))
        return false;
    EXPECT_BYTES(back.data, back.size, content.data, content.size);
    return true;
}

/* The bound is that of all workers together. That it took as long as it had to is no promise about
 * speed: nothing that makes it slower can break this. */
static void
test_paced(Fixture *self, const void *data)
{
    const int64_t least_us = PACED_WORKERS * (int64_t)PACED_SIZE * BK_USEC_PER_SEC / PACED_RATE;
    g_autoptr(GError) error = NULL;
    int64_t start_us;

    (void)data;
    bk_store_free(self->store);
    self->options.max_send_rate = self->options.max_receive_rate = PACED_RATE;
    self->store = s3_fixture_open(&self->options);
    start_us = g_get_monotonic_time();
    EXPECT_DONE(bk_workers_run(PACED_WORKERS, put_and_get, self, self->op, &error));
    /* Sending and receiving may overlap; the last piece, of at most a megabyte, is not waited for.
     */
    g_assert_cmpint(g_get_monotonic_time() - start_us, >=, least_us - least_us / 4);
}

int
main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    g_test_add("/store-s3/parts", Fixture, NULL, set_up, test_parts, tear_down);
    g_test_add("/store-s3/requests", Fixture, NULL, set_up, test_requests, tear_down);
    g_test_add("/store-s3/read-ahead", Fixture, NULL, set_up, test_read_ahead, tear_down);
    g_test_add("/store-s3/read-ahead-versions", Fixture, NULL, set_up_with_versions,
               test_read_ahead, tear_down);
    g_test_add("/store-s3/delete-many", Fixture, NULL, set_up, test_delete_many, tear_down);
    g_test_add("/store-s3/delete-many-versions", Fixture, NULL, set_up_with_versions,
               test_delete_many, tear_down);
    g_test_add("/store-s3/first-version", Fixture, NULL, set_up_with_versions, test_first_version,
               tear_down);
    g_test_add("/store-s3/first-version-for-many-threads", Fixture, NULL, set_up_with_versions,
               test_first_version_for_many_threads, tear_down);
    g_test_add("/store-s3/first-key", Fixture, NULL, set_up_with_versions, test_first_key,
               tear_down);
    g_test_add("/store-s3/locked-loser", Fixture, NULL, set_up_with_locks, test_locked_loser,
               tear_down);
    g_test_add("/store-s3/locks", Fixture, NULL, set_up_with_locks, test_locks, tear_down);
    g_test_add("/store-s3/a-bucket-without-locks", Fixture, NULL, set_up,
               test_a_bucket_without_locks, tear_down);
    g_test_add("/store-s3/errors", Fixture, NULL, set_up, test_errors, tear_down);
    g_test_add("/store-s3/without-conditions", Fixture, NULL, set_up, test_without_conditions,
               tear_down);
    g_test_add_func("/store-s3/versions-instead-of-conditions",
                    test_versions_instead_of_conditions);
    g_test_add_func("/store-s3/neither-versions-nor-conditions",
                    test_neither_versions_nor_conditions);
    g_test_add("/store-s3/paced", Fixture, NULL, set_up, test_paced, tear_down);
    g_test_add_func("/store-s3/ill-answers", test_ill_answers);
    g_test_add_func("/store-s3/cut-headers", test_cut_headers);
    g_test_add_func("/store-s3/cut-headers-of-get", test_cut_headers_of_get);
    g_test_add_func("/store-s3/part-of-nothing", test_part_of_nothing);
    g_test_add_func("/store-s3/lost-answer-of-another", test_lost_answer_of_another);
    g_test_add_func("/store-s3/lost-answer-on-a-kept-connection",
                    test_lost_answer_on_a_kept_connection);
    g_test_add_func("/store-s3/plain-conflict", test_plain_conflict);
    g_test_add_func("/store-s3/there-all-the-time", test_there_all_the_time);
    g_test_add_func("/store-s3/listings-without-end", test_listings_without_end);
    g_test_add_func("/store-s3/empty-pages", test_empty_pages);
    g_test_add_func("/store-s3/listing-without-end-mark", test_listing_without_end_mark);
    g_test_add_func("/store-s3/untold-versions", test_untold_versions);
    g_test_add_func("/store-s3/secrets-in-the-clear", test_secrets_in_the_clear);
    g_test_add_func("/store-s3/refusals", test_refusals);
    s3_server_start(&server);
    status = g_test_run();
    s3_server_stop(&server);
    return status;
}
