/* test-golden.c - every file of every golden repository in tests/data, by the code that restores
 * use, without a server. */
#include "base/fd.h"
#include "expect.h"
#include "repo/extract/extract.h"
#include "repo/keyfile.h"
#include "repo/snapshot/snapshot-manifest.h"
#include "store/testing/mem.h"

#include <fcntl.h>

#define DATA     "tests/data"
#define FILE_MAX ((size_t)256 << 20)

typedef struct Golden {
    const char *name;
    BkOp *op;
    BkKeyFile key;
    char *expected; /* files.json */
} Golden;

/* Everything below `directory` as objects of a store in memory. */
static void
fill_store(const Golden *self, BkStore *store, const char *directory, const char *prefix)
{
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    const char *name;

    g_assert_nonnull(dir);
    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(directory, name, NULL);
        g_autofree char *object = g_strconcat(prefix, name, NULL);
        g_autofree char *below = g_strconcat(object, "/", NULL);
        g_auto(BkBuf) content = BK_BUF_INIT;
        g_autoptr(GError) error = NULL;

        if (g_file_test(path, G_FILE_TEST_IS_DIR)) {
            fill_store(self, store, path, below);
            continue;
        }
        EXPECT_DONE(bk_file_read(AT_FDCWD, path, FILE_MAX, &content, &error));
        EXPECT_DONE(bk_store_put(store, object, &content, self->op, &error));
    }
}

/* A checkout leaves the key readable for others, which a key file must not be. */
static void
read_key(Golden *self)
{
    g_autofree char *path = g_build_filename(DATA, self->name, "key", NULL);
    g_autofree char *copy = g_strdup_printf("%s/golden-key-XXXXXX", g_get_tmp_dir());
    g_auto(BkBuf) text = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_file_read(AT_FDCWD, path, 4096, &text, &error));
    g_assert_nonnull(g_mkdtemp_full(copy, 0700));
    g_free(path);
    path = g_build_filename(copy, "key", NULL);
    EXPECT_DONE(bk_file_write(AT_FDCWD, path, text.data, text.size, 0600, BK_FILE_NEW, &error));
    EXPECT_DONE(bk_key_file_read(path, &self->key, &error));
    g_assert_cmpint(unlink(path), ==, 0);
    g_assert_cmpint(rmdir(copy), ==, 0);
}

/* The recorded digest, or NULL for what a restore makes for its place. Names of bytes that JSON has
 * to escape are left to the other reader. */
static char *
expected_digest(const Golden *self, const char *id, const char *path)
{
    g_autofree char *key = g_strdup_printf("\"%s\": \"", path);
    const char *at = strstr(self->expected, id);

    g_assert_nonnull(at);
    at = strstr(at, key);
    return at != NULL ? g_strndup(at + strlen(key), (gsize)2 * BK_SHA256_SIZE) : NULL;
}

static unsigned
compare_files(const Golden *self, BkSourceRepo *source_repo, const char *id)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(BkSnapshot) snapshot = bk_snapshot_load(source_repo, id, self->op, &error);
    g_autoptr(GPtrArray) source_repos = g_ptr_array_new();
    BkExtractOptions options = {.source_repos = source_repos, .snapshot = snapshot, .workers = 1};
    unsigned compared = 0;
    const BkFile *files;
    size_t count;

    g_assert_no_error(error);
    g_ptr_array_add(source_repos, source_repo);
    files = bk_snapshot_files(snapshot, &count);
    for (size_t i = 0; i < count; i++) {
        g_autofree char *expected = expected_digest(self, id, files[i].path);
        g_auto(BkBuf) content = BK_BUF_INIT;
        uint8_t digest[BK_SHA256_SIZE];
        char text[2 * BK_SHA256_SIZE + 1];

        if (files[i].kind != BK_FILE_REGULAR || expected == NULL)
            continue;
        EXPECT_DONE(bk_extract_read(&options, &files[i], FILE_MAX, &content, self->op, &error));
        bk_sha256(content.data, content.size, digest);
        bk_sha256_format(digest, text);
        g_assert_cmpstr(text, ==, expected);
        compared++;
    }
    return compared;
}

static void
check_golden(Golden *self)
{
    g_autofree char *path = g_build_filename(DATA, self->name, "repo", NULL);
    g_autofree char *json = g_build_filename(DATA, self->name, "files.json", NULL);
    BkStore *store = bk_store_mem_new();
    g_autoptr(BkRepository) repository = NULL;
    g_autoptr(BkSourceRepo) source_repo = NULL;
    g_autoptr(GPtrArray) entries = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_true(g_file_get_contents(json, &self->expected, NULL, NULL));
    read_key(self);
    fill_store(self, store, path, "");
    repository = bk_repository_open(store, self->name, &self->key, self->op, &error);
    g_assert_no_error(error);
    source_repo = bk_source_repo_open(repository, "orders", self->op, &error);
    g_assert_no_error(error);
    entries = bk_snapshot_list(source_repo, self->op, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(entries->len, >, 0);
    for (guint i = 0; i < entries->len; i++) {
        const BkSnapshotEntry *entry = g_ptr_array_index(entries, i);

        g_assert_cmpuint(compare_files(self, source_repo, entry->id), >=, 3);
    }
}

static void
test_every_one(void)
{
    g_autoptr(GDir) dir = g_dir_open(DATA, 0, NULL);
    unsigned count = 0;
    const char *name;

    g_assert_nonnull(dir);
    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *json = g_build_filename(DATA, name, "files.json", NULL);
        Golden golden = {.name = name, .op = bk_op_new(NULL)};

        if (g_file_test(json, G_FILE_TEST_EXISTS)) {
            check_golden(&golden);
            count++;
        }
        bk_key_file_clear(&golden.key);
        bk_op_free(golden.op);
        g_free(golden.expected);
    }
    g_assert_cmpuint(count, >=, 3);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/golden/every-one", test_every_one);
    return g_test_run();
}
