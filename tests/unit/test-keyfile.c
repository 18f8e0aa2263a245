/* test-keyfile.c - the key file: made once, refused when unsafe or damaged, never shown. */
#include "expect.h"
#include "repo/keyfile.h"
#include "temp-dir.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct Fixture {
    char *dir;
    char *path;
    BkKeyFile key;
    char *text;
} Fixture;

static void
set_up(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    self->dir = temp_dir_new();
    self->path = g_build_filename(self->dir, "a.key", NULL);
    EXPECT_DONE(bk_key_file_create(self->path, &self->key, &error));
    g_assert_true(g_file_get_contents(self->path, &self->text, NULL, NULL));
}

static void
tear_down(Fixture *self, const void *data)
{
    (void)data;
    g_free(self->path);
    g_free(self->text);
    temp_dir_free(self->dir);
}

static void
write_text(const Fixture *self, const char *text, size_t size)
{
    int fd = open(self->path, O_WRONLY | O_TRUNC);

    g_assert_cmpint(write(fd, text, size), ==, (ssize_t)size);
    g_assert_cmpint(close(fd), ==, 0);
}

static void
test_round_trip(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    BkKeyFile read;
    struct stat st;

    (void)data;
    EXPECT_DONE(bk_key_file_read(self->path, &read, &error));
    g_assert_cmpstr(read.slot, ==, self->key.slot);
    EXPECT_BYTES(read.secret.bytes, sizeof read.secret.bytes, self->key.secret.bytes,
                 BK_SECRET_SIZE);
    g_assert_cmpint(stat(self->path, &st), ==, 0);
    g_assert_cmpuint(st.st_mode & 07777, ==, 0600);
}

static void
test_existing_file_is_kept(Fixture *self, const void *data)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    BkKeyFile other;

    (void)data;
    EXPECT_ERROR(bk_key_file_create(self->path, &other, &error), BK_ERROR_EXISTS);
    g_assert_true(g_file_get_contents(self->path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, self->text);
}

static void
test_readable_by_others(Fixture *self, const void *data)
{
    static const mode_t modes[] = {0640, 0604, 0620, 0602, 0610, 0644};
    g_autoptr(GError) error = NULL;
    BkKeyFile read;

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(modes); i++) {
        g_assert_cmpint(chmod(self->path, modes[i]), ==, 0);
        g_assert_false(bk_key_file_read(self->path, &read, &error));
        g_assert_nonnull(strstr(error->message, "can be read by others: chmod 600"));
        EXPECT_ERROR(false, BK_ERROR_KEY);
    }
    g_assert_cmpint(chmod(self->path, 0400), ==, 0);
    EXPECT_DONE(bk_key_file_read(self->path, &read, &error));
}

static void
test_missing_or_no_file(Fixture *self, const void *data)
{
    g_autofree char *missing = g_build_filename(self->dir, "b.key", NULL);
    g_autoptr(GError) error = NULL;
    BkKeyFile read;

    (void)data;
    EXPECT_ERROR(bk_key_file_read(missing, &read, &error), BK_ERROR_KEY);
    EXPECT_ERROR(bk_key_file_read(self->dir, &read, &error), BK_ERROR_KEY);
}

/* Each character of the line counts; only the case of its hex digits and its blanks may differ. No
 * message shows anything of it. */
static void
test_every_changed_character(Fixture *self, const void *data)
{
    size_t line = (size_t)(strstr(self->text, "backstay-key-1") - self->text);
    size_t size = strlen(self->text);
    g_autofree char *secret = g_strndup(self->text + line + 32, 64);
    g_autoptr(GError) error = NULL;
    BkKeyFile read;

    (void)data;
    for (size_t i = line; i < size - 1; i++) {
        char before = self->text[i];

        self->text[i] = before == '0' ? '1' : '0';
        write_text(self, self->text, size);
        g_assert_false(bk_key_file_read(self->path, &read, &error));
        g_assert_null(strstr(error->message, secret));
        EXPECT_ERROR(false, BK_ERROR_KEY);
        self->text[i] = before;
    }
}

static void
test_truncated(Fixture *self, const void *data)
{
    size_t size = strlen(self->text);
    g_autoptr(GError) error = NULL;
    BkKeyFile read;

    (void)data;
    for (size_t cut = 0; cut < size - 1; cut++) {
        write_text(self, self->text, cut);
        EXPECT_ERROR(bk_key_file_read(self->path, &read, &error), BK_ERROR_KEY);
    }
    write_text(self, self->text, size - 1); /* the last line end may be lost */
    EXPECT_DONE(bk_key_file_read(self->path, &read, &error));
}

static void
test_two_lines(Fixture *self, const void *data)
{
    g_autofree char *twice = g_strconcat(self->text, self->text, NULL);
    g_autofree char *spaced = g_strconcat("\r\n\n  ", self->text, "\n# end\r\n", NULL);
    g_autofree char *large = g_strnfill(100000, '#');
    g_autoptr(GError) error = NULL;
    BkKeyFile read;

    (void)data;
    write_text(self, twice, strlen(twice));
    EXPECT_ERROR(bk_key_file_read(self->path, &read, &error), BK_ERROR_KEY);
    write_text(self, large, strlen(large));
    EXPECT_ERROR(bk_key_file_read(self->path, &read, &error), BK_ERROR_KEY);
    write_text(self, spaced, strlen(spaced));
    EXPECT_DONE(bk_key_file_read(self->path, &read, &error));
}

static void
test_clear_wipes(Fixture *self, const void *data)
{
    static const BkKeyFile empty;

    (void)data;
    bk_key_file_clear(&self->key);
    g_assert_cmpint(memcmp(&self->key, &empty, sizeof empty), ==, 0);
}

#define TEST(name, function) g_test_add(name, Fixture, NULL, set_up, function, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    TEST("/keyfile/round-trip", test_round_trip);
    TEST("/keyfile/existing-file-is-kept", test_existing_file_is_kept);
    TEST("/keyfile/readable-by-others", test_readable_by_others);
    TEST("/keyfile/missing-or-no-file", test_missing_or_no_file);
    TEST("/keyfile/every-changed-character", test_every_changed_character);
    TEST("/keyfile/truncated", test_truncated);
    TEST("/keyfile/two-lines", test_two_lines);
    TEST("/keyfile/clear-wipes", test_clear_wipes);
    return g_test_run();
}
