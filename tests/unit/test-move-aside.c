/* test-move-aside.c - directories that make room in themselves. */
#include "engine/restore/destination.h"
#include "engine/restore/move-aside.h"
#include "expect.h"
#include "temp-dir.h"

#include <sys/stat.h>
#include <unistd.h>

#define NOW (INT64_C(1795221545) * BK_USEC_PER_SEC)
#define OLD "backstay-before-restore-20261121T003905Z"

static void
add(const TempDir *self, const char *path)
{
    g_autofree char *full = g_build_filename(self->root, path, NULL);
    g_autofree char *directory = g_path_get_dirname(full);

    g_assert_cmpint(g_mkdir_with_parents(directory, 0700), ==, 0);
    g_assert_true(g_file_set_contents(full, "x", -1, NULL));
}

static bool
has(const TempDir *self, const char *path)
{
    return faccessat(self->dir, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void
test_everything_moves_but_what_is_exempt(TempDir *self, const void *data)
{
    g_autofree char *moved = NULL;
    g_autoptr(GError) error = NULL;

    (void)data;
    add(self, "a");
    add(self, "global/pg_control");
    add(self, "lost+found/x");
    add(self, "backstay-before-restore-20200101T000000Z/a");
    EXPECT_DONE(bk_aside_move(self->root, NULL, NOW, &moved, &error));
    g_assert_true(g_str_has_suffix(moved, "/data/" OLD));
    g_assert_true(has(self, OLD "/a") && has(self, OLD "/global/pg_control"));
    g_assert_true(!has(self, "a") && !has(self, "global"));
    g_assert_true(has(self, "lost+found/x"));
    g_assert_true(has(self, "backstay-before-restore-20200101T000000Z/a"));
}

/* What was moved aside before, in the same second, is never written over. */
static void
test_a_name_that_is_taken(TempDir *self, const void *data)
{
    g_autofree char *moved = NULL;
    g_autoptr(GError) error = NULL;

    (void)data;
    add(self, OLD "/a");
    add(self, "a");
    EXPECT_DONE(bk_aside_move(self->root, NULL, NOW, &moved, &error));
    g_assert_true(g_str_has_suffix(moved, OLD "-2"));
    g_assert_true(has(self, OLD "-2/a") && has(self, OLD "/a") && !has(self, "a"));
}

static void
test_one_entry(TempDir *self, const void *data)
{
    g_autofree char *moved = NULL;
    g_autofree char *again = NULL;
    g_autoptr(GError) error = NULL;

    (void)data;
    add(self, "PG_15_1/a");
    add(self, "PG_17_2/a");
    EXPECT_DONE(bk_aside_move(self->root, "PG_15_1", NOW, &moved, &error));
    g_assert_true(has(self, OLD "/PG_15_1/a") && has(self, "PG_17_2/a") && !has(self, "PG_15_1"));
    EXPECT_DONE(bk_aside_move(self->root, "PG_15_1", NOW, &again, &error));
    g_assert_null(again); /* nothing is there any more */
}

static void
test_only_exempt_names_count_as_empty(TempDir *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    BkDestinationState state;

    (void)data;
    add(self, "lost+found/x");
    add(self, OLD "/a");
    EXPECT_DONE(bk_destination_inspect(self->root, &state, &error));
    g_assert_cmpint(state, ==, BK_DESTINATION_EMPTY);
}

static void
test_plain_directories(TempDir *self, const void *data)
{
    g_autofree char *missing = g_build_filename(self->root, "missing", NULL);
    g_autoptr(GError) error = NULL;

    (void)data;
    add(self, "a/b");
    g_assert_false(bk_aside_is_inside(self->root));
    g_assert_true(bk_aside_is_inside("/proc"));
    EXPECT_DONE(bk_aside_check(self->root, &error));
    EXPECT_DONE(bk_aside_check(missing, &error));
    EXPECT_ERROR(bk_aside_check("/", &error), BK_ERROR_UNFIT); /* /proc is mounted there */
}

static void
test_links_are_resolved(TempDir *self, const void *data)
{
    g_autofree char *link = g_build_filename(self->root, "link", NULL);
    g_autofree char *loop = g_build_filename(self->root, "loop", NULL);
    g_autofree char *expected = g_build_filename(self->root, "not", "there", NULL);
    g_autofree char *real = NULL;
    g_autofree char *resolved = NULL;
    g_autofree char *looped = NULL;

    (void)data;
    g_assert_cmpint(symlink("not/there", link), ==, 0);
    g_assert_cmpint(symlink("loop", loop), ==, 0);
    real = bk_destination_resolve(expected);
    resolved = bk_destination_resolve(link);
    g_assert_cmpstr(resolved, ==, real);
    looped = bk_destination_resolve(loop); /* comes to an end */
    g_assert_nonnull(looped);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    TEMP_DIR_TEST("/move-aside/everything-but-exempt", test_everything_moves_but_what_is_exempt);
    TEMP_DIR_TEST("/move-aside/name-taken", test_a_name_that_is_taken);
    TEMP_DIR_TEST("/move-aside/one-entry", test_one_entry);
    TEMP_DIR_TEST("/move-aside/exempt-is-empty", test_only_exempt_names_count_as_empty);
    TEMP_DIR_TEST("/move-aside/plain-directories", test_plain_directories);
    TEMP_DIR_TEST("/move-aside/links-are-resolved", test_links_are_resolved);
    return g_test_run();
}
