/* test-repository.c - identity and keys of a repository, and of each source's part of it. */
#include "hook-store.h"
#include "odd-store.h"
#include "repo-fixture.h"
#include "store/cache.h"
#include "temp-dir.h"

/* Opens what `inner` holds as another process would, with key `number`. */
static BkRepository *
open_again(BkStore *inner, uint8_t number, BkOp *op, GError **error)
{
    BkKeyFile key;

    repo_fixture_key(&key, number);
    return bk_repository_open(&hook_store_new(inner)->base, "again", &key, op, error);
}

static BkRepository *
create_in(BkStore *inner, uint8_t number, bool *created, BkOp *op, GError **error)
{
    BkKeyFile key;

    repo_fixture_key(&key, number);
    return bk_repository_create(&hook_store_new(inner)->base, "again", &key, created, op, error);
}

static void
test_create_then_open(RepoFixture *self, const void *data)
{
    g_autoptr(BkRepository) again = NULL;
    g_autoptr(BkRepository) created_again = NULL;
    g_autoptr(GError) error = NULL;
    bool created = true;

    (void)data;
    again = open_again(self->store, 1, self->op, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(bk_repository_id(again), ==, bk_repository_id(self->repository));
    g_assert_cmpuint(strlen(bk_repository_id(again)), ==, 32);
    g_assert_cmpstr(bk_repository_name(again), ==, "again");
    created_again = create_in(self->store, 1, &created, self->op, &error);
    g_assert_no_error(error);
    g_assert_false(created);
    g_assert_cmpstr(bk_repository_id(created_again), ==, bk_repository_id(self->repository));
}

static void
test_wrong_key(RepoFixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    BkKeyFile key = self->key;
    bool created;

    (void)data;
    EXPECT_ERROR(open_again(self->store, 2, self->op, &error) != NULL, BK_ERROR_KEY);
    EXPECT_ERROR(create_in(self->store, 2, &created, self->op, &error) != NULL, BK_ERROR_KEY);
    /* The right slot with another secret: not distinguishable from damage, but refused. */
    key.secret.bytes[5] ^= 1;
    EXPECT_ERROR(
        bk_repository_open(&hook_store_new(self->store)->base, "x", &key, self->op, &error) != NULL,
        BK_ERROR_CORRUPT);
}

static void
test_newer_format(RepoFixture *self, const void *data)
{
    static const char newer[] = "{\"backstay_repository\":2,\"keyring\":\"elsewhere\"}\n";
    g_auto(BkBuf) identity = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;
    bool created;

    (void)data;
    bk_buf_append(&identity, newer, strlen(newer));
    repo_fixture_overwrite(self->store, "backstay.json", &identity, self->op);
    EXPECT_ERROR(open_again(self->store, 1, self->op, &error) != NULL, BK_ERROR_UNSUPPORTED);
    EXPECT_ERROR(open_again(self->store, 2, self->op, &error) != NULL, BK_ERROR_UNSUPPORTED);
    EXPECT_ERROR(create_in(self->store, 1, &created, self->op, &error) != NULL,
                 BK_ERROR_UNSUPPORTED);
}

static bool
open_all(BkStore *store, BkOp *op, GError **error)
{
    g_autoptr(BkRepository) repository = open_again(store, 1, op, error);
    g_autoptr(BkSourceRepo) source_repo = NULL;

    if (repository == NULL)
        return false;
    source_repo = bk_source_repo_open(repository, "orders", op, error);
    return source_repo != NULL;
}

/* No byte of the three objects can be flipped or cut off without an error. */
static void
test_damaged_objects(RepoFixture *self, const void *data)
{
    g_autoptr(GPtrArray) names = repo_fixture_names(self->store, "", self->op);
    g_autoptr(GError) error = NULL;

    (void)data;
    g_assert_cmpuint(names->len, ==, 3);
    EXPECT_DONE(open_all(self->store, self->op, &error));
    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        g_auto(BkBuf) object = BK_BUF_INIT;

        repo_fixture_get(self->store, name, &object, self->op);
        for (size_t at = 0; at < object.size; at++) {
            BkBuf cut = {object.data, at, at};

            object.data[at] ^= 4;
            repo_fixture_overwrite(self->store, name, &object, self->op);
            g_assert_false(open_all(self->store, self->op, &error));
            g_assert_true(bk_error_is(error, BK_ERROR_CORRUPT) ||
                          bk_error_is(error, BK_ERROR_UNSUPPORTED));
            g_clear_error(&error);
            object.data[at] ^= 4;
            repo_fixture_overwrite(self->store, name, &cut, self->op);
            EXPECT_ERROR(open_all(self->store, self->op, &error), BK_ERROR_CORRUPT);
        }
        repo_fixture_overwrite(self->store, name, &object, self->op);
    }
    EXPECT_DONE(open_all(self->store, self->op, &error));
}

static void
test_no_repository(void)
{
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_autoptr(BkStore) empty = bk_store_mem_new();
    g_autofree char *dir = temp_dir_new();
    g_autofree char *missing = g_build_filename(dir, "no", NULL);
    g_autoptr(GError) error = NULL;
    BkKeyFile key;
    bool created;

    repo_fixture_key(&key, 1);
    EXPECT_ERROR(open_again(empty, 1, op, &error) != NULL, BK_ERROR_STORE);
    EXPECT_ERROR(bk_repository_open_at(&(BkLocation){.path = dir}, "x", &key, NULL, op, &error) !=
                     NULL,
                 BK_ERROR_STORE);
    EXPECT_ERROR(
        bk_repository_open_at(&(BkLocation){.path = missing}, "x", &key, NULL, op, &error) != NULL,
        BK_ERROR_STORE);
    bk_repository_free(
        bk_repository_create_at(&(BkLocation){.path = missing}, "x", &key, &created, op, &error));
    g_assert_no_error(error);
    bk_repository_free(
        bk_repository_open_at(&(BkLocation){.path = missing}, "x", &key, NULL, op, &error));
    g_assert_no_error(error);
    temp_dir_free(g_steal_pointer(&dir));
}

/* Creation of repository and part, cut short at one store operation, then repeated. */
static bool
create_with_fault(BkStore *store, BkStoreOperation operation, unsigned nth, bool after)
{
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(BkRepository) repository = NULL;
    g_autoptr(BkSourceRepo) source_repo = NULL;
    bool created;

    bk_store_fault_arm(store, operation, nth, BK_ERROR_STORE, after);
    repository = create_in(store, 1, &created, op, &error);
    if (repository != NULL)
        source_repo = bk_source_repo_create(repository, "orders", NULL, op, &error);
    g_assert_true(source_repo != NULL || bk_error_is(error, BK_ERROR_STORE));
    return source_repo == NULL;
}

static void
test_creation_cut_short(void)
{
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_autoptr(GError) error = NULL;

    for (int operation = 0; operation < (int)BK_STORE_OPERATION_COUNT; operation++) {
        for (unsigned nth = 1; nth < 10; nth++) {
            for (unsigned after = 0; after < 2; after++) {
                g_autoptr(BkStore) store = bk_store_fault_new(bk_store_mem_new());

                if (!create_with_fault(store, (BkStoreOperation)operation, nth, after != 0))
                    continue;
                g_assert_false(create_with_fault(store, BK_STORE_OPERATION_DELETE, 1, false));
                EXPECT_DONE(open_all(store, op, &error));
            }
        }
    }
}

typedef struct Rival {
    BkStore *store;
    uint8_t key;
    BkOp *op;
    char *id;
} Rival;

static void
create_first(void *data)
{
    Rival *rival = data;
    g_autoptr(GError) error = NULL;
    g_autoptr(BkRepository) repository = NULL;
    bool created;

    repository = create_in(rival->store, rival->key, &created, rival->op, &error);
    g_assert_no_error(error);
    g_assert_true(created);
    rival->id = g_strdup(bk_repository_id(repository));
}

/* Another process creates the repository while this one puts `source_repo`. */
static BkRepository *
create_racing(const char *source_repo, uint8_t rival_key, BkStore *store, Rival *rival,
              GError **error)
{
    HookStore *hooked = hook_store_new(store);
    BkRepository *repository;
    BkKeyFile key;
    bool created = true;

    *rival = (Rival){.store = store, .key = rival_key, .op = bk_op_new(NULL)};
    repo_fixture_key(&key, 1);
    hooked->name_part = source_repo;
    hooked->hook = create_first;
    hooked->data = rival;
    repository = bk_repository_create(&hooked->base, "racing", &key, &created, rival->op, error);
    g_assert_false(created);
    bk_op_free(rival->op);
    return repository;
}

/* With the same key both have the repository that was first. */
static void
test_racing_creations_same_key(void)
{
    static const char *const source_repos[] = {"keys/", "backstay.json"};

    for (size_t i = 0; i < G_N_ELEMENTS(source_repos); i++) {
        g_autoptr(BkStore) store = bk_store_mem_new();
        g_autoptr(GError) error = NULL;
        g_autoptr(BkRepository) repository = NULL;
        Rival rival;

        repository = create_racing(source_repos[i], 1, store, &rival, &error);
        g_assert_no_error(error);
        g_assert_cmpstr(bk_repository_id(repository), ==, rival.id);
        g_free(rival.id);
    }
}

/* With another key the later one fails, and the first one's repository is whole. */
static void
test_racing_creations_other_key(void)
{
    static const char *const source_repos[] = {"keys/", "backstay.json"};

    for (size_t i = 0; i < G_N_ELEMENTS(source_repos); i++) {
        g_autoptr(BkStore) store = bk_store_mem_new();
        g_autoptr(BkOp) op = bk_op_new(NULL);
        g_autoptr(GError) error = NULL;
        g_autoptr(BkRepository) repository = NULL;
        Rival rival;

        g_assert_null(create_racing(source_repos[i], 2, store, &rival, &error));
        g_clear_error(&error);
        repository = open_again(store, 2, op, &error);
        g_assert_no_error(error);
        g_assert_cmpstr(bk_repository_id(repository), ==, rival.id);
        g_free(rival.id);
    }
}

static void
test_parts_are_apart(RepoFixture *self, const void *data)
{
    g_autoptr(BkSourceRepo) other = NULL;
    g_autoptr(BkSourceRepo) again = NULL;
    g_autoptr(GError) error = NULL;

    (void)data;
    EXPECT_ERROR(bk_source_repo_open(self->repository, "web", self->op, &error) != NULL,
                 BK_ERROR_NOT_FOUND);
    other = bk_source_repo_create(self->repository, "web", NULL, self->op, &error);
    g_assert_no_error(error);
    g_assert_false(bk_source_repo_shares_keys(self->source_repo, other));
    again = bk_source_repo_create(self->repository, "orders", other, self->op, &error);
    g_assert_no_error(error);
    g_assert_true(
        bk_source_repo_shares_keys(self->source_repo, again)); /* the model is for a missing one */
    g_assert_cmpstr(bk_source_repo_source(again), ==, "orders");
    g_assert_true(bk_source_repo_repository(again) == self->repository);
}

static void
test_model_shares_keys(RepoFixture *self, const void *data)
{
    g_autoptr(BkStore) store = bk_store_mem_new();
    g_autoptr(BkRepository) repository = NULL;
    g_autoptr(BkSourceRepo) source_repo = NULL;
    g_autoptr(BkSourceRepo) again = NULL;
    g_autoptr(GError) error = NULL;
    bool created;

    (void)data;
    repository = create_in(store, 2, &created, self->op, &error);
    source_repo = bk_source_repo_create(repository, "orders", self->source_repo, self->op, &error);
    g_assert_no_error(error);
    g_assert_true(bk_source_repo_shares_keys(self->source_repo, source_repo));
    again = bk_source_repo_open(repository, "orders", self->op, &error);
    g_assert_no_error(error);
    g_assert_true(bk_source_repo_shares_keys(self->source_repo, again));
    EXPECT_BYTES(bk_source_repo_hash_secret(source_repo, 1), sizeof(BkXxh3Secret),
                 bk_source_repo_hash_secret(self->source_repo, 1), sizeof(BkXxh3Secret));
}

static void
create_part_first(void *data)
{
    RepoFixture *self = data;
    g_autoptr(GError) error = NULL;
    g_autoptr(BkSourceRepo) source_repo =
        bk_source_repo_create(self->repository, "web", NULL, self->op, &error);

    g_assert_no_error(error);
}

/* Two processes that create a part have the same key: that of the first. */
static void
test_racing_parts(RepoFixture *self, const void *data)
{
    HookStore *hooked = hook_store_new(self->store);
    g_autoptr(BkRepository) repository = NULL;
    g_autoptr(BkSourceRepo) late = NULL;
    g_autoptr(BkSourceRepo) first = NULL;
    g_autoptr(GError) error = NULL;

    (void)data;
    repository = bk_repository_open(&hooked->base, "late", &self->key, self->op, &error);
    hooked->name_part = "web/key/";
    hooked->hook = create_part_first;
    hooked->data = self;
    late = bk_source_repo_create(repository, "web", NULL, self->op, &error);
    g_assert_no_error(error);
    first = bk_source_repo_open(self->repository, "web", self->op, &error);
    g_assert_no_error(error);
    g_assert_true(bk_source_repo_shares_keys(first, late));
}

/* A key object under the name of another source or generation is not taken for its key. What has no
 * name of a key is none, and does not keep the source from use. */
static void
test_keys_out_of_place(RepoFixture *self, const void *data)
{
    static const char *const misplaced[] = {"web/key/00000001", "orders/key/00000002"};
    static const char *const foreign[] = {
        "orders/key/0x000001", "orders/key/-0000001",  "orders/key/0000000A",   "orders/key/1",
        "orders/key/00000000", "orders/key/000000001", "orders/key/.nfs00000a1"};
    g_autoptr(BkSourceRepo) source_repo = NULL;
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    (void)data;
    repo_fixture_get(self->store, "orders/key/00000001", &object, self->op);
    for (size_t i = 0; i < G_N_ELEMENTS(misplaced); i++) {
        g_autofree char *source = g_strndup(misplaced[i], strcspn(misplaced[i], "/"));

        EXPECT_DONE(bk_store_put(self->store, misplaced[i], &object, self->op, &error));
        EXPECT_ERROR(bk_source_repo_open(self->repository, source, self->op, &error) != NULL,
                     BK_ERROR_CORRUPT);
        EXPECT_DONE(bk_store_delete(self->store, misplaced[i], self->op, &error));
    }
    for (size_t i = 0; i < G_N_ELEMENTS(foreign); i++)
        EXPECT_DONE(bk_store_put(self->store, foreign[i], &object, self->op, &error));
    source_repo = bk_source_repo_open(self->repository, "orders", self->op, &error);
    g_assert_no_error(error);
    g_assert_true(bk_source_repo_shares_keys(source_repo, self->source_repo));
}

static bool
note_entry(const BkStoreEntry *entry, void *data, GError **error)
{
    GPtrArray *names = data;

    (void)error;
    g_ptr_array_add(names, g_strdup(entry->name));
    return true;
}

/* A store that is far away is tried before anything is entrusted to it. */
static void
test_a_store_that_overwrites(void)
{
    g_autofree char *directory = temp_dir_new();
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;
    OddStore *odd = odd_store_new();
    g_autoptr(BkStore) inner = &odd->base;
    BkKeyFile key;
    bool created;

    repo_fixture_key(&key, 1);
    odd->overwrites = true;
    EXPECT_ERROR(bk_repository_create(bk_store_cache_new(&hook_store_new(inner)->base, directory),
                                      "far", &key, &created, op, &error) != NULL,
                 BK_ERROR_STORE);
    odd->overwrites = false;
    {
        g_autoptr(BkRepository) repository =
            bk_repository_create(bk_store_cache_new(&hook_store_new(inner)->base, directory), "far",
                                 &key, &created, op, &error);

        g_assert_no_error(error);
        g_assert_true(created);
    }
    EXPECT_DONE(bk_store_list(inner, "probe/", NULL, note_entry, names, op, &error));
    g_assert_cmpuint(names->len, ==, 0);
    temp_dir_free(g_steal_pointer(&directory));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    REPO_TEST("/repository/create-then-open", test_create_then_open);
    REPO_TEST("/repository/wrong-key", test_wrong_key);
    REPO_TEST("/repository/newer-format", test_newer_format);
    REPO_TEST("/repository/damaged-objects", test_damaged_objects);
    g_test_add_func("/repository/a-store-that-overwrites", test_a_store_that_overwrites);
    g_test_add_func("/repository/no-repository", test_no_repository);
    g_test_add_func("/repository/creation-cut-short", test_creation_cut_short);
    g_test_add_func("/repository/racing-creations-same-key", test_racing_creations_same_key);
    g_test_add_func("/repository/racing-creations-other-key", test_racing_creations_other_key);
    REPO_TEST("/part/parts-are-apart", test_parts_are_apart);
    REPO_TEST("/part/model-shares-keys", test_model_shares_keys);
    REPO_TEST("/part/racing-parts", test_racing_parts);
    REPO_TEST("/part/keys-out-of-place", test_keys_out_of_place);
    return g_test_run();
}
