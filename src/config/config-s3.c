/* config-s3.c - the bucket of a repository in the configuration. */
#include "config/config-s3.h"

#include "config/config-take.h"
#include "repo/object-kind.h"

#include <string.h>

#define MAX_TAGS    10
#define MAX_LOCK_US (INT64_C(36525) * 24 * 3600 * BK_USEC_PER_SEC)

void
bk_config_s3_free(BkConfigS3 *self)
{
    if (self == NULL)
        return;
    g_ptr_array_unref(self->strings);
    g_free(self);
}

char *
bk_config_s3_describe(const BkS3Options *options)
{
    return g_strdup_printf("s3://%s%s%s at %s", options->bucket, options->prefix[0] != 0 ? "/" : "",
                           options->prefix,
                           options->endpoint != NULL ? options->endpoint : "Amazon");
}

/* What is being taken, for messages. */
typedef struct Taking {
    const BkNode *node;
    const char *file;
    const char *repository;
    BkConfigS3 *s3; /* that is filled */
} Taking;

/* What `text` (new, or NULL) becomes as an option. */
static const char *
keep_string(const Taking *self, char *text)
{
    if (text != NULL)
        g_ptr_array_add(self->s3->strings, text);
    return text;
}

static bool
complain_of_s3_key(const Taking *self, const char *key, const char *what, GError **error)
{
    const BkNode *node = bk_node_find(self->node, key);

    return bk_throw(error, BK_ERROR_CONFIG, "%s:%zu: repositories.%s.s3.%s: %s", self->file,
                    node != NULL ? node->line : self->node->key_line, self->repository, key, what);
}

static bool
is_made_of(const char *text, const char *others)
{
    for (; *text != 0; text++)
        if (!g_ascii_isalnum(*text) && strchr(others, *text) == NULL)
            return false;
    return true;
}

/* Amazon's rules, less strict where others are: three characters at least, no slash. */
static bool
check_bucket_name(const Taking *self, const char *bucket, GError **error)
{
    for (const char *next = bucket; *next != 0; next++)
        if (g_ascii_isupper(*next))
            return complain_of_s3_key(
                self, "bucket",
                "contains capital letters, which a bucket name cannot: write it as the "
                "store lists it",
                error);
    if (strlen(bucket) >= 3 && strlen(bucket) <= 255 && is_made_of(bucket, "._-") &&
        g_ascii_isalnum(bucket[0]))
        return true;
    return complain_of_s3_key(
        self, "bucket", "is not a bucket name: three or more of a to z, 0 to 9, . and -", error);
}

/* A slash at the end says nothing: consoles show addresses with one. A new string, or NULL. */
static char *
take_endpoint(const BkNode *node)
{
    char *endpoint = bk_take_text(node, "endpoint");
    size_t size = endpoint != NULL ? strlen(endpoint) : 0;

    if (size > 1 && endpoint[size - 1] == '/' && endpoint[size - 2] != '/')
        endpoint[size - 1] = '\0';
    return endpoint;
}

/* The server alone: the bucket and the prefix have keys of their own. */
static bool
check_endpoint(const Taking *self, const char *endpoint, GError **error)
{
    const char *host;

    if (endpoint == NULL)
        return true;
    host = g_str_has_prefix(endpoint, "https://")  ? endpoint + 8
           : g_str_has_prefix(endpoint, "http://") ? endpoint + 7
                                                   : "";
    return (host[0] != 0 && is_made_of(host, ".-:[]_")) ||
           complain_of_s3_key(self, "endpoint",
                              "is not like \"https://host\" or \"https://host:port\"", error);
}

static bool
check_prefix(const Taking *self, const char *prefix, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(prefix, "/", -1);

    if (prefix[0] == 0)
        return true;
    for (size_t i = 0; parts[i] != NULL; i++)
        if (parts[i][0] == 0 || strcmp(parts[i], ".") == 0 || strcmp(parts[i], "..") == 0 ||
            !is_made_of(parts[i], "._-") || strlen(prefix) > 256)
            return complain_of_s3_key(
                self, "prefix",
                "must consist of A to Z, a to z, 0 to 9, \".\", \"_\" and \"-\", "
                "separated by slashes",
                error);
    return true;
}

static bool
take_tags(const Taking *self, GError **error)
{
    const BkNode *tags = bk_node_find(self->node, "tags");
    g_autoptr(GString) text = g_string_new(NULL);

    if (tags == NULL || tags->children->len == 0)
        return true;
    if (tags->children->len > MAX_TAGS)
        return complain_of_s3_key(self, "tags", "are more than ten", error);
    for (unsigned i = 0; i < tags->children->len; i++) {
        const BkNode *tag = g_ptr_array_index(tags->children, i);
        g_autofree char *key = g_uri_escape_string(tag->key, NULL, FALSE);
        g_autofree char *value = g_uri_escape_string(tag->text, NULL, FALSE);

        g_string_append_printf(text, "%s%s=%s", i > 0 ? "&" : "", key, value);
    }
    self->s3->options.tags = keep_string(self, g_string_free(g_steal_pointer(&text), FALSE));
    return true;
}

static int
find_choice(const BkNode *mapping, const char *key, const char *const *choices)
{
    g_autofree char *text = bk_take_text(mapping, key);

    for (int i = 0; text != NULL && choices[i] != NULL; i++)
        if (strcmp(text, choices[i]) == 0)
            return i;
    return 0;
}

static bool
take_protection(const Taking *self, GError **error)
{
    /* In the order of BkS3Sse and BkS3Lock. */
    static const char *const sse[] = {"none", "AES256", "aws:kms", "customer", NULL};
    static const char *const modes[] = {"none", "governance", "compliance", NULL};
    const BkNode *lock = bk_node_find(self->node, "lock");
    BkS3Options *s3 = &self->s3->options;

    s3->sse = (BkS3Sse)find_choice(self->node, "sse", sse);
    s3->kms_key = keep_string(self, bk_take_text(self->node, "kms_key"));
    s3->customer_key_file = keep_string(self, bk_take_path(self->node, "customer_key_file"));
    s3->lock = (BkS3Lock)find_choice(lock, "mode", modes);
    s3->lock_us = bk_take_duration(lock, "period");
    if (lock != NULL && s3->lock_us < 60 * BK_USEC_PER_SEC)
        return complain_of_s3_key(self, "lock", "its period is less than a minute", error);
    if (s3->lock_us > MAX_LOCK_US)
        return complain_of_s3_key(self, "lock", "its period is more than a hundred years", error);
    if (s3->kms_key != NULL && s3->sse != BK_S3_SSE_KMS)
        return complain_of_s3_key(self, "kms_key", "requires sse: aws:kms", error);
    if ((s3->customer_key_file != NULL) != (s3->sse == BK_S3_SSE_CUSTOMER))
        return complain_of_s3_key(self, s3->sse == BK_S3_SSE_CUSTOMER ? "sse" : "customer_key_file",
                                  "sse: customer and customer_key_file must be used together",
                                  error);
    return true;
}

static const char *
take_class(const Taking *self, const char *kind)
{
    char *text = bk_take_text(bk_node_find(self->node, "storage_classes"), kind);

    return keep_string(self, text != NULL ? text : bk_take_text(self->node, "storage_class"));
}

static void
take_connection(const Taking *self)
{
    const BkNode *node = self->node;
    BkS3Options *s3 = &self->s3->options;

    s3->retry_us = bk_take_duration(node, "retry");
    s3->proxy = keep_string(self, bk_take_text(node, "proxy"));
    s3->connect_timeout_us = bk_take_duration(node, "connect_timeout");
    s3->idle_timeout_us = bk_take_duration(node, "idle_timeout");
    s3->connections = (unsigned)bk_take_int(node, "connections", 8);
    s3->max_send_rate = bk_take_size(node, "max_send_rate");
    s3->max_receive_rate = bk_take_size(node, "max_receive_rate");
    s3->ca_file = keep_string(self, bk_take_path(node, "ca_file"));
    s3->credentials_file = keep_string(self, bk_take_path(node, "credentials_file"));
    s3->profile = keep_string(self, bk_take_text(node, "profile"));
}

static void
take_address(const Taking *self)
{
    BkS3Options *s3 = &self->s3->options;
    g_autofree char *address = bk_take_text(self->node, "address");
    char *prefix = bk_take_text(self->node, "prefix");
    char *region = bk_take_text(self->node, "region");
    bool is_path_style;

    s3->bucket = keep_string(self, bk_take_text(self->node, "bucket"));
    s3->prefix = prefix != NULL ? keep_string(self, prefix) : "";
    s3->region = region != NULL ? keep_string(self, region) : "us-east-1";
    s3->endpoint = keep_string(self, take_endpoint(self->node));
    is_path_style = address != NULL ? strcmp(address, "path") == 0 : s3->endpoint != NULL;
    s3->address = is_path_style ? BK_S3_ADDRESS_PATH : BK_S3_ADDRESS_VIRTUAL;
}

BkConfigS3 *
bk_config_s3_take(const BkNode *node, const char *file, const char *repository, GError **error)
{
    g_autoptr(BkConfigS3) s3 = g_new0(BkConfigS3, 1);
    const Taking self = {node, file, repository, s3};
    BkS3Options *options = &s3->options;

    s3->strings = g_ptr_array_new_with_free_func(g_free);
    take_address(&self);
    take_connection(&self);
    options->storage_class[BK_OBJECT_PACK] = take_class(&self, "packs");
    options->storage_class[BK_OBJECT_WAL] = take_class(&self, "wal");
    options->storage_class[BK_OBJECT_MANIFEST] = take_class(&self, "manifests");
    options->kind_of = bk_object_kind;
    options->requester_pays = bk_take_bool(node, "requester_pays", false);
    options->sends_checksum = bk_take_bool(node, "checksum", true);
    options->is_unconditional = !bk_take_bool(node, "conditions", true);
    if (!check_bucket_name(&self, options->bucket, error) ||
        !check_endpoint(&self, options->endpoint, error) ||
        !check_prefix(&self, options->prefix, error) || !take_tags(&self, error) ||
        !take_protection(&self, error))
        return NULL;
    if (!is_made_of(options->region, "-"))
        return complain_of_s3_key(&self, "region", "is not like \"eu-central-1\"", error), NULL;
    return g_steal_pointer(&s3);
}
