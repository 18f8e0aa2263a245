/* s3-sign.c - AWS Signature Version 4, by headers. */
#include "store/credentials/s3-sign.h"

#include <stdio.h>
#include <string.h>

#define ALGORITHM "AWS4-HMAC-SHA256"

void
bk_s3_format_time(int64_t time_us, char text[17])
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(time_us / BK_USEC_PER_SEC);
    g_autofree char *formatted = time != NULL ? g_date_time_format(time, "%Y%m%dT%H%M%SZ") : NULL;

    g_assert(formatted != NULL && strlen(formatted) == 16);
    (void)g_strlcpy(text, formatted, 17);
}

/* Everything but the unreserved characters of RFC 3986, section 2.3, as %XX. */
static char *
encode_uri_text(const char *text, const char *kept)
{
    return g_uri_escape_string(text, kept, FALSE);
}

/* Names first, then what follows `separator`: that character itself does not sort lower than all
 * that may be in a longer name. */
static int
compare_encoded_names(const char *a, const char *b, const char *separator)
{
    size_t a_size = strcspn(a, separator);
    size_t b_size = strcspn(b, separator);
    int order = memcmp(a, b, MIN(a_size, b_size));

    if (order == 0 && a_size != b_size)
        return a_size < b_size ? -1 : 1;
    return order != 0 ? order : strcmp(a + a_size, b + b_size);
}

static int
compare_parameters(const void *left, const void *right)
{
    const char *const *a = left;
    const char *const *b = right;

    return compare_encoded_names(*a, *b, "=");
}

static int
compare_headers(const void *left, const void *right)
{
    const char *const *a = left;
    const char *const *b = right;

    return compare_encoded_names(*a, *b, ":");
}

/* "a=b&c=": encoded first, then sorted, as the specification wants it. */
static char *
encode_query(const BkS3Request *request)
{
    g_autoptr(GPtrArray) parts = g_ptr_array_new_with_free_func(g_free);

    for (size_t i = 0; i < request->parameter_count; i++) {
        g_autofree char *name = encode_uri_text(request->parameters[i].name, NULL);
        g_autofree char *value = encode_uri_text(request->parameters[i].value, NULL);

        g_ptr_array_add(parts, g_strconcat(name, "=", value, NULL));
    }
    g_ptr_array_sort(parts, compare_parameters);
    g_ptr_array_add(parts, NULL);
    return g_strjoinv("&", (char **)parts->pdata);
}

char *
bk_s3_encode_target(const BkS3Request *request)
{
    g_autofree char *path = encode_uri_text(request->path, "/");
    g_autofree char *query = encode_query(request);

    return query[0] != 0 ? g_strconcat(path, "?", query, NULL) : g_steal_pointer(&path);
}

/* What a header's value is signed as: without blanks around it, and single ones in it. */
static char *
trim_header_value(const char *value)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (; *value != 0; value++) {
        bool is_blank = *value == ' ' || *value == '\t';

        if (!is_blank)
            g_string_append_c(text, *value);
        else if (text->len > 0 && text->str[text->len - 1] != ' ')
            g_string_append_c(text, ' ');
    }
    if (text->len > 0 && text->str[text->len - 1] == ' ')
        g_string_truncate(text, text->len - 1);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static void
add_request_header(GPtrArray *headers, const char *name, const char *value)
{
    g_autofree char *trimmed = trim_header_value(value);

    g_ptr_array_add(headers, g_strconcat(name, ":", trimmed, NULL));
}

/* "name:value" each, sorted. */
static GPtrArray *
collect_headers(const BkS3Request *request, const BkS3Credentials *credentials, const char *time,
                const char *payload)
{
    GPtrArray *headers = g_ptr_array_new_with_free_func(g_free);

    add_request_header(headers, "host", request->host);
    for (size_t i = 0; i < request->header_count; i++)
        add_request_header(headers, request->headers[i].name, request->headers[i].value);
    if (strcmp(request->service, "s3") == 0)
        add_request_header(headers, "x-amz-content-sha256", payload);
    if (credentials != NULL) {
        add_request_header(headers, "x-amz-date", time);
        if (credentials->session_token != NULL)
            add_request_header(headers, "x-amz-security-token", credentials->session_token);
    }
    g_ptr_array_sort(headers, compare_headers);
    return headers;
}

/* "host;x-amz-date" */
static char *
list_header_names(const GPtrArray *headers)
{
    g_autoptr(GString) names = g_string_new(NULL);

    for (guint i = 0; i < headers->len; i++) {
        const char *header = g_ptr_array_index(headers, i);

        if (i > 0)
            g_string_append_c(names, ';');
        g_string_append_len(names, header, (gssize)strcspn(header, ":"));
    }
    return g_string_free(g_steal_pointer(&names), FALSE);
}

static void
hash_text(const void *text, size_t size, char hex[2 * BK_SHA256_SIZE + 1])
{
    uint8_t digest[BK_SHA256_SIZE];

    bk_sha256(text, size, digest);
    bk_sha256_format(digest, hex);
}

/* The digest of the canonical request. */
static void
hash_request(const BkS3Request *request, const GPtrArray *headers, const char *names,
             const char *payload, char hex[2 * BK_SHA256_SIZE + 1])
{
    g_autoptr(GString) text = g_string_new(request->method);
    g_autofree char *path = encode_uri_text(request->path, "/");
    g_autofree char *query = encode_query(request);

    g_string_append_printf(text, "\n%s\n%s\n", path, query);
    for (guint i = 0; i < headers->len; i++)
        g_string_append_printf(text, "%s\n", (const char *)g_ptr_array_index(headers, i));
    g_string_append_printf(text, "\n%s\n%s", names, payload);
    hash_text(text->str, text->len, hex);
}

static void
mac_text(const uint8_t key[BK_SHA256_SIZE], const char *text, uint8_t mac[BK_SHA256_SIZE])
{
    bk_hmac_sha256(key, BK_SHA256_SIZE, text, strlen(text), mac);
}

/* The key of one day, region and service signs the text. */
static void
sign_text(const char *secret_key, const char *const *scope, const char *text,
          char hex[2 * BK_SHA256_SIZE + 1])
{
    g_autofree char *start = g_strconcat("AWS4", secret_key, NULL);
    uint8_t key[BK_SHA256_SIZE];
    uint8_t next[BK_SHA256_SIZE];

    bk_hmac_sha256(start, strlen(start), scope[0], strlen(scope[0]), key);
    for (size_t i = 1; scope[i] != NULL; i++) {
        mac_text(key, scope[i], next);
        memcpy(key, next, sizeof key);
    }
    mac_text(key, text, next);
    bk_sha256_format(next, hex);
    bk_wipe(start, strlen(start));
    bk_wipe(key, sizeof key);
}

static char *
make_authorization(const BkS3Request *request, const BkS3Credentials *credentials,
                   const GPtrArray *headers, const char *time, const char *payload)
{
    g_autofree char *day = g_strndup(time, 8);
    const char *const scope[] = {day, request->region, request->service, "aws4_request", NULL};
    g_autofree char *scope_text =
        g_strdup_printf("%s/%s/%s/aws4_request", day, request->region, request->service);
    g_autofree char *names = list_header_names(headers);
    g_autofree char *text = NULL;
    char hex[2 * BK_SHA256_SIZE + 1];

    hash_request(request, headers, names, payload, hex);
    text = g_strdup_printf(ALGORITHM "\n%s\n%s\n%s", time, scope_text, hex);
    sign_text(credentials->secret_key, scope, text, hex);
    return g_strdup_printf("Authorization: " ALGORITHM
                           " Credential=%s/%s, SignedHeaders=%s, Signature=%s",
                           credentials->access_key, scope_text, names, hex);
}

char **
bk_s3_sign(const BkS3Request *request, const BkS3Credentials *credentials)
{
    g_autoptr(GPtrArray) lines = g_ptr_array_new();
    g_autoptr(GPtrArray) headers = NULL;
    char payload[2 * BK_SHA256_SIZE + 1];
    char time[17];

    bk_s3_format_time(request->time_us, time);
    if (request->payload_sha256 != NULL)
        bk_sha256_format(request->payload_sha256, payload);
    else
        hash_text("", 0, payload);
    headers = collect_headers(request, credentials, time, payload);
    for (guint i = 0; i < headers->len; i++) {
        const char *header = g_ptr_array_index(headers, i);
        size_t name_size = strcspn(header, ":");

        g_ptr_array_add(
            lines, g_strdup_printf("%.*s: %s", (int)name_size, header, header + name_size + 1));
    }
    if (credentials != NULL)
        g_ptr_array_add(lines, make_authorization(request, credentials, headers, time, payload));
    g_ptr_array_add(lines, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&lines), FALSE);
}
