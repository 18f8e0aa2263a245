/* test-store-lies.c - a driver whose listing is not what was asked for: nobody gets to see it. */
#include "expect.h"
#include "store/store-priv.h"

#include <string.h>

/* Answers every listing with the same names, NULL-terminated. */
typedef struct LyingStore {
    BkStore base;
    const char *const *names;
    int64_t modified_us; /* of all */
} LyingStore;

static bool
lie(BkStore *store, const char *prefix, const char *after, BkStoreVisit visit, void *data, BkOp *op,
    GError **error)
{
    const LyingStore *self = (LyingStore *)store;

    (void)prefix;
    (void)after;
    (void)op;
    for (size_t i = 0; self->names[i] != NULL; i++)
        if (!visit(&(BkStoreEntry){self->names[i], 1, self->modified_us}, data, error))
            return false;
    return true;
}

static bool
lie_of_directory(BkStore *store, const char *directory, BkStoreVisit visit, void *data, BkOp *op,
                 GError **error)
{
    return lie(store, directory, "", visit, data, op, error);
}

static void
free_liar(BkStore *store)
{
    bk_store_clear(store);
}

static const BkStoreDriver without_directories = {.list = lie, .free = free_liar};
static const BkStoreDriver with_directories = {
    .list = lie, .list_directory = lie_of_directory, .free = free_liar};

static bool
note_name(const BkStoreEntry *entry, void *data, GError **error)
{
    GString *seen = data;

    (void)error;
    g_string_append_printf(seen, "%s ", entry->name);
    return true;
}

/* What is visited, until the listing fails, if it does. */
static char *
list(const BkStoreDriver *driver, const char *const *names, const char *prefix, const char *after,
     bool is_flat, GError **error)
{
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_autoptr(GString) seen = g_string_new(NULL);
    LyingStore self = {.names = names};
    bool ok;

    bk_store_init(&self.base, driver, g_strdup("a liar"));
    ok = is_flat ? bk_store_list_directory(&self.base, prefix, note_name, seen, op, error)
                 : bk_store_list(&self.base, prefix, after, note_name, seen, op, error);
    g_assert_cmpint(ok, ==, *error == NULL);
    bk_store_free(&self.base);
    return g_string_free(g_steal_pointer(&seen), FALSE);
}

static void
expect_refused(const BkStoreDriver *driver, const char *const *names, const char *prefix,
               const char *after, bool is_flat, const char *seen)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *visited = list(driver, names, prefix, after, is_flat, &error);

    g_assert_error(error, BK_ERROR, (int)BK_ERROR_STORE);
    g_assert_nonnull(strstr(error->message, "list a liar: the listing of"));
    g_assert_cmpstr(visited, ==, seen);
}

static void
expect_seen(const BkStoreDriver *driver, const char *const *names, const char *prefix,
            const char *after, bool is_flat, const char *seen)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *visited = list(driver, names, prefix, after, is_flat, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(visited, ==, seen);
}

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

static void
test_lists(void)
{
    const BkStoreDriver *driver = &without_directories;
    g_autofree char *long_name = g_strnfill(600, 'a');
    g_autofree char *long_below = g_strconcat("a/", long_name, NULL);

    expect_seen(driver, NAMES("a/b", "a/c/d"), "a/", NULL, false, "a/b a/c/d ");
    expect_seen(driver, NAMES("a/c"), "a/", "a/b", false, "a/c ");
    expect_refused(driver, NAMES("a/b", "b"), "a/", NULL, false, "a/b "); /* another prefix */
    expect_refused(driver, NAMES("b"), "a/", NULL, false, "");
    expect_refused(driver, NAMES("a/c", "a/b"), "a/", NULL, false, "a/c "); /* falling */
    expect_refused(driver, NAMES("a/b", "a/b"), "a/", NULL, false, "a/b "); /* twice */
    expect_refused(driver, NAMES("a/b"), "a/", "a/b", false, "");           /* not behind it */
    expect_refused(driver, NAMES("a/a"), "a/", "a/b", false, "");
    expect_refused(driver, NAMES("a/"), "a/", NULL, false, ""); /* no names */
    expect_refused(driver, NAMES(""), "", NULL, false, "");
    expect_refused(driver, NAMES("a/../b"), "a/", NULL, false, "");
    expect_refused(driver, NAMES("/a"), "", NULL, false, "");
    expect_refused(driver, NAMES("a/\033[2J"), "a/", NULL, false, "");
    expect_refused(driver, NAMES(long_below), "a/", NULL, false, "");
}

static void
test_directories(void)
{
    static const BkStoreDriver *const drivers[] = {&without_directories, &with_directories};

    for (size_t i = 0; i < G_N_ELEMENTS(drivers); i++) {
        expect_seen(drivers[i], NAMES("a/b", "a/c"), "a/", NULL, true, "a/b a/c ");
        expect_refused(drivers[i], NAMES("a/b", "b/c"), "a/", NULL, true, "a/b ");
        expect_refused(drivers[i], NAMES("b"), "a/", NULL, true, "");
        expect_refused(drivers[i], NAMES("a/c", "a/b"), "a/", NULL, true, "a/c ");
        expect_refused(drivers[i], NAMES("a/b", "a/b"), "a/", NULL, true, "a/b ");
        expect_refused(drivers[i], NAMES("a/"), "a/", NULL, true, "");
        expect_refused(drivers[i], NAMES("/"), "", NULL, true, "");
        expect_refused(drivers[i], NAMES("a//"), "a/", NULL, true, "");
    }
    expect_seen(&with_directories, NAMES("a.b", "a/", "a0"), "", NULL, true, "a.b a/ a0 ");
    expect_refused(&with_directories, NAMES("a/b/c"), "a/", NULL, true, ""); /* deeper */
    expect_refused(&with_directories, NAMES("a/b/c/"), "a/", NULL, true, "");
    /* A directory that is there whatever was seen of it would be found for ever. */
    expect_refused(&without_directories, NAMES("a/b/c"), "a/", NULL, true, "a/b/ ");
}

static bool
note_time(const BkStoreEntry *entry, void *data, GError **error)
{
    (void)error;
    *(int64_t *)data = entry->modified_us;
    return true;
}

/* Times are subtracted from one another: whatever the server says, that must not overflow. */
static void
test_times(void)
{
    static const struct {
        int64_t told;
        int64_t seen;
    } times[] = {
        {INT64_MIN, 0},
        {-1, 0},
        {0, 0},
        {1, 1},
        {BK_STORE_LAST_US, BK_STORE_LAST_US},
        {BK_STORE_LAST_US + 1, BK_STORE_LAST_US},
        {INT64_MAX, BK_STORE_LAST_US},
    };
    g_autoptr(BkOp) op = bk_op_new(NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(times); i++) {
        LyingStore self = {.names = NAMES("a/b"), .modified_us = times[i].told};
        g_autoptr(GError) error = NULL;
        int64_t seen = -1;

        bk_store_init(&self.base, &without_directories, g_strdup("a liar"));
        EXPECT_DONE(bk_store_list(&self.base, "a/", NULL, note_time, &seen, op, &error));
        g_assert_cmpint(seen, ==, times[i].seen);
        EXPECT_DONE(bk_store_list_directory(&self.base, "a/", note_time, &seen, op, &error));
        g_assert_cmpint(seen, ==, times[i].seen);
        bk_store_free(&self.base);
    }
}

static void
test_base_names(void)
{
    g_assert_cmpstr(bk_store_base_name("a/b/c"), ==, "c");
    g_assert_cmpstr(bk_store_base_name("c"), ==, "c");
    g_assert_cmpstr(bk_store_base_name("a/"), ==, "");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/store-lies/lists", test_lists);
    g_test_add_func("/store-lies/directories", test_directories);
    g_test_add_func("/store-lies/times", test_times);
    g_test_add_func("/store-lies/base-names", test_base_names);
    return g_test_run();
}
