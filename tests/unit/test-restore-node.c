#include "files-fixture.h"

#include "repo/snapshot/owner-table.h"
#include "source/files/read-file.h"
#include "source/files/restore-node.h"
#include "source/files/xattr.h"

#include <errno.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

/* A tree "from" that becomes a manifest, and a directory "to" that it is restored to. */
typedef struct Restore {
    FilesTree tree;
    BkSnapshot *snapshot;
    BkOwnerTable *owners;
    char *to;
    BkBeneath *place;
    BkNodeOwnersOptions options;
} Restore;

static int
link_file(const char *from, const char *to)
{
    return link(from, to);
}

static void
set_up(Restore *self, const void *data)
{
    files_tree_set_up(&self->tree, data);
    files_tree_make(&self->tree, "from/ to/");
    self->to = files_tree_path(&self->tree, "to");
    self->place = bk_beneath_new(bk_fd_open_dir(AT_FDCWD, self->to, NULL), NULL);
    self->snapshot = bk_snapshot_new();
    self->owners = bk_owner_table_new(self->snapshot);
}

static void
tear_down(Restore *self, const void *data)
{
    bk_owner_table_free(self->owners);
    bk_snapshot_free(self->snapshot);
    bk_beneath_free(self->place);
    g_free(self->to);
    files_tree_tear_down(&self->tree, data);
}

#define RESTORE_TEST(name, function) g_test_add(name, Restore, NULL, set_up, function, tear_down)

static bool
add_to_manifest(void *data, const BkFilesEntry *entry, GError **error)
{
    Restore *self = data;
    g_auto(BkBuf) extensions = BK_BUF_INIT;
    BkFile file;

    (void)error;
    bk_files_entry_fill(entry, bk_owner_table_find(self->owners, entry->uid, entry->gid),
                        &extensions, &file);
    g_assert_true(bk_file_check_extensions(&file, NULL));
    bk_snapshot_add_file(self->snapshot, &file);
    return true;
}

/* Walks "from" (or what the tree has as roots) into the manifest. */
static void
back_up(Restore *self)
{
    g_autoptr(GPtrArray) paths = g_ptr_array_new();
    g_autoptr(GError) error = NULL;
    BkWalkOptions options = {.patterns = self->tree.patterns};

    if (self->tree.roots->len == 0)
        g_ptr_array_add(self->tree.roots, files_tree_path(&self->tree, "from"));
    options.roots = bk_roots_open(self->tree.roots, &error);
    g_assert_no_error(error);
    g_assert_true(
        bk_walk_run(&options, &self->tree.meta, add_to_manifest, self, self->tree.op, NULL));
    g_ptr_array_unref((GPtrArray *)(uintptr_t)options.roots);
}

/* What the extraction does. */
static void
write_content(Restore *self)
{
    size_t count;
    const BkFile *files = bk_snapshot_files(self->snapshot, &count);

    for (size_t i = 0; i < count; i++) {
        g_autofree char *from = g_strconcat("/", files[i].path, NULL);
        g_autofree char *content = NULL;
        g_auto(BkFd) fd = -1;
        gsize size;

        if (files[i].kind != BK_FILE_REGULAR)
            continue;
        g_assert_true(g_file_get_contents(from, &content, &size, NULL));
        fd = bk_beneath_open_file(self->place, files[i].path, O_WRONLY | O_CREAT, 0600, NULL);
        g_assert_true(bk_fd_write(fd, content, size, NULL));
        g_assert_cmpint(ftruncate(fd, (off_t)size), ==, 0);
    }
}

static bool
run_restore(Restore *self, BkNodeReport *report, GError **error)
{
    g_autoptr(BkNodeOwners) owners = bk_node_owners_new(self->snapshot, &self->options, error);
    g_autoptr(GPtrArray) roots = bk_roots_open(self->tree.roots, NULL);
    g_autoptr(BkRestoreNode) nodes = NULL;
    bool ok;

    if (owners == NULL)
        return false;
    nodes =
        bk_restore_node_new(&(BkRestoreNodeOptions){self->place, self->snapshot, owners, roots});
    if (!bk_restore_node_begin(nodes, self->tree.op, error))
        return false;
    write_content(self);
    ok = bk_restore_node_finish(nodes, self->tree.op, error);
    *report = *bk_restore_node_report(nodes);
    report->owners.first = report->set_ids.first = report->attributes.first = NULL;
    return ok;
}

static void
restore(Restore *self, BkNodeReport *report)
{
    g_autoptr(GError) error = NULL;

    run_restore(self, report, &error);
    g_assert_no_error(error);
}

/* Path of a restored entry: "" is the root. A new string. */
static char *
restored(const Restore *self, const char *path)
{
    g_autofree char *from = files_tree_path(&self->tree, "from");

    return g_build_filename(self->to, from, path[0] != 0 ? path : NULL, NULL);
}

static void
get_stat(const char *path, struct stat *st)
{
    if (lstat(path, st) != 0)
        g_error("%s: %s", path, g_strerror(errno));
}

/* Whatever two walks tell of both trees is the same. */
static void
expect_same(const Restore *self, const char *path)
{
    g_autofree char *from_root = files_tree_path(&self->tree, "from");
    g_autofree char *from = g_build_filename(from_root, path[0] != 0 ? path : NULL, NULL);
    g_autofree char *to = restored(self, path);
    g_auto(BkXattrs) one = {0};
    g_auto(BkXattrs) two = {0};
    struct stat st;
    struct stat now;
    g_auto(BkFd) from_fd = open(from, O_PATH | O_NOFOLLOW);
    g_auto(BkFd) to_fd = open(to, O_PATH | O_NOFOLLOW);

    get_stat(from, &st);
    get_stat(to, &now);
    g_assert_cmpuint(now.st_mode, ==, st.st_mode);
    g_assert_cmpuint(now.st_uid, ==, st.st_uid);
    g_assert_cmpuint(now.st_gid, ==, st.st_gid);
    g_assert_cmpuint(now.st_rdev, ==, st.st_rdev);
    g_assert_true(S_ISDIR(st.st_mode) || now.st_size == st.st_size);
    g_assert_cmpint(now.st_mtim.tv_sec, ==, st.st_mtim.tv_sec);
    g_assert_cmpint(now.st_mtim.tv_nsec, ==, st.st_mtim.tv_nsec);
    bk_xattrs_init(&one);
    bk_xattrs_init(&two);
    g_assert_true(bk_xattrs_read(&one, from_fd, NULL));
    g_assert_true(bk_xattrs_read(&two, to_fd, NULL));
    g_assert_cmpuint(one.bytes.size, ==, two.bytes.size);
    g_assert_true(one.bytes.size == 0 ||
                  memcmp(one.bytes.data, two.bytes.data, one.bytes.size) == 0);
}

static void
expect_all_same(const Restore *self)
{
    g_autofree char *from = files_tree_path(&self->tree, "from");
    size_t count;
    const BkFile *files = bk_snapshot_files(self->snapshot, &count);

    for (size_t i = 0; i < count; i++)
        if (g_str_has_prefix(files[i].path, from + 1))
            expect_same(self, files[i].path + strlen(from) -
                                  (files[i].path[strlen(from) - 1] == '/' ? 0 : 1));
}

static void
set_time(const Restore *self, const char *path, long seconds)
{
    g_autofree char *full = files_tree_path(&self->tree, path);
    const struct timespec times[] = {{.tv_sec = 1}, {.tv_sec = seconds, .tv_nsec = 123456789}};

    g_assert_cmpint(utimensat(AT_FDCWD, full, times, AT_SYMLINK_NOFOLLOW), ==, 0);
}

static void
change_mode(const Restore *self, const char *path, mode_t mode)
{
    g_autofree char *full = files_tree_path(&self->tree, path);

    g_assert_cmpint(chmod(full, mode), ==, 0);
}

/* u::rw-, u:1:r--, g::r--, m::r--, o::--- as the kernel has it in an attribute. */
static const uint8_t acl[] = {2,    0,    0,    0,    1,    0,    6,  0,    0xff, 0xff, 0xff,
                              0xff, 2,    0,    4,    0,    1,    0,  0,    0,    4,    0,
                              4,    0,    0xff, 0xff, 0xff, 0xff, 16, 0,    4,    0,    0xff,
                              0xff, 0xff, 0xff, 32,   0,    0,    0,  0xff, 0xff, 0xff, 0xff};
/* cap_net_bind_service=ep */
static const uint8_t capability[20] = {1, 0, 0, 2, 0, 4};

static void
make_everything(Restore *self)
{
    const FilesTree *tree = &self->tree;
    g_autofree char *file = files_tree_path(tree, "from/a/file");
    g_autofree char *directory = files_tree_path(tree, "from/a");
    g_autofree char *other = files_tree_path(tree, "from/b-hard");
    g_autofree char *fifo = files_tree_path(tree, "from/fifo");
    g_autofree char *device = files_tree_path(tree, "from/null");
    g_autofree char *link = files_tree_path(tree, "from/link");
    g_autofree char *link2 = files_tree_path(tree, "from/link2");

    files_tree_make(tree, "from/a/ from/a/file from/closed/ from/closed/x from/plain from/program");
    g_assert_cmpint(setxattr(file, "user.note", "text", 4, 0), ==, 0);
    g_assert_cmpint(setxattr(file, "system.posix_acl_access", acl, sizeof acl, 0), ==, 0);
    g_assert_cmpint(setxattr(directory, "system.posix_acl_default", acl, sizeof acl, 0), ==, 0);
    g_assert_cmpint(link_file(file, other), ==, 0);
    g_assert_cmpint(mkfifo(fifo, 0640), ==, 0);
    g_assert_cmpint(symlink("/no/where", link), ==, 0);
    g_assert_cmpint(link_file(link, link2), ==, 0);
    change_mode(self, "from/program", 06755);
    if (geteuid() == 0) {
        g_autofree char *program = files_tree_path(tree, "from/program");
        g_autofree char *plain = files_tree_path(tree, "from/plain");

        g_assert_cmpint(mknod(device, S_IFBLK | 0620, makedev(250, 77777)), ==, 0);
        g_assert_cmpint(chown(program, 12345, 54321), ==, 0);
        g_assert_cmpint(chmod(program, 06755), ==, 0);
        g_assert_cmpint(setxattr(plain, "security.capability", capability, sizeof capability, 0),
                        ==, 0);
        g_assert_cmpint(lchown(link, 12345, 12345), ==, 0);
    }
    set_time(self, "from/a/file", -1);
    set_time(self, "from/closed/x", 77);
    set_time(self, "from/link", 4000000000L);
    set_time(self, "from/fifo", 5);
    change_mode(self, "from/closed", 0500);
    set_time(self, "from/closed", 1000);
    set_time(self, "from/a", 2000);
    set_time(self, "from", 3000);
}

static void
expect_links(const Restore *self)
{
    g_autofree char *file = restored(self, "a/file");
    g_autofree char *other = restored(self, "b-hard");
    g_autofree char *link = restored(self, "link");
    g_autofree char *link2 = restored(self, "link2");
    g_autofree char *content = NULL;
    struct stat st;
    struct stat two;

    get_stat(file, &st);
    get_stat(other, &two);
    g_assert_cmpuint(st.st_ino, ==, two.st_ino);
    g_assert_cmpuint(st.st_nlink, ==, 2);
    get_stat(link, &st);
    get_stat(link2, &two);
    g_assert_cmpuint(st.st_ino, ==, two.st_ino);
    g_assert_true(g_file_get_contents(other, &content, NULL, NULL));
    g_assert_cmpstr(content, ==, "from/a/file");
}

static void
open_up(const Restore *self)
{
    g_autofree char *closed = restored(self, "closed");

    change_mode(self, "from/closed", 0700);
    g_assert_cmpint(chmod(closed, 0700), ==, 0);
}

/* Entries that only root could give to their owners: directories above the root, in this test. */
static uint64_t
count_foreign(const Restore *self)
{
    size_t count;
    const BkFile *files = bk_snapshot_files(self->snapshot, &count);
    const BkOwner *owners = bk_snapshot_owners(self->snapshot, &(size_t){0});
    uint64_t foreign = 0;

    for (size_t i = 0; i < count && geteuid() != 0; i++)
        foreign += owners[files[i].owner].uid != geteuid() ? 1 : 0;
    return foreign;
}

/* All there is comes back as it was, and a second time over itself, too. */
static void
test_everything(Restore *self, const void *data)
{
    BkNodeReport report;

    (void)data;
    make_everything(self);
    back_up(self);
    for (int i = 0; i < 2; i++) {
        restore(self, &report);
        expect_all_same(self);
        expect_links(self);
        g_assert_cmpuint(report.owners.count, ==, i == 0 ? count_foreign(self) : 0);
        g_assert_cmpuint(report.attributes.count, ==, 0);
        g_assert_cmpuint(report.devices.count, ==, 0);
        g_assert_cmpuint(report.copied_links, ==, 0);
    }
    open_up(self);
}

/* Every interruption, between one call and the next of those that make names, is made up for. */
static void
test_repeated(Restore *self, const void *data)
{
    g_autoptr(BkNodeOwners) owners = NULL;
    g_autoptr(GPtrArray) roots = NULL;
    BkNodeReport report;
    BkRestoreNodeOptions options;

    (void)data;
    make_everything(self);
    back_up(self);
    owners = bk_node_owners_new(self->snapshot, &self->options, NULL);
    roots = bk_roots_open(self->tree.roots, NULL);
    options = (BkRestoreNodeOptions){self->place, self->snapshot, owners, roots};
    {
        g_autoptr(BkRestoreNode) nodes = bk_restore_node_new(&options);

        g_assert_true(bk_restore_node_begin(nodes, self->tree.op, NULL));
    }
    {
        g_autoptr(BkRestoreNode) nodes = bk_restore_node_new(&options);
        g_autofree char *half = restored(self, "link");

        g_assert_true(bk_restore_node_begin(nodes, self->tree.op, NULL));
        write_content(self);
        g_assert_cmpint(symlink("other", half), ==, 0);
    }
    restore(self, &report);
    expect_all_same(self);
    expect_links(self);
    open_up(self);
}

/* What stands in the way is replaced, and what it leads to, or shares its inode, stays as it is. */
static void
test_in_the_way(Restore *self, const void *data)
{
    g_autofree char *outside = files_tree_path(&self->tree, "outside");
    g_autofree char *outside_dir = files_tree_path(&self->tree, "outside-dir");
    g_autofree char *root = restored(self, "");
    g_autofree char *a = restored(self, "a");
    g_autofree char *plain = restored(self, "plain");
    g_autofree char *fifo = restored(self, "fifo");
    g_autofree char *link = restored(self, "link");
    g_autofree char *program = restored(self, "program");
    g_autofree char *content = NULL;
    BkNodeReport report;
    struct stat st;

    (void)data;
    make_everything(self);
    back_up(self);
    files_tree_make(&self->tree, "outside outside-dir/");
    change_mode(self, "outside", 0644);
    g_assert_cmpint(g_mkdir_with_parents(root, 0700), ==, 0);
    g_assert_cmpint(symlink(outside_dir, a), ==, 0);
    g_assert_cmpint(link_file(outside, plain), ==, 0);
    g_assert_cmpint(symlink(outside, program), ==, 0);
    g_assert_cmpint(mkdir(fifo, 0700), ==, 0);
    g_assert_true(g_file_set_contents(link, "x", 1, NULL));
    restore(self, &report);
    expect_all_same(self);
    expect_links(self);
    g_assert_true(g_file_get_contents(outside, &content, NULL, NULL));
    g_assert_cmpstr(content, ==, "outside");
    get_stat(outside, &st);
    g_assert_cmpuint(st.st_mode & 07777, ==, 0644);
    g_assert_cmpint(rmdir(outside_dir), ==, 0); /* nothing came into it */
    open_up(self);
}

static void
expect_unfit(Restore *self, const char *has)
{
    g_autoptr(GError) error = NULL;
    BkNodeReport report;

    g_assert_false(run_restore(self, &report, &error));
    if (strstr(error->message, has) == NULL)
        g_error("unexpected: %s", error->message);
}

/* A directory with something in it is nobody's to remove; a link on the path leads nowhere. */
static void
test_refused(Restore *self, const void *data)
{
    g_autofree char *root = restored(self, "");
    g_autofree char *above = g_path_get_dirname(root);
    g_autofree char *full = restored(self, "f/full");

    (void)data;
    files_tree_make(&self->tree, "from/f elsewhere/");
    back_up(self);
    g_assert_cmpint(g_mkdir_with_parents(full, 0700), ==, 0);
    expect_unfit(self, "a directory is in the way");
    g_assert_cmpint(rmdir(full), ==, 0);
    {
        g_autofree char *file = restored(self, "f");

        g_assert_cmpint(rmdir(file), ==, 0);
    }
    g_assert_cmpint(rmdir(root), ==, 0);
    g_assert_cmpint(rmdir(above), ==, 0);
    g_assert_cmpint(symlink(self->tree.root, above), ==, 0);
    expect_unfit(self, "is no directory, and files belong below it");
}

/* Somebody gives a restored file another name before it gets its owner. */
static void
test_other_names(Restore *self, const void *data)
{
    g_autofree char *file = restored(self, "f");
    g_autofree char *theirs = files_tree_path(&self->tree, "theirs");
    g_autoptr(BkNodeOwners) owners = NULL;
    g_autoptr(GPtrArray) roots = NULL;
    g_autoptr(BkRestoreNode) nodes = NULL;
    g_autoptr(GError) error = NULL;

    (void)data;
    files_tree_make(&self->tree, "from/f");
    back_up(self);
    owners = bk_node_owners_new(self->snapshot, &self->options, NULL);
    roots = bk_roots_open(self->tree.roots, NULL);
    nodes =
        bk_restore_node_new(&(BkRestoreNodeOptions){self->place, self->snapshot, owners, roots});
    g_assert_true(bk_restore_node_begin(nodes, self->tree.op, NULL));
    write_content(self);
    g_assert_cmpint(link_file(file, theirs), ==, 0);
    g_assert_false(bk_restore_node_finish(nodes, self->tree.op, &error));
    g_assert_true(bk_error_is(error, BK_ERROR_UNFIT));
    g_assert_nonnull(strstr(error->message, "has other names"));
}

/* What is above a root is made as it was, and left as it is where it is. */
static void
test_above(Restore *self, const void *data)
{
    g_autofree char *above = NULL;
    g_autofree char *made = NULL;
    BkNodeReport report;
    struct stat st;

    (void)data;
    files_tree_make(&self->tree, "from/x/ from/x/y/ from/x/y/f");
    change_mode(self, "from/x", 0751);
    g_ptr_array_add(self->tree.roots, files_tree_path(&self->tree, "from/x/y"));
    back_up(self);
    above = restored(self, "");
    made = restored(self, "x");
    g_assert_cmpint(g_mkdir_with_parents(above, 0700), ==, 0);
    g_assert_cmpint(chmod(above, 0711), ==, 0);
    restore(self, &report);
    get_stat(above, &st); /* was there */
    g_assert_cmpuint(st.st_mode & 07777, ==, 0711);
    get_stat(made, &st); /* was made */
    g_assert_cmpuint(st.st_mode & 07777, ==, 0751);
    expect_same(self, "x/y");
    expect_same(self, "x/y/f");
}

static void
test_given_owner(Restore *self, const void *data)
{
    g_autofree char *program = restored(self, "program");
    BkNodeReport report;
    struct stat st;

    (void)data;
    make_everything(self);
    back_up(self);
    self->options.owner = "4711:4712";
    if (geteuid() != 0) { /* may not give anything away */
        restore(self, &report);
        g_assert_cmpuint(report.owners.count, >, 0);
        g_assert_cmpuint(report.set_ids.count, ==, 1);
        get_stat(program, &st);
        g_assert_cmpuint(st.st_mode & 07777, ==, 0755);
        open_up(self);
        return;
    }
    restore(self, &report);
    get_stat(program, &st);
    g_assert_cmpuint(st.st_uid, ==, 4711);
    g_assert_cmpuint(st.st_gid, ==, 4712);
    g_assert_cmpuint(st.st_mode & 07777, ==, 0755); /* set-id programs of others are none */
    g_assert_cmpuint(report.set_ids.count, ==, 1);
    self->options = (BkNodeOwnersOptions){.users = (const char *const[]){"12345:99", NULL},
                                          .groups = (const char *const[]){"54321:98", NULL}};
    restore(self, &report);
    get_stat(program, &st);
    g_assert_cmpuint(st.st_uid, ==, 99);
    g_assert_cmpuint(st.st_gid, ==, 98);
    g_assert_cmpuint(st.st_mode & 07777, ==, 06755);
    g_assert_cmpuint(report.set_ids.count, ==, 0);
    open_up(self);
}

static void
test_owner_options(Restore *self, const void *data)
{
    static const struct {
        const char *user_rule;
        const char *owner;
        BkErrorCode code;
    } wrong[] = {{"root", NULL, BK_ERROR_USAGE},
                 {":1", NULL, BK_ERROR_USAGE},
                 {"1:", NULL, BK_ERROR_USAGE},
                 {"1:no-such-user", NULL, BK_ERROR_NOT_FOUND},
                 {NULL, ":", BK_ERROR_USAGE},
                 {NULL, "", BK_ERROR_USAGE},
                 {NULL, "no-such-user", BK_ERROR_NOT_FOUND},
                 {NULL, ":no-such-group", BK_ERROR_NOT_FOUND}};
    g_autoptr(BkNodeOwners) owners = NULL;
    uint32_t known = bk_snapshot_add_owner(self->snapshot, 54321, 54321, "root", "root");
    uint32_t unknown =
        bk_snapshot_add_owner(self->snapshot, 54321, 54322, "no-such-user", "no-such-group");

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        const char *const rules[] = {wrong[i].user_rule, NULL};
        const BkNodeOwnersOptions options = {.users = rules, .owner = wrong[i].owner};
        g_autoptr(GError) error = NULL;

        g_assert_null(bk_node_owners_new(self->snapshot, &options, &error));
        if (!bk_error_is(error, wrong[i].code))
            g_error("case %zu: %s", i, error->message);
    }
    owners = bk_node_owners_new(self->snapshot, &self->options, NULL);
    g_assert_cmpuint(bk_node_owners_get(owners, known)->uid, ==, 0);
    g_assert_cmpuint(bk_node_owners_get(owners, known)->gid, ==, 0);
    g_assert_cmpuint(bk_node_owners_get(owners, unknown)->uid, ==, 54321);
    g_assert_cmpuint(bk_node_owners_get(owners, unknown)->gid, ==, 54322);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    RESTORE_TEST("/restore-node/everything", test_everything);
    RESTORE_TEST("/restore-node/repeated", test_repeated);
    RESTORE_TEST("/restore-node/in-the-way", test_in_the_way);
    RESTORE_TEST("/restore-node/refused", test_refused);
    RESTORE_TEST("/restore-node/other-names", test_other_names);
    RESTORE_TEST("/restore-node/above", test_above);
    RESTORE_TEST("/restore-node/given-owner", test_given_owner);
    RESTORE_TEST("/restore-node/owner-options", test_owner_options);
    return g_test_run();
}
