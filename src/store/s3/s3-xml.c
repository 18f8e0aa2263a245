/* s3-xml.c - reads the XML of S3's answers. */
#include "store/s3/s3-xml.h"

#include "base/escape.h"

#include <string.h>

#define MAX_DEPTH      16
#define MAX_ENTRIES    10000
#define FAULT_TEXT_MAX ((size_t)500)
#define MAX_TEXT       8192 /* a session token has up to some 2,000 */

#define MAX_DELETE_ERRORS 1000

/* A document is walked once. `enter` and `leave` are told the path below the root, as
 * "Contents/Key", and the text of an element without children. */
typedef struct Walk {
    GString *path; /* without the root */
    GString *text; /* of the element at hand */
    unsigned depth;
    char *root;
    void (*enter)(const char *path, void *data);
    void (*leave)(const char *path, const char *text, void *data);
    void *data;
} Walk;

static void
start_element(GMarkupParseContext *context, const char *name, const char **attributes,
              const char **values, void *data, GError **error)
{
    Walk *self = data;

    (void)context;
    (void)attributes;
    (void)values;
    if (++self->depth > MAX_DEPTH) {
        g_set_error(error, G_MARKUP_ERROR, G_MARKUP_ERROR_INVALID_CONTENT, "nested too deeply");
        return;
    }
    g_string_truncate(self->text, 0);
    if (self->depth == 1 && self->root != NULL) {
        g_set_error(error, G_MARKUP_ERROR, G_MARKUP_ERROR_INVALID_CONTENT, "two documents in one");
        return;
    }
    if (self->depth == 1) {
        self->root = g_strdup(name);
        return;
    }
    if (self->path->len > 0)
        g_string_append_c(self->path, '/');
    g_string_append(self->path, name);
    if (self->enter != NULL)
        self->enter(self->path->str, self->data);
}

static void
end_element(GMarkupParseContext *context, const char *name, void *data, GError **error)
{
    Walk *self = data;
    size_t size = strlen(name);

    (void)context;
    (void)error;
    if (self->depth-- == 1)
        return;
    if (self->leave != NULL)
        self->leave(self->path->str, self->text->str, self->data);
    g_string_truncate(self->text, 0);
    g_string_truncate(self->path, self->path->len - size);
    if (self->path->len > 0)
        g_string_truncate(self->path, self->path->len - 1);
}

static void
add_element_text(GMarkupParseContext *context, const char *text, size_t size, void *data,
                 GError **error)
{
    Walk *self = data;

    (void)context;
    if (self->text->len + size > MAX_TEXT) {
        g_set_error(error, G_MARKUP_ERROR, G_MARKUP_ERROR_INVALID_CONTENT, "a text is too long");
        return;
    }
    g_string_append_len(self->text, text, (gssize)size);
}

static void
walk_init(Walk *self, void *data)
{
    *self = (Walk){.path = g_string_new(NULL), .text = g_string_new(NULL), .data = data};
}

static void
walk_clear(Walk *self)
{
    (void)g_string_free(self->path, TRUE);
    (void)g_string_free(self->text, TRUE);
    g_free(self->root);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Walk, walk_clear)

/* Fails unless the root is `root` (NULL: any). */
static bool
walk_xml(Walk *self, const BkBuf *body, const char *root, GError **error)
{
    static const GMarkupParser parser = {start_element, end_element, add_element_text, NULL, NULL};
    g_autoptr(GMarkupParseContext) context = g_markup_parse_context_new(&parser, 0, self, NULL);
    g_autoptr(GError) cause = NULL;

    if (!g_markup_parse_context_parse(context, body->size > 0 ? (const char *)body->data : "",
                                      (gssize)body->size, &cause) ||
        !g_markup_parse_context_end_parse(context, &cause))
        return bk_throw(error, BK_ERROR_STORE,
                        "the server's answer is not that of an S3 server: %s", cause->message);
    /* A processing instruction or a comment alone ends without an error too. */
    if (self->root == NULL)
        return bk_throw(error, BK_ERROR_STORE, "the server's answer is XML without an element");
    if (root != NULL && strcmp(self->root, root) != 0)
        return bk_throw(error, BK_ERROR_STORE, "the server answered <%s> and not <%s>", self->root,
                        root);
    return true;
}

void
bk_s3_fault_clear(BkS3Fault *self)
{
    g_clear_pointer(&self->code, g_free);
    g_clear_pointer(&self->message, g_free);
    g_clear_pointer(&self->region, g_free);
}

static void
leave_fault(const char *path, const char *text, void *data)
{
    BkS3Fault *fault = data;
    char **place = strcmp(path, "Code") == 0      ? &fault->code
                   : strcmp(path, "Message") == 0 ? &fault->message
                   : strcmp(path, "Region") == 0  ? &fault->region
                                                  : NULL;

    if (place == NULL)
        return;
    g_free(*place);
    *place = bk_escape(text, FAULT_TEXT_MAX, BK_ESCAPE_ALL);
}

bool
bk_s3_xml_is_fault(const BkBuf *body, BkS3Fault *fault)
{
    g_auto(Walk) self;

    walk_init(&self, fault);
    self.leave = leave_fault;
    bk_s3_fault_clear(fault);
    if (!walk_xml(&self, body, "Error", NULL)) {
        bk_s3_fault_clear(fault);
        fault->code = g_strdup("");
        fault->message = g_strdup("");
        return false;
    }
    if (fault->code == NULL)
        fault->code = g_strdup("");
    if (fault->message == NULL)
        fault->message = g_strdup("");
    return true;
}

void
bk_s3_entry_free(void *data)
{
    BkS3Entry *entry = data;

    g_free(entry->key);
    g_free(entry->version);
    g_free(entry);
}

void
bk_s3_page_clear(BkS3Page *self)
{
    g_clear_pointer(&self->entries, g_ptr_array_unref);
    g_clear_pointer(&self->prefixes, g_ptr_array_unref);
    g_free(self->next_token);
    g_free(self->next_key_marker);
    g_free(self->next_version_marker);
    *self = (BkS3Page){0};
}

typedef struct PageWalk {
    BkS3Page *page;
    BkS3Entry *entry; /* at hand */
    bool is_encoded;
    bool tells_end; /* whether it goes on */
    bool failed;
} PageWalk;

static bool
is_entry(const char *path)
{
    return strcmp(path, "Contents") == 0 || strcmp(path, "Version") == 0 ||
           strcmp(path, "DeleteMarker") == 0 || strcmp(path, "Upload") == 0;
}

static void
enter_page_element(const char *path, void *data)
{
    PageWalk *self = data;

    if (!is_entry(path))
        return;
    self->entry = g_new0(BkS3Entry, 1);
    self->entry->is_marker = strcmp(path, "DeleteMarker") == 0;
    g_ptr_array_add(self->page->entries, self->entry);
    self->failed |= self->page->entries->len > MAX_ENTRIES;
}

static bool
parse_s3_time(const char *text, int64_t *time_us)
{
    g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
    g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(text, utc);

    if (time == NULL)
        return false;
    *time_us = g_date_time_to_unix(time) * BK_USEC_PER_SEC + g_date_time_get_microsecond(time);
    return true;
}

static void
leave_entry(PageWalk *self, const char *name, const char *text)
{
    BkS3Entry *entry = self->entry;
    guint64 size;

    if (strcmp(name, "Key") == 0) {
        self->failed |= entry->key != NULL;
        g_free(entry->key);
        entry->key = g_strdup(text);
    } else if (strcmp(name, "VersionId") == 0 || strcmp(name, "UploadId") == 0) {
        g_free(entry->version);
        entry->version = g_strdup(text);
    } else if (strcmp(name, "Size") == 0) {
        self->failed |= !g_ascii_string_to_unsigned(text, 10, 0, UINT64_MAX, &size, NULL);
        entry->size = self->failed ? 0 : size;
    } else if (strcmp(name, "LastModified") == 0 || strcmp(name, "Initiated") == 0) {
        self->failed |= !parse_s3_time(text, &entry->modified_us);
    }
}

static void
leave_page(const char *path, const char *text, void *data)
{
    PageWalk *self = data;
    BkS3Page *page = self->page;
    const char *slash = strchr(path, '/');
    const struct {
        const char *path;
        char **place;
    } texts[] = {{"NextContinuationToken", &page->next_token},
                 {"NextKeyMarker", &page->next_key_marker},
                 {"NextVersionIdMarker", &page->next_version_marker},
                 {"NextUploadIdMarker", &page->next_version_marker}};

    if (slash != NULL && strchr(slash + 1, '/') == NULL) {
        g_autofree char *parent = g_strndup(path, (size_t)(slash - path));

        if (is_entry(parent))
            leave_entry(self, slash + 1, text);
    }
    if (strcmp(path, "CommonPrefixes/Prefix") == 0) {
        g_ptr_array_add(page->prefixes, g_strdup(text));
        self->failed |= page->prefixes->len > MAX_ENTRIES;
    } else if (strcmp(path, "IsTruncated") == 0) {
        page->is_truncated = strcmp(text, "true") == 0;
        self->failed |= self->tells_end || (!page->is_truncated && strcmp(text, "false") != 0);
        self->tells_end = true;
    } else if (strcmp(path, "EncodingType") == 0) {
        self->is_encoded = strcmp(text, "url") == 0;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
        if (strcmp(path, texts[i].path) == 0) {
            g_free(*texts[i].place);
            *texts[i].place = g_strdup(text);
        }
}

/* In place. '+' stands for a blank in what S3 encodes. */
static bool
unescape_url_text(char **text)
{
    char *decoded;

    if (*text == NULL)
        return true;
    (void)g_strdelimit(*text, "+", ' ');
    decoded = g_uri_unescape_string(*text, NULL);
    if (decoded == NULL)
        return false;
    g_free(*text);
    *text = decoded;
    return true;
}

static bool
decode_names(BkS3Page *page)
{
    bool ok = unescape_url_text(&page->next_key_marker);

    for (guint i = 0; ok && i < page->entries->len; i++)
        ok = unescape_url_text(&((BkS3Entry *)g_ptr_array_index(page->entries, i))->key);
    for (guint i = 0; ok && i < page->prefixes->len; i++)
        ok = unescape_url_text((char **)&g_ptr_array_index(page->prefixes, i));
    return ok;
}

static bool
is_whole(const BkS3Page *page)
{
    for (guint i = 0; i < page->entries->len; i++) {
        const BkS3Entry *entry = g_ptr_array_index(page->entries, i);

        if (entry->key == NULL || entry->modified_us == 0)
            return false;
    }
    return !page->is_truncated || page->next_token != NULL || page->next_key_marker != NULL;
}

bool
bk_s3_xml_page(const BkBuf *body, BkS3Page *page, GError **error)
{
    g_auto(Walk) self;
    PageWalk state = {.page = page};

    bk_s3_page_clear(page);
    page->entries = g_ptr_array_new_with_free_func(bk_s3_entry_free);
    page->prefixes = g_ptr_array_new_with_free_func(g_free);
    walk_init(&self, &state);
    self.enter = enter_page_element;
    self.leave = leave_page;
    if (!walk_xml(&self, body, NULL, error))
        return false;
    if (strcmp(self.root, "ListBucketResult") != 0 &&
        strcmp(self.root, "ListVersionsResult") != 0 &&
        strcmp(self.root, "ListMultipartUploadsResult") != 0)
        return bk_throw(error, BK_ERROR_STORE, "the server answered <%s> and not a listing",
                        self.root);
    if (!state.tells_end)
        return bk_throw(error, BK_ERROR_STORE,
                        "the server's listing does not say whether it is complete (IsTruncated)");
    if (state.failed || (state.is_encoded && !decode_names(page)) || !is_whole(page))
        return bk_throw(error, BK_ERROR_STORE, "the server's listing is not that of an S3 server");
    return true;
}

typedef struct TextWalk {
    const char *path;
    char *text;
} TextWalk;

static void
leave_text(const char *path, const char *text, void *data)
{
    TextWalk *self = data;

    if (self->text == NULL && strcmp(path, self->path) == 0)
        self->text = g_strdup(text);
}

bool
bk_s3_xml_text(const BkBuf *body, const char *path, char **text, GError **error)
{
    g_auto(Walk) self;
    TextWalk state = {.path = path};

    *text = NULL;
    walk_init(&self, &state);
    self.leave = leave_text;
    if (!walk_xml(&self, body, NULL, error)) {
        g_free(state.text);
        return false;
    }
    *text = state.text;
    return true;
}

typedef struct ErrorsWalk {
    GPtrArray *errors;
    char *key;
    char *code;
} ErrorsWalk;

static void
leave_errors(const char *path, const char *text, void *data)
{
    ErrorsWalk *self = data;

    if (strcmp(path, "Error/Key") == 0) {
        g_free(self->key);
        self->key = g_strdup(text);
    } else if (strcmp(path, "Error/Code") == 0) {
        g_free(self->code);
        self->code = g_strdup(text);
    } else if (strcmp(path, "Error") == 0) {
        if (self->errors->len < MAX_DELETE_ERRORS)
            g_ptr_array_add(self->errors,
                            g_strdup_printf("%s: %s", self->key != NULL ? self->key : "?",
                                            self->code != NULL ? self->code : "?"));
        g_clear_pointer(&self->key, g_free);
        g_clear_pointer(&self->code, g_free);
    }
}

bool
bk_s3_xml_delete_errors(const BkBuf *body, GPtrArray *errors, GError **error)
{
    g_auto(Walk) self;
    ErrorsWalk state = {.errors = errors};
    bool ok;

    walk_init(&self, &state);
    self.leave = leave_errors;
    ok = walk_xml(&self, body, "DeleteResult", error);
    g_free(state.key);
    g_free(state.code);
    return ok;
}

static void append_escaped(BkBuf *out, const char *format, ...) BK_PRINTF(2, 3);

/* g_markup_vprintf_escaped escapes the texts that go into the format. */
static void
append_escaped(BkBuf *out, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_markup_vprintf_escaped(format, args);
    va_end(args);
    bk_buf_append(out, text, strlen(text));
}

void
bk_s3_xml_put_delete(BkBuf *out, const BkS3Name *names, size_t count)
{
    append_escaped(out, "<Delete><Quiet>true</Quiet>");
    for (size_t i = 0; i < count; i++) {
        append_escaped(out, "<Object><Key>%s</Key>", names[i].key);
        if (names[i].version != NULL)
            append_escaped(out, "<VersionId>%s</VersionId>", names[i].version);
        append_escaped(out, "</Object>");
    }
    append_escaped(out, "</Delete>");
}

void
bk_s3_xml_put_parts(BkBuf *out, const char *const *etags, size_t count)
{
    append_escaped(out, "<CompleteMultipartUpload>");
    for (size_t i = 0; i < count; i++)
        append_escaped(out, "<Part><PartNumber>%zu</PartNumber><ETag>%s</ETag></Part>", i + 1,
                       etags[i]);
    append_escaped(out, "</CompleteMultipartUpload>");
}

void
bk_s3_xml_put_retention(BkBuf *out, const char *mode, const char *until)
{
    append_escaped(out,
                   "<Retention><Mode>%s</Mode><RetainUntilDate>%s</RetainUntilDate></Retention>",
                   mode, until);
}
