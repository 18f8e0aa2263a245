/* test-push-failure.c - the note that a failed "wal push" leaves beside the WAL. */
#include "source/pg/archive/push-failure.h"

#include "temp-dir.h"

#include <string.h>

#define SEGMENT "000000010000000000000005"

typedef struct Fixture {
    char *data_dir;
    char *path; /* of the segment */
    char *note;
} Fixture;

static void
set_up(Fixture *self, const void *unused)
{
    g_autofree char *wal = NULL;

    (void)unused;
    self->data_dir = temp_dir_new();
    wal = g_build_filename(self->data_dir, "pg_wal", NULL);
    self->path = g_build_filename(wal, SEGMENT, NULL);
    self->note = g_build_filename(wal, ".backstay-push-failure", NULL);
    g_assert_cmpint(g_mkdir_with_parents(wal, 0700), ==, 0);
    g_assert_true(g_file_set_contents(self->path, "wal", 3, NULL));
}

static void
tear_down(Fixture *self, const void *unused)
{
    (void)unused;
    temp_dir_free(self->data_dir);
    g_free(self->path);
    g_free(self->note);
}

static void
record(const char *path, const char *message)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(bk_throw(&error, BK_ERROR_STORE, "%s", message));
    bk_push_failure_record(path, "orders", error);
}

static void
test_round(Fixture *self, const void *unused)
{
    g_auto(BkPushFailure) failure = {0};
    int64_t now_us = g_get_real_time();

    (void)unused;
    g_assert_false(bk_push_failure_read(self->data_dir, &failure));
    record(self->path, "first");
    record(self->path, "no space\n\033[1mleft \xc3\xa9 \xff");
    g_assert_true(bk_push_failure_read(self->data_dir, &failure));
    g_assert_cmpstr(failure.wal, ==, SEGMENT);
    g_assert_cmpstr(failure.source, ==, "orders");
    g_assert_cmpstr(failure.message, ==, "no space \\x1b[1mleft \xc3\xa9 \\xff");
    g_assert_cmpint(ABS(failure.time_us - now_us), <, 3600 * BK_USEC_PER_SEC);
    bk_push_failure_clear(&failure);
    bk_push_failure_forget(self->path);
    bk_push_failure_forget(self->path);
    g_assert_false(bk_push_failure_read(self->data_dir, &failure));
}

/* A path that is no WAL file of a server must leave nothing behind. */
static void
test_other_paths(Fixture *self, const void *unused)
{
    g_autofree char *missing = g_build_filename(self->data_dir, "pg_wal", SEGMENT "0", NULL);
    g_autofree char *strange = g_build_filename(self->data_dir, "pg_wal", "letter", NULL);

    (void)unused;
    g_assert_true(g_file_set_contents(strange, "x", 1, NULL));
    record(missing, "missing");
    record(strange, "strange");
    record("/nowhere/" SEGMENT, "nowhere");
    g_assert_false(g_file_test(self->note, G_FILE_TEST_EXISTS));
}

static void
test_decode(Fixture *self, const void *unused)
{
    static const char *const wrong[] = {
        "",
        "\n\n\n",
        SEGMENT "\norders\n",
        SEGMENT "\norders\nmessage",
        SEGMENT "\norders\nmessage\nmore\n",
        SEGMENT "\n\nmessage\n",
        "letter\norders\nmessage\n",
        SEGMENT "\norders\n\033[1m\n",
        SEGMENT "\norders\n\xff\n",
    };
    g_auto(BkPushFailure) failure = {0};
    g_autofree char *long_one = g_strnfill(17 * BK_KIB, 'a');
    g_autofree char *text = g_strdup_printf(SEGMENT "\norders\n%s\n", long_one);

    (void)unused;
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++)
        g_assert_false(bk_push_failure_decode(wrong[i], strlen(wrong[i]), &failure));
    g_assert_false(bk_push_failure_decode(text, strlen(text), &failure));
    g_assert_true(g_file_set_contents(self->note, text, -1, NULL));
    g_assert_false(bk_push_failure_read(self->data_dir, &failure));
    g_assert_false(bk_push_failure_decode(SEGMENT "\no\0x\nm\n", 30, &failure));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/push-failure/round", Fixture, NULL, set_up, test_round, tear_down);
    g_test_add("/push-failure/other-paths", Fixture, NULL, set_up, test_other_paths, tear_down);
    g_test_add("/push-failure/decode", Fixture, NULL, set_up, test_decode, tear_down);
    return g_test_run();
}
