#include "source/files/read-file.h"
#include "temp-dir.h"

#include "base/identity.h"

#include <string.h>
#include <unistd.h>

static BkBeneath *
open_place(const TempDir *dir)
{
    BkFd fd = bk_fd_open_dir(AT_FDCWD, dir->root, NULL);

    return bk_beneath_new(fd, NULL);
}

static void
write_file(const TempDir *dir, const char *name, const char *content)
{
    g_autofree char *path = g_build_filename(dir->root, name, NULL);

    g_assert_true(g_file_set_contents(path, content, -1, NULL));
}

static void
expect_read(const BkReadFile *file, const char *content)
{
    char data[64];
    size_t got;

    g_assert_true(bk_read_file_read(file, data, sizeof data, 0, &got, NULL));
    g_assert_cmpuint(got, ==, strlen(content));
    g_assert_cmpint(memcmp(data, content, got), ==, 0);
}

static void
expect_end(const BkReadFile *file, BkReadOutcome outcome)
{
    BkReadOutcome is;

    g_assert_true(bk_read_file_end(file, &is, NULL));
    g_assert_cmpint(is, ==, outcome);
}

/* What happens to a file while it is read, and what is said of it. */
static void
test_outcomes(TempDir *dir, const void *data)
{
    static const struct {
        const char *content; /* afterwards, in place */
        int flags;
        BkReadOutcome outcome;
    } changes[] = {{NULL, 0, BK_READ_SAME},
                   {" and more", O_APPEND, BK_READ_GREW},
                   {"other", 0, BK_READ_CHANGED},
                   {"cut", O_TRUNC, BK_READ_CHANGED}};

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(changes); i++) {
        g_autoptr(BkBeneath) place = open_place(dir);
        g_auto(BkReadFile) file = BK_READ_FILE_INIT;

        write_file(dir, "f", "before");
        g_assert_true(bk_read_file_open(&file, place, "f", NULL));
        g_assert_cmpint(file.st.st_size, ==, 6);
        expect_read(&file, "before");
        if (changes[i].content != NULL) {
            g_auto(BkFd) fd = openat(dir->dir, "f", O_WRONLY | changes[i].flags);

            g_usleep(10000); /* a tick of the clock that gives the times */
            g_assert_true(bk_fd_write(fd, changes[i].content, strlen(changes[i].content), NULL));
        }
        expect_end(&file, changes[i].outcome);
        /* What was appended is not read. */
        if (changes[i].outcome == BK_READ_GREW)
            expect_read(&file, "before");
        if ((changes[i].flags & O_TRUNC) != 0)
            expect_read(&file, "cut");
    }
}

/* Replaced by renaming: the one that is open has not changed, but for its names. */
static void
test_replaced(TempDir *dir, const void *data)
{
    g_autoptr(BkBeneath) place = open_place(dir);
    g_auto(BkReadFile) file = BK_READ_FILE_INIT;

    (void)data;
    write_file(dir, "f", "before");
    g_assert_true(bk_read_file_open(&file, place, "f", NULL));
    g_usleep(10000);
    write_file(dir, "f", "after it");
    expect_read(&file, "before");
    expect_end(&file, BK_READ_CHANGED); /* by its ctime: read again, it is the new one */
    bk_read_file_close(&file);
    g_assert_true(bk_read_file_open(&file, place, "f", NULL));
    expect_read(&file, "after it");
    expect_end(&file, BK_READ_SAME);
}

static void
test_holes(TempDir *dir, const void *data)
{
    g_autoptr(BkBeneath) place = open_place(dir);
    g_auto(BkReadFile) file = BK_READ_FILE_INIT;
    g_auto(BkFd) fd = openat(dir->dir, "f", O_CREAT | O_RDWR, 0600);

    (void)data;
    g_assert_true(bk_fd_pwrite(fd, "x", 1, BK_MIB, NULL));
    g_assert_true(bk_read_file_open(&file, place, "f", NULL));
    g_assert_cmpuint(bk_read_file_next_data(&file, 0, 4 * BK_MIB), ==, BK_MIB);
    g_assert_cmpuint(bk_read_file_next_data(&file, 0, BK_KIB), ==, BK_KIB);
}

/* What is no regular file is never waited for. */
static void
test_others(TempDir *dir, const void *data)
{
    static const struct {
        const char *name;
        BkErrorCode code;
    } others[] = {{"absent", BK_ERROR_ABSENT},
                  {"fifo", BK_ERROR_UNFIT},
                  {"link", BK_ERROR_UNFIT},
                  {"d", BK_ERROR_UNFIT},
                  {"to/f", BK_ERROR_UNFIT}};
    g_autoptr(BkBeneath) place = open_place(dir);

    (void)data;
    write_file(dir, "f", "x");
    g_assert_cmpint(mkfifoat(dir->dir, "fifo", 0600), ==, 0);
    g_assert_cmpint(symlinkat("f", dir->dir, "link"), ==, 0);
    g_assert_cmpint(symlinkat(".", dir->dir, "to"), ==, 0);
    g_assert_cmpint(mkdirat(dir->dir, "d", 0700), ==, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
        g_auto(BkReadFile) file = BK_READ_FILE_INIT;
        g_autoptr(GError) error = NULL;

        g_assert_false(bk_read_file_open(&file, place, others[i].name, &error));
        if (!bk_error_is(error, others[i].code))
            g_error("%s: %s", others[i].name, error->message);
    }
}

/* Somebody else's file may be read, though not quietly. */
static void
test_not_owned(TempDir *dir, const void *data)
{
    g_autoptr(BkIdentity) nobody = bk_identity_new(65534, 65534, NULL);
    g_autoptr(BkBeneath) place = open_place(dir);
    g_auto(BkReadFile) file = BK_READ_FILE_INIT;

    (void)data;
    write_file(dir, "f", "x");
    g_assert_cmpint(fchmod(dir->dir, 0755), ==, 0);
    g_assert_cmpint(fchmodat(dir->dir, "f", 0644, 0), ==, 0);
    bk_beneath_become(place, nobody);
    g_assert_true(bk_read_file_open(&file, place, "f", NULL));
    expect_read(&file, "x");
}

/* A path that no system call takes at once. */
static void
test_long_path(TempDir *dir, const void *data)
{
    enum { DEPTH = 30 };
    g_autofree char *name = g_strnfill(200, 'n');
    g_autoptr(GString) path = g_string_new(NULL);
    g_autoptr(BkBeneath) place = open_place(dir);
    g_auto(BkReadFile) file = BK_READ_FILE_INIT;
    g_auto(BkFd) fd = dup(dir->dir);
    g_auto(BkFd) made = -1;
    g_autoptr(GError) error = NULL;

    (void)data;
    for (int i = 0; i < DEPTH; i++) {
        int next;

        g_assert_cmpint(mkdirat(fd, name, 0700), ==, 0);
        next = bk_fd_open_dir(fd, name, NULL);
        bk_fd_clear(&fd);
        fd = next;
        g_string_append_printf(path, "%s/", name);
    }
    made = openat(fd, "f", O_CREAT | O_WRONLY, 0600);
    g_assert_true(bk_fd_write(made, "deep", 4, NULL));
    g_string_append_c(path, 'f');
    g_assert_true(bk_read_file_open(&file, place, path->str, &error));
    g_assert_no_error(error);
    expect_read(&file, "deep");
    /* nftw takes no such path. */
    g_assert_cmpint(unlinkat(fd, "f", 0), ==, 0);
    for (int i = 0; i < DEPTH; i++) {
        int up = bk_fd_open_dir(fd, "..", NULL);

        g_assert_cmpint(unlinkat(up, name, AT_REMOVEDIR), ==, 0);
        bk_fd_clear(&fd);
        fd = up;
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    TEMP_DIR_TEST("/read-file/outcomes", test_outcomes);
    TEMP_DIR_TEST("/read-file/replaced", test_replaced);
    TEMP_DIR_TEST("/read-file/holes", test_holes);
    TEMP_DIR_TEST("/read-file/others", test_others);
    TEMP_DIR_TEST("/read-file/not-owned", test_not_owned);
    TEMP_DIR_TEST("/read-file/long-path", test_long_path);
    return g_test_run();
}
