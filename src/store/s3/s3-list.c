/* s3-list.c - listings of objects, versions and uploads, page by page. */
#include "store/s3/s3-priv.h"

#include <string.h>

/* Pages have a thousand names. A server that goes on and on must not keep us for ever. */
#define MAX_PAGES       100000
#define MAX_EMPTY_PAGES 1000 /* one after the other */

/* A listing under way. */
typedef enum { LIST_OBJECTS, LIST_VERSIONS, LIST_UPLOADS } ListKind;

typedef struct Listing {
    S3Store *store;
    const char *prefix; /* of the store's names */
    const char *after;
    ListKind kind;
    bool is_flat; /* directories are not entered but visited themselves */
    unsigned pages;
    unsigned empty_pages; /* since the last one that had anything */
    BkStoreVisit visit;
    void *data;
    char *directory; /* the last one that was visited */
    /* The object at hand: of versions the oldest seen yet. */
    char *name;
    uint64_t size;
    int64_t modified_us;
} Listing;

/* Visits the object at hand. */
static bool
flush_current_object(Listing *self, GError **error)
{
    g_autofree char *name = g_steal_pointer(&self->name);
    const BkStoreEntry entry = {name, self->size, self->modified_us};

    return name == NULL || self->visit(&entry, self->data, error);
}

static bool
take_listed_object(Listing *self, const BkS3Entry *entry, GError **error)
{
    const char *name = bk_s3_name(self->store, entry->key);

    /* What is not ours has no place here, but does no harm. */
    if (name == NULL || entry->is_marker || strcmp(name, self->after) <= 0)
        return true;
    if (self->name == NULL || strcmp(self->name, name) != 0) {
        if (!flush_current_object(self, error))
            return false;
        self->name = g_strdup(name);
    }
    self->size = entry->size;
    self->modified_us = entry->modified_us;
    return true;
}

static bool
take_common_prefix(Listing *self, const char *key, GError **error)
{
    g_autofree char *inside = g_strconcat(key, "x", NULL); /* as a name would go on */
    const char *name = bk_s3_name(self->store, inside);
    BkStoreEntry entry = {0};

    if (!flush_current_object(self, error))
        return false;
    if (name == NULL || g_strcmp0(self->directory, key) == 0)
        return true; /* not ours, or told of by the page before, too */
    g_free(self->directory);
    self->directory = g_strdup(key);
    inside[strlen(key)] = '\0';
    entry.name = name;
    return self->visit(&entry, self->data, error);
}

/* Objects and directories come in two lists, each in order. */
static bool
take_page(Listing *self, const BkS3Page *page, GError **error)
{
    guint next = 0; /* directory */

    for (guint i = 0; i < page->entries->len; i++) {
        const BkS3Entry *entry = g_ptr_array_index(page->entries, i);

        for (; next < page->prefixes->len; next++) {
            const char *directory = g_ptr_array_index(page->prefixes, next);

            if (strcmp(directory, entry->key) > 0)
                break;
            if (!take_common_prefix(self, directory, error))
                return false;
        }
        if (!take_listed_object(self, entry, error))
            return false;
    }
    for (; next < page->prefixes->len; next++)
        if (!take_common_prefix(self, g_ptr_array_index(page->prefixes, next), error))
            return false;
    return true;
}

static void
add_start(const Listing *self, const BkS3Page *last, S3Fields *fields)
{
    const bool is_of_uploads = self->kind == LIST_UPLOADS;
    g_autofree char *after = bk_s3_key(self->store, self->after);

    if (self->kind == LIST_OBJECTS) {
        bk_s3_fields_add(fields, "list-type", "2");
        if (last->is_truncated)
            bk_s3_fields_add(fields, "continuation-token", last->next_token);
        else if (self->after[0] != 0)
            bk_s3_fields_add(fields, "start-after", after);
        return;
    }
    bk_s3_fields_add(fields, is_of_uploads ? "uploads" : "versions", "");
    if (last->is_truncated) {
        bk_s3_fields_add(fields, "key-marker", last->next_key_marker);
        if (last->next_version_marker != NULL)
            bk_s3_fields_add(fields, is_of_uploads ? "upload-id-marker" : "version-id-marker",
                             last->next_version_marker);
    } else if (self->after[0] != 0) {
        bk_s3_fields_add(fields, "key-marker", after);
    }
}

/* Where the next page begins, if there is one; NULL when the server does not tell. */
static char *
describe_next(const Listing *self, const BkS3Page *page)
{
    if (!page->is_truncated)
        return g_strdup("");
    if (self->kind == LIST_OBJECTS)
        return g_strdup(page->next_token);
    return page->next_key_marker != NULL
               ? g_strconcat(page->next_key_marker, "\n", page->next_version_marker, NULL)
               : NULL;
}

/* A server that tells of more, but not where, or where we are already, would keep us for ever. */
static bool
check_goes_on(Listing *self, const BkS3Page *page, const char *start, GError **error)
{
    g_autofree char *next = describe_next(self, page);

    self->pages++;
    self->empty_pages = page->entries->len + page->prefixes->len == 0 ? self->empty_pages + 1 : 0;
    if (page->is_truncated && (self->pages >= MAX_PAGES || self->empty_pages >= MAX_EMPTY_PAGES))
        return bk_throw(error, BK_ERROR_STORE,
                        "the server's listing does not end: %u pages, the last %u of them empty",
                        self->pages, self->empty_pages);
    return !page->is_truncated || (next != NULL && strcmp(next, start) != 0) ||
           bk_throw(error, BK_ERROR_STORE,
                    "the server reports that its listing continues, but not where");
}

/* Whether the bucket keeps versions was not told, nor may they be listed: then nobody knows whether
 * what can be seen is what was put. */
static bool
explain_refusal(const Listing *self, GError **error)
{
    if (self->kind != LIST_VERSIONS || !atomic_load(&self->store->versions_are_untold) ||
        error == NULL || !bk_error_is(*error, BK_ERROR_DENIED))
        return false;
    return bk_prefix(error, "the credentials may not ask whether the bucket keeps versions: allow "
                            "s3:GetBucketVersioning (and, if it does, s3:ListBucketVersions)");
}

/* Gets the page behind `page`, which it replaces. */
static bool
get_page(Listing *self, BkS3Page *page, BkOp *op, GError **error)
{
    g_autofree char *prefix = bk_s3_key(self->store, self->prefix);
    g_autofree char *start = describe_next(self, page);
    g_auto(BkHttpAnswer) answer = {0};
    g_auto(S3Fields) fields = {0};
    g_auto(S3Fields) headers = {0};
    const S3Call call = {
        .kind = BK_REQUEST_LIST,
        .method = "GET",
        .what = "list the bucket",
        .fields = &fields,
        .headers = &headers,
        .limit = BK_S3_ANSWER_MAX,
    };

    bk_http_answer_init(&answer);
    bk_s3_fields_init(&fields);
    bk_s3_fields_init(&headers);
    bk_s3_fields_add(&fields, "encoding-type", "url");
    bk_s3_fields_add(&fields, self->kind == LIST_UPLOADS ? "max-uploads" : "max-keys", "1000");
    bk_s3_fields_add(&fields, "prefix", prefix);
    if (self->is_flat)
        bk_s3_fields_add(&fields, "delimiter", "/");
    add_start(self, page, &fields);
    if (self->store->options.requester_pays)
        bk_s3_fields_add(&headers, "x-amz-request-payer", "requester");
    return (bk_s3_call(self->store, &call, &answer, NULL, op, error) ||
            explain_refusal(self, error)) &&
           bk_s3_xml_page(&answer.body, page, error) && check_goes_on(self, page, start, error);
}

static bool
run_listing(Listing *self, BkOp *op, GError **error)
{
    g_auto(BkS3Page) page = {0};
    bool with_versions = false;
    bool ok = bk_s3_keeps_versions(self->store, &with_versions, op, error);

    if (with_versions)
        self->kind = LIST_VERSIONS;
    do
        ok = ok && get_page(self, &page, op, error) && take_page(self, &page, error);
    while (ok && page.is_truncated);
    ok = ok && flush_current_object(self, error);
    g_free(self->name);
    g_free(self->directory);
    return ok;
}

bool
bk_s3_list(BkStore *store, const char *prefix, const char *after, BkStoreVisit visit, void *data,
           BkOp *op, GError **error)
{
    Listing self = {
        .store = (S3Store *)store, .prefix = prefix, .after = after, .visit = visit, .data = data};

    return run_listing(&self, op, error);
}

bool
bk_s3_list_directory(BkStore *store, const char *directory, BkStoreVisit visit, void *data,
                     BkOp *op, GError **error)
{
    Listing self = {
        .store = (S3Store *)store,
        .prefix = directory,
        .after = "",
        .is_flat = true,
        .visit = visit,
        .data = data,
    };

    return run_listing(&self, op, error);
}

bool
bk_s3_get_versions(S3Store *self, const char *name, GPtrArray **versions, BkOp *op, GError **error)
{
    Listing listing = {.store = self, .prefix = name, .after = "", .kind = LIST_VERSIONS};
    g_autofree char *key = bk_s3_key(self, name);
    g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(bk_s3_entry_free);
    g_auto(BkS3Page) page = {0};
    bool is_past = false; /* keys that only begin like it */

    do {
        if (!get_page(&listing, &page, op, error))
            return false;
        while (page.entries->len > 0 && !is_past) {
            BkS3Entry *entry = g_ptr_array_steal_index(page.entries, 0);

            is_past = strcmp(entry->key, key) != 0;
            if (is_past || entry->version == NULL)
                bk_s3_entry_free(entry);
            else
                g_ptr_array_add(found, entry);
        }
    } while (page.is_truncated && !is_past);
    *versions = g_steal_pointer(&found);
    return true;
}

bool
bk_s3_list_uploads(BkStore *store, const char *prefix, BkStoreVisitUpload visit, void *data,
                   BkOp *op, GError **error)
{
    S3Store *self = (S3Store *)store;
    Listing listing = {.store = self, .prefix = prefix, .after = "", .kind = LIST_UPLOADS};
    g_auto(BkS3Page) page = {0};

    do {
        if (!get_page(&listing, &page, op, error))
            return false;
        for (guint i = 0; i < page.entries->len; i++) {
            const BkS3Entry *entry = g_ptr_array_index(page.entries, i);
            const BkStoreUpload upload = {bk_s3_name(self, entry->key), entry->version,
                                          entry->modified_us};

            if (upload.name != NULL && upload.id != NULL && !visit(&upload, data, error))
                return false;
        }
    } while (page.is_truncated);
    return true;
}
