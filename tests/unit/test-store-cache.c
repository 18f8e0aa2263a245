/* test-store-cache.c - what is kept of a far store, and when it is not used. */
#include "expect.h"
#include "store/cache.h"
#include "store/testing/mem.h"
#include "temp-dir.h"

#include <string.h>
#include <sys/stat.h>

typedef struct Fixture {
    char *directory;
    BkStore *inner; /* owned by the cache */
    BkStore *store;
    BkOp *op;
    BkBuf out;
} Fixture;

static void
set_up(Fixture *self, const void *data)
{
    (void)data;
    self->directory = temp_dir_new();
    self->inner = bk_store_mem_new();
    self->store = bk_store_cache_new(self->inner, self->directory);
    self->op = bk_op_new(NULL);
    self->out = BK_BUF_INIT;
}

static void
tear_down(Fixture *self, const void *data)
{
    (void)data;
    bk_store_free(self->store);
    bk_op_free(self->op);
    bk_buf_clear(&self->out);
    temp_dir_free(self->directory);
}

static void
put(BkStore *store, const Fixture *self, const char *name, const char *text)
{
    g_auto(BkBuf) data = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    bk_buf_append(&data, text, strlen(text));
    EXPECT_DONE(bk_store_put(store, name, &data, self->op, &error));
}

static void
expect_start(Fixture *self, const char *name, size_t size, const char *text)
{
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_store_get_start(self->store, name, size, &self->out, self->op, &error));
    EXPECT_BYTES(self->out.data, self->out.size, (const uint8_t *)text, strlen(text));
}

static void
forget_inside(const Fixture *self, const char *name)
{
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_store_delete(self->inner, name, self->op, &error));
}

/* Once read, it is not asked for again, in any length up to that; the whole of a short object
 * serves every length. */
static void
test_keeps(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    put(self->store, self, "a/long", "0123456789");
    put(self->store, self, "a/short", "xyz");
    expect_start(self, "a/long", 8, "01234567");
    expect_start(self, "a/short", 100, "xyz");
    forget_inside(self, "a/long");
    forget_inside(self, "a/short");
    expect_start(self, "a/long", 8, "01234567");
    expect_start(self, "a/long", 3, "012");
    expect_start(self, "a/short", 2, "xy");
    expect_start(self, "a/short", 1000, "xyz");
    EXPECT_ERROR(bk_store_get_start(self->store, "a/long", 9, &self->out, self->op, &error),
                 BK_ERROR_ABSENT);
    EXPECT_ERROR(bk_store_get(self->store, "a/short", 0, 3, 3, &self->out, self->op, &error),
                 BK_ERROR_ABSENT);
}

/* The same directory, for what a later command finds there. */
static void
reopen(Fixture *self)
{
    bk_store_free(self->store);
    self->inner = bk_store_mem_new();
    self->store = bk_store_cache_new(self->inner, self->directory);
}

static void
expect_other(Fixture *self, const char *name, bool expected)
{
    g_autoptr(GError) error = NULL;
    bool has_other;

    EXPECT_DONE(bk_store_reread_original(self->store, name, &has_other, self->op, &error));
    g_assert_cmpint(has_other, ==, expected);
}

/* What was distrusted or deleted is read from the store itself; what comes from there is no other
 * answer however often it is distrusted, or who reads would go on for ever. */
static void
test_drops(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    put(self->store, self, "a", "old");
    expect_start(self, "a", 10, "old");
    reopen(self);
    put(self->inner, self, "a", "new");
    expect_start(self, "a", 10, "old");
    expect_other(self, "a", true);
    expect_start(self, "a", 10, "new");
    expect_other(self, "a", false);
    expect_start(self, "a", 10, "new");
    expect_other(self, "a", false);
    put(self->inner, self, "b", "first seen by us");
    expect_start(self, "b", 5, "first");
    expect_other(self, "b", false);
    EXPECT_DONE(bk_store_delete(self->store, "a", self->op, &error));
    EXPECT_ERROR(bk_store_get_start(self->store, "a", 10, &self->out, self->op, &error),
                 BK_ERROR_ABSENT);
}

/* A file that was cut off says nothing. */
static void
test_torn_files(Fixture *self, const void *data)
{
    g_autoptr(GDir) dir = NULL;
    const char *name;

    (void)data;
    put(self->store, self, "a", "content");
    expect_start(self, "a", 4, "cont");
    dir = g_dir_open(self->directory, 0, NULL);
    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(self->directory, name, NULL);

        g_assert_cmpint(truncate(path, 2), ==, 0);
    }
    expect_start(self, "a", 4, "cont");
}

/* Whoever can write there could make us read again and again what he likes. */
static void
test_a_directory_of_others(Fixture *self, const void *data)
{
    BkStore *inner = bk_store_mem_new();
    g_autoptr(BkStore) store = NULL;
    g_autoptr(GError) error = NULL;

    (void)data;
    g_assert_cmpint(chmod(self->directory, 0777), ==, 0);
    store = bk_store_cache_new(inner, self->directory);
    put(store, self, "a", "content");
    EXPECT_DONE(bk_store_get_start(store, "a", 4, &self->out, self->op, &error));
    EXPECT_DONE(bk_store_delete(inner, "a", self->op, &error));
    EXPECT_ERROR(bk_store_get_start(store, "a", 4, &self->out, self->op, &error), BK_ERROR_ABSENT);
}

/* More than a beginning is the store's business, and would fill the disk. */
static void
test_large_ones(Fixture *self, const void *data)
{
    g_autofree char *text = g_strnfill((gsize)65 * 1024, 'x');
    g_autoptr(GError) error = NULL;

    (void)data;
    put(self->store, self, "a", text);
    expect_start(self, "a", (size_t)256 * 1024, text);
    forget_inside(self, "a");
    EXPECT_ERROR(
        bk_store_get_start(self->store, "a", (size_t)256 * 1024, &self->out, self->op, &error),
        BK_ERROR_ABSENT);
}

static void
expect_note(Fixture *self, const char *name, const char *text)
{
    g_assert_true(bk_store_cache_get(self->store, name, &self->out));
    EXPECT_BYTES(self->out.data, self->out.size, (const uint8_t *)text, strlen(text));
}

/* Flips a bit of the last byte of every file. */
static void
flip(const char *directory)
{
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(directory, name, NULL);
        g_autofree char *content = NULL;
        gsize size;

        g_assert_true(g_file_get_contents(path, &content, &size, NULL));
        content[size - 1] ^= 1;
        g_assert_true(g_file_set_contents(path, content, (gssize)size, NULL));
    }
}

/* Notes are no objects, outlive the store, and are replaced; a damaged one is none. */
static void
test_notes(Fixture *self, const void *data)
{
    g_auto(BkBuf) note = BK_BUF_INIT;
    BkBuf more = {(uint8_t *)(uintptr_t) "more", 4, 4};

    (void)data;
    g_assert_false(bk_store_cache_get(self->store, "a/note", &self->out));
    bk_buf_append(&note, "text", 4);
    bk_store_cache_put(self->store, "a/note", &note);
    expect_note(self, "a/note", "text");
    g_assert_false(bk_store_cache_get(self->store, "a/other", &self->out));
    bk_store_cache_put(self->store, "a/note", &more);
    reopen(self);
    expect_note(self, "a/note", "more");
    flip(self->directory);
    g_assert_false(bk_store_cache_get(self->store, "a/note", &self->out));
    g_assert_false(bk_store_cache_get(self->inner, "a/note", &self->out));
    bk_store_cache_put(self->inner, "a/note", &note); /* keeps none, and that is fine */
    g_assert_false(bk_store_cache_get(self->inner, "a/note", &self->out));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/store-cache/keeps", Fixture, NULL, set_up, test_keeps, tear_down);
    g_test_add("/store-cache/drops", Fixture, NULL, set_up, test_drops, tear_down);
    g_test_add("/store-cache/torn-files", Fixture, NULL, set_up, test_torn_files, tear_down);
    g_test_add("/store-cache/a-directory-of-others", Fixture, NULL, set_up,
               test_a_directory_of_others, tear_down);
    g_test_add("/store-cache/large-ones", Fixture, NULL, set_up, test_large_ones, tear_down);
    g_test_add("/store-cache/notes", Fixture, NULL, set_up, test_notes, tear_down);
    return g_test_run();
}
