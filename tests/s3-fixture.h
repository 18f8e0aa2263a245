/* s3-fixture.h - a real S3 server for one test program, started when it is first asked for, and
 * buckets in it.
 *
 * Threads: belongs to the main thread. */
#pragma once
#include "store/s3/s3-priv.h"
#include "temp-dir.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct S3Server {
    char *dir;
    char *url;
} S3Server;

/* A port that is free, with one that is free behind it. Another process may take them before the
 * server does: then its start fails, and others are tried. */
static inline unsigned
s3_server_find_port(void)
{
    for (;;) {
        struct sockaddr_in address = {.sin_family = AF_INET};
        unsigned port = (unsigned)g_random_int_range(20000, 32000);
        bool is_free = true;

        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        for (unsigned i = 0; i < 2; i++) {
            int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

            address.sin_port = htons((uint16_t)(port + i));
            is_free &= bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
            (void)close(fd);
        }
        if (is_free)
            return port;
    }
}

/* Runs tests/s3-server; what it prints is a new string, NULL when it failed. */
static inline char *
s3_server_run(const char *action, const char *dir, const char *argument)
{
    const char *argv[] = {"tests/s3-server", action, dir, argument, NULL};
    g_autoptr(GError) error = NULL;
    char *output = NULL;
    int status = 0;
    bool done = g_spawn_sync(NULL, (char **)(uintptr_t)argv, NULL, G_SPAWN_DEFAULT, NULL, NULL,
                             &output, NULL, &status, &error);

    g_assert_no_error(error);
    g_assert_true(done);
    if (status != 0)
        g_clear_pointer(&output, g_free);
    return output;
}

static inline void
s3_server_start(S3Server *self)
{
    for (unsigned attempt = 0; self->url == NULL && attempt < 5; attempt++) {
        g_autofree char *pid = g_strdup_printf("%d", (int)getpid());
        g_autofree char *port = g_strdup_printf("%u", s3_server_find_port());

        g_setenv("S3_GUARD", pid, TRUE); /* a failed assertion must not leave it behind */
        self->dir = temp_dir_new();
        self->url = s3_server_run("start", self->dir, port);
        if (self->url == NULL) {
            g_free(s3_server_run("stop", self->dir, NULL));
            g_clear_pointer(&self->dir, temp_dir_free);
        }
    }
    /* A needed server that is missing fails the test: see tests/s3-server. */
    g_assert_nonnull(self->url);
    g_strchomp(self->url);
}

static inline void
s3_server_stop(S3Server *self)
{
    if (self->dir == NULL)
        return;
    g_free(s3_server_run("stop", self->dir, NULL));
    g_clear_pointer(&self->dir, temp_dir_free);
    g_clear_pointer(&self->url, g_free);
}

static inline BkObjectKind
s3_fixture_kind_of(const char *name)
{
    if (strstr(name, "lease") != NULL)
        return BK_OBJECT_TRANSIENT;
    if (strstr(name, "/key/") != NULL)
        return BK_OBJECT_KEY;
    return strstr(name, "wal") != NULL ? BK_OBJECT_WAL : BK_OBJECT_PACK;
}

/* What a test changes before it opens a store. */
static inline BkS3Options
s3_fixture_options(const S3Server *server, const char *bucket)
{
    g_setenv("AWS_ACCESS_KEY_ID", "testaccesskey", TRUE);
    g_setenv("AWS_SECRET_ACCESS_KEY", "testsecretkey0123456789", TRUE);
    return (BkS3Options){
        .bucket = bucket,
        .region = "us-east-1",
        .endpoint = server->url,
        .address = BK_S3_ADDRESS_PATH,
        .kind_of = s3_fixture_kind_of,
        .sends_checksum = true,
        .retry_us = 5 * BK_USEC_PER_SEC,
    };
}

static inline BkStore *
s3_fixture_open(const BkS3Options *options)
{
    g_autoptr(GError) error = NULL;
    BkStore *store = bk_store_s3_open(options, &error);

    g_assert_no_error(error);
    g_assert_nonnull(store);
    return store;
}

/* One request about the bucket that the store is in: it is made, or something is set for it. */
static inline void
s3_fixture_request(BkStore *store, const char *method, const char *parameter, const char *header,
                   const char *body)
{
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_autoptr(GError) error = NULL;
    g_auto(BkHttpAnswer) answer = {0};
    g_auto(S3Fields) fields = {0};
    g_auto(S3Fields) headers = {0};
    const S3Call call = {
        .kind = BK_REQUEST_PUT,
        .method = method,
        .what = "prepare a bucket",
        .fields = &fields,
        .headers = &headers,
        .body = body,
        .body_size = body != NULL ? strlen(body) : 0,
        .limit = BK_S3_ANSWER_MAX,
    };
    bool done;

    bk_http_answer_init(&answer);
    bk_s3_fields_init(&fields);
    bk_s3_fields_init(&headers);
    if (parameter != NULL)
        bk_s3_fields_add(&fields, parameter, "");
    if (header != NULL)
        bk_s3_fields_add(&headers, header, "true");
    done = bk_s3_call((S3Store *)store, &call, &answer, NULL, op, &error);
    g_assert_no_error(error);
    g_assert_true(done);
}

static inline void
s3_fixture_make_bucket(BkStore *store)
{
    s3_fixture_request(store, "PUT", NULL, NULL, NULL);
}

static inline void
s3_fixture_keep_versions(BkStore *store)
{
    s3_fixture_request(store, "PUT", "versioning", NULL,
                       "<VersioningConfiguration><Status>Enabled</Status>"
                       "</VersioningConfiguration>");
}

static inline void
s3_fixture_make_lock_bucket(BkStore *store)
{
    s3_fixture_request(store, "PUT", NULL, "x-amz-bucket-object-lock-enabled", NULL);
}
