/* test-path-owner.c - who besides root decides on a path, and as whom a file on it is opened. */
#include "base/fd.h"
#include "base/path-owner.h"
#include "expect.h"
#include "temp-dir.h"

#include <sys/stat.h>
#include <unistd.h>

#define STRANGER 65534
#define OTHER    65533

typedef struct Fixture {
    char *path;
    char *middle; /* the stranger's, when root runs the test */
    char *file;
} Fixture;

static void
set_up(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    self->path = temp_dir_new();
    self->middle = g_build_filename(self->path, "middle", NULL);
    self->file = g_build_filename(self->middle, "file", NULL);
    g_assert_cmpint(chmod(self->path, 0755), ==, 0);
    g_assert_cmpint(mkdir(self->middle, 0755), ==, 0);
    EXPECT_DONE(g_file_set_contents(self->file, "text", -1, &error));
    if (geteuid() == 0)
        g_assert_cmpint(chown(self->middle, STRANGER, STRANGER), ==, 0);
}

static void
tear_down(Fixture *self, const void *data)
{
    (void)data;
    g_free(self->middle);
    g_free(self->file);
    temp_dir_free(self->path);
}

static uid_t
find(const char *path)
{
    const BkPathOwner otherwise = {OTHER, OTHER};
    g_autoptr(GError) error = NULL;
    BkPathOwner found;

    EXPECT_DONE(bk_path_owner_find(path, &otherwise, &found, &error));
    return found.uid;
}

static void
test_owners(Fixture *self, const void *data)
{
    g_autofree char *missing = g_build_filename(self->middle, "not", "there", NULL);
    g_autofree char *link = g_build_filename(self->path, "link", NULL);
    g_autofree char *below_link = g_build_filename(link, "x", NULL);
    g_autofree char *beside = g_build_filename(self->path, "beside", NULL);

    (void)data;
    if (geteuid() != 0)
        return;
    g_assert_cmpuint(find(self->path), ==, 0);
    g_assert_cmpuint(find(self->middle), ==, 0); /* its own name is in root's directory */
    g_assert_cmpuint(find(self->file), ==, STRANGER);
    g_assert_cmpuint(find(missing), ==, STRANGER);
    /* A link that root made leads on; one of somebody else's is in his hand. */
    g_assert_cmpint(symlink("/proc", link), ==, 0);
    g_assert_cmpuint(find(below_link), ==, 0);
    g_assert_cmpint(lchown(link, OTHER, OTHER), ==, 0);
    g_assert_cmpuint(find(below_link), ==, OTHER);
    g_assert_cmpuint(find(link), ==, OTHER);
    /* A directory that all may write to. */
    g_assert_cmpint(chmod(self->path, 0777), ==, 0);
    g_assert_cmpuint(find(beside), ==, OTHER);
    g_assert_cmpint(chmod(self->path, 01777), ==, 0);
    g_assert_cmpuint(find(beside), ==, 0);
}

static bool
can_open(const char *path, GError **error)
{
    g_auto(BkFd) fd = bk_path_owner_open(path, error);

    return fd >= 0;
}

static void
test_open(Fixture *self, const void *data)
{
    g_autofree char *link = g_build_filename(self->middle, "link", NULL);
    g_autofree char *missing = g_build_filename(self->middle, "missing", NULL);
    g_autoptr(GError) error = NULL;

    (void)data;
    g_assert_cmpint(chmod(self->file, 0644), ==, 0);
    EXPECT_DONE(can_open(self->file, &error));
    g_assert_cmpint(symlink(self->file, link), ==, 0);
    EXPECT_ERROR(can_open(link, &error), BK_ERROR_UNFIT);
    EXPECT_ERROR(can_open(missing, &error), BK_ERROR_ABSENT);
    EXPECT_ERROR(can_open(self->path, &error), BK_ERROR_UNFIT);
    if (geteuid() != 0)
        return;
    g_assert_cmpint(chmod(self->file, 0600), ==, 0); /* root's */
    EXPECT_ERROR(can_open(self->file, &error), BK_ERROR_DENIED);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/path-owner/owners", Fixture, NULL, set_up, test_owners, tear_down);
    g_test_add("/path-owner/open", Fixture, NULL, set_up, test_open, tear_down);
    return g_test_run();
}
