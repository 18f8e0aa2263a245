/* fuzz-cache-note.c - the files of a local cache, which anything may have happened to: what is
 * recalled is what was kept, or nothing; a note about the archive never makes a listing fail; and
 * none can be forged that says which cluster a source is.
 */
#include "../repo-fixture.h"
#include "../temp-dir.h"
#include "../wal-builder.h"
#include "source/pg/archive/archive-list.h"
#include "source/pg/archive/push-ahead.h"
#include "source/pg/archive/system-id.h"
#include "store/cache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Overwrites every file of the cache with the input. */
static void
overwrite_files(const char *directory, const uint8_t *data, size_t size)
{
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    const char *name;

    g_assert(dir != NULL);
    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(directory, name, NULL);

        g_assert(g_file_set_contents(path, (const char *)data, (gssize)size, NULL));
    }
}

static void
check_files(BkStore *store, const char *directory, const uint8_t *data, size_t size, BkOp *op)
{
    BkBuf kept = {(uint8_t *)(uintptr_t)(const void *)"kept", 4, 4};
    g_auto(BkBuf) out = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    if (!bk_store_put(store, "orders/object", &kept, op, NULL) ||
        !bk_store_get_start(store, "orders/object", 100, &out, op, NULL))
        g_assert_not_reached();
    bk_store_cache_put(store, "note", &kept);
    overwrite_files(directory, data, size);
    g_assert(bk_store_get_start(store, "orders/object", 100, &out, op, &error));
    g_assert(out.size <= 100);
    out.size = 0;
    g_assert(!bk_store_cache_get(store, "note", &out) || size >= 32);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *directory = temp_dir_new();
    BkBuf note = {(uint8_t *)(uintptr_t)data, size, size};
    g_autoptr(BkOp) op = bk_op_new(NULL);
    BkStore *store = bk_store_cache_new(bk_store_mem_new(), directory);
    g_autoptr(BkRepository) repository = NULL;
    g_autoptr(BkSourceRepo) source_repo = NULL;
    g_autoptr(GPtrArray) timelines = NULL;
    g_autoptr(GError) error = NULL;
    BkKeyFile key;
    bool created;
    uint64_t system_id;

    repo_fixture_key(&key, 1);
    repository = bk_repository_create(store, "far", &key, &created, op, NULL);
    g_assert(repository != NULL);
    source_repo = bk_source_repo_create(repository, "orders", NULL, op, NULL);
    g_assert(source_repo != NULL);
    check_files(store, directory, data, size, op);
    bk_store_cache_put(store, "orders/archive", &note);
    timelines = bk_archive_list_known(source_repo, &(BkArchiveSize){WAL_SYSTEM, 16 << 20}, 1,
                                      INT64_C(1795256100000000), op, &error);
    g_assert(timelines != NULL && error == NULL);
    bk_store_cache_put(store, "orders/ahead", &note);
    (void)bk_push_ahead_has(source_repo, "000000010000000000000001");
    bk_store_cache_put(store, "orders/system", &note);
    g_assert(!bk_system_id_recall(source_repo, &system_id));
    temp_dir_free(directory);
    return 0;
}
