/* test-beneath.c - no link is followed below a directory, and its owner's rights are all there are.
 */
#include "base/beneath.h"
#include "expect.h"
#include "temp-dir.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define STRANGER 65534

typedef struct Fixture {
    char *path;
    BkBeneath *beneath;
} Fixture;

static BkBeneath *
open_place(const char *path, const BkIdentity *identity)
{
    g_autoptr(GError) error = NULL;
    BkFd dir = bk_fd_open_dir(AT_FDCWD, path, &error);

    g_assert_no_error(error);
    return bk_beneath_new(dir, identity);
}

static void
set_up(Fixture *self, const void *data)
{
    g_autofree char *inside = NULL;

    self->path = temp_dir_new();
    inside = g_build_filename(self->path, "top", NULL);
    g_assert_cmpint(mkdir(inside, 0755), ==, 0);
    self->beneath = open_place(inside, NULL);
    if (data != NULL)
        bk_beneath_forget_openat2(self->beneath);
}

static void
tear_down(Fixture *self, const void *data)
{
    (void)data;
    bk_beneath_free(self->beneath);
    temp_dir_free(self->path);
}

static void
make_link(const Fixture *self, const char *name, const char *target)
{
    g_assert_cmpint(symlinkat(target, bk_beneath_dir(self->beneath), name), ==, 0);
}

static bool
can_open(const Fixture *self, const char *path, int flags, GError **error)
{
    g_auto(BkFd) fd = bk_beneath_open(self->beneath, path, flags, 0600, error);

    return fd >= 0;
}

static void
test_plain_paths(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_auto(BkBuf) content = BK_BUF_INIT;
    struct stat st;
    bool found;

    (void)data;
    EXPECT_DONE(bk_beneath_mkdir(self->beneath, "a", 0700, &error));
    EXPECT_DONE(bk_beneath_mkdir(self->beneath, "a", 0700, &error));
    EXPECT_DONE(bk_beneath_mkdir(self->beneath, "a/b", 0700, &error));
    EXPECT_DONE(bk_beneath_write(self->beneath, "a/b/c", "text", 4, 0640, BK_FILE_REPLACE, &error));
    EXPECT_DONE(bk_beneath_read(self->beneath, "a/b/c", 100, &content, &error));
    g_assert_cmpstr((const char *)content.data, ==, "text");
    EXPECT_DONE(bk_beneath_stat(self->beneath, "a/b/c", &st, &found, &error));
    g_assert_true(found);
    g_assert_cmpuint(st.st_mode & 07777, ==, 0640);
    EXPECT_DONE(bk_beneath_stat(self->beneath, "a/x/c", &st, &found, &error));
    g_assert_false(found);
    EXPECT_ERROR(bk_beneath_mkdir(self->beneath, "a/b/c", 0700, &error), BK_ERROR_SYSTEM);
    EXPECT_DONE(bk_beneath_unlink(self->beneath, "a/b/c", 0, &error));
    EXPECT_DONE(bk_beneath_unlink(self->beneath, "a/b/c", 0, &error));
    EXPECT_DONE(bk_beneath_unlink(self->beneath, "a/b", AT_REMOVEDIR, &error));
    EXPECT_DONE(can_open(self, "", O_RDONLY | O_DIRECTORY, &error));
}

/* A link is followed in no place: not as the last name, not before it, wherever it leads. */
static void
test_links(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *outside = g_build_filename(self->path, "outside", NULL);
    g_autofree char *victim = g_build_filename(outside, "victim", NULL);
    g_auto(BkBuf) content = BK_BUF_INIT;
    struct stat st;
    bool found;

    (void)data;
    g_assert_cmpint(mkdir(outside, 0755), ==, 0);
    EXPECT_DONE(g_file_set_contents(victim, "precious", -1, &error));
    EXPECT_DONE(bk_beneath_mkdir(self->beneath, "inside", 0700, &error));
    make_link(self, "absolute", outside);
    make_link(self, "relative", "../outside");
    make_link(self, "near", "inside");
    make_link(self, "file", victim);
    for (const char *const *name = (const char *const[]){"absolute", "relative", "near", NULL};
         *name != NULL; name++) {
        g_autofree char *below = g_strconcat(*name, "/victim", NULL);

        EXPECT_ERROR(can_open(self, *name, O_RDONLY | O_DIRECTORY, &error), BK_ERROR_UNFIT);
        EXPECT_ERROR(can_open(self, below, O_RDWR | O_CREAT, &error), BK_ERROR_UNFIT);
        EXPECT_ERROR(bk_beneath_mkdir(self->beneath, below, 0700, &error), BK_ERROR_UNFIT);
        EXPECT_ERROR(bk_beneath_unlink(self->beneath, below, 0, &error), BK_ERROR_UNFIT);
        EXPECT_ERROR(bk_beneath_symlink(self->beneath, below, "x", &error), BK_ERROR_UNFIT);
        EXPECT_ERROR(bk_beneath_stat(self->beneath, below, &st, &found, &error), BK_ERROR_UNFIT);
        EXPECT_ERROR(bk_beneath_write(self->beneath, below, "x", 1, 0600, BK_FILE_REPLACE, &error),
                     BK_ERROR_UNFIT);
        EXPECT_ERROR(bk_beneath_read(self->beneath, below, 100, &content, &error), BK_ERROR_UNFIT);
    }
    EXPECT_ERROR(can_open(self, "file", O_RDWR | O_CREAT, &error), BK_ERROR_UNFIT);
    g_assert_false(can_open(self, "../outside/victim", O_RDONLY, &error));
    g_clear_error(&error);
    /* A whole file replaces the link itself. */
    EXPECT_DONE(bk_beneath_write(self->beneath, "file", "x", 1, 0600, BK_FILE_REPLACE, &error));
    g_assert_true(g_file_get_contents(victim, (char **)&content.data, &content.size, NULL));
    g_assert_cmpstr((const char *)content.data, ==, "precious");
}

static void
test_mounts(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *outside = g_build_filename(self->path, "outside", NULL);
    g_autofree char *written = g_build_filename(outside, "file", NULL);
    BkFd dir;

    (void)data;
    g_assert_cmpint(mkdir(outside, 0755), ==, 0);
    make_link(self, "pg_wal", outside);
    dir = bk_fd_open_dir(AT_FDCWD, outside, &error);
    g_assert_no_error(error);
    bk_beneath_mount(self->beneath, "pg_wal", dir);
    EXPECT_DONE(
        bk_beneath_write(self->beneath, "pg_wal/file", "x", 1, 0600, BK_FILE_REPLACE, &error));
    g_assert_true(g_file_test(written, G_FILE_TEST_IS_REGULAR));
    EXPECT_ERROR(can_open(self, "pg_wal_other/file", O_RDONLY, &error), BK_ERROR_ABSENT);
    g_assert_false(can_open(self, "pg_wal/../top", O_RDONLY, &error));
}

static void
test_odd_files(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_auto(BkBuf) content = BK_BUF_INIT;

    (void)data;
    g_assert_cmpint(mkfifoat(bk_beneath_dir(self->beneath), "pipe", 0600), ==, 0);
    EXPECT_ERROR(bk_beneath_read(self->beneath, "pipe", 100, &content, &error), BK_ERROR_UNFIT);
    EXPECT_DONE(bk_beneath_mkdir(self->beneath, "dir", 0700, &error));
    EXPECT_ERROR(bk_beneath_read(self->beneath, "dir", 100, &content, &error), BK_ERROR_UNFIT);
}

static bool
is_root(void)
{
    return geteuid() == 0;
}

/* Root in an identity can do what its user can, and afterwards all again. */
static void
test_identity(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(BkIdentity) identity = bk_identity_new(STRANGER, STRANGER, &error);
    g_autofree char *own = g_build_filename(self->path, "own", NULL);
    g_autoptr(BkBeneath) beneath = NULL;
    g_auto(BkBuf) content = BK_BUF_INIT;
    struct stat st;
    bool found;

    (void)data;
    g_assert_no_error(error);
    g_assert_cmpint(bk_identity_is_other(identity), ==, is_root());
    if (!is_root())
        return;
    g_assert_cmpint(chmod(self->path, 0755), ==, 0);
    g_assert_cmpint(mkdir(own, 0700), ==, 0);
    g_assert_cmpint(chown(own, STRANGER, STRANGER), ==, 0);
    beneath = open_place(own, identity);
    EXPECT_DONE(bk_beneath_write(beneath, "file", "x", 1, 0600, BK_FILE_REPLACE, &error));
    EXPECT_DONE(bk_beneath_stat(beneath, "file", &st, &found, &error));
    g_assert_cmpuint(st.st_uid, ==, STRANGER);
    g_assert_cmpuint(st.st_gid, ==, STRANGER);
    g_assert_cmpint(chown(own, 0, 0), ==, 0); /* root's, mode 0700 */
    EXPECT_ERROR(bk_beneath_read(beneath, "file", 100, &content, &error), BK_ERROR_DENIED);
    g_assert_false(bk_identity_is_entered());
    g_assert_cmpint(chown(own, STRANGER, STRANGER), ==, 0);
    {
        g_auto(BkIdentityScope) scope = bk_identity_enter(identity);
        g_auto(BkIdentityScope) again = bk_identity_enter(identity);

        g_assert_true(bk_identity_is_entered());
        g_assert_cmpint(mkdirat(bk_beneath_dir(self->beneath), "no", 0700), <, 0);
        g_assert_cmpint(errno, ==, EACCES);
    }
    g_assert_false(bk_identity_is_entered());
    g_assert_cmpint(mkdirat(bk_beneath_dir(self->beneath), "yes", 0700), ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/beneath/plain-paths", Fixture, NULL, set_up, test_plain_paths, tear_down);
    g_test_add("/beneath/links", Fixture, NULL, set_up, test_links, tear_down);
    g_test_add("/beneath/mounts", Fixture, NULL, set_up, test_mounts, tear_down);
    g_test_add("/beneath/steps/plain-paths", Fixture, "steps", set_up, test_plain_paths, tear_down);
    g_test_add("/beneath/steps/links", Fixture, "steps", set_up, test_links, tear_down);
    g_test_add("/beneath/steps/mounts", Fixture, "steps", set_up, test_mounts, tear_down);
    g_test_add("/beneath/odd-files", Fixture, NULL, set_up, test_odd_files, tear_down);
    g_test_add("/beneath/identity", Fixture, NULL, set_up, test_identity, tear_down);
    return g_test_run();
}
