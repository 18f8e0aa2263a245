/* repository.c - a repository: its identity, its keys, and the source repositories in it. */
#include "base/log.h"
#include "repo/repository-priv.h"
#include "repo/reread.h"
#include "store/cache-file.h"
#include "store/cache.h"
#include "store/posix.h"

#include "codec/digest.h"
#include "codec/wire.h"

#include <string.h>

#define SLOT_VERSION   1
#define ID_SIZE        16
#define MAX_KEY_OBJECT 4096

struct BkRepository {
    BkStore *store;
    char *name;
    char *id;
    BkKeyring *keys; /* the repository key */

    BkKept kept;               /* of `kept_source`, as it is read or was recalled */
    char *kept_source;         /* NULL: nothing is kept */
    BkLocation place;          /* of what is kept; borrowed */
    BkSourceRepo *source_repo; /* opened along and not taken yet, or NULL */
};

void
bk_repository_free(BkRepository *self)
{
    if (self == NULL)
        return;
    bk_source_repo_free(self->source_repo);
    bk_kept_clear(&self->kept);
    g_free(self->kept_source);
    bk_store_free(self->store);
    g_free(self->name);
    g_free(self->id);
    bk_keyring_free(self->keys);
    g_free(self);
}

const char *
bk_repository_name(const BkRepository *self)
{
    return self->name;
}

const char *
bk_repository_id(const BkRepository *self)
{
    return self->id;
}

BkStore *
bk_repository_store(const BkRepository *self)
{
    return self->store;
}

static BkRepository *
repository_new(BkStore *store, const char *name)
{
    BkRepository *self = g_new0(BkRepository, 1);

    self->store = store;
    self->name = g_strdup(name);
    self->keys = bk_keyring_new();
    bk_kept_init(&self->kept);
    return self;
}

static void
copy_bytes(BkBuf *copy, const BkBuf *content)
{
    copy->size = 0;
    bk_buf_append(copy, content->data, content->size);
}

static char *
identity_text(const char *id)
{
    return g_strdup_printf("{\"backstay_repository\":%d,\"id\":\"%s\"}\n", BK_REPOSITORY_FORMAT,
                           id);
}

static bool
read_slot_once(BkRepository *self, const BkKeyFile *key, const char *object_name, BkOp *op,
               GError **error)
{
    g_autoptr(BkKeyring) slot_keys = bk_keyring_new();
    const BkSealAs as = {slot_keys, BK_SEAL_KEY_SLOT, object_name};
    g_autoptr(BkOpener) opener = bk_opener_new();
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_auto(BkBuf) raw = BK_BUF_INIT;
    g_auto(BkSecret) repository_key = {{0}};
    const uint8_t *bytes;
    BkWireReader reader;

    if (!bk_store_get(self->store, object_name, 0, SIZE_MAX, MAX_KEY_OBJECT, &object, op, error))
        return false;
    bk_keyring_add(slot_keys, 1, &key->secret);
    if (!bk_unseal(opener, &as, &object, MAX_KEY_OBJECT, &raw, error))
        return bk_prefix(error, "object \"%s\" of repository \"%s\"", object_name, self->name);
    bk_wire_reader_init(&reader, raw.data, raw.size);
    if (bk_wire_get_u8(&reader) != SLOT_VERSION)
        reader.failed = true;
    g_free(self->id);
    self->id = bk_wire_get_string(&reader, (size_t)2 * ID_SIZE);
    bytes = bk_wire_get_raw(&reader, BK_SECRET_SIZE);
    if (bytes != NULL)
        memcpy(repository_key.bytes, bytes, BK_SECRET_SIZE);
    bk_wipe(raw.data, raw.size);
    if (!bk_wire_end(&reader, "key slot", error))
        return bk_prefix(error, "object \"%s\" of repository \"%s\"", object_name, self->name);
    bk_keyring_add(self->keys, 1, &repository_key);
    copy_bytes(&self->kept.slot_object, &object);
    return true;
}

/* Takes identity and key from the slot that the key file opens. */
static bool
read_slot(BkRepository *self, const BkKeyFile *key, BkOp *op, GError **error)
{
    g_autofree char *object_name = g_strdup_printf("keys/%s", key->slot);
    g_autoptr(GError) cause = NULL;
    unsigned tries = 0;

    while (!read_slot_once(self, key, object_name, op, &cause))
        if (!bk_reread_is_worth(self->store, object_name, &tries, &cause, op))
            return bk_propagate(error, &cause);
    return true;
}

static bool
create_slot(BkRepository *self, const BkKeyFile *key, BkOp *op, GError **error)
{
    g_autofree char *object_name = g_strdup_printf("keys/%s", key->slot);
    g_autoptr(BkKeyring) slot_keys = bk_keyring_new();
    const BkSealAs as = {slot_keys, BK_SEAL_KEY_SLOT, object_name};
    g_autoptr(BkSealer) sealer = bk_sealer_new(BK_CODEC_STORED, 0);
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_auto(BkBuf) raw = BK_BUF_INIT;
    g_auto(BkSecret) repository_key = {{0}};
    g_autoptr(GString) id = g_string_new(NULL);
    uint8_t id_bytes[ID_SIZE];
    bool ok;

    if (!bk_random_fill(id_bytes, sizeof id_bytes, error) ||
        !bk_random_fill(repository_key.bytes, BK_SECRET_SIZE, error))
        return false;
    for (size_t i = 0; i < sizeof id_bytes; i++)
        g_string_append_printf(id, "%02x", id_bytes[i]);
    bk_keyring_add(slot_keys, 1, &key->secret);
    bk_wire_put_u8(&raw, SLOT_VERSION);
    bk_wire_put_string(&raw, id->str);
    bk_buf_append(&raw, repository_key.bytes, BK_SECRET_SIZE);
    ok = bk_seal(sealer, &as, raw.data, raw.size, &object, error);
    bk_wipe(raw.data, raw.size);
    return ok && bk_store_put(self->store, object_name, &object, op, error);
}

/* The identity object holds nothing but the format and the identity that the slot proves, so it is
 * compared as a whole: no flipped byte goes unnoticed. */
static bool
check_identity(const BkRepository *self, const BkBuf *found, GError **error)
{
    static const char opening[] = "{\"backstay_repository\":";
    /* An object without content has no memory either. */
    g_autofree char *text =
        g_strndup(found->size > 0 ? (const char *)found->data : "", found->size);
    g_autofree char *expected = identity_text(self->id);
    guint64 format = 0;

    if (strcmp(text, expected) == 0)
        return true;
    if (g_str_has_prefix(text, opening))
        format = g_ascii_strtoull(text + strlen(opening), NULL, 10);
    if (format > BK_REPOSITORY_FORMAT)
        return bk_throw(error, BK_ERROR_UNSUPPORTED,
                        "repository \"%s\" has format version %" G_GUINT64_FORMAT
                        ", this program supports up to %d: use a newer version",
                        self->name, format, BK_REPOSITORY_FORMAT);
    return bk_throw(error, BK_ERROR_CORRUPT,
                    "object \"backstay.json\" of repository \"%s\" is damaged", self->name);
}

/* A wrong key must not look like damage, nor like a missing repository. */
static bool
explain_slot_error(const BkRepository *self, const BkKeyFile *key, GError *cause, GError **error)
{
    if (bk_error_is(cause, BK_ERROR_ABSENT)) {
        g_error_free(cause);
        return bk_throw(error, BK_ERROR_KEY,
                        "the key (slot %s) does not belong to repository \"%s\"", key->slot,
                        self->name);
    }
    g_propagate_error(error, cause);
    return false;
}

static bool
read_identity(const BkRepository *self, BkBuf *identity, BkOp *op, GError **error)
{
    return bk_store_get(self->store, "backstay.json", 0, SIZE_MAX, MAX_KEY_OBJECT, identity, op,
                        error);
}

/* Reads the identity again while what was read is not it and there is another answer. */
static bool
confirm_identity(const BkRepository *self, BkBuf *identity, BkOp *op, GError **error)
{
    g_autoptr(GError) cause = NULL;
    unsigned tries = 0;

    while (!check_identity(self, identity, &cause)) {
        if (!bk_reread_is_worth(self->store, "backstay.json", &tries, &cause, op))
            return bk_propagate(error, &cause);
        if (!read_identity(self, identity, op, error))
            return false;
    }
    return true;
}

static bool
open_existing(BkRepository *self, const BkKeyFile *key, BkBuf *identity, BkOp *op, GError **error)
{
    GError *cause = NULL;

    /* The format is looked at first: a newer one may keep its keys otherwise. */
    self->id = g_strdup("");
    if (!check_identity(self, identity, &cause) && bk_error_is(cause, BK_ERROR_UNSUPPORTED)) {
        g_propagate_error(error, cause);
        return false;
    }
    g_clear_error(&cause);
    if (!read_slot(self, key, op, &cause))
        return explain_slot_error(self, key, cause, error);
    return confirm_identity(self, identity, op, error);
}

/* Now that its identity is proven. */
static void
add_cache(BkRepository *self)
{
    g_autofree char *directory = NULL;

    if (!bk_store_is_remote(self->store))
        return;
    directory = bk_cache_directory(self->id);
    self->store = bk_store_cache_new(self->store, directory);
}

BkRepository *
bk_repository_open(BkStore *store, const char *name, const BkKeyFile *key, BkOp *op, GError **error)
{
    g_autoptr(BkRepository) self = repository_new(store, name);
    g_auto(BkBuf) identity = BK_BUF_INIT;
    g_autoptr(GError) cause = NULL;

    if (!read_identity(self, &identity, op, &cause)) {
        if (bk_error_is(cause, BK_ERROR_ABSENT))
            return bk_throw_null(error, BK_ERROR_STORE,
                                 "there is no repository \"%s\" in %s, which has no object "
                                 "\"backstay.json\": run \"backstay init\"",
                                 name, bk_store_describe(store));
        g_propagate_prefixed_error(error, g_steal_pointer(&cause), "repository \"%s\": ", name);
        return NULL;
    }
    if (!open_existing(self, key, &identity, op, error))
        return NULL;
    copy_bytes(&self->kept.identity, &identity);
    add_cache(self);
    return g_steal_pointer(&self);
}

/* Puts the identity. When another process was first, it must be the same repository. */
static bool
put_identity(const BkRepository *self, bool *created, BkOp *op, GError **error)
{
    g_autofree char *text = identity_text(self->id);
    BkBuf identity = {(uint8_t *)text, strlen(text), strlen(text)};
    g_auto(BkBuf) present = BK_BUF_INIT;
    g_autoptr(GError) cause = NULL;

    *created = bk_store_put(self->store, "backstay.json", &identity, op, &cause);
    if (*created)
        return true;
    if (!bk_error_is(cause, BK_ERROR_EXISTS))
        return bk_propagate(error, &cause);
    return read_identity(self, &present, op, error) && check_identity(self, &present, error);
}

/* Does a second put of a name leave the first object alone? A store that has never heard of
 * conditions, nor keeps versions, would let two writers overwrite each other without a word. The
 * probe's name makes it as short-lived as a lease: it is not locked. */
static bool
check_first_wins(BkStore *store, BkOp *op, GError **error)
{
    static const char text[] = "probe";
    BkBuf content = {(uint8_t *)(uintptr_t)text, strlen(text), strlen(text)};
    g_autoptr(GError) cause = NULL;
    g_autofree char *name = NULL;
    uint64_t number;
    bool overwrites;

    if (!bk_random_fill(&number, sizeof number, error))
        return false;
    name = g_strdup_printf("probe/lease/%016" G_GINT64_MODIFIER "x", number);
    if (!bk_store_put(store, name, &content, op, error))
        return false;
    content.size--;
    overwrites = bk_store_put(store, name, &content, op, &cause);
    if (!bk_store_delete(store, name, op, NULL))
        bk_log(BK_LOG_INFO, "\"%s\" stays in %s", name, bk_store_describe(store));
    if (overwrites)
        return bk_throw(error, BK_ERROR_STORE,
                        "%s lets a second put overwrite the first one: turn on versioning for the "
                        "bucket, or set \"conditions: false\" and write from one host only",
                        bk_store_describe(store));
    return bk_error_is(cause, BK_ERROR_EXISTS) || bk_propagate(error, &cause);
}

/* Continues a creation that was cut short: the slot may be there already. */
static bool
create_rest(BkRepository *self, const BkKeyFile *key, bool *created, BkOp *op, GError **error)
{
    g_autoptr(GError) cause = NULL;

    if (!create_slot(self, key, op, &cause)) {
        if (!bk_error_is(cause, BK_ERROR_EXISTS)) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return false;
        }
        g_clear_error(&cause);
    }
    return read_slot(self, key, op, error) && put_identity(self, created, op, error);
}

BkRepository *
bk_repository_create(BkStore *store, const char *name, const BkKeyFile *key, bool *created,
                     BkOp *op, GError **error)
{
    g_autoptr(BkRepository) self = repository_new(store, name);
    g_auto(BkBuf) identity = BK_BUF_INIT;
    g_autoptr(GError) cause = NULL;

    *created = false;
    if (read_identity(self, &identity, op, &cause))
        return open_existing(self, key, &identity, op, error) ? g_steal_pointer(&self) : NULL;
    if (!bk_error_is(cause, BK_ERROR_ABSENT)) {
        g_propagate_prefixed_error(error, g_steal_pointer(&cause), "repository \"%s\": ", name);
        return NULL;
    }
    if ((bk_store_is_remote(store) && !check_first_wins(store, op, error)) ||
        !create_rest(self, key, created, op, error))
        return bk_prefix(error, "create repository \"%s\"", name), NULL;
    return g_steal_pointer(&self);
}

static BkStore *
open_store(const BkLocation *place, bool create, GError **error)
{
    return place->s3 != NULL ? bk_store_s3_open(place->s3, error)
                             : bk_store_posix_open(place->path, create, error);
}

static BkStore *
open_place(const BkLocation *place, const char *name, bool create, GError **error)
{
    g_autoptr(GError) cause = NULL;
    BkStore *store = open_store(place, create, &cause);

    if (store != NULL)
        return store;
    if (bk_error_is(cause, BK_ERROR_ABSENT) && place->path != NULL)
        return bk_throw_null(error, BK_ERROR_STORE,
                             "there is no repository \"%s\" in directory \"%s\": run \"backstay "
                             "init\", or mount it",
                             name, place->path);
    g_propagate_prefixed_error(error, g_steal_pointer(&cause), "repository \"%s\": ", name);
    return NULL;
}

bool
bk_repository_is_at(const BkLocation *place, bool *found, BkOp *op, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(BkStore) store = open_store(place, false, &cause);
    uint64_t size;

    *found = store != NULL && bk_store_stat(store, "backstay.json", &size, op, &cause);
    /* A bucket whose store cannot be opened may lack a file of ours. */
    return *found ||
           ((store != NULL || place->path != NULL) && bk_error_is(cause, BK_ERROR_ABSENT)) ||
           bk_propagate(error, &cause);
}

BkRepository *
bk_repository_create_at(const BkLocation *place, const char *name, const BkKeyFile *key,
                        bool *created, BkOp *op, GError **error)
{
    BkStore *store = open_place(place, name, true, error);

    return store != NULL ? bk_repository_create(store, name, key, created, op, error) : NULL;
}

/* What opening the repository, and the part of a source, is going to read. */
static bool
read_ahead(BkStore *store, const BkKeyFile *key, const char *source, BkOp *op, GError **error)
{
    g_autofree char *slot = g_strdup_printf("keys/%s", key->slot);
    g_autofree char *source_key = g_strdup_printf("%s/key/%08x", source != NULL ? source : "", 1u);
    const char *const names[] = {"backstay.json", slot, source_key};

    return bk_store_prefetch(store, names, source != NULL ? 3 : 2, op, error);
}

BkRepository *
bk_repository_open_at(const BkLocation *place, const char *name, const BkKeyFile *key,
                      const char *source, BkOp *op, GError **error)
{
    BkStore *store = open_place(place, name, false, error);

    if (store == NULL)
        return NULL;
    if (!read_ahead(store, key, source, op, error)) {
        bk_store_free(store);
        return bk_prefix(error, "repository \"%s\"", name), NULL;
    }
    return bk_repository_open(store, name, key, op, error);
}

/* Opens it the full way, and keeps what is read. */
static BkRepository *
open_and_keep(const BkLocation *place, const char *name, const BkKeyFile *key, const char *source,
              BkOp *op, GError **error)
{
    const int64_t now_us = g_get_real_time();
    BkRepository *self = bk_repository_open_at(place, name, key, source, op, error);

    if (self == NULL || !bk_store_is_remote(self->store))
        return self;
    self->place = *place;
    self->kept_source = g_strdup(source);
    self->kept.made_us = now_us;
    memcpy(self->kept.slot, key->slot, sizeof self->kept.slot);
    return self;
}

static void
give_kept(BkStore *store, const BkKept *kept)
{
    g_autofree char *slot = g_strdup_printf("keys/%s", kept->slot);

    bk_store_prefetched(store, "backstay.json", &kept->identity);
    bk_store_prefetched(store, slot, &kept->slot_object);
    if (kept->has_no_versions)
        bk_store_take_no_versions(store);
}

BkRepository *
bk_repository_recall(const BkLocation *place, const char *name, const BkKeyFile *key,
                     const char *source, BkSourceRepo **source_repo, BkOp *op)
{
    g_autoptr(BkRepository) self = NULL;
    g_auto(BkKept) kept = {0};
    BkStore *store;

    *source_repo = NULL;
    bk_kept_init(&kept);
    if (place->s3 == NULL || !bk_kept_load(&kept, place, source, key->slot, g_get_real_time()))
        return NULL;
    store = open_store(place, false, NULL);
    if (store == NULL)
        return NULL;
    give_kept(store, &kept);
    self = bk_repository_open(store, name, key, op, NULL);
    if (self != NULL)
        *source_repo = bk_source_repo_open_known(self, source, &kept, op, NULL);
    if (*source_repo == NULL) {
        bk_kept_drop(place, source);
        return NULL;
    }
    return g_steal_pointer(&self);
}

BkRepository *
bk_repository_open_kept(const BkLocation *place, const char *name, const BkKeyFile *key,
                        const char *source, BkOp *op, GError **error)
{
    BkSourceRepo *source_repo;
    g_autoptr(BkRepository) self = bk_repository_recall(place, name, key, source, &source_repo, op);
    bool is_proven = false;

    if (self == NULL)
        return open_and_keep(place, name, key, source, op, error);
    self->source_repo = source_repo;
    if (!bk_source_repo_prove(source_repo, &is_proven, op, error))
        return bk_prefix(error, "repository \"%s\"", name), NULL;
    if (is_proven)
        return g_steal_pointer(&self);
    bk_kept_drop(place, source);
    return open_and_keep(place, name, key, source, op, error);
}

void
bk_repository_forget_kept(const BkLocation *place, const char *source)
{
    if (place->s3 != NULL)
        bk_kept_drop(place, source);
}

BkKept *
bk_repository_kept(const BkRepository *self, const char *source)
{
    return g_strcmp0(self->kept_source, source) == 0 ? (BkKept *)(uintptr_t)&self->kept : NULL;
}

void
bk_repository_keep(BkRepository *self)
{
    self->kept.has_no_versions = bk_store_has_no_versions(self->store);
    bk_kept_save(&self->kept, &self->place, self->kept_source);
}

BkSourceRepo *
bk_repository_take_part(BkRepository *self, const char *source)
{
    return self->source_repo != NULL &&
                   strcmp(bk_source_repo_source(self->source_repo), source) == 0
               ? g_steal_pointer(&self->source_repo)
               : NULL;
}

char *
bk_location_digest(const BkLocation *place)
{
    g_autofree char *text =
        place->s3 == NULL
            ? g_strdup(place->path)
            : g_strdup_printf("s3 %s %s %s", place->s3->endpoint != NULL ? place->s3->endpoint : "",
                              place->s3->bucket,
                              place->s3->prefix != NULL ? place->s3->prefix : "");
    uint8_t digest[BK_SHA256_SIZE];
    char hex[2 * BK_SHA256_SIZE + 1];

    bk_sha256(text, strlen(text), digest);
    bk_sha256_format(digest, hex);
    return g_strndup(hex, 16);
}

/* The directory of the name that is listed first; NULL when none was. */
typedef struct Directory {
    char *name;
    bool is_source; /* a source's key comes before all else that it has */
} Directory;

/* Ends the listing with the first name. */
static bool
take_directory(const BkStoreEntry *entry, void *data, GError **error)
{
    Directory *directory = data;
    size_t size = strcspn(entry->name, "/");

    directory->name = g_strndup(entry->name, size);
    directory->is_source = g_str_has_prefix(entry->name + size, "/key/");
    return bk_throw(error, BK_ERROR_EXISTS, "found");
}

GPtrArray *
bk_repository_list_sources(const BkRepository *self, BkOp *op, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *after = g_strdup("");

    for (;;) {
        Directory directory = {0};
        g_autoptr(GError) cause = NULL;

        if (bk_store_list(self->store, "", after, take_directory, &directory, op, &cause))
            return g_steal_pointer(&names);
        if (directory.name == NULL) {
            (void)bk_propagate(error, &cause);
            return NULL;
        }
        /* Past everything in it: no name has a character behind "~". */
        g_free(after);
        after = g_strconcat(directory.name, "/~", NULL);
        if (directory.is_source)
            g_ptr_array_add(names, directory.name);
        else
            g_free(directory.name);
    }
}

const BkKeyring *
bk_repository_keys(const BkRepository *self)
{
    return self->keys;
}

void
bk_repository_warn_foreign(const char *name, const char *place)
{
    bk_log(BK_LOG_WARNING, "skipped \"%s\", which does not belong to %s: delete it", name, place);
}
