/* The promises of store/credentials/credentials.h: the order of the places, fresh credentials in
 * time, and that nothing secret comes to light. The endpoints are those of cloud-fixture.h: small
 * servers of this test that speak the protocols documented by Amazon, since the real ones exist
 * only in clouds. */
#include "cloud-fixture.h"
#include "expect.h"
#include "store/credentials/credentials-priv.h"
#include "temp-dir.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#define START_US  (INT64_C(1795262400) * BK_USEC_PER_SEC)
#define MINUTE_US (60 * BK_USEC_PER_SEC)
#define HOUR_US   (60 * MINUTE_US)
#define TRIES     3 /* as the source */

typedef struct Fixture {
    char *dir;
    char *file;       /* of credentials; not there yet */
    char *token_file; /* holds "HUSH.first" */
    Fake metadata;
    Fake container;
    Fake sts;
    BkOp *op;
    BkCredentialSource *source;
    _Atomic int64_t now_us;
    int stderr_copy;
    int log; /* what was written on standard error */
} Fixture;

static int64_t
tell_time(void *data)
{
    Fixture *self = data;

    return atomic_load(&self->now_us);
}

static void
write_text(const char *path, const char *text)
{
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    g_assert_cmpint(chmod(path, 0600), ==, 0);
}

static void
clear_environment(void)
{
    g_auto(GStrv) names = g_listenv();

    for (size_t i = 0; names[i] != NULL; i++)
        if (g_str_has_prefix(names[i], "AWS_"))
            g_unsetenv(names[i]);
    g_setenv("AWS_EC2_METADATA_DISABLED", "true", TRUE);
    /* Nothing on a link of this host may be asked through one. */
    g_setenv("http_proxy", "http://127.0.0.1:1", TRUE);
    g_unsetenv("no_proxy");
    g_unsetenv("NO_PROXY");
}

static void
use_file(const Fixture *self)
{
    write_text(self->file, "[default]\naws_access_key_id = AK-file\n"
                           "aws_secret_access_key = HUSH/file\n");
    g_setenv("AWS_SHARED_CREDENTIALS_FILE", self->file, TRUE);
}

static void
use_metadata(const Fixture *self)
{
    g_setenv("AWS_EC2_METADATA_DISABLED", "false", TRUE);
    g_setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", self->metadata.url, TRUE);
}

static void
use_container(const Fixture *self)
{
    g_autofree char *url = g_strconcat(self->container.url, "/v2/credentials/HUSH", NULL);

    g_setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, TRUE);
}

static void
use_sts(const Fixture *self)
{
    g_setenv("AWS_WEB_IDENTITY_TOKEN_FILE", self->token_file, TRUE);
    g_setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/a+b", TRUE);
    g_setenv("AWS_ROLE_SESSION_NAME", "night", TRUE);
    g_setenv("AWS_ENDPOINT_URL_STS", self->sts.url, TRUE);
}

/* The source under test, after all is set in the environment: from now on there are threads. */
static void
start(Fixture *self, const char *file, const char *profile)
{
    const BkCredentialOptions options = {
        .file = file, .profile = profile, .region = "eu-central-1", .proxy = ""};

    self->source = bk_credential_source_new(&options);
    bk_credential_source_set_clock(self->source, tell_time, self);
    fake_start(&self->metadata);
    fake_start(&self->container);
    fake_start(&self->sts);
}

static void
set_up(Fixture *self, const void *data)
{
    (void)data;
    clear_environment();
    self->dir = temp_dir_new();
    self->file = g_build_filename(self->dir, "credentials", NULL);
    self->token_file = g_build_filename(self->dir, "token", NULL);
    write_text(self->token_file, "HUSH.first\n");
    g_setenv("AWS_SHARED_CREDENTIALS_FILE", self->file, TRUE);
    fake_open(&self->metadata, "fake-metadata", fake_metadata);
    fake_open(&self->container, "fake-container", fake_container);
    fake_open(&self->sts, "fake-sts", fake_sts);
    self->metadata.expires_us = START_US + HOUR_US;
    self->container.expires_us = START_US + HOUR_US;
    self->sts.expires_us = START_US + HOUR_US;
    self->sts.token = g_strdup("HUSH.first");
    self->op = bk_op_new(NULL);
    atomic_store(&self->now_us, START_US);
    self->log = memfd_create("log", MFD_CLOEXEC);
    self->stderr_copy = dup(STDERR_FILENO);
    g_assert_cmpint(dup2(self->log, STDERR_FILENO), ==, STDERR_FILENO);
}

/* What was logged so far: a new string. */
static char *
read_log(const Fixture *self)
{
    char text[8192] = "";
    ssize_t size = pread(self->log, text, sizeof text - 1, 0);

    g_assert_cmpint(size, >=, 0);
    return g_strdup(text);
}

static unsigned
count_lines(const Fixture *self)
{
    g_autofree char *text = read_log(self);
    unsigned count = 0;

    for (const char *next = text; (next = strchr(next, '\n')) != NULL; next++)
        count++;
    return count;
}

static void
tear_down(Fixture *self, const void *data)
{
    g_autofree char *log = read_log(self);

    (void)data;
    g_assert_cmpint(dup2(self->stderr_copy, STDERR_FILENO), ==, STDERR_FILENO);
    (void)close(self->stderr_copy);
    (void)close(self->log);
    g_assert_null(strstr(log, "HUSH"));
    bk_credential_source_free(self->source);
    fake_close(&self->metadata);
    fake_close(&self->container);
    fake_close(&self->sts);
    bk_op_free(self->op);
    g_free(self->file);
    g_free(self->token_file);
    temp_dir_free(self->dir);
}

static void
expect_key(const Fixture *self, const char *access_key)
{
    g_auto(BkCredentials) found = {0};
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_credentials_get(self->source, &found, self->op, &error));
    g_assert_cmpstr(found.access_key, ==, access_key);
    g_assert_true(g_str_has_prefix(found.secret_key, "HUSH"));
}

/* The message has all the parts, which end with NULL, and no secret. */
static void
expect_message(const GError *error, BkErrorCode code, va_list source_repos)
{
    const char *source_repo;

    g_assert_error(error, BK_ERROR, (int)code);
    while ((source_repo = va_arg(source_repos, const char *)) != NULL)
        if (strstr(error->message, source_repo) == NULL)
            g_error("\"%s\" is not in \"%s\"", source_repo, error->message);
    g_assert_null(strstr(error->message, "HUSH"));
}

static void G_GNUC_NULL_TERMINATED
expect_failure(const Fixture *self, BkErrorCode code, ...)
{
    g_auto(BkCredentials) found = {0};
    g_autoptr(GError) error = NULL;
    va_list source_repos;

    g_assert_false(bk_credentials_get(self->source, &found, self->op, &error));
    g_assert_null(found.access_key);
    g_assert_null(found.secret_key);
    va_start(source_repos, code);
    expect_message(error, code, source_repos);
    va_end(source_repos);
}

/* Order */

/* The first `skipped` places have none, all others have. */
static void
expect_order(unsigned skipped, const char *expected)
{
    Fixture self;

    set_up(&self, NULL);
    if (skipped <= 1) {
        g_setenv("AWS_ACCESS_KEY_ID", "AK-environment", TRUE);
        g_setenv("AWS_SECRET_ACCESS_KEY", "HUSH/environment", TRUE);
    }
    if (skipped <= 2)
        use_file(&self);
    if (skipped <= 3)
        use_sts(&self);
    if (skipped <= 4)
        use_container(&self);
    use_metadata(&self);
    if (skipped == 0) {
        g_autofree char *named = g_build_filename(self.dir, "named", NULL);

        write_text(named, "[default]\naws_access_key_id = AK-named\n"
                          "aws_secret_access_key = HUSH/named\n");
        start(&self, named, NULL);
    } else {
        start(&self, NULL, NULL);
    }
    expect_key(&self, expected);
    tear_down(&self, NULL);
}

static void
test_order(void)
{
    static const char *const expected[] = {
        "AK-named",      "AK-environment",      "AK-file",
        "AK-fake-sts-1", "AK-fake-container-1", "AK-fake-metadata-1"};

    for (unsigned i = 0; i < G_N_ELEMENTS(expected); i++)
        expect_order(i, expected[i]);
}

/* What comes to be set later does not change whose credentials are used. */
static void
test_first_place_is_kept(Fixture *self, const void *data)
{
    g_auto(BkCredentials) found = {0};
    g_autoptr(GError) error = NULL;
    const BkCredentialOptions options = {.region = "eu-central-1"};

    (void)data;
    use_file(self);
    self->source = bk_credential_source_new(&options);
    EXPECT_DONE(bk_credentials_get(self->source, &found, self->op, &error));
    g_setenv("AWS_ACCESS_KEY_ID", "AK-environment", TRUE);
    g_setenv("AWS_SECRET_ACCESS_KEY", "HUSH/environment", TRUE);
    write_text(self->file, "[default]\naws_access_key_id = AK-newer\n"
                           "aws_secret_access_key = HUSH/newer\n");
    expect_key(self, "AK-file");
    bk_credentials_expire(self->source, &found);
    expect_key(self, "AK-newer");
    bk_credentials_expire(self->source, &found); /* those are not used any more */
    expect_key(self, "AK-newer");
    bk_credentials_clear(&found);
    EXPECT_DONE(bk_credentials_get(self->source, &found, self->op, &error));
    bk_credentials_expire(self->source, &found);
    expect_failure(self, BK_ERROR_DENIED, "shared credentials file", "have expired", NULL);
    g_assert_cmpint(unlink(self->file), ==, 0);
    expect_failure(self, BK_ERROR_DENIED, "there is no", self->file, NULL);
}

static void
test_none_at_all(Fixture *self, const void *data)
{
    (void)data;
    start(self, NULL, NULL);
    expect_failure(self, BK_ERROR_DENIED, "there are no credentials: environment: ",
                   "AWS_ACCESS_KEY_ID is not set; shared credentials file: there is no ",
                   self->file,
                   "; web identity: AWS_WEB_IDENTITY_TOKEN_FILE is not set; container: ",
                   "; instance metadata: AWS_EC2_METADATA_DISABLED is set", NULL);
}

static void
test_profile_is_missing(Fixture *self, const void *data)
{
    (void)data;
    use_file(self);
    use_metadata(self);
    start(self, NULL, "night");
    expect_failure(self, BK_ERROR_DENIED, "environment: AWS_ACCESS_KEY_ID is not set",
                   "shared credentials file: ", self->file, "has no profile \"night\"", NULL);
    g_assert_cmpuint(fake_count(&self->metadata), ==, 0);
}

static void
test_profile_of_named_file_is_missing(Fixture *self, const void *data)
{
    (void)data;
    use_file(self);
    g_setenv("AWS_ACCESS_KEY_ID", "AK-environment", TRUE);
    g_setenv("AWS_SECRET_ACCESS_KEY", "HUSH/environment", TRUE);
    start(self, self->file, "night");
    expect_failure(self, BK_ERROR_DENIED,
                   "there are no credentials: credentials file: ", self->file,
                   "has no profile \"night\"", NULL);
}

static void
test_unsafe_files(Fixture *self, const void *data)
{
    (void)data;
    use_file(self);
    g_assert_cmpint(chmod(self->file, 0644), ==, 0);
    start(self, NULL, NULL);
    expect_key(self, "AK-file");
    expect_key(self, "AK-file");
    g_assert_cmpuint(count_lines(self), ==, 1); /* the warning */
    bk_credential_source_free(self->source);
    self->source = bk_credential_source_new(&(const BkCredentialOptions){.file = self->file});
    expect_failure(self, BK_ERROR_CONFIG, self->file, "can be read by others", NULL);
}

static void
test_half_an_environment(Fixture *self, const void *data)
{
    (void)data;
    use_file(self);
    g_setenv("AWS_SECRET_ACCESS_KEY", "HUSH/environment", TRUE);
    start(self, NULL, NULL);
    expect_failure(self, BK_ERROR_CONFIG,
                   "AWS_SECRET_ACCESS_KEY is set and AWS_ACCESS_KEY_ID is not", NULL);
}

/* Refresh */

static void
test_refresh_before_expiry(Fixture *self, const void *data)
{
    unsigned once;

    (void)data;
    use_metadata(self);
    start(self, NULL, NULL);
    expect_key(self, "AK-fake-metadata-1");
    once = fake_count(&self->metadata);
    g_assert_cmpuint(once, ==, 3); /* session, role, credentials */
    atomic_store(&self->now_us, START_US + HOUR_US - 5 * MINUTE_US - 1);
    expect_key(self, "AK-fake-metadata-1");
    g_assert_cmpuint(fake_count(&self->metadata), ==, once);
    fake_set_expiry(&self->metadata, START_US + 2 * HOUR_US);
    atomic_store(&self->now_us, START_US + HOUR_US - 5 * MINUTE_US);
    expect_key(self, "AK-fake-metadata-2");
    atomic_store(&self->now_us, START_US + HOUR_US);
    expect_key(self, "AK-fake-metadata-2");
    g_assert_cmpuint(fake_count(&self->metadata), ==, once + once);
}

static void
test_refresh_fails(Fixture *self, const void *data)
{
    g_autofree char *log = NULL;
    unsigned count;

    (void)data;
    use_container(self);
    start(self, NULL, NULL);
    expect_key(self, "AK-fake-container-1");
    fake_set_failures(&self->container, UINT_MAX);
    atomic_store(&self->now_us, START_US + HOUR_US - 5 * MINUTE_US);
    expect_key(self, "AK-fake-container-1");
    count = fake_count(&self->container);
    g_assert_cmpuint(count, ==, 1 + TRIES);
    g_assert_cmpuint(count_lines(self), ==, 1);
    atomic_store(&self->now_us, START_US + HOUR_US - 4 * MINUTE_US - 1);
    expect_key(self, "AK-fake-container-1"); /* neither asked nor said again so soon */
    g_assert_cmpuint(fake_count(&self->container), ==, count);
    g_assert_cmpuint(count_lines(self), ==, 1);
    atomic_store(&self->now_us, START_US + HOUR_US - 4 * MINUTE_US);
    expect_key(self, "AK-fake-container-1");
    g_assert_cmpuint(count_lines(self), ==, 2);
    log = read_log(self);
    g_assert_nonnull(strstr(log, "it answers 500; the old ones hold for another 300 s\n"));
    atomic_store(&self->now_us, START_US + HOUR_US);
    expect_failure(self, BK_ERROR_STORE, "container: ", self->container.url, "it answers 500",
                   NULL);
    fake_set_failures(&self->container, 0);
    fake_set_expiry(&self->container, START_US + 3 * HOUR_US);
    expect_key(self, "AK-fake-container-2");
}

/* An endpoint may give what runs out sooner than we would refresh it. */
static void
test_short_lived(Fixture *self, const void *data)
{
    (void)data;
    use_container(self);
    self->container.expires_us = START_US + 2 * MINUTE_US;
    start(self, NULL, NULL);
    expect_key(self, "AK-fake-container-1");
    expect_key(self, "AK-fake-container-2");
    for (unsigned i = 0; i < 10; i++)
        expect_key(self, "AK-fake-container-2");
    atomic_store(&self->now_us, START_US + MINUTE_US);
    expect_key(self, "AK-fake-container-3");
}

static void
test_expired_already(Fixture *self, const void *data)
{
    (void)data;
    use_metadata(self);
    self->metadata.expires_us = START_US;
    start(self, NULL, NULL);
    expect_failure(self, BK_ERROR_STORE, "instance metadata", "have already expired", NULL);
    fake_set_expiry(&self->metadata, START_US + HOUR_US);
    expect_key(self, "AK-fake-metadata-2");
}

static void
test_server_says_expired(Fixture *self, const void *data)
{
    g_auto(BkCredentials) found = {0};
    g_autoptr(GError) error = NULL;

    (void)data;
    use_container(self);
    start(self, NULL, NULL);
    EXPECT_DONE(bk_credentials_get(self->source, &found, self->op, &error));
    g_assert_cmpint(found.expires_us, ==, START_US + HOUR_US);
    bk_credentials_expire(self->source, &found);
    expect_key(self, "AK-fake-container-2");
    bk_credentials_expire(self->source, &found);
    expect_key(self, "AK-fake-container-2");
}

/* Endpoints */

static void
test_lost_answers(Fixture *self, const void *data)
{
    (void)data;
    use_metadata(self);
    start(self, NULL, NULL);
    fake_set_failures(&self->metadata, TRIES - 1);
    expect_key(self, "AK-fake-metadata-1");
}

static void
test_metadata_refuses(Fixture *self, const void *data)
{
    (void)data;
    use_metadata(self);
    start(self, NULL, NULL);
    fake_set_mode(&self->metadata, FAKE_FORGETS);
    expect_failure(self, BK_ERROR_STORE, "instance metadata: ask ", self->metadata.url,
                   " for its role: it answers 401", NULL);
    fake_set_mode(&self->metadata, FAKE_REFUSING);
    expect_failure(self, BK_ERROR_STORE, "role \"" FAKE_ROLE "\"",
                   "\"AssumeRoleUnauthorizedAccess\"", NULL);
    fake_set_mode(&self->metadata, FAKE_ODD_ROLE);
    expect_failure(self, BK_ERROR_STORE, self->metadata.url, "no role name", NULL);
    fake_set_mode(&self->metadata, FAKE_NO_ROLE);
    expect_failure(self, BK_ERROR_DENIED, "instance metadata: the instance has no role",
                   self->metadata.url, NULL);
    fake_set_mode(&self->metadata, FAKE_RIGHT);
    expect_key(self, "AK-fake-metadata-2");
}

/* The fake refuses who asks for no session, or the tests above would show nothing. */
static void
test_metadata_wants_a_session(Fixture *self, const void *data)
{
    const FakeRequest request = {(char *)(uintptr_t) "GET",
                                 (char *)(uintptr_t) "/latest/meta-data/iam/security-credentials/",
                                 (char *)(uintptr_t) "\r\nHost: x", (char *)(uintptr_t) ""};
    g_autoptr(GString) body = g_string_new(NULL);

    (void)data;
    g_assert_cmpuint(fake_metadata(&self->metadata, &request, body), ==, 401);
}

static void
test_wrong_answers(Fixture *self, const void *data)
{
    static const struct {
        FakeMode mode;
        const char *source_repo;
    } cases[] = {
        {FAKE_GARBAGE, "the answer is not understood"},
        {FAKE_HUGE, "65536"},
        {FAKE_LACKING, "there is no secret key"},
    };
    const char *which = data;
    Fake *fake = strcmp(which, "sts") == 0 ? &self->sts : &self->container;

    if (fake == &self->sts)
        use_sts(self);
    else
        use_container(self);
    start(self, NULL, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        fake_set_mode(fake, cases[i].mode);
        expect_failure(self, BK_ERROR_STORE, cases[i].source_repo, NULL);
    }
}

static void
test_nobody_listens(Fixture *self, const void *data)
{
    g_autofree char *url = g_strdup(self->metadata.url);

    (void)data;
    use_metadata(self);
    fake_close(&self->metadata);
    fake_open(&self->metadata, "fake-metadata", fake_metadata); /* at another port */
    g_assert_cmpstr(url, !=, self->metadata.url);
    start(self, NULL, NULL);
    expect_failure(self, BK_ERROR_DENIED,
                   "there are no credentials: ", "instance metadata: nothing answers at ", url,
                   NULL);
}

static void
test_container_token(Fixture *self, const void *data)
{
    (void)data;
    use_container(self);
    g_setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "HUSH of the variable", TRUE);
    g_setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", self->token_file, TRUE);
    start(self, NULL, NULL);
    fake_set_token(&self->container, "HUSH.first");
    expect_key(self, "AK-fake-container-1");
    atomic_store(&self->now_us, START_US + HOUR_US);
    fake_set_expiry(&self->container, START_US + 2 * HOUR_US);
    fake_set_token(&self->container, "HUSH.second");
    expect_failure(self, BK_ERROR_STORE, "container: ask ", "it answers 401", NULL);
    write_text(self->token_file, "HUSH.second");
    expect_key(self, "AK-fake-container-2");
    atomic_store(&self->now_us, START_US + 2 * HOUR_US);
    write_text(self->token_file, "HUSH.third\r\nX-Other: HUSH");
    expect_failure(self, BK_ERROR_CONFIG, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                   self->token_file, NULL);
    g_assert_cmpint(unlink(self->token_file), ==, 0);
    expect_failure(self, BK_ERROR_CONFIG, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                   self->token_file, NULL);
    g_assert_cmpuint(fake_count(&self->container), ==, 3);
}

static void
test_container_variables(Fixture *self, const void *data)
{
    (void)data;
    use_container(self);
    g_setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "HUSH of the variable", TRUE);
    start(self, NULL, NULL);
    fake_set_token(&self->container, "HUSH of the variable");
    expect_key(self, "AK-fake-container-1");
    fake_set_mode(&self->container, FAKE_REFUSING);
    atomic_store(&self->now_us, START_US + HOUR_US);
    expect_failure(self, BK_ERROR_STORE, self->container.url, "it answers 400 InvalidIdInRequest",
                   NULL);
}

/* `data`: a variable and a value that must be refused before anything is sent. */
static void
test_container_is_refused(Fixture *self, const void *data)
{
    const char *const *variable = data;

    use_container(self);
    g_setenv(variable[0], variable[1], TRUE);
    start(self, NULL, NULL);
    expect_failure(self, BK_ERROR_CONFIG, "container: ", variable[0], NULL);
    g_assert_cmpuint(fake_count(&self->container), ==, 0);
}

static void
test_web_identity(Fixture *self, const void *data)
{
    (void)data;
    use_sts(self);
    start(self, NULL, NULL);
    expect_key(self, "AK-fake-sts-1");
    atomic_store(&self->now_us, START_US + HOUR_US);
    fake_set_expiry(&self->sts, START_US + 2 * HOUR_US);
    fake_set_token(&self->sts, "HUSH.second/+&=");
    expect_failure(self, BK_ERROR_STORE,
                   "web identity: role \"arn:aws:iam::1:role/a+b\": ", self->sts.url,
                   "it answers 400 InvalidIdentityToken", NULL);
    write_text(self->token_file, "HUSH.second/+&=");
    expect_key(self, "AK-fake-sts-2");
    atomic_store(&self->now_us, START_US + 2 * HOUR_US);
    fake_set_mode(&self->sts, FAKE_REFUSING);
    expect_failure(self, BK_ERROR_STORE, "it answers 403 AccessDenied", NULL);
    g_assert_cmpint(unlink(self->token_file), ==, 0);
    expect_failure(self, BK_ERROR_CONFIG, "AWS_WEB_IDENTITY_TOKEN_FILE", self->token_file, NULL);
}

static void
test_web_identity_without_role(Fixture *self, const void *data)
{
    (void)data;
    use_sts(self);
    g_unsetenv("AWS_ROLE_ARN");
    start(self, NULL, NULL);
    expect_failure(self, BK_ERROR_CONFIG,
                   "AWS_WEB_IDENTITY_TOKEN_FILE is set and AWS_ROLE_ARN is not", NULL);
    g_assert_cmpuint(fake_count(&self->sts), ==, 0);
}

/* The token opens whatever the role does: it is not sent where anybody can read it. */
static void
test_web_identity_in_the_clear(Fixture *self, const void *data)
{
    (void)data;
    use_sts(self);
    g_setenv("AWS_ENDPOINT_URL_STS", "http://192.0.2.1/", TRUE);
    start(self, NULL, NULL);
    expect_failure(self, BK_ERROR_CONFIG, "AWS_ENDPOINT_URL_STS is http to another host",
                   "use https", NULL);
    g_assert_cmpuint(fake_count(&self->sts), ==, 0);
}

/* Threads */

typedef struct Getter {
    Fixture *fixture;
    BkOp *op;
    pthread_t thread;
    BkCredentials found;
    GError *error;
} Getter;

static void *
get_in_thread(void *data)
{
    Getter *self = data;
    bool ok = bk_credentials_get(self->fixture->source, &self->found, self->op, &self->error);

    g_assert_true(ok == (self->error == NULL));
    return NULL;
}

static void
getter_start(Getter *self, Fixture *fixture, BkOp *op)
{
    *self = (Getter){.fixture = fixture, .op = op};
    g_assert_cmpint(pthread_create(&self->thread, NULL, get_in_thread, self), ==, 0);
}

static void
getter_end(Getter *self, const char *access_key)
{
    (void)pthread_join(self->thread, NULL);
    if (access_key != NULL)
        g_assert_no_error(self->error);
    g_assert_cmpstr(self->found.access_key, ==, access_key);
    bk_credentials_clear(&self->found);
    g_clear_error(&self->error);
}

static void
test_one_thread_asks(Fixture *self, const void *data)
{
    Getter getters[8];

    (void)data;
    use_container(self);
    start(self, NULL, NULL);
    fake_hold(&self->container, true);
    for (size_t i = 0; i < G_N_ELEMENTS(getters); i++)
        getter_start(&getters[i], self, self->op);
    fake_await(&self->container, 1);
    fake_hold(&self->container, false);
    for (size_t i = 0; i < G_N_ELEMENTS(getters); i++)
        getter_end(&getters[i], "AK-fake-container-1");
    g_assert_cmpuint(self->container.given_count, ==, 1);
}

static void
test_others_go_on_with_the_old(Fixture *self, const void *data)
{
    Getter getter;

    (void)data;
    use_container(self);
    start(self, NULL, NULL);
    expect_key(self, "AK-fake-container-1");
    atomic_store(&self->now_us, START_US + HOUR_US - 4 * MINUTE_US);
    fake_set_expiry(&self->container, START_US + 2 * HOUR_US);
    fake_hold(&self->container, true);
    getter_start(&getter, self, self->op);
    fake_await(&self->container, 2);
    /* Late enough for another try, were none under way: that one would wait, and warn in the end.
     */
    atomic_store(&self->now_us, START_US + HOUR_US - 2 * MINUTE_US);
    expect_key(self, "AK-fake-container-1");
    g_assert_cmpuint(count_lines(self), ==, 0);
    fake_hold(&self->container, false);
    getter_end(&getter, "AK-fake-container-2");
    expect_key(self, "AK-fake-container-2");
}

/* Who is cancelled stops, whether it asks or waits; who is not gets its credentials. */
static void
test_cancelled(Fixture *self, const void *data)
{
    g_autoptr(BkOp) op = bk_op_new(NULL);
    Getter asking;
    Getter waiting;
    Getter staying;

    (void)data;
    use_container(self);
    start(self, NULL, NULL);
    fake_hold(&self->container, true);
    getter_start(&asking, self, op);
    fake_await(&self->container, 1);
    getter_start(&waiting, self, op);
    getter_start(&staying, self, self->op);
    bk_op_cancel(op);
    (void)pthread_join(asking.thread, NULL);
    (void)pthread_join(waiting.thread, NULL);
    g_assert_error(asking.error, BK_ERROR, (int)BK_ERROR_CANCELLED);
    g_assert_error(waiting.error, BK_ERROR, (int)BK_ERROR_CANCELLED);
    g_clear_error(&asking.error);
    g_clear_error(&waiting.error);
    fake_hold(&self->container, false);
    (void)pthread_join(staying.thread, NULL);
    g_assert_no_error(staying.error);
    bk_credentials_clear(&staying.found);
}

#define TEST(name, data, function)                                                                 \
    g_test_add("/credentials/" name, Fixture, data, set_up, function, tear_down)

int
main(int argc, char **argv)
{
    static const char *const refused[][2] = {
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://192.0.2.1/HUSH"},
        {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "@192.0.2.1/HUSH"},
        {"AWS_CONTAINER_AUTHORIZATION_TOKEN", "HUSH\r\nX-Other: HUSH"},
    };

    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/credentials/order", test_order);
    TEST("first-place-is-kept", NULL, test_first_place_is_kept);
    TEST("none-at-all", NULL, test_none_at_all);
    TEST("profile-is-missing", NULL, test_profile_is_missing);
    TEST("profile-of-named-file-is-missing", NULL, test_profile_of_named_file_is_missing);
    TEST("unsafe-files", NULL, test_unsafe_files);
    TEST("half-an-environment", NULL, test_half_an_environment);
    TEST("refresh-before-expiry", NULL, test_refresh_before_expiry);
    TEST("refresh-fails", NULL, test_refresh_fails);
    TEST("short-lived", NULL, test_short_lived);
    TEST("expired-already", NULL, test_expired_already);
    TEST("server-says-expired", NULL, test_server_says_expired);
    TEST("lost-answers", NULL, test_lost_answers);
    TEST("metadata-refuses", NULL, test_metadata_refuses);
    TEST("metadata-wants-a-session", NULL, test_metadata_wants_a_session);
    TEST("wrong-answers/container", "container", test_wrong_answers);
    TEST("wrong-answers/sts", "sts", test_wrong_answers);
    TEST("nobody-listens", NULL, test_nobody_listens);
    TEST("container-token", NULL, test_container_token);
    TEST("container-variables", NULL, test_container_variables);
    TEST("container-is-refused/url", refused[0], test_container_is_refused);
    TEST("container-is-refused/path", refused[1], test_container_is_refused);
    TEST("container-is-refused/token", refused[2], test_container_is_refused);
    TEST("web-identity", NULL, test_web_identity);
    TEST("web-identity-in-the-clear", NULL, test_web_identity_in_the_clear);
    TEST("web-identity-without-role", NULL, test_web_identity_without_role);
    TEST("one-thread-asks", NULL, test_one_thread_asks);
    TEST("others-go-on-with-the-old", NULL, test_others_go_on_with_the_old);
    TEST("cancelled", NULL, test_cancelled);
    return g_test_run();
}
