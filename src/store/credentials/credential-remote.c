/* credential-remote.c - credentials from endpoints: web identity (STS), containers, EC2 instances.
 */
#include "base/fd.h"
#include "base/secret.h"
#include "store/credentials/credentials-priv.h"
#include "store/http/http.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define TRIES              3
#define PAUSE_US           INT64_C(100000) /* doubled each time */
#define NEAR_CONNECT_US    BK_USEC_PER_SEC
#define NEAR_IDLE_US       (2 * BK_USEC_PER_SEC)
#define NEAR_LIMIT_US      (10 * BK_USEC_PER_SEC)
#define FAR_LIMIT_US       (60 * BK_USEC_PER_SEC)
#define CONTAINER_HOST     "http://169.254.170.2"
#define METADATA_HOST      "http://169.254.169.254"
#define METADATA_TOKEN     "/latest/api/token"
#define METADATA_ROLES     "/latest/meta-data/iam/security-credentials/"
#define METADATA_TOKEN_TTL "X-aws-ec2-metadata-token-ttl-seconds: 21600"
#define MAX_NAME           128

/* One endpoint while it is asked. */
typedef struct Talk {
    BkHttp *http;
    BkOp *op; /* that of the caller, and no longer than the endpoint may take in all */
    BkOp *caller;
    BkHttpAnswer answer;
} Talk;

/* Text that is wiped: a token, or a header or body with one in it. */
typedef char Secret;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Secret, bk_credentials_wipe_text)

static void
talk_clear(Talk *self)
{
    if (self->answer.body.data != NULL)
        bk_wipe(self->answer.body.data, self->answer.body.capacity);
    bk_http_answer_clear(&self->answer);
    bk_http_free(self->http);
    bk_op_free(self->op);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Talk, talk_clear)

/* To an endpoint that is `near`, on this host or its link, which no proxy leads to, or to another.
 */
static bool
talk_begin(Talk *self, const BkCredentialWish *wish, bool near, BkOp *op, GError **error)
{
    const BkHttpOptions near_options = {
        .proxy = "",
        .connect_timeout_us = NEAR_CONNECT_US,
        .idle_timeout_us = NEAR_IDLE_US,
    };
    const BkHttpOptions far_options = {.ca_file = wish->ca_file, .proxy = wish->proxy};

    bk_http_answer_init(&self->answer);
    self->caller = op;
    self->op = bk_op_new(op);
    bk_op_set_deadline(self->op, g_get_monotonic_time() + (near ? NEAR_LIMIT_US : FAR_LIMIT_US));
    self->http = bk_http_new(near ? &near_options : &far_options, error);
    return self->http != NULL;
}

/* Is another try worth it? No request here does anything but ask, so that it may be lost. */
static bool
is_passing_failure(bool has_answer, const BkHttpAnswer *answer)
{
    if (has_answer)
        return answer->status >= 500 || answer->status == 429;
    return answer->outcome == BK_HTTP_NOT_SENT || answer->outcome == BK_HTTP_BROKEN;
}

/* Scheme and host of a URL, for messages: the rest of a container's is what it takes to ask for its
 * credentials. A new string. */
static char *
show_host(const char *url)
{
    const char *start = strstr(url, "://");
    size_t scheme = start != NULL ? (size_t)(start - url) + 3 : 0;

    return g_strndup(url, scheme + strcspn(url + scheme, "/?#"));
}

/* The answer is whatever the last try gave. */
static bool
exchange_with_endpoint(Talk *self, const BkHttpRequest *request, GError **error)
{
    g_autoptr(GError) cause = NULL;

    for (unsigned i = 1;; i++) {
        bool has_answer = bk_http_send(self->http, request, &self->answer, self->op, &cause);

        if (has_answer && !is_passing_failure(true, &self->answer))
            return true;
        if (i == TRIES || !is_passing_failure(has_answer, &self->answer))
            break;
        g_clear_error(&cause);
        if (!bk_op_sleep(self->op, PAUSE_US << (i - 1), &cause))
            break;
    }
    /* Our own bound is not the end of the caller's operation. */
    if (bk_error_is(cause, BK_ERROR_TIMEOUT) && bk_op_check(self->caller, NULL)) {
        g_autofree char *host = show_host(request->url);

        return bk_throw(error, BK_ERROR_STORE, "\"%s\": no answer in time", host);
    }
    return bk_propagate(error, &cause);
}

/* Sends, and takes no other answer than 200. `what` is asked for. */
static bool
fetch_from_endpoint(Talk *self, BkHttpRequest *request, const char *what, GError **error)
{
    g_autofree char *host = show_host(request->url);
    g_autofree char *code = NULL;

    request->limit = BK_CREDENTIAL_LIMIT;
    if (!exchange_with_endpoint(self, request, error))
        return bk_prefix(error, "ask for %s", what); /* the cause names the host */
    if (self->answer.status == 200)
        return true;
    code = bk_credential_answer_find_code(&self->answer.body);
    return bk_throw(error, BK_ERROR_STORE, "ask \"%s\" for %s: it answers %u%s%s", host, what,
                    self->answer.status, code != NULL ? " " : "", code != NULL ? code : "");
}

static const char *
get_set(const char *name)
{
    const char *value = g_getenv(name);

    return value != NULL && value[0] != 0 ? value : NULL;
}

/* May be sent in a header. */
static bool
is_printable(const char *text)
{
    for (; *text != 0; text++)
        if (!g_ascii_isprint(*text))
            return false;
    return true;
}

/* The token in the file that the variable `name` names; it is replaced from time to time, so that
 * it is read anew whenever it is needed. */
static Secret *
read_token(const char *name, const char *path, GError **error)
{
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_autoptr(GError) cause = NULL;
    g_autoptr(Secret) token = NULL;

    if (!bk_file_read(AT_FDCWD, path, BK_CREDENTIAL_LIMIT, &content, &cause))
        return bk_throw_null(error, BK_ERROR_CONFIG, "%s: %s", name, cause->message);
    token = g_strndup((const char *)content.data, content.size);
    bk_wipe(content.data, content.capacity);
    g_strchomp(token);
    if (token[0] == 0 || !is_printable(token))
        return bk_throw_null(error, BK_ERROR_CONFIG, "%s: there is no token in \"%s\"", name, path);
    return g_steal_pointer(&token);
}

/* Web identity */

static bool
is_url(const char *text)
{
    return (g_str_has_prefix(text, "https://") || g_str_has_prefix(text, "http://")) &&
           is_printable(text) && strpbrk(text, " @?#") == NULL;
}

/* Where STS is: a new string. */
static char *
find_sts(const BkCredentialWish *wish, GError **error)
{
    const char *set = get_set("AWS_ENDPOINT_URL_STS");
    const char *region = wish->region;
    size_t size = region != NULL ? strlen(region) : 0;

    if (set != NULL && is_url(set) && !bk_http_is_private(set, wish->proxy))
        return bk_throw_null(error, BK_ERROR_CONFIG,
                             "AWS_ENDPOINT_URL_STS is http to another host, where others on the "
                             "network could read the token: use https");
    if (set != NULL && is_url(set))
        return g_strdup_printf("%s%s", set, g_str_has_suffix(set, "/") ? "" : "/");
    if (set != NULL)
        return bk_throw_null(error, BK_ERROR_CONFIG,
                             "AWS_ENDPOINT_URL_STS is not the URL of a host");
    if (size == 0 || strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") != size)
        return bk_throw_null(error, BK_ERROR_CONFIG,
                             "there is no region, which is needed to find STS");
    return g_strdup_printf("https://sts.%s.amazonaws.com%s/", region,
                           g_str_has_prefix(region, "cn-") ? ".cn" : "");
}

/* The body of AssumeRoleWithWebIdentity. */
static Secret *
encode_form(const char *role, const char *token)
{
    const char *session = get_set("AWS_ROLE_SESSION_NAME");
    g_autofree char *own = g_strdup_printf("backstay-%ld", (long)getpid());
    g_autofree char *role_text = g_uri_escape_string(role, NULL, FALSE);
    g_autofree char *session_text =
        g_uri_escape_string(session != NULL ? session : own, NULL, FALSE);
    g_autoptr(Secret) token_text = g_uri_escape_string(token, NULL, FALSE);

    return g_strdup_printf("Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=%s"
                           "&RoleSessionName=%s&WebIdentityToken=%s",
                           role_text, session_text, token_text);
}

static bool
assume_role(const BkCredentialWish *wish, const char *token_file, const char *role,
            BkCredentials *credentials, BkOp *op, GError **error)
{
    static const char *const headers[] = {"Content-Type: application/x-www-form-urlencoded", NULL};
    g_autofree char *url = find_sts(wish, error);
    g_autoptr(Secret) token = NULL;
    g_autoptr(Secret) form = NULL;
    g_auto(Talk) talk = {0};
    BkHttpRequest request = {.method = "POST", .url = url, .headers = headers};

    if (url == NULL)
        return false;
    token = read_token("AWS_WEB_IDENTITY_TOKEN_FILE", token_file, error);
    if (token == NULL || !talk_begin(&talk, wish, false, op, error))
        return false;
    form = encode_form(role, token);
    request.body = form;
    request.body_size = strlen(form);
    return (fetch_from_endpoint(&talk, &request, "credentials", error) &&
            bk_credential_answer_read_xml(&talk.answer.body, credentials, error)) ||
           bk_prefix(error, "role \"%s\"", role);
}

BkPlaceState
bk_credential_remote_ask_web(BkCredentialWish *wish, BkCredentials *credentials, char **note,
                             BkOp *op, GError **error)
{
    const char *token_file = get_set("AWS_WEB_IDENTITY_TOKEN_FILE");
    const char *role = get_set("AWS_ROLE_ARN");

    if (token_file == NULL) {
        *note = g_strdup("AWS_WEB_IDENTITY_TOKEN_FILE is not set");
        return BK_PLACE_EMPTY;
    }
    if (role == NULL) {
        bk_throw(error, BK_ERROR_CONFIG,
                 "AWS_WEB_IDENTITY_TOKEN_FILE is set and AWS_ROLE_ARN is not");
        return BK_PLACE_BROKEN;
    }
    return assume_role(wish, token_file, role, credentials, op, error) ? BK_PLACE_FULL
                                                                       : BK_PLACE_BROKEN;
}

/* A container's endpoint */

/* The header with the token, or NULL with `error` unset when the endpoint asks for none. */
static Secret *
find_authorization(GError **error)
{
    const char *path = get_set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    const char *set = get_set("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    g_autoptr(Secret) token = NULL;

    if (path == NULL && set == NULL)
        return NULL;
    if (path != NULL)
        token = read_token("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path, error);
    else if (is_printable(set))
        token = g_strdup(set);
    else
        bk_throw(error, BK_ERROR_CONFIG,
                 "AWS_CONTAINER_AUTHORIZATION_TOKEN cannot be sent in a header");
    return token != NULL ? g_strdup_printf("Authorization: %s", token) : NULL;
}

static bool
ask_container(const BkCredentialWish *wish, const char *url, BkCredentials *credentials, BkOp *op,
              GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(Secret) authorization = NULL;
    g_auto(Talk) talk = {0};
    bool is_near = g_ascii_strncasecmp(url, "http:", 5) == 0;
    const char *headers[] = {"Accept: application/json", NULL, NULL};
    BkHttpRequest request = {.method = "GET", .url = url, .headers = headers};

    if (!bk_credential_answer_is_safe_url(url))
        return bk_throw(error, BK_ERROR_CONFIG,
                        "AWS_CONTAINER_CREDENTIALS_FULL_URI must be https, or http on this host or "
                        "at an address of a container agent");
    authorization = find_authorization(&cause);
    if (cause != NULL)
        return bk_propagate(error, &cause);
    headers[1] = authorization;
    return talk_begin(&talk, wish, is_near, op, error) &&
           fetch_from_endpoint(&talk, &request, "credentials", error) &&
           bk_credential_answer_read_json(&talk.answer.body, credentials, error);
}

BkPlaceState
bk_credential_remote_ask_container(BkCredentialWish *wish, BkCredentials *credentials, char **note,
                                   BkOp *op, GError **error)
{
    const char *relative = get_set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = get_set("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    g_autofree char *url = NULL;

    if (relative == NULL && full == NULL) {
        *note = g_strdup("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and _FULL_URI are not set");
        return BK_PLACE_EMPTY;
    }
    if (relative != NULL && relative[0] != '/') {
        bk_throw(error, BK_ERROR_CONFIG,
                 "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI must begin with a slash");
        return BK_PLACE_BROKEN;
    }
    url = relative != NULL ? g_strconcat(CONTAINER_HOST, relative, NULL) : g_strdup(full);
    return ask_container(wish, url, credentials, op, error) ? BK_PLACE_FULL : BK_PLACE_BROKEN;
}

/* The metadata of an EC2 instance */

/* The session's token, as a header, without which version 2 answers nothing; NULL also when nobody
 * listens there, and then `is_there` is false. */
static Secret *
open_session(Talk *talk, const char *endpoint, bool *is_there, GError **error)
{
    g_autofree char *url = g_strconcat(endpoint, METADATA_TOKEN, NULL);
    const char *const headers[] = {METADATA_TOKEN_TTL, NULL};
    BkHttpRequest request = {.method = "PUT", .url = url, .headers = headers};
    g_autoptr(Secret) token = NULL;

    *is_there = true;
    if (!fetch_from_endpoint(talk, &request, "a session", error)) {
        *is_there = talk->answer.outcome != BK_HTTP_NOT_SENT;
        return NULL;
    }
    token = g_strndup((const char *)talk->answer.body.data, talk->answer.body.size);
    g_strchomp(token);
    if (token[0] == 0 || !is_printable(token))
        return bk_throw_null(error, BK_ERROR_STORE,
                             "\"%s\" returned temporary credentials without a session token",
                             endpoint);
    return g_strconcat("X-aws-ec2-metadata-token: ", token, NULL);
}

static bool
is_role(const char *text)
{
    size_t size = strlen(text);

    for (; *text != 0; text++)
        if (!g_ascii_isalnum(*text) && strchr("+=,.@_-", *text) == NULL)
            return false;
    return size > 0 && size <= MAX_NAME;
}

/* The name of the instance's role. */
static BkPlaceState
find_role(Talk *talk, const char *endpoint, const char *session, char **role, char **note,
          GError **error)
{
    g_autofree char *url = g_strconcat(endpoint, METADATA_ROLES, NULL);
    const char *const headers[] = {session, NULL};
    BkHttpRequest request = {.method = "GET", .url = url, .headers = headers};
    g_autoptr(GError) cause = NULL;
    const BkBuf *body = &talk->answer.body;

    if (!fetch_from_endpoint(talk, &request, "its role", &cause)) {
        if (talk->answer.outcome != BK_HTTP_ANSWERED || talk->answer.status != 404) {
            bk_propagate(error, &cause);
            return BK_PLACE_BROKEN;
        }
        *note = g_strdup_printf("the instance has no role (\"%s\")", endpoint);
        return BK_PLACE_EMPTY;
    }
    *role = g_strndup((const char *)body->data, body->size);
    (*role)[strcspn(*role, "\r\n")] = 0;
    if (is_role(*role))
        return BK_PLACE_FULL;
    bk_throw(error, BK_ERROR_STORE, "\"%s\" returned no role name", endpoint);
    return BK_PLACE_BROKEN;
}

static bool
ask_role(Talk *talk, const char *endpoint, const char *session, const char *role,
         BkCredentials *credentials, GError **error)
{
    g_autofree char *url = g_strconcat(endpoint, METADATA_ROLES, role, NULL);
    const char *const headers[] = {session, NULL};
    BkHttpRequest request = {.method = "GET", .url = url, .headers = headers};

    return (fetch_from_endpoint(talk, &request, "credentials", error) &&
            bk_credential_answer_read_json(&talk->answer.body, credentials, error)) ||
           bk_prefix(error, "role \"%s\"", role);
}

static BkPlaceState
ask_instance(const BkCredentialWish *wish, const char *endpoint, BkCredentials *credentials,
             char **note, BkOp *op, GError **error)
{
    g_auto(Talk) talk = {0};
    g_autoptr(GError) cause = NULL;
    g_autoptr(Secret) session = NULL;
    g_autofree char *role = NULL;
    bool is_there;
    BkPlaceState state;

    if (!talk_begin(&talk, wish, true, op, error))
        return BK_PLACE_BROKEN;
    session = open_session(&talk, endpoint, &is_there, &cause);
    if (!is_there && bk_op_check(op, NULL)) {
        *note = g_strdup_printf("nothing answers at \"%s\"", endpoint);
        return BK_PLACE_EMPTY;
    }
    if (session == NULL) {
        bk_propagate(error, &cause);
        return BK_PLACE_BROKEN;
    }
    state = find_role(&talk, endpoint, session, &role, note, error);
    if (state != BK_PLACE_FULL)
        return state;
    return ask_role(&talk, endpoint, session, role, credentials, error) ? BK_PLACE_FULL
                                                                        : BK_PLACE_BROKEN;
}

BkPlaceState
bk_credential_remote_ask_instance(BkCredentialWish *wish, BkCredentials *credentials, char **note,
                                  BkOp *op, GError **error)
{
    const char *disabled = get_set("AWS_EC2_METADATA_DISABLED");
    const char *set = get_set("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    g_autofree char *endpoint = g_strdup(set != NULL ? set : METADATA_HOST);

    if (disabled != NULL && g_ascii_strcasecmp(disabled, "true") == 0) {
        *note = g_strdup("AWS_EC2_METADATA_DISABLED is set");
        return BK_PLACE_EMPTY;
    }
    if (!is_url(endpoint)) {
        bk_throw(error, BK_ERROR_CONFIG,
                 "AWS_EC2_METADATA_SERVICE_ENDPOINT is not the URL of a host");
        return BK_PLACE_BROKEN;
    }
    if (g_str_has_suffix(endpoint, "/"))
        endpoint[strlen(endpoint) - 1] = 0;
    return ask_instance(wish, endpoint, credentials, note, op, error);
}
