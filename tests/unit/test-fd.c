/* test-fd.c - whole reads and writes, files that appear whole or not at all. */
#include "base/fd.h"
#include "expect.h"
#include "temp-dir.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

typedef struct Fixture {
    char *path;
    BkFd dir;
} Fixture;

static void
set_up(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    self->path = temp_dir_new();
    self->dir = bk_fd_open_dir(AT_FDCWD, self->path, &error);
    g_assert_no_error(error);
}

static void
tear_down(Fixture *self, const void *data)
{
    (void)data;
    bk_fd_clear(&self->dir);
    temp_dir_free(self->path);
}

static bool
write_text(const Fixture *self, const char *name, const char *text, BkFilePublish publish,
           GError **error)
{
    return bk_file_write(self->dir, name, text, strlen(text), 0640, publish, error);
}

static void
assert_text(const Fixture *self, const char *name, const char *text)
{
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_file_read(self->dir, name, 4096, &content, &error));
    g_assert_cmpstr((const char *)content.data, ==, text);
    g_assert_cmpuint(content.size, ==, strlen(text));
}

/* Names in the directory, "." and ".." not counted. */
static unsigned
count_names(const Fixture *self)
{
    g_autoptr(GDir) dir = g_dir_open(self->path, 0, NULL);
    unsigned count = 0;

    while (g_dir_read_name(dir) != NULL)
        count++;
    return count;
}

static void
test_write_new(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    EXPECT_DONE(write_text(self, "a", "first", BK_FILE_NEW, &error));
    EXPECT_ERROR(write_text(self, "a", "second", BK_FILE_NEW, &error), BK_ERROR_EXISTS);
    assert_text(self, "a", "first");
    g_assert_cmpuint(count_names(self), ==, 1); /* no temporary file is left */
}

static void
test_write_replace(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    EXPECT_DONE(write_text(self, "a", "first", BK_FILE_REPLACE, &error));
    EXPECT_DONE(write_text(self, "a", "", BK_FILE_REPLACE, &error));
    assert_text(self, "a", "");
    g_assert_cmpuint(count_names(self), ==, 1);
}

/* The temporary file of an earlier process that had our number and died is in nobody's way. */
static void
test_write_leftover(Fixture *self, const void *data)
{
    g_autofree char *temp = g_strdup_printf("a.tmp-%ld", (long)getpid());
    g_autoptr(GError) error = NULL;

    (void)data;
    EXPECT_DONE(write_text(self, temp, "torn", BK_FILE_NEW, &error));
    EXPECT_DONE(write_text(self, "a", "whole", BK_FILE_NEW, &error));
    assert_text(self, "a", "whole");
    g_assert_cmpuint(count_names(self), ==, 1);
}

static void
test_write_mode_is_exact(Fixture *self, const void *data)
{
    mode_t mask = umask(077);
    g_autoptr(GError) error = NULL;
    struct stat st;

    (void)data;
    EXPECT_DONE(write_text(self, "a", "x", BK_FILE_NEW, &error));
    (void)umask(mask);
    g_assert_cmpint(fstatat(self->dir, "a", &st, 0), ==, 0);
    g_assert_cmpuint(st.st_mode & 07777, ==, 0640);
}

static void
test_write_in_missing_directory(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    EXPECT_ERROR(write_text(self, "no/a", "x", BK_FILE_NEW, &error), BK_ERROR_ABSENT);
}

/* A file that cannot take its name leaves nothing behind. */
static void
test_write_over_directory(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    EXPECT_DONE(bk_dir_make(self->dir, "a", 0700, &error));
    EXPECT_ERROR(write_text(self, "a", "x", BK_FILE_REPLACE, &error), BK_ERROR_SYSTEM);
    EXPECT_ERROR(write_text(self, "a", "x", BK_FILE_NEW, &error), BK_ERROR_EXISTS);
    g_assert_cmpuint(count_names(self), ==, 1);
}

static void
test_read_limit(Fixture *self, const void *data)
{
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    (void)data;
    EXPECT_DONE(write_text(self, "a", "12345", BK_FILE_NEW, &error));
    EXPECT_DONE(bk_file_read(self->dir, "a", 5, &content, &error));
    EXPECT_ERROR(bk_file_read(self->dir, "a", 4, &content, &error), BK_ERROR_UNSUPPORTED);
    EXPECT_ERROR(bk_file_read(self->dir, "b", 4, &content, &error), BK_ERROR_ABSENT);
    EXPECT_ERROR(bk_file_read(self->dir, ".", 4, &content, &error), BK_ERROR_SYSTEM);
}

/* A size from outside must not become an allocation. */
static void
test_read_huge(Fixture *self, const void *data)
{
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;
    g_auto(BkFd) fd = -1;

    (void)data;
    fd = bk_fd_open(self->dir, "huge", O_WRONLY | O_CREAT, 0600, &error);
    g_assert_cmpint(ftruncate(fd, (off_t)1 << 40), ==, 0);
    EXPECT_ERROR(bk_file_read(self->dir, "huge", 4096, &content, &error), BK_ERROR_UNSUPPORTED);
    g_assert_cmpuint(content.capacity, <, BK_MIB);
}

/* Files of /proc have the size 0 and content all the same. */
static void
test_read_size_unknown(Fixture *self, const void *data)
{
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    (void)self;
    (void)data;
    EXPECT_DONE(bk_file_read(AT_FDCWD, "/proc/self/stat", 65536, &content, &error));
    g_assert_cmpuint(content.size, >, 10);
}

static void
test_pread_pwrite(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_auto(BkFd) fd = -1;
    char text[8] = "";
    size_t got;

    (void)data;
    fd = bk_fd_open(self->dir, "a", O_RDWR | O_CREAT, 0600, &error);
    EXPECT_DONE(bk_fd_pwrite(fd, "world", 5, 3, &error));
    EXPECT_DONE(bk_fd_pread(fd, text, 7, 3, &got, &error));
    g_assert_cmpuint(got, ==, 5); /* the end of the file */
    g_assert_cmpstr(text, ==, "world");
    EXPECT_DONE(bk_fd_pread(fd, text, 7, 8, &got, &error));
    g_assert_cmpuint(got, ==, 0);
    EXPECT_DONE(bk_fd_sync(fd, &error));
    EXPECT_ERROR(bk_fd_write(-1, "x", 1, &error), BK_ERROR_SYSTEM);
    EXPECT_ERROR(bk_fd_pread(-1, text, 1, 0, &got, &error), BK_ERROR_SYSTEM);
}

static void
test_steal(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    BkFd fd = bk_fd_open_dir(self->dir, ".", &error);
    int stolen;

    (void)data;
    stolen = bk_fd_steal(&fd);
    g_assert_cmpint(fd, ==, -1);
    bk_fd_clear(&fd); /* nothing to close */
    g_assert_cmpint(fcntl(stolen, F_GETFD), ==, FD_CLOEXEC);
    bk_fd_clear(&stolen);
    g_assert_cmpint(stolen, ==, -1);
}

static void
test_dir_make(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    struct stat st;

    (void)data;
    EXPECT_DONE(bk_dir_make(self->dir, "a/b/c", 0700, &error));
    EXPECT_DONE(bk_dir_make(self->dir, "a/b/c", 0700, &error));
    EXPECT_DONE(bk_dir_make(self->dir, "a/b/d/", 0700, &error));
    for (size_t i = 0; i < 3; i++) {
        static const char *const made[] = {"a", "a/b", "a/b/c"};

        g_assert_cmpint(fstatat(self->dir, made[i], &st, 0), ==, 0);
        g_assert_cmpuint(st.st_mode & 07777, ==, 0700);
    }
    EXPECT_DONE(write_text(self, "file", "x", BK_FILE_NEW, &error));
    EXPECT_ERROR(bk_dir_make(self->dir, "file", 0700, &error), BK_ERROR_SYSTEM);
    EXPECT_ERROR(bk_dir_make(self->dir, "file/sub", 0700, &error), BK_ERROR_SYSTEM);
}

static void
test_dir_list(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_auto(BkFd) path_only = -1;
    g_auto(BkFd) file = -1;

    (void)data;
    EXPECT_DONE(write_text(self, "a", "x", BK_FILE_NEW, &error));
    EXPECT_DONE(bk_dir_make(self->dir, "b", 0700, &error));
    path_only = open(self->path, O_PATH | O_DIRECTORY);
    for (size_t i = 0; i < 3; i++) { /* a second call begins anew */
        g_autoptr(GPtrArray) names = bk_dir_list(i == 0 ? path_only : self->dir, "it", &error);

        g_assert_no_error(error);
        g_assert_cmpuint(names->len, ==, 2);
        g_assert_true(g_ptr_array_find_with_equal_func(names, "a", g_str_equal, NULL));
        g_assert_true(g_ptr_array_find_with_equal_func(names, "b", g_str_equal, NULL));
    }
    file = bk_fd_open(self->dir, "a", O_RDONLY, 0, &error);
    EXPECT_ERROR(bk_dir_list(file, "\"it\"", &error) != NULL, BK_ERROR_SYSTEM);
}

#define TEST(name, function) g_test_add(name, Fixture, NULL, set_up, function, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    TEST("/fd/write-new", test_write_new);
    TEST("/fd/write-replace", test_write_replace);
    TEST("/fd/write-leftover", test_write_leftover);
    TEST("/fd/write-mode-is-exact", test_write_mode_is_exact);
    TEST("/fd/write-in-missing-directory", test_write_in_missing_directory);
    TEST("/fd/write-over-directory", test_write_over_directory);
    TEST("/fd/read-limit", test_read_limit);
    TEST("/fd/read-huge", test_read_huge);
    TEST("/fd/read-size-unknown", test_read_size_unknown);
    TEST("/fd/pread-pwrite", test_pread_pwrite);
    TEST("/fd/steal", test_steal);
    TEST("/fd/dir-make", test_dir_make);
    TEST("/fd/dir-list", test_dir_list);
    return g_test_run();
}
