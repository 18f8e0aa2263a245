#include "source/files/files.h"
#include "temp-dir.h"

#include <string.h>

static bool
count_entry(void *data, const BkFilesEntry *entry, GError **error)
{
    guint *count = data;

    (void)error;
    *count += entry->is_above ? 0 : 1;
    return true;
}

static GPtrArray *
list_texts(const char *one, const char *two)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(g_free);

    g_ptr_array_add(list, g_strdup(one));
    if (two != NULL)
        g_ptr_array_add(list, g_strdup(two));
    return list;
}

/* From the lists of the configuration to entries, and what an include takes in again. */
static void
test_scan(TempDir *dir, const void *data)
{
    g_autoptr(GPtrArray) roots = list_texts(dir->root, NULL);
    g_autoptr(GPtrArray) exclude = list_texts("*.tmp", "none");
    g_autoptr(GPtrArray) include = list_texts("b.tmp", NULL);
    BkFilesOptions options = {.roots = roots};
    g_auto(BkFilesMeta) meta = {0};
    g_auto(BkFilesMeta) again = {0};
    g_autoptr(GPtrArray) listed = NULL;
    guint count = 0;

    (void)data;
    g_assert_true(bk_file_write(dir->dir, "a.tmp", "", 0, 0600, BK_FILE_NEW, NULL));
    g_assert_true(bk_file_write(dir->dir, "b.tmp", "", 0, 0600, BK_FILE_NEW, NULL));
    bk_files_meta_init(&meta);
    bk_files_meta_init(&again);
    g_assert_true(bk_files_scan(&options, &meta, count_entry, &count, dir->op, NULL));
    g_assert_cmpuint(count, ==, 3);
    options.exclude = exclude;
    options.include = include;
    count = 0;
    g_assert_true(bk_files_scan(&options, &again, count_entry, &count, dir->op, NULL));
    g_assert_cmpuint(count, ==, 2);
    g_assert_cmpuint(again.excluded, ==, 1);
    listed = bk_files_list_roots(&again, NULL);
    g_assert_cmpuint(listed->len, ==, 1);
    g_assert_cmpstr(g_ptr_array_index(listed, 0), ==, dir->root + 1);
}

static void
test_wrong(TempDir *dir, const void *data)
{
    g_autoptr(GPtrArray) roots = list_texts(dir->root, NULL);
    g_autoptr(GPtrArray) wrong = list_texts("a//b", NULL);
    const BkFilesOptions all[] = {
        {.roots = roots, .exclude = wrong}, {.roots = roots, .include = wrong}, {.roots = wrong}};
    g_auto(BkFilesMeta) meta = {0};
    g_autoptr(GError) error = NULL;
    guint count = 0;

    (void)data;
    bk_files_meta_init(&meta);
    for (size_t i = 0; i < G_N_ELEMENTS(all); i++) {
        g_clear_error(&error);
        g_assert_false(bk_files_scan(&all[i], &meta, count_entry, &count, dir->op, &error));
        g_assert_true(bk_error_is(error, BK_ERROR_CONFIG));
        g_assert_nonnull(strstr(error->message, "a//b"));
    }
    (void)bk_files_meta_add_root(&meta, "relative");
    g_clear_error(&error);
    g_assert_null(bk_files_list_roots(&meta, &error));
    g_assert_true(bk_error_is(error, BK_ERROR_CORRUPT));
    g_clear_error(&error);
    g_assert_null(bk_files_open_place("/no/such/directory", &error));
    g_assert_true(bk_error_is(error, BK_ERROR_ABSENT));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    TEMP_DIR_TEST("/files/scan", test_scan);
    TEMP_DIR_TEST("/files/wrong", test_wrong);
    return g_test_run();
}
