/* credential-answer.c - reads the answers of credential endpoints: JSON and XML. */
#include "base/secret.h"
#include "store/credentials/credentials-priv.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <string.h>
#include <time.h>

#define MAX_DEPTH     16
#define MAX_CODE      64
#define STS_RESULT    "/AssumeRoleWithWebIdentityResponse/AssumeRoleWithWebIdentityResult/Credentials/"
#define SECS_PER_HOUR 3600

/* Exactly `digits` digits of `*text`, which moves on; -1 when they are not there. */
static int
take_date_number(const char **text, unsigned digits)
{
    int value = 0;

    for (; digits > 0; digits--, (*text)++) {
        if (!g_ascii_isdigit(**text))
            return -1;
        value = value * 10 + (**text - '0');
    }
    return value;
}

static bool
take_date_byte(const char **text, char byte)
{
    if (**text != byte)
        return false;
    (*text)++;
    return true;
}

/* "Z", "+hh:mm" or "-hh:mm", to the end. */
static bool
take_zone_offset(const char *text, int *seconds)
{
    int sign = *text == '-' ? -1 : 1;
    int hours;
    int minutes;

    *seconds = 0;
    if (take_date_byte(&text, 'Z'))
        return *text == 0;
    if (!take_date_byte(&text, '+') && !take_date_byte(&text, '-'))
        return false;
    hours = take_date_number(&text, 2);
    (void)take_date_byte(&text, ':');
    minutes = take_date_number(&text, 2);
    *seconds = sign * (hours * SECS_PER_HOUR + minutes * 60);
    return hours >= 0 && hours < 24 && minutes >= 0 && minutes < 60 && *text == 0;
}

bool
bk_credential_answer_parse_time(const char *text, int64_t *time_us)
{
    struct tm utc = {0};
    int offset;
    bool ok = (utc.tm_year = take_date_number(&text, 4) - 1900) >= 70 &&
              take_date_byte(&text, '-') && (utc.tm_mon = take_date_number(&text, 2) - 1) >= 0 &&
              utc.tm_mon < 12 && take_date_byte(&text, '-') &&
              (utc.tm_mday = take_date_number(&text, 2)) >= 1 && utc.tm_mday <= 31 &&
              take_date_byte(&text, 'T') && (utc.tm_hour = take_date_number(&text, 2)) >= 0 &&
              utc.tm_hour < 24 && take_date_byte(&text, ':') &&
              (utc.tm_min = take_date_number(&text, 2)) >= 0 && utc.tm_min < 60 &&
              take_date_byte(&text, ':') && (utc.tm_sec = take_date_number(&text, 2)) >= 0 &&
              utc.tm_sec <= 60;

    if (ok && take_date_byte(&text, '.'))
        while (g_ascii_isdigit(*text))
            text++;
    if (!ok || !take_zone_offset(text, &offset))
        return false;
    *time_us = ((int64_t)timegm(&utc) - offset) * BK_USEC_PER_SEC;
    return true;
}

/* What both forms end in. Takes `found` when it is good. */
static bool
finish_credentials(BkCredentials *found, const char *expiration, BkCredentials *credentials,
                   GError **error)
{
    const char *fault = bk_credentials_find_fault(found);

    if (fault == NULL && expiration != NULL &&
        !bk_credential_answer_parse_time(expiration, &found->expires_us))
        fault = "the time of expiry is malformed";
    if (fault != NULL)
        return bk_throw(error, BK_ERROR_STORE, "the answer is not understood: %s", fault);
    *credentials = *found;
    *found = (BkCredentials){0};
    return true;
}

/* A code goes into messages. It is taken for one when it is of letters, which no secret is. */
static bool
is_code(const char *text)
{
    size_t size = strlen(text);

    if (size == 0 || size > MAX_CODE)
        return false;
    for (; *text != 0; text++)
        if (!g_ascii_isalpha(*text) && *text != '.' && *text != '_')
            return false;
    return true;
}

/* JSON */

typedef json_t Json;

static void
json_free_wiped(Json *self)
{
    const char *key;
    json_t *value;

    /* The library gives its memory back as it is. */
    json_object_foreach(self, key, value) if (json_is_string(value))
        bk_wipe((void *)(uintptr_t)json_string_value(value), json_string_length(value));
    json_decref(self);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Json, json_free_wiped)

/* NULL when it is no object. The library's message is not used: it quotes what it stumbled on. */
static Json *
load_json(const BkBuf *body)
{
    json_error_t ignored;
    Json *root =
        body->size <= BK_CREDENTIAL_LIMIT
            ? json_loadb((const char *)body->data, body->size, JSON_REJECT_DUPLICATES, &ignored)
            : NULL;

    if (root != NULL && !json_is_object(root))
        g_clear_pointer(&root, json_decref);
    return root;
}

static const char *
get_text(const Json *root, const char *name)
{
    return json_string_value(json_object_get(root, name));
}

bool
bk_credential_answer_read_json(const BkBuf *body, BkCredentials *credentials, GError **error)
{
    g_autoptr(Json) root = load_json(body);
    g_auto(BkCredentials) found = {0};
    const char *code;

    if (root == NULL)
        return bk_throw(error, BK_ERROR_STORE, "the answer is not understood: not a JSON object");
    code = get_text(root, "Code");
    if (code != NULL && strcmp(code, "Success") != 0)
        return bk_throw(error, BK_ERROR_STORE, "the answer reports \"%s\"",
                        is_code(code) ? code : "an error without a code");
    found.access_key = g_strdup(get_text(root, "AccessKeyId"));
    found.secret_key = g_strdup(get_text(root, "SecretAccessKey"));
    found.session_token = g_strdup(get_text(root, "Token"));
    return finish_credentials(&found, get_text(root, "Expiration"), credentials, error);
}

/* XML */

typedef struct Wanted {
    const char *path; /* "/Root/Child" */
    GString *text;    /* NULL: not there (yet) */
} Wanted;

typedef struct Search {
    GString *path; /* of the element that is open */
    unsigned depth;
    Wanted *wanted;
    size_t count;
} Search;

static void
open_element(GMarkupParseContext *context, const char *name, const char **attributes,
             const char **values, void *data, GError **error)
{
    Search *search = data;

    (void)context;
    (void)attributes;
    (void)values;
    if (++search->depth > MAX_DEPTH) {
        g_set_error_literal(error, G_MARKUP_ERROR, G_MARKUP_ERROR_INVALID_CONTENT, "too deep");
        return;
    }
    g_string_append_c(search->path, '/');
    g_string_append(search->path, name);
}

static void
close_element(GMarkupParseContext *context, const char *name, void *data, GError **error)
{
    Search *search = data;

    (void)context;
    (void)error;
    search->depth--;
    g_string_truncate(search->path, search->path->len - strlen(name) - 1);
}

static void
collect_xml_text(GMarkupParseContext *context, const char *text, size_t size, void *data,
                 GError **error)
{
    Search *search = data;

    (void)context;
    (void)error;
    for (size_t i = 0; i < search->count; i++) {
        Wanted *wanted = &search->wanted[i];

        if (strcmp(search->path->str, wanted->path) != 0)
            continue;
        if (wanted->text == NULL)
            wanted->text = g_string_sized_new(BK_CREDENTIAL_LIMIT); /* it never moves */
        g_string_append_len(wanted->text, text, (gssize)size);
    }
}

/* False when it is no XML. */
static bool
search_xml(const BkBuf *body, Wanted *wanted, size_t count)
{
    static const GMarkupParser parser = {open_element, close_element, collect_xml_text, NULL, NULL};
    Search search = {g_string_new(NULL), 0, wanted, count};
    g_autoptr(GMarkupParseContext) context = g_markup_parse_context_new(&parser, 0, &search, NULL);
    bool ok =
        body->size > 0 && body->size <= BK_CREDENTIAL_LIMIT &&
        g_markup_parse_context_parse(context, (const char *)body->data, (gssize)body->size, NULL) &&
        g_markup_parse_context_end_parse(context, NULL);

    g_string_free(search.path, TRUE);
    return ok;
}

/* The text, which is no longer in `wanted`, or NULL. */
static char *
steal_text(Wanted *wanted)
{
    GString *text = g_steal_pointer(&wanted->text);
    char *copy;

    if (text == NULL)
        return NULL;
    copy = g_strdup(text->str);
    bk_wipe(text->str, text->len);
    g_string_free(text, TRUE);
    return copy;
}

bool
bk_credential_answer_read_xml(const BkBuf *body, BkCredentials *credentials, GError **error)
{
    Wanted wanted[] = {{STS_RESULT "AccessKeyId", NULL},
                       {STS_RESULT "SecretAccessKey", NULL},
                       {STS_RESULT "SessionToken", NULL},
                       {STS_RESULT "Expiration", NULL}};
    bool ok = search_xml(body, wanted, G_N_ELEMENTS(wanted));
    g_auto(BkCredentials) found = {
        .access_key = steal_text(&wanted[0]),
        .secret_key = steal_text(&wanted[1]),
        .session_token = steal_text(&wanted[2]),
    };
    g_autofree char *expiration = steal_text(&wanted[3]);

    if (!ok)
        return bk_throw(error, BK_ERROR_STORE, "the answer is not understood: not XML");
    return finish_credentials(&found, expiration, credentials, error);
}

char *
bk_credential_answer_find_code(const BkBuf *body)
{
    Wanted wanted[] = {{"/ErrorResponse/Error/Code", NULL}, {"/Error/Code", NULL}};
    static const char *const names[] = {"code", "Code"};
    g_autoptr(Json) root = load_json(body);
    g_autofree char *code = NULL;

    for (size_t i = 0; root != NULL && code == NULL && i < G_N_ELEMENTS(names); i++)
        code = g_strdup(get_text(root, names[i]));
    if (root == NULL)
        (void)search_xml(body, wanted, G_N_ELEMENTS(wanted));
    for (size_t i = 0; i < G_N_ELEMENTS(wanted); i++) {
        char *text = steal_text(&wanted[i]);

        if (code == NULL)
            code = g_steal_pointer(&text);
        g_free(text);
    }
    return code != NULL && is_code(code) ? g_steal_pointer(&code) : NULL;
}

/* What is allowed as the host of http: must be no name that another host may answer to. */
static bool
is_safe_host(const char *host)
{
    static const char *const known[] = {
        "localhost", "169.254.170.2", "169.254.170.23", "[::1]", "[fd00:ec2::23]",
    };
    struct in_addr address;

    for (size_t i = 0; i < G_N_ELEMENTS(known); i++)
        if (g_ascii_strcasecmp(host, known[i]) == 0)
            return true;
    return inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

bool
bk_credential_answer_is_safe_url(const char *url)
{
    static const char plain[] = "http://";
    static const char secure[] = "https://";
    g_autofree char *host = NULL;
    const char *port;
    size_t size;

    for (const char *next = url; *next != 0; next++)
        if (!g_ascii_isgraph(*next))
            return false;
    if (g_ascii_strncasecmp(url, secure, strlen(secure)) == 0) {
        url += strlen(secure);
        size = strcspn(url, "/?#");
        return size > 0 && memchr(url, '@', size) == NULL; /* a password would get into messages */
    }
    if (g_ascii_strncasecmp(url, plain, strlen(plain)) != 0)
        return false;
    url += strlen(plain);
    host = g_strndup(url, strcspn(url, "/?#"));
    /* Whatever is not a host and a port of digits ("127.0.0.1:80@evil", say) is in no list. */
    size = strlen(host);
    port = strrchr(host, ':');
    if (port != NULL && strspn(port + 1, "0123456789") == strlen(port + 1))
        size = (size_t)(port - host);
    if (host[0] == '[' && host[size - 1] != ']')
        size = strlen(host);
    host[size] = 0;
    return is_safe_host(host);
}
