/* fuzz-keys.c - what opens a repository, as an intruder or one who has a key could write it: the
 * key slot, a source's key, and backstay.json. Opened is only what is what was put, or an error. */
#include "../repo-fixture.h"
#include "repo/repository-priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
is_expected(const GError *error)
{
    return bk_error_is(error, BK_ERROR_CORRUPT) || bk_error_is(error, BK_ERROR_UNSUPPORTED);
}

/* Has `name` hold the input, sealed as the program would. */
static void
put_sealed(RepoFixture *fixture, const BkSealAs *as, const uint8_t *data, size_t size)
{
    g_autoptr(BkSealer) sealer = bk_sealer_new(BK_CODEC_STORED, 0);
    g_auto(BkBuf) object = BK_BUF_INIT;

    if (!bk_seal(sealer, as, data, size, &object, NULL))
        g_assert_not_reached();
    repo_fixture_overwrite(fixture->store, as->name, &object, fixture->op);
}

/* The objects of the fixture in a store of their own, which a second repository may own. */
static bool
copy_object(const BkStoreEntry *entry, void *data, GError **error)
{
    RepoFixture *fixture = data;
    g_auto(BkBuf) object = BK_BUF_INIT;

    repo_fixture_get(fixture->store, entry->name, &object, fixture->op);
    return bk_store_put(fixture->second_store, entry->name, &object, fixture->op, error);
}

/* Opens the repository as it is now; true when that succeeds. */
static bool
opens(RepoFixture *fixture)
{
    g_autoptr(BkRepository) repository = NULL;
    g_autoptr(BkSourceRepo) source_repo = NULL;
    g_autoptr(GError) error = NULL;

    fixture->second_store = bk_store_mem_new();
    if (!bk_store_list(fixture->store, "", NULL, copy_object, fixture, fixture->op, NULL))
        g_assert_not_reached();
    repository =
        bk_repository_open(fixture->second_store, "copy", &fixture->key, fixture->op, &error);
    g_assert(repository != NULL || is_expected(error));
    if (repository == NULL)
        return false;
    source_repo = bk_source_repo_open(repository, "orders", fixture->op, &error);
    g_assert(source_repo != NULL || is_expected(error));
    return source_repo != NULL;
}

/* The first byte chooses the object. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char slot[] = "keys/0000000000000001";
    g_autoptr(BkKeyring) slot_keys = bk_keyring_new();
    RepoFixture fixture;

    if (size == 0)
        return 0;
    repo_fixture_init(&fixture);
    bk_keyring_add(slot_keys, 1, &fixture.key.secret);
    if (data[0] % 3 == 0) {
        g_auto(BkBuf) identity = BK_BUF_INIT;
        BkBuf text = {(uint8_t *)(uintptr_t)(data + 1), size - 1, size - 1};
        bool is_same;

        repo_fixture_get(fixture.store, "backstay.json", &identity, fixture.op);
        is_same = text.size == identity.size && memcmp(text.data, identity.data, text.size) == 0;
        repo_fixture_overwrite(fixture.store, "backstay.json", &text, fixture.op);
        g_assert(opens(&fixture) == is_same);
    } else if (data[0] % 3 == 1) {
        put_sealed(&fixture, &(BkSealAs){slot_keys, BK_SEAL_KEY_SLOT, slot}, data + 1, size - 1);
        g_assert(!opens(&fixture)); /* nobody guesses the id and the key */
    } else {
        const BkSealAs as = {bk_repository_keys(fixture.repository), BK_SEAL_SOURCE_KEY,
                             "orders/key/00000001"};

        put_sealed(&fixture, &as, data + 1, size - 1);
        (void)opens(&fixture);
    }
    repo_fixture_clear(&fixture);
    return 0;
}
