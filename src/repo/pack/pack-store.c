/* pack-store.c - names of packs in a repository; putting and listing them. */
#include "repo/pack/pack.h"

char *
bk_pack_object_name(const BkSourceRepo *source_repo, const uint8_t name[BK_SHA256_SIZE])
{
    char text[2 * BK_SHA256_SIZE + 1];

    bk_sha256_format(name, text);
    return bk_source_repo_object_name(source_repo, "packs/%.2s/%s", text, text);
}

BkSealAs
bk_pack_seal_as(const BkSourceRepo *source_repo, const char *directory)
{
    return (BkSealAs){bk_source_repo_keys(source_repo), BK_SEAL_PACK, directory};
}

bool
bk_pack_put(const BkSourceRepo *source_repo, const uint8_t name[BK_SHA256_SIZE],
            const BkBuf *object, BkOp *op, GError **error)
{
    g_autofree char *object_name = bk_pack_object_name(source_repo, name);
    g_autoptr(GError) cause = NULL;

    if (bk_store_put_hashed(bk_source_repo_store(source_repo), object_name, object, name, op,
                            &cause) ||
        bk_error_is(cause, BK_ERROR_EXISTS))
        return true;
    return bk_propagate(error, &cause);
}

static bool
visit_pack(const BkStoreEntry *entry, void *data, GError **error)
{
    GHashTable *packs = data;

    (void)error;
    g_hash_table_insert(packs, g_strdup(entry->name), GSIZE_TO_POINTER(entry->size));
    return true;
}

GHashTable *
bk_pack_list(const BkSourceRepo *source_repo, BkOp *op, GError **error)
{
    g_autoptr(GHashTable) packs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autofree char *prefix = bk_source_repo_object_name(source_repo, "packs/");

    if (!bk_store_list(bk_source_repo_store(source_repo), prefix, NULL, visit_pack, packs, op,
                       error))
        return NULL;
    return g_steal_pointer(&packs);
}
