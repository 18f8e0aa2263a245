/* test-destination.c - the directory that is restored into: looked at, moved aside, swept. */
#include "engine/restore/destination.h"
#include "expect.h"
#include "temp-dir.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void
add(const char *root, const char *path, const char *text)
{
    g_autofree char *full = g_build_filename(root, path, NULL);
    g_autofree char *directory = g_path_get_dirname(full);

    g_assert_cmpint(g_mkdir_with_parents(directory, 0700), ==, 0);
    g_assert_true(g_file_set_contents(full, text, -1, NULL));
}

static bool
has(const char *root, const char *path)
{
    g_autofree char *full = g_build_filename(root, path, NULL);
    struct stat st;

    return lstat(full, &st) == 0;
}

static BkDestinationState
inspect(const char *path)
{
    g_autoptr(GError) error = NULL;
    BkDestinationState state;

    EXPECT_DONE(bk_destination_inspect(path, &state, &error));
    g_assert_cmpuint(strlen(bk_destination_describe(state)), >, 0);
    return state;
}

static void
test_states(TempDir *self, const void *data)
{
    g_autofree char *missing = g_build_filename(self->parent, "a", "b", NULL);
    g_autofree char *file = g_build_filename(self->root, "other", NULL);
    g_autoptr(GError) error = NULL;
    BkDestinationState state;

    (void)data;
    g_assert_cmpint(inspect(missing), ==, BK_DESTINATION_NEW);
    g_assert_cmpint(inspect(self->root), ==, BK_DESTINATION_EMPTY);
    add(self->root, "other", "");
    g_assert_cmpint(inspect(self->root), ==, BK_DESTINATION_OTHER);
    add(self->root, "PG_VERSION", "15\n");
    g_assert_cmpint(inspect(self->root), ==, BK_DESTINATION_DATA);
    add(self->root, BK_DESTINATION_MARK, "");
    g_assert_cmpint(inspect(self->root), ==, BK_DESTINATION_PART);
    g_assert_false(bk_destination_inspect(file, &state, &error));
    g_clear_error(&error);
}

/* A server that runs is refused; the lock file that one left behind when it died is not. */
static void
test_running_server(TempDir *self, const void *data)
{
    g_autofree char *mine = g_strdup_printf("%ld\n%s\n", (long)getpid(), self->root);
    /* As a single-user server writes it. */
    g_autofree char *single = g_strdup_printf("-%ld\n%s\n", (long)getpid(), self->root);
    g_autoptr(GError) error = NULL;
    BkDestinationState state;

    (void)data;
    add(self->root, "PG_VERSION", "15\n");
    add(self->root, "postmaster.pid", mine);
    EXPECT_ERROR(bk_destination_inspect(self->root, &state, &error), BK_ERROR_UNFIT);
    add(self->root, "postmaster.pid", single);
    EXPECT_ERROR(bk_destination_inspect(self->root, &state, &error), BK_ERROR_UNFIT);
    add(self->root, "postmaster.pid", "2147483646\n");
    g_assert_cmpint(inspect(self->root), ==, BK_DESTINATION_DATA);
}

static void
test_move_aside(TempDir *self, const void *data)
{
    int64_t now_us = INT64_C(1795221545) * BK_USEC_PER_SEC;
    g_autofree char *moved = NULL;
    g_autofree char *again = NULL;
    g_autoptr(GError) error = NULL;

    (void)data;
    add(self->root, "a", "x");
    EXPECT_DONE(bk_destination_move_aside(self->root, now_us, &moved, &error));
    g_assert_true(g_str_has_suffix(moved, "/data.before-restore-20261121T003905Z"));
    g_assert_true(has(moved, "a") && !has(self->parent, "data"));
    g_assert_cmpint(mkdir(self->root, 0700), ==, 0);
    EXPECT_DONE(bk_destination_move_aside(self->root, now_us, &again, &error));
    g_assert_true(g_str_has_suffix(again, "/data.before-restore-20261121T003905Z-2"));
    g_assert_true(has(moved, "a")); /* what was moved aside before is not replaced */
}

/* Lets renameat2(2) answer as on a file system that cannot rename without replacing. */
static void
forbid_renameat2(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_renameat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {G_N_ELEMENTS(filter), filter};

    g_assert_cmpint(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), ==, 0);
    g_assert_cmpint(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), ==, 0);
}

/* The same where the file system cannot do it in one step, such as NFS. */
static void
test_move_aside_in_two_steps(TempDir *self, const void *data)
{
    if (g_test_subprocess()) {
        forbid_renameat2();
        test_move_aside(self, data);
        return;
    }
    g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_INHERIT_STDERR);
    g_test_trap_assert_passed();
}

static void
add_file(BkSnapshot *snapshot, const char *path, BkFileKind kind, const char *link)
{
    BkFile file = {.path = path, .link = link, .kind = kind};

    bk_snapshot_add_file(snapshot, &file);
}

static BkSnapshot *
make_snapshot(const char *place)
{
    BkSnapshot *snapshot = bk_snapshot_new();

    add_file(snapshot, "PG_VERSION", BK_FILE_REGULAR, "");
    add_file(snapshot, "base", BK_FILE_DIRECTORY, "");
    add_file(snapshot, "base/5", BK_FILE_DIRECTORY, "");
    add_file(snapshot, "base/5/1", BK_FILE_REGULAR, "");
    add_file(snapshot, "base/5/2", BK_FILE_REGULAR, "");
    add_file(snapshot, "pg_tblspc", BK_FILE_DIRECTORY, "");
    add_file(snapshot, "pg_tblspc/16385", BK_FILE_SYMLINK, place);
    add_file(snapshot, "pg_tblspc/16385/PG_15", BK_FILE_DIRECTORY, "");
    add_file(snapshot, "pg_tblspc/16385/PG_15/1", BK_FILE_REGULAR, "");
    return snapshot;
}

/* The tablespace is mounted where `tablespace` is. */
static BkBeneath *
open_place(const char *path, const char *tablespace)
{
    BkBeneath *place = bk_beneath_new(open(path, O_RDONLY | O_DIRECTORY), NULL);
    int mounted = tablespace != NULL ? open(tablespace, O_RDONLY | O_DIRECTORY) : -1;

    g_assert_cmpint(bk_beneath_dir(place), >=, 0);
    if (tablespace != NULL)
        g_assert_cmpint(mounted, >=, 0);
    if (mounted >= 0)
        bk_beneath_mount(place, "pg_tblspc/16385", mounted);
    return place;
}

static bool
sweep(TempDir *self, const BkSnapshot *snapshot, const char *tablespace, GError **error)
{
    g_autoptr(BkBeneath) place = open_place(self->root, tablespace);

    return bk_destination_remove_others(place, snapshot, self->op, error);
}

static void
link_to(const TempDir *self, const char *target, const char *path)
{
    g_autofree char *full = g_build_filename(self->root, path, NULL);

    g_assert_cmpint(symlink(target, full), ==, 0);
}

static void
test_remove_others(TempDir *self, const void *data)
{
    static const char *const others[] = {"base/5/3",       "base/6/1",     "backup_label",
                                         "pg_wal/1/2/3/4", "base/5/2/sub", "base/5/2/sub2",
                                         "PG_VERSION.old"};
    g_autofree char *place = g_build_filename(self->parent, "fast", NULL);
    g_autofree char *elsewhere = g_build_filename(self->parent, "elsewhere", NULL);
    g_autoptr(BkSnapshot) snapshot = make_snapshot(place);
    g_autoptr(GError) error = NULL;

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
        add(self->root, others[i], "x");
    add(self->root, "PG_VERSION", "15\n");
    add(self->root, "base/5/1", "x");
    add(self->root, BK_DESTINATION_MARK, "");
    add(place, "PG_15/1", "x");
    add(place, "PG_15/9", "x");
    add(place, "PG_14/1", "x");
    add(elsewhere, "kept", "x");
    add(self->root, "pg_tblspc/16400", "a file in the place of a link");
    link_to(self, place, "pg_tblspc/16385");
    link_to(self, elsewhere, "pg_tblspc/16386");
    link_to(self, elsewhere, "base/7");
    EXPECT_DONE(sweep(self, snapshot, place, &error));
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
        g_assert_false(has(self->root, others[i]));
    g_assert_true(has(self->root, "PG_VERSION") && has(self->root, "base/5/1"));
    g_assert_true(has(self->root, BK_DESTINATION_MARK) && !has(self->root, "base/5/2"));
    g_assert_true(has(self->root, "pg_tblspc/16385") && has(place, "PG_15/1"));
    g_assert_false(has(place, "PG_15/9"));
    g_assert_true(has(place, "PG_14/1")); /* another cluster's */
    /* A link that the snapshot has not is removed, and not what it leads to. */
    g_assert_false(has(self->root, "pg_tblspc/16386") || has(self->root, "base/7"));
    g_assert_true(has(elsewhere, "kept"));
}

/* A link in the place of a directory or of a file of the snapshot is no way out of the destination.
 */
static void
test_links_in_the_way(TempDir *self, const void *data)
{
    g_autofree char *elsewhere = g_build_filename(self->parent, "elsewhere", NULL);
    g_autoptr(BkSnapshot) snapshot = make_snapshot("/nowhere");
    g_autoptr(GError) error = NULL;

    (void)data;
    add(elsewhere, "5/1", "x");
    add(elsewhere, "file", "x");
    link_to(self, elsewhere, "base");
    link_to(self, "../elsewhere/file", "PG_VERSION");
    EXPECT_DONE(sweep(self, snapshot, NULL, &error));
    g_assert_false(has(self->root, "base") || has(self->root, "PG_VERSION"));
    g_assert_true(has(elsewhere, "5/1") && has(elsewhere, "file"));
}

/* A tablespace whose place is gone, as after the loss of a disk, stops nothing. */
static void
test_dangling_tablespace(TempDir *self, const void *data)
{
    g_autofree char *place = g_build_filename(self->parent, "lost", NULL);
    g_autoptr(BkSnapshot) snapshot = make_snapshot(place);
    g_autoptr(GError) error = NULL;

    (void)data;
    add(self->root, "pg_tblspc/x", "x");
    link_to(self, place, "pg_tblspc/16385");
    EXPECT_DONE(sweep(self, snapshot, NULL, &error));
    g_assert_false(has(self->root, "pg_tblspc/x"));
}

/* A file that a copy made of links shares is not written through, nor one that is read-only. */
static void
test_shared_files(TempDir *self, const void *data)
{
    g_autofree char *mine = g_build_filename(self->root, "base", "5", "1", NULL);
    g_autofree char *copy = g_build_filename(self->parent, "copy", NULL);
    g_autofree char *read_only = g_build_filename(self->root, "base", "5", "2", NULL);
    g_autoptr(BkSnapshot) snapshot = make_snapshot("/nowhere");
    g_autoptr(GError) error = NULL;

    (void)data;
    add(self->root, "PG_VERSION", "15\n");
    add(self->root, "base/5/1", "x");
    add(self->root, "base/5/2", "x");
    g_assert_cmpint(link(mine, copy), ==, 0);
    g_assert_cmpint(chmod(read_only, 0400), ==, 0);
    EXPECT_DONE(sweep(self, snapshot, NULL, &error));
    g_assert_true(has(self->root, "PG_VERSION") && has(self->parent, "copy"));
    g_assert_false(has(self->root, "base/5/1") || has(self->root, "base/5/2"));
}

/* A file system that begins somewhere below is found, by way of a link too. */
static void
test_file_systems(TempDir *self, const void *data)
{
    g_autoptr(BkSnapshot) snapshot = make_snapshot("/proc");
    g_autoptr(BkSnapshot) small = bk_snapshot_new();
    g_autoptr(GArray) directories = NULL;
    g_autoptr(GArray) alone = NULL;
    g_autoptr(BkBeneath) place = NULL;
    g_autoptr(GError) error = NULL;
    struct stat st;

    (void)data;
    add(self->root, "base/5/1", "x");
    add(self->root, "pg_tblspc/x", "x");
    link_to(self, "/proc", "pg_tblspc/16385");
    add_file(small, "base", BK_FILE_DIRECTORY, "");
    add_file(small, "base/5", BK_FILE_DIRECTORY, "");
    place = open_place(self->root, "/proc");
    alone = bk_destination_file_systems(place, small, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(alone->len, ==, 1);
    add_file(small, "pg_tblspc", BK_FILE_DIRECTORY, "");
    add_file(small, "pg_tblspc/16385", BK_FILE_SYMLINK, "/proc");
    directories = bk_destination_file_systems(place, small, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(directories->len, ==, 2);
    g_assert_cmpint(fstatat(g_array_index(directories, BkFd, 1), "self", &st, 0), ==, 0);
    /* What should be there and is not cannot be made durable. */
    EXPECT_ERROR(bk_destination_file_systems(place, snapshot, &error) != NULL, BK_ERROR_ABSENT);
}

static void
test_overlaps(TempDir *self, const void *data)
{
    g_autofree char *inside = g_build_filename(self->root, "a", "b", NULL);
    g_autofree char *beside = g_strconcat(self->root, "2", NULL);
    g_autofree char *link_path = g_build_filename(self->parent, "link", NULL);
    g_autofree char *by_link = g_build_filename(link_path, "a", NULL);

    (void)data;
    g_assert_cmpint(symlink("data", link_path), ==, 0);
    g_assert_true(bk_destination_overlaps(self->root, self->root));
    g_assert_true(bk_destination_overlaps(self->root, inside));
    g_assert_true(bk_destination_overlaps(inside, self->root));
    g_assert_true(bk_destination_overlaps(self->root, by_link));
    g_assert_true(bk_destination_overlaps("/", self->root));
    g_assert_false(bk_destination_overlaps(self->root, beside));
    g_assert_false(bk_destination_overlaps(by_link, beside));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    TEMP_DIR_TEST("/destination/states", test_states);
    TEMP_DIR_TEST("/destination/running-server", test_running_server);
    TEMP_DIR_TEST("/destination/move-aside", test_move_aside);
    TEMP_DIR_TEST("/destination/move-aside-in-two-steps", test_move_aside_in_two_steps);
    TEMP_DIR_TEST("/destination/remove-others", test_remove_others);
    TEMP_DIR_TEST("/destination/links-in-the-way", test_links_in_the_way);
    TEMP_DIR_TEST("/destination/dangling-tablespace", test_dangling_tablespace);
    TEMP_DIR_TEST("/destination/shared-files", test_shared_files);
    TEMP_DIR_TEST("/destination/file-systems", test_file_systems);
    TEMP_DIR_TEST("/destination/overlaps", test_overlaps);
    return g_test_run();
}
