/* source-repo.c - the share of one source in a repository: opening it, its keys, names of its
 * objects. */
#include "codec/wire.h"
#include "repo/repository-priv.h"
#include "repo/reread.h"

#include <string.h>

#define SOURCE_KEY_VERSION 1
#define MAX_KEY_OBJECT     BK_KEPT_OBJECT_MAX
#define MAX_GENERATIONS    BK_KEPT_KEYS_MAX

struct BkSourceRepo {
    BkRepository *repository;
    char *source;
    BkKeyring *keys;
    GArray *generations;     /* uint32_t, ascending, as in `keys` */
    GPtrArray *hash_secrets; /* BkXxh3Secret, one per generation, in memory for secrets */
    BkBuf newest;            /* key object of a part that was recalled, as it was kept */
};

void
bk_source_repo_free(BkSourceRepo *self)
{
    if (self == NULL)
        return;
    g_free(self->source);
    bk_keyring_free(self->keys);
    g_array_unref(self->generations);
    g_ptr_array_unref(self->hash_secrets);
    bk_buf_clear(&self->newest);
    g_free(self);
}

static BkSourceRepo *
part_new(BkRepository *repository, const char *source)
{
    BkSourceRepo *self = g_new0(BkSourceRepo, 1);

    self->repository = repository;
    self->source = g_strdup(source);
    self->keys = bk_keyring_new();
    self->generations = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    self->hash_secrets = g_ptr_array_new_with_free_func(bk_secret_free);
    return self;
}

const char *
bk_source_repo_source(const BkSourceRepo *self)
{
    return self->source;
}

BkRepository *
bk_source_repo_repository(const BkSourceRepo *self)
{
    return self->repository;
}

const char *
bk_source_repo_repository_name(const BkSourceRepo *self)
{
    return bk_repository_name(self->repository);
}

BkStore *
bk_source_repo_store(const BkSourceRepo *self)
{
    return bk_repository_store(self->repository);
}

const BkKeyring *
bk_source_repo_keys(const BkSourceRepo *self)
{
    return self->keys;
}

const BkXxh3Secret *
bk_source_repo_hash_secret(const BkSourceRepo *self, uint32_t generation)
{
    for (guint i = 0; i < self->generations->len; i++)
        if (g_array_index(self->generations, uint32_t, i) == generation)
            return g_ptr_array_index(self->hash_secrets, i);
    g_assert_not_reached();
}

bool
bk_source_repo_shares_keys(const BkSourceRepo *self, const BkSourceRepo *other)
{
    uint32_t generation;
    uint32_t other_generation;
    const BkSecret *key = bk_keyring_newest(self->keys, &generation);
    const BkSecret *other_key = bk_keyring_newest(other->keys, &other_generation);

    return generation == other_generation && memcmp(key, other_key, sizeof *key) == 0;
}

char *
bk_source_repo_object_name(const BkSourceRepo *self, const char *format, ...)
{
    g_autofree char *rest = NULL;
    va_list args;

    va_start(args, format);
    rest = g_strdup_vprintf(format, args);
    va_end(args);
    return g_strconcat(self->source, "/", rest, NULL);
}

static bool
add_name(const BkStoreEntry *entry, void *data, GError **error)
{
    GPtrArray *names = data;

    (void)error;
    g_ptr_array_add(names, g_strdup(entry->name));
    return true;
}

bool
bk_source_repo_retain_keys(const BkSourceRepo *self, BkOp *op, GError **error)
{
    BkStore *store = bk_source_repo_store(self);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *prefix = bk_source_repo_object_name(self, "key/");

    if (bk_store_lock_us(store) == 0)
        return true;
    g_ptr_array_add(names, g_strdup("backstay.json"));
    if (!bk_store_list(store, "keys/", NULL, add_name, names, op, error) ||
        !bk_store_list(store, prefix, NULL, add_name, names, op, error))
        return false;
    for (guint i = 0; i < names->len; i++)
        if (!bk_store_retain(store, g_ptr_array_index(names, i), op, error))
            return false;
    return true;
}

static void
add_generation(BkSourceRepo *self, uint32_t generation, const BkSecret *key)
{
    BkXxh3Secret *secret = bk_secret_alloc(sizeof *secret);

    bk_keyring_add(self->keys, generation, key);
    bk_xxh3_secret_derive(key, secret);
    g_array_append_val(self->generations, generation);
    g_ptr_array_add(self->hash_secrets, secret);
}

static bool
read_key_once(BkSourceRepo *self, const char *name, uint32_t generation, BkOp *op, GError **error)
{
    const BkSealAs as = {bk_repository_keys(self->repository), BK_SEAL_SOURCE_KEY, name};
    g_autoptr(BkOpener) opener = bk_opener_new();
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_auto(BkBuf) raw = BK_BUF_INIT;
    g_auto(BkSecret) key = {{0}};
    g_autofree char *source = NULL;
    const uint8_t *bytes;
    BkWireReader reader;

    if (!bk_store_get(bk_source_repo_store(self), name, 0, SIZE_MAX, MAX_KEY_OBJECT, &object, op,
                      error))
        return false;
    if (!bk_unseal(opener, &as, &object, MAX_KEY_OBJECT, &raw, error))
        return bk_prefix(error, "object \"%s\"", name);
    bk_wire_reader_init(&reader, raw.data, raw.size);
    if (bk_wire_get_u8(&reader) != SOURCE_KEY_VERSION)
        reader.failed = true;
    source = bk_wire_get_string(&reader, 256);
    if (bk_wire_get_u32(&reader) != generation || strcmp(source, self->source) != 0)
        reader.failed = true;
    bytes = bk_wire_get_raw(&reader, BK_SECRET_SIZE);
    if (bytes != NULL)
        memcpy(key.bytes, bytes, BK_SECRET_SIZE);
    bk_wipe(raw.data, raw.size);
    if (!bk_wire_end(&reader, "source key (or that of another source)", error))
        return bk_prefix(error, "object \"%s\"", name);
    add_generation(self, generation, &key);
    if (bk_repository_kept(self->repository, self->source) != NULL)
        bk_kept_add_key(bk_repository_kept(self->repository, self->source), generation, &object);
    return true;
}

static bool
read_key(BkSourceRepo *self, uint32_t generation, BkOp *op, GError **error)
{
    g_autofree char *name = bk_source_repo_object_name(self, "key/%08x", generation);
    g_autoptr(GError) cause = NULL;
    unsigned tries = 0;

    while (!read_key_once(self, name, generation, op, &cause))
        if (!bk_reread_is_worth(bk_source_repo_store(self), name, &tries, &cause, op))
            return bk_propagate(error, &cause);
    return true;
}

/* Seals the source's key with the repository's and puts it; another process may be first. */
static bool
put_key(BkSourceRepo *self, uint32_t generation, const BkSecret *key, BkOp *op, GError **error)
{
    g_autofree char *name = bk_source_repo_object_name(self, "key/%08x", generation);
    const BkSealAs as = {bk_repository_keys(self->repository), BK_SEAL_SOURCE_KEY, name};
    g_autoptr(BkSealer) sealer = bk_sealer_new(BK_CODEC_STORED, 0);
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_auto(BkBuf) raw = BK_BUF_INIT;
    g_autoptr(GError) cause = NULL;
    bool ok;

    bk_wire_put_u8(&raw, SOURCE_KEY_VERSION);
    bk_wire_put_string(&raw, self->source);
    bk_wire_put_u32(&raw, generation);
    bk_buf_append(&raw, key->bytes, BK_SECRET_SIZE);
    ok = bk_seal(sealer, &as, raw.data, raw.size, &object, error);
    bk_wipe(raw.data, raw.size);
    if (!ok)
        return false;
    if (bk_store_put(bk_source_repo_store(self), name, &object, op, &cause) ||
        bk_error_is(cause, BK_ERROR_EXISTS))
        return true;
    return bk_propagate(error, &cause);
}

static bool
visit_key(const BkStoreEntry *entry, void *data, GError **error)
{
    GArray *numbers = data;
    const char *base = bk_store_base_name(entry->name);
    uint32_t number = (uint32_t)g_ascii_strtoull(base, NULL, 16);
    char expected[9];

    /* One name a number: not "0000000A", nor what strtoull allows besides digits. */
    (void)g_snprintf(expected, sizeof expected, "%08x", number);
    if (strcmp(base, expected) != 0 || number == 0) {
        bk_repository_warn_foreign(entry->name, "the keys");
        return true;
    }
    if (numbers->len >= MAX_GENERATIONS)
        return bk_throw(error, BK_ERROR_CORRUPT, "\"%s\": a source has more than %d keys",
                        entry->name, MAX_GENERATIONS);
    g_array_append_val(numbers, number);
    return true;
}

static bool
read_keys(BkSourceRepo *self, BkOp *op, GError **error)
{
    g_autofree char *prefix = bk_source_repo_object_name(self, "key/");
    g_autoptr(GArray) numbers = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    const BkKept *kept = bk_repository_kept(self->repository, self->source);

    if (kept != NULL)
        g_array_set_size(kept->keys, 0);
    if (!bk_store_list(bk_source_repo_store(self), prefix, NULL, visit_key, numbers, op, error))
        return false;
    for (guint i = 0; i < numbers->len; i++)
        if (!read_key(self, g_array_index(numbers, uint32_t, i), op, error))
            return false;
    return true;
}

static bool
visit_any(const BkStoreEntry *entry, void *data, GError **error)
{
    char **name = data;

    *name = g_strdup(entry->name);
    return bk_throw(error, BK_ERROR_EXISTS, "one is enough");
}

/* A part without a key but with other objects has lost its key: it is damaged, and a new key must
 * not be made for it. */
static bool
check_not_lost(BkSourceRepo *self, BkOp *op, GError **error)
{
    g_autofree char *prefix = bk_source_repo_object_name(self, "%s", "");
    g_autofree char *found = NULL;
    g_autoptr(GError) cause = NULL;

    if (!bk_keyring_is_empty(self->keys))
        return true;
    if (!bk_store_list(bk_source_repo_store(self), prefix, NULL, visit_any, &found, op, &cause) &&
        found == NULL)
        return bk_propagate(error, &cause);
    if (found == NULL)
        return true;
    /* Another process may have made the key, and put something, since the keys were read. */
    if (!read_keys(self, op, error))
        return false;
    if (!bk_keyring_is_empty(self->keys))
        return true;
    return bk_throw(error, BK_ERROR_CORRUPT,
                    "object \"%skey/00000001\" is missing, though there is \"%s\"", prefix, found);
}

BkSourceRepo *
bk_source_repo_open(BkRepository *repository, const char *source, BkOp *op, GError **error)
{
    g_autoptr(BkSourceRepo) self = bk_repository_take_part(repository, source);

    if (self != NULL)
        return g_steal_pointer(&self);
    self = part_new(repository, source);
    if (!read_keys(self, op, error) || !check_not_lost(self, op, error))
        return bk_prefix(error, "repository \"%s\"", bk_repository_name(repository)), NULL;
    if (bk_keyring_is_empty(self->keys))
        return bk_throw_null(error, BK_ERROR_NOT_FOUND,
                             "repository \"%s\" has nothing of source \"%s\"",
                             bk_repository_name(repository), source);
    if (bk_repository_kept(repository, source) != NULL)
        bk_repository_keep(repository);
    return g_steal_pointer(&self);
}

BkSourceRepo *
bk_source_repo_open_known(BkRepository *repository, const char *source, const BkKept *kept,
                          BkOp *op, GError **error)
{
    g_autoptr(BkSourceRepo) self = part_new(repository, source);

    for (guint i = 0; i < kept->keys->len; i++) {
        const BkKeptKey *key = &g_array_index(kept->keys, BkKeptKey, i);
        g_autofree char *name = bk_source_repo_object_name(self, "key/%08x", key->generation);

        bk_store_prefetched(bk_source_repo_store(self), name, &key->object);
        if (!read_key(self, key->generation, op, error))
            return NULL;
        self->newest.size = 0;
        bk_buf_append(&self->newest, key->object.data, key->object.size);
    }
    return g_steal_pointer(&self);
}

bool
bk_source_repo_prove(const BkSourceRepo *self, bool *is_proven, BkOp *op, GError **error)
{
    g_autofree char *name = NULL;
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_autoptr(GError) cause = NULL;
    uint32_t generation;

    (void)bk_keyring_newest(self->keys, &generation);
    name = bk_source_repo_object_name(self, "key/%08x", generation);
    *is_proven = bk_store_get(bk_source_repo_store(self), name, 0, SIZE_MAX, MAX_KEY_OBJECT,
                              &object, op, &cause) &&
                 object.size > 0 && object.size == self->newest.size &&
                 memcmp(object.data, self->newest.data, object.size) == 0;
    return cause == NULL || bk_error_is(cause, BK_ERROR_ABSENT) ||
           bk_error_is(cause, BK_ERROR_CORRUPT) || bk_propagate(error, &cause);
}

BkSourceRepo *
bk_source_repo_create(BkRepository *repository, const char *source, const BkSourceRepo *model,
                      BkOp *op, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(BkSourceRepo) self = bk_source_repo_open(repository, source, op, &cause);
    g_auto(BkSecret) key = {{0}};
    uint32_t generation = 1;

    if (self != NULL)
        return g_steal_pointer(&self);
    if (!bk_error_is(cause, BK_ERROR_NOT_FOUND)) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return NULL;
    }
    self = part_new(repository, source);
    if (model != NULL)
        key = *bk_keyring_newest(model->keys, &generation);
    else if (!bk_random_fill(key.bytes, sizeof key.bytes, error))
        return NULL;
    if (!put_key(self, generation, &key, op, error))
        return NULL;
    return bk_source_repo_open(repository, source, op, error);
}
