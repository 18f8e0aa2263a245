/* cloud-fixture.h - small HTTP servers in threads of a test, which speak the documented protocols
 * of endpoints that exist only in clouds: the metadata of an EC2 instance (version 2), a
 * container's credentials, and AssumeRoleWithWebIdentity of STS.
 *
 * They are no clouds: a test over them shows that the protocol is spoken as its documentation says,
 * and not that a cloud agrees. Every secret in them contains "HUSH", so that a test can tell when
 * one comes to light. Threads: what a test sets, it sets by the functions below. */
#pragma once
#include "base/macros.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FAKE_SESSION "HUSH-session=="
#define FAKE_ROLE    "backup-role"

typedef enum {
    FAKE_RIGHT,
    FAKE_GARBAGE,  /* cut off in the middle */
    FAKE_HUGE,     /* right, but for a megabyte of white space */
    FAKE_LACKING,  /* without a secret key */
    FAKE_REFUSING, /* as the protocol refuses */
    FAKE_NO_ROLE,  /* of metadata: the instance has none */
    FAKE_ODD_ROLE, /* of metadata: a name that is none */
    FAKE_FORGETS,  /* of metadata: the session is not known any more */
} FakeMode;

typedef struct FakeRequest {
    char *method;
    char *target;
    char *headers; /* lines, each after "\r\n" */
    char *body;
} FakeRequest;

typedef struct Fake Fake;
typedef unsigned (*FakeAnswer)(Fake *fake, const FakeRequest *request, GString *body);

struct Fake {
    const char *name;
    FakeAnswer answer; /* called with the mutex held; returns the status */
    int listener;
    char *url;
    pthread_t thread;
    bool is_started;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    bool is_held;
    unsigned request_count;
    unsigned given_count; /* of credentials, which bear its number */
    unsigned failures;    /* so many requests are answered with 500 */
    FakeMode mode;
    int64_t expires_us;
    char *token; /* that is expected */
};

static inline char *
fake_find_header(const FakeRequest *request, const char *name)
{
    size_t size = strlen(name);

    for (const char *line = request->headers; line != NULL; line = strstr(line, "\r\n")) {
        line += 2;
        if (g_ascii_strncasecmp(line, name, size) == 0 && line[size] == ':') {
            const char *value = line + size + 1 + strspn(line + size + 1, " ");

            return g_strndup(value, strcspn(value, "\r"));
        }
    }
    return NULL;
}

static inline bool
fake_has_header(const FakeRequest *request, const char *name, const char *expected)
{
    g_autofree char *value = fake_find_header(request, name);

    return g_strcmp0(value, expected) == 0;
}

static inline void
fake_put_time(GString *out, int64_t time_us)
{
    time_t seconds = (time_t)(time_us / BK_USEC_PER_SEC);
    struct tm utc;
    char text[32];

    g_assert_nonnull(gmtime_r(&seconds, &utc));
    g_assert_cmpuint(strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc), >, 0);
    g_string_append(out, text);
}

/* What a container's endpoint and the metadata answer alike. */
static inline unsigned
fake_put_json(Fake *self, GString *body)
{
    self->given_count++;
    g_string_append_printf(body, "{\n  \"Code\" : \"%s\",\n  \"AccessKeyId\" : \"AK-%s-%u\"",
                           self->mode == FAKE_REFUSING ? "AssumeRoleUnauthorizedAccess" : "Success",
                           self->name, self->given_count);
    if (self->mode != FAKE_LACKING)
        g_string_append_printf(body, ",\n  \"SecretAccessKey\" : \"HUSH/%s/%u\"", self->name,
                               self->given_count);
    g_string_append_printf(body, ",\n  \"Token\" : \"HUSH-token-%u\",\n  \"Expiration\" : \"",
                           self->given_count);
    fake_put_time(body, self->expires_us);
    g_string_append(body, "\"\n}");
    return 200;
}

static inline unsigned
fake_metadata(Fake *self, const FakeRequest *request, GString *body)
{
    static const char roles[] = "/latest/meta-data/iam/security-credentials/";

    if (strcmp(request->target, "/latest/api/token") == 0) {
        if (strcmp(request->method, "PUT") != 0)
            return 405;
        if (!fake_has_header(request, "X-aws-ec2-metadata-token-ttl-seconds", "21600"))
            return 400;
        g_string_append(body, FAKE_SESSION);
        return 200;
    }
    if (strcmp(request->method, "GET") != 0)
        return 405;
    if (self->mode == FAKE_FORGETS ||
        !fake_has_header(request, "X-aws-ec2-metadata-token", FAKE_SESSION))
        return 401;
    if (self->mode == FAKE_NO_ROLE || !g_str_has_prefix(request->target, roles))
        return 404;
    if (strcmp(request->target, roles) == 0) {
        g_string_append(body, self->mode == FAKE_ODD_ROLE ? "../HUSH" : FAKE_ROLE "\nanother\n");
        return 200;
    }
    return strcmp(request->target + strlen(roles), FAKE_ROLE) == 0 ? fake_put_json(self, body)
                                                                   : 404;
}

static inline unsigned
fake_container(Fake *self, const FakeRequest *request, GString *body)
{
    if (strcmp(request->method, "GET") != 0 || strcmp(request->target, "/v2/credentials/HUSH") != 0)
        return 404;
    if (!fake_has_header(request, "Authorization", self->token))
        return 401;
    if (self->mode == FAKE_REFUSING) {
        g_string_append(body, "{\"code\":\"InvalidIdInRequest\",\"message\":\"HUSH: no such id\"}");
        return 400;
    }
    return fake_put_json(self, body);
}

static inline unsigned
fake_refuse_sts(GString *body, const char *code)
{
    g_string_append_printf(body,
                           "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n"
                           "<Error><Type>Sender</Type><Code>%s</Code><Message>HUSH</Message>"
                           "</Error></ErrorResponse>",
                           code);
    return strcmp(code, "AccessDenied") == 0 ? 403 : 400;
}

static inline unsigned
fake_sts(Fake *self, const FakeRequest *request, GString *body)
{
    g_autofree char *type = fake_find_header(request, "Content-Type");
    g_autoptr(GHashTable) form =
        g_uri_parse_params(request->body, -1, "&", G_URI_PARAMS_WWW_FORM, NULL);

    if (strcmp(request->method, "POST") != 0 || strcmp(request->target, "/") != 0 ||
        g_strcmp0(type, "application/x-www-form-urlencoded") != 0 || form == NULL ||
        g_strcmp0(g_hash_table_lookup(form, "Action"), "AssumeRoleWithWebIdentity") != 0 ||
        g_strcmp0(g_hash_table_lookup(form, "Version"), "2011-06-15") != 0 ||
        g_strcmp0(g_hash_table_lookup(form, "RoleArn"), "arn:aws:iam::1:role/a+b") != 0 ||
        g_strcmp0(g_hash_table_lookup(form, "RoleSessionName"), "night") != 0)
        return fake_refuse_sts(body, "ValidationError");
    if (g_strcmp0(g_hash_table_lookup(form, "WebIdentityToken"), self->token) != 0)
        return fake_refuse_sts(body, "InvalidIdentityToken");
    if (self->mode == FAKE_REFUSING)
        return fake_refuse_sts(body, "AccessDenied");
    self->given_count++;
    g_string_append_printf(
        body,
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n"
        "  <AssumeRoleWithWebIdentityResult>\n    <Credentials>\n      <AccessKeyId>AK-%s-%u"
        "</AccessKeyId>\n",
        self->name, self->given_count);
    if (self->mode != FAKE_LACKING)
        g_string_append_printf(body, "      <SecretAccessKey>HUSH/%s/%u</SecretAccessKey>\n",
                               self->name, self->given_count);
    g_string_append_printf(body,
                           "      <SessionToken>HUSH-token-%u</SessionToken>\n      <Expiration>",
                           self->given_count);
    fake_put_time(body, self->expires_us);
    g_string_append(body,
                    "</Expiration>\n    </Credentials>\n  </AssumeRoleWithWebIdentityResult>\n"
                    "</AssumeRoleWithWebIdentityResponse>\n");
    return 200;
}

/* One connection at a time. */

static inline bool
fake_read_more(int fd, GString *text)
{
    char bytes[4096];
    ssize_t got = recv(fd, bytes, sizeof bytes, 0);

    if (got > 0)
        g_string_append_len(text, bytes, got);
    return got > 0;
}

static inline bool
fake_read_request(int fd, FakeRequest *request)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autofree char *length_text = NULL;
    const char *end;
    size_t length;
    size_t start;
    char method[16];
    char target[512];

    while ((end = strstr(text->str, "\r\n\r\n")) == NULL)
        if (!fake_read_more(fd, text))
            return false;
    start = (size_t)(end - text->str) + 4;
    if (sscanf(text->str, "%15s %511s", method, target) != 2)
        return false;
    request->method = g_strdup(method);
    request->target = g_strdup(target);
    request->headers = g_strndup(strstr(text->str, "\r\n"),
                                 start - (size_t)(strstr(text->str, "\r\n") - text->str) - 2);
    length_text = fake_find_header(request, "Content-Length");
    length = length_text != NULL ? (size_t)g_ascii_strtoull(length_text, NULL, 10) : 0;
    while (text->len < start + length)
        if (!fake_read_more(fd, text))
            return false;
    request->body = g_strndup(text->str + start, length);
    return true;
}

static inline void
fake_write(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);

        if (sent <= 0)
            return; /* the client had enough */
        data += sent;
        size -= (size_t)sent;
    }
}

static inline void
fake_serve(Fake *self, int fd)
{
    FakeRequest request = {0};
    g_autoptr(GString) body = g_string_new(NULL);
    g_autoptr(GString) head = g_string_new(NULL);
    unsigned status = 500;

    if (fake_read_request(fd, &request)) {
        (void)pthread_mutex_lock(&self->mutex);
        self->request_count++;
        (void)pthread_cond_broadcast(&self->changed);
        while (self->is_held)
            (void)pthread_cond_wait(&self->changed, &self->mutex);
        if (self->failures > 0)
            self->failures--;
        else
            status = self->answer(self, &request, body);
        if (self->mode == FAKE_GARBAGE)
            g_string_truncate(body, body->len / 2);
        for (size_t i = 0; self->mode == FAKE_HUGE && i < BK_MIB; i++)
            g_string_append_c(body, ' ');
        (void)pthread_mutex_unlock(&self->mutex);
        g_string_printf(head, "HTTP/1.1 %u X\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
                        status, body->len);
        fake_write(fd, head->str, head->len);
        fake_write(fd, body->str, body->len);
    }
    g_free(request.method);
    g_free(request.target);
    g_free(request.headers);
    g_free(request.body);
}

static inline void *
fake_run(void *data)
{
    Fake *self = data;
    int fd;

    while ((fd = accept(self->listener, NULL, NULL)) >= 0) {
        fake_serve(self, fd);
        (void)close(fd);
    }
    return NULL;
}

/* Listens on a port of its own; answers from fake_start on. Between the two, the environment can
 * still be set. */
static inline void
fake_open(Fake *self, const char *name, FakeAnswer answer)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;

    *self = (Fake){.name = name, .answer = answer};
    (void)pthread_mutex_init(&self->mutex, NULL);
    (void)pthread_cond_init(&self->changed, NULL);
    self->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(self->listener, >=, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    g_assert_cmpint(bind(self->listener, (struct sockaddr *)&address, size), ==, 0);
    g_assert_cmpint(getsockname(self->listener, (struct sockaddr *)&address, &size), ==, 0);
    g_assert_cmpint(listen(self->listener, 16), ==, 0);
    self->url = g_strdup_printf("http://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
}

static inline void
fake_start(Fake *self)
{
    self->is_started = true;
    g_assert_cmpint(pthread_create(&self->thread, NULL, fake_run, self), ==, 0);
}

static inline void
fake_hold(Fake *self, bool is_held)
{
    (void)pthread_mutex_lock(&self->mutex);
    self->is_held = is_held;
    (void)pthread_cond_broadcast(&self->changed);
    (void)pthread_mutex_unlock(&self->mutex);
}

static inline void
fake_close(Fake *self)
{
    fake_hold(self, false);
    (void)shutdown(self->listener, SHUT_RDWR);
    if (self->is_started)
        (void)pthread_join(self->thread, NULL);
    (void)close(self->listener);
    (void)pthread_cond_destroy(&self->changed);
    (void)pthread_mutex_destroy(&self->mutex);
    g_free(self->url);
    g_free(self->token);
}

static inline void
fake_set_mode(Fake *self, FakeMode mode)
{
    (void)pthread_mutex_lock(&self->mutex);
    self->mode = mode;
    (void)pthread_mutex_unlock(&self->mutex);
}

static inline void
fake_set_failures(Fake *self, unsigned count)
{
    (void)pthread_mutex_lock(&self->mutex);
    self->failures = count;
    (void)pthread_mutex_unlock(&self->mutex);
}

static inline void
fake_set_token(Fake *self, const char *token)
{
    (void)pthread_mutex_lock(&self->mutex);
    g_free(self->token);
    self->token = g_strdup(token);
    (void)pthread_mutex_unlock(&self->mutex);
}

static inline void
fake_set_expiry(Fake *self, int64_t expires_us)
{
    (void)pthread_mutex_lock(&self->mutex);
    self->expires_us = expires_us;
    (void)pthread_mutex_unlock(&self->mutex);
}

static inline unsigned
fake_count(Fake *self)
{
    unsigned count;

    (void)pthread_mutex_lock(&self->mutex);
    count = self->request_count;
    (void)pthread_mutex_unlock(&self->mutex);
    return count;
}

/* Waits until so many requests have come in. */
static inline void
fake_await(Fake *self, unsigned count)
{
    (void)pthread_mutex_lock(&self->mutex);
    while (self->request_count < count)
        (void)pthread_cond_wait(&self->changed, &self->mutex);
    (void)pthread_mutex_unlock(&self->mutex);
}
