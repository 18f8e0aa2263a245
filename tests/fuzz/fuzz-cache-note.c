/* fuzz-cache-note.c - the files of a local cache, which anything may have happened to: what is
 * recalled is what was kept, or nothing; a note about the archive never makes a listing fail; and
 * none can be forged that says which cluster a source is.
 */
#include "../repo-fixture.h"
#include "../temp-dir.h"
#include "../wal-builder.h"
#include "engine/push-ahead.h"
#include "engine/system-id.h"
#include "source/pg/archive-list.h"
#include "store/cache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Overwrites every file of the cache with the input. */
static void
overwrite_files(const char *folder, const uint8_t *data, size_t size)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    g_assert(dir != NULL);
    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(folder, name, NULL);

        g_assert(g_file_set_contents(path, (const char *)data, (gssize)size, NULL));
    }
}

static void
check_files(BkStore *store, const char *folder, const uint8_t *data, size_t size, BkOp *op)
{
    BkBuf kept = {(uint8_t *)(uintptr_t)(const void *)"kept", 4, 4};
    g_auto(BkBuf) out = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    if (!bk_store_put(store, "orders/object", &kept, op, NULL) ||
        !bk_store_get_start(store, "orders/object", 100, &out, op, NULL))
        g_assert_not_reached();
    bk_store_note(store, "note", &kept);
    overwrite_files(folder, data, size);
    g_assert(bk_store_get_start(store, "orders/object", 100, &out, op, &error));
    g_assert(out.size <= 100);
    out.size = 0;
    g_assert(!bk_store_recall(store, "note", &out) || size >= 32);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *folder = temp_dir_new();
    BkBuf note = {(uint8_t *)(uintptr_t)data, size, size};
    g_autoptr(BkOp) op = bk_op_new(NULL);
    BkStore *store = bk_store_cache_new(bk_store_mem_new(), folder);
    g_autoptr(BkRepository) repository = NULL;
    g_autoptr(BkPart) part = NULL;
    g_autoptr(GPtrArray) timelines = NULL;
    g_autoptr(GError) error = NULL;
    BkKeyFile key;
    bool created;
    uint64_t system_id;

    repo_fixture_key(&key, 1);
    repository = bk_repository_create(store, "far", &key, &created, op, NULL);
    g_assert(repository != NULL);
    part = bk_part_create(repository, "orders", NULL, op, NULL);
    g_assert(part != NULL);
    check_files(store, folder, data, size, op);
    bk_store_note(store, "orders/archive", &note);
    timelines = bk_archive_list_known(part, &(BkArchiveSize){WAL_SYSTEM, 16 << 20}, 1,
                                      INT64_C(1795256100000000), op, &error);
    g_assert(timelines != NULL && error == NULL);
    bk_store_note(store, "orders/ahead", &note);
    (void)bk_push_ahead_has(part, "000000010000000000000001");
    bk_store_note(store, "orders/system", &note);
    g_assert(!bk_system_id_recall(part, &system_id));
    temp_dir_free(folder);
    return 0;
}
