/* store.c - immutable objects by name, in a directory, a bucket or memory. */
#include "store/store-priv.h"

#include <string.h>

#define NAME_MAX_SIZE 512

bool
bk_store_is_name(const char *name)
{
    size_t part = 0; /* where the present component starts */
    size_t size = strnlen(name, NAME_MAX_SIZE + 1);

    if (size > NAME_MAX_SIZE)
        return false;
    for (size_t i = 0; i <= size; i++) {
        size_t length = i - part;

        if (name[i] != '/' && name[i] != '\0') {
            if (!g_ascii_isalnum(name[i]) && strchr("._-", name[i]) == NULL)
                return false;
            continue;
        }
        if (length == 0 || (length <= 2 && strncmp(name + part, "..", length) == 0))
            return false;
        part = i + 1;
    }
    return true;
}

const char *
bk_store_base_name(const char *name)
{
    const char *slash = strrchr(name, '/');

    return slash != NULL ? slash + 1 : name;
}

void
bk_store_init(BkStore *self, const BkStoreDriver *driver, char *description)
{
    self->driver = driver;
    self->description = description;
}

void
bk_store_clear(BkStore *self)
{
    g_clear_pointer(&self->description, g_free);
}

bool
bk_store_clip(uint64_t total, uint64_t offset, size_t size, size_t limit, size_t *wanted,
              GError **error)
{
    uint64_t rest = offset < total ? total - offset : 0;
    uint64_t count = MIN(rest, (uint64_t)size);

    *wanted = 0;
    if (count > limit)
        return bk_throw(error, BK_ERROR_CORRUPT,
                        "%" G_GUINT64_FORMAT " bytes, at most %zu expected", count, limit);
    *wanted = (size_t)count;
    return true;
}

bool
bk_store_throw_absent(GError **error)
{
    return bk_throw(error, BK_ERROR_ABSENT, "no such object");
}

bool
bk_store_throw_exists(GError **error)
{
    return bk_throw(error, BK_ERROR_EXISTS, "the name is already in use");
}

const char *
bk_store_describe(const BkStore *self)
{
    return self->description;
}

bool
bk_store_is_remote(const BkStore *self)
{
    return self->driver->is_remote;
}

static bool
put_checked(BkStore *self, const char *name, const BkBuf *data, const uint8_t *sha256, BkOp *op,
            GError **error)
{
    g_assert(bk_store_is_name(name));
    if (bk_op_check(op, error) && self->driver->put(self, name, data, sha256, op, error))
        return true;
    return bk_prefix(error, "put \"%s\" into %s", name, self->description);
}

bool
bk_store_put(BkStore *self, const char *name, const BkBuf *data, BkOp *op, GError **error)
{
    return put_checked(self, name, data, NULL, op, error);
}

bool
bk_store_put_hashed(BkStore *self, const char *name, const BkBuf *data,
                    const uint8_t sha256[BK_SHA256_SIZE], BkOp *op, GError **error)
{
    return put_checked(self, name, data, sha256, op, error);
}

bool
bk_store_get(BkStore *self, const char *name, uint64_t offset, size_t size, size_t limit,
             BkBuf *out, BkOp *op, GError **error)
{
    g_assert(bk_store_is_name(name));
    out->size = 0;
    if (bk_op_check(op, error) &&
        self->driver->get(self, name, offset, size, limit, out, op, error))
        return true;
    out->size = 0;
    return bk_prefix(error, "get \"%s\" from %s", name, self->description);
}

bool
bk_store_get_start(BkStore *self, const char *name, size_t size, BkBuf *out, BkOp *op,
                   GError **error)
{
    g_assert(bk_store_is_name(name));
    if (self->driver->get_start == NULL)
        return bk_store_get(self, name, 0, size, size, out, op, error);
    out->size = 0;
    if (bk_op_check(op, error) && self->driver->get_start(self, name, size, out, op, error))
        return true;
    out->size = 0;
    return bk_prefix(error, "get \"%s\" from %s", name, self->description);
}

bool
bk_store_has_no_versions(const BkStore *self)
{
    return self->driver->has_no_versions != NULL && self->driver->has_no_versions(self);
}

void
bk_store_take_no_versions(BkStore *self)
{
    if (self->driver->take_no_versions != NULL)
        self->driver->take_no_versions(self);
}

bool
bk_store_prefetch(BkStore *self, const char *const *names, size_t count, BkOp *op, GError **error)
{
    for (size_t i = 0; i < count; i++)
        g_assert(bk_store_is_name(names[i]));
    return self->driver->read_ahead == NULL ||
           (bk_op_check(op, error) && self->driver->read_ahead(self, names, count, op, error));
}

void
bk_store_prefetched(BkStore *self, const char *name, const BkBuf *data)
{
    g_assert(bk_store_is_name(name));
    if (self->driver->give_ahead != NULL)
        self->driver->give_ahead(self, name, data);
}

bool
bk_store_reread_original(BkStore *self, const char *name, bool *has_other, BkOp *op, GError **error)
{
    g_assert(bk_store_is_name(name));
    *has_other = false;
    if (self->driver->distrust == NULL)
        return true;
    if (bk_op_check(op, error) && self->driver->distrust(self, name, has_other, op, error))
        return true;
    return bk_prefix(error, "find another version of \"%s\" in %s", name, self->description);
}

bool
bk_store_stat(BkStore *self, const char *name, uint64_t *size, BkOp *op, GError **error)
{
    g_assert(bk_store_is_name(name));
    *size = 0;
    if (bk_op_check(op, error) && self->driver->stat(self, name, size, op, error))
        return true;
    return bk_prefix(error, "look up \"%s\" in %s", name, self->description);
}

/* A listing under way. Names come from outside, and what uses them relies on where they lie and in
 * which order they come: so each is checked here, whatever driver has it from whomever. */
typedef struct Listing {
    BkStoreVisit visit;
    void *data;
    BkOp *op;
    const char *prefix;
    GString *last; /* the name before, or what the names must be greater than */
    bool is_flat;  /* of one directory: nothing lies deeper */
    bool visitor_failed;
} Listing;

static bool
is_listed_name(const Listing *self, const char *name)
{
    const size_t size = strnlen(name, NAME_MAX_SIZE + 2);
    const bool is_directory = size > 0 && size <= NAME_MAX_SIZE + 1 && name[size - 1] == '/';
    char directory[NAME_MAX_SIZE + 1];

    if (!self->is_flat || !is_directory)
        return bk_store_is_name(name) &&
               (!self->is_flat || strchr(name + strlen(self->prefix), '/') == NULL);
    memcpy(directory, name, size - 1);
    directory[size - 1] = '\0';
    return size - 1 > strlen(self->prefix) && bk_store_is_name(directory) &&
           strchr(directory + strlen(self->prefix), '/') == NULL;
}

static bool
check_entry(Listing *self, const BkStoreEntry *entry, GError **error)
{
    if (entry->name == NULL || !g_str_has_prefix(entry->name, self->prefix) ||
        !is_listed_name(self, entry->name))
        return bk_throw(error, BK_ERROR_STORE,
                        "the listing of \"%s\" contains \"%.100s\", which was not requested",
                        self->prefix, entry->name != NULL ? entry->name : "");
    if (strcmp(entry->name, self->last->str) <= 0)
        return bk_throw(error, BK_ERROR_STORE,
                        "the listing of \"%s\" is out of order: \"%s\" follows \"%s\"",
                        self->prefix, entry->name, self->last->str);
    (void)g_string_assign(self->last, entry->name);
    return true;
}

static bool
visit_checked(const BkStoreEntry *entry, void *data, GError **error)
{
    Listing *listing = data;
    BkStoreEntry checked = *entry;

    if (!bk_op_check(listing->op, error) || !check_entry(listing, entry, error))
        return false;
    checked.modified_us = CLAMP(entry->modified_us, 0, BK_STORE_LAST_US);
    listing->visitor_failed = !listing->visit(&checked, listing->data, error);
    return !listing->visitor_failed;
}

/* Ends a listing: a visitor's failure is about what it did with the entry, not about the listing.
 */
static bool
end_listing(const BkStore *self, Listing *listing, bool ok, GError **error)
{
    (void)g_string_free(listing->last, TRUE);
    return ok || (!listing->visitor_failed && bk_prefix(error, "list %s", self->description));
}

bool
bk_store_list(BkStore *self, const char *prefix, const char *after, BkStoreVisit visit, void *data,
              BkOp *op, GError **error)
{
    Listing listing = {.visit = visit, .data = data, .op = op, .prefix = prefix};
    bool ok;

    listing.last = g_string_new(after);
    ok = bk_op_check(op, error) && self->driver->list(self, prefix, after != NULL ? after : "",
                                                      visit_checked, &listing, op, error);
    return end_listing(self, &listing, ok, error);
}

/* A listing of all that is below a directory, of which the beginnings are wanted. */
typedef struct DirectoryWalk {
    Listing *listing;
    size_t start; /* of what follows the directory's name */
    char *inner;  /* "directory/inner/": the one that was found; ends the listing */
} DirectoryWalk;

static bool
visit_below(const BkStoreEntry *entry, void *data, GError **error)
{
    DirectoryWalk *walk = data;
    const char *slash = NULL;

    if (g_str_has_prefix(entry->name, walk->listing->prefix))
        slash = strchr(entry->name + walk->start, '/');
    if (slash == NULL)
        return visit_checked(entry, walk->listing, error);
    walk->inner = g_strndup(entry->name, (size_t)(slash + 1 - entry->name));
    return bk_throw(error, BK_ERROR_EXISTS, "found");
}

/* For drivers that know no directories: each one costs a listing that ends with its first object.
 */
static bool
list_directory_by_list(BkStore *self, const char *directory, Listing *listing, GError **error)
{
    g_autofree char *after = g_strdup("");

    for (;;) {
        DirectoryWalk walk = {.listing = listing, .start = strlen(directory)};
        g_autofree char *inner = NULL;
        g_autoptr(GError) cause = NULL;
        BkStoreEntry entry = {0};
        bool ok =
            self->driver->list(self, directory, after, visit_below, &walk, listing->op, &cause);

        inner = walk.inner;
        if (inner == NULL)
            return ok || bk_propagate(error, &cause);
        entry.name = inner;
        if (!visit_checked(&entry, listing, error))
            return false;
        /* Past everything in it: no name has a character behind "~". */
        g_free(after);
        after = g_strconcat(inner, "~", NULL);
    }
}

bool
bk_store_list_directory(BkStore *self, const char *directory, BkStoreVisit visit, void *data,
                        BkOp *op, GError **error)
{
    Listing listing = {
        .visit = visit, .data = data, .op = op, .prefix = directory, .is_flat = true};
    bool ok = bk_op_check(op, error);

    g_assert(directory[0] == '\0' || g_str_has_suffix(directory, "/"));
    listing.last = g_string_new(NULL);
    if (ok && self->driver->list_directory != NULL)
        ok = self->driver->list_directory(self, directory, visit_checked, &listing, op, error);
    else if (ok)
        ok = list_directory_by_list(self, directory, &listing, error);
    return end_listing(self, &listing, ok, error);
}

bool
bk_store_ensure_durable(BkStore *self, const char *name, BkOp *op, GError **error)
{
    g_assert(bk_store_is_name(name));
    if (bk_op_check(op, error) && self->driver->settle(self, name, op, error))
        return true;
    return bk_prefix(error, "make \"%s\" in %s durable", name, self->description);
}

/* Uploads come from outside, too, and several may be of one name. */
typedef struct UploadListing {
    BkStoreVisitUpload visit;
    void *data;
    const char *prefix;
    bool visitor_failed;
} UploadListing;

static bool
visit_upload(const BkStoreUpload *upload, void *data, GError **error)
{
    UploadListing *self = data;
    BkStoreUpload checked = *upload;

    if (!g_str_has_prefix(upload->name, self->prefix) || !bk_store_is_name(upload->name))
        return bk_throw(error, BK_ERROR_STORE,
                        "the uploads of \"%s\" contain \"%.100s\", which was not requested",
                        self->prefix, upload->name);
    checked.begun_us = CLAMP(upload->begun_us, 0, BK_STORE_LAST_US);
    self->visitor_failed = !self->visit(&checked, self->data, error);
    return !self->visitor_failed;
}

bool
bk_store_list_uploads(BkStore *self, const char *prefix, BkStoreVisitUpload visit, void *data,
                      BkOp *op, GError **error)
{
    UploadListing listing = {.visit = visit, .data = data, .prefix = prefix};

    if (self->driver->list_uploads == NULL)
        return true;
    if (bk_op_check(op, error) &&
        self->driver->list_uploads(self, prefix, visit_upload, &listing, op, error))
        return true;
    return !listing.visitor_failed && bk_prefix(error, "list uploads in %s", self->description);
}

bool
bk_store_abort_upload(BkStore *self, const char *name, const char *id, BkOp *op, GError **error)
{
    g_assert(bk_store_is_name(name));
    if (self->driver->abort_upload == NULL)
        return true;
    if (bk_op_check(op, error) && self->driver->abort_upload(self, name, id, op, error))
        return true;
    return bk_prefix(error, "abort an upload of \"%s\" in %s", name, self->description);
}

bool
bk_store_delete(BkStore *self, const char *name, BkOp *op, GError **error)
{
    g_assert(bk_store_is_name(name));
    if (bk_op_check(op, error) && self->driver->delete (self, name, op, error))
        return true;
    return bk_prefix(error, "delete \"%s\" from %s", name, self->description);
}

bool
bk_store_delete_many(BkStore *self, const char *const *names, size_t count, BkOp *op,
                     GError **error)
{
    for (size_t i = 0; i < count; i++)
        g_assert(bk_store_is_name(names[i]));
    if (self->driver->delete_many != NULL) {
        if (bk_op_check(op, error) && self->driver->delete_many(self, names, count, op, error))
            return true;
        return bk_prefix(error, "delete objects from %s", self->description);
    }
    for (size_t i = 0; i < count; i++)
        if (!bk_store_delete(self, names[i], op, error))
            return false;
    return true;
}

int64_t
bk_store_lock_us(const BkStore *self)
{
    return self->driver->lock_us != NULL ? self->driver->lock_us(self) : 0;
}

bool
bk_store_retain(BkStore *self, const char *name, BkOp *op, GError **error)
{
    g_assert(bk_store_is_name(name));
    if (self->driver->retain == NULL)
        return true;
    if (bk_op_check(op, error) && self->driver->retain(self, name, op, error))
        return true;
    return bk_prefix(error, "lock \"%s\" in %s", name, self->description);
}

bool
bk_store_get_lock(BkStore *self, const char *name, int64_t *until_us, BkOp *op, GError **error)
{
    uint64_t size;

    g_assert(bk_store_is_name(name));
    *until_us = INT64_MAX;
    if (self->driver->get_lock == NULL)
        return bk_store_stat(self, name, &size, op, error);
    if (bk_op_check(op, error) && self->driver->get_lock(self, name, until_us, op, error))
        return true;
    return bk_prefix(error, "read the lock of \"%s\" in %s", name, self->description);
}

void
bk_store_cache_put(BkStore *self, const char *name, const BkBuf *data)
{
    g_assert(bk_store_is_name(name));
    if (self->driver->note != NULL)
        self->driver->note(self, name, data);
}

bool
bk_store_cache_get(BkStore *self, const char *name, BkBuf *out)
{
    g_assert(bk_store_is_name(name));
    out->size = 0;
    return self->driver->recall != NULL && self->driver->recall(self, name, out);
}

void
bk_store_free(BkStore *self)
{
    if (self != NULL)
        self->driver->free(self);
}
