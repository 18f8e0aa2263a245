#include "files-fixture.h"

#include "base/identity.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

static void
expect(FilesTree *self, const char *told)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *is = NULL;

    files_tree_walk(self, &error);
    g_assert_no_error(error);
    is = files_tree_told(self);
    g_assert_cmpstr(is, ==, told);
    for (guint i = 1; i < self->paths->len; i++)
        g_assert_cmpint(
            strcmp(g_ptr_array_index(self->paths, i - 1), g_ptr_array_index(self->paths, i)), <, 0);
}

static void
exclude(FilesTree *self, const char *text)
{
    g_assert_true(bk_patterns_exclude(self->patterns, text, NULL));
}

/* Bytes before and behind the slash in names that begin alike. */
static void
test_order(FilesTree *self, const void *data)
{
    (void)data;
    files_tree_make(self, "a/ a/x a/y/ a/y/z a-b a-b- a.b/ a.b/c a-/ a-/c a-/-/ a-/-/x a-/--/ "
                          "a-/--/y a-/-a a0 ab/ ab/c A z");
    expect(self, "d , f A, d a, d a-, d a-/-, d a-/--, f a-/--/y, f a-/-/x, f a-/-a, f a-/c, f "
                 "a-b, f a-b-, d a.b, f a.b/c, f a/x, d a/y, f a/y/z, f a0, d ab, f ab/c, f z");
    g_assert_cmpuint(self->meta.kinds[BK_FILE_REGULAR], ==, 13);
    g_assert_cmpuint(self->meta.roots->len, ==, 1);
    g_assert_cmpuint(((BkFilesRoot *)g_ptr_array_index(self->meta.roots, 0))->entries, ==, 21);
}

/* Any names: what is told of is in order, and all of it is told of. */
static void
test_random_order(FilesTree *self, const void *data)
{
    static const char bytes[] = "a-./0 \xff";
    g_autoptr(GRand) rand = g_rand_new_with_seed(20261128);
    g_autoptr(GPtrArray) made = g_ptr_array_new_with_free_func(g_free);
    guint count = 1;

    (void)data;
    g_ptr_array_add(made, g_strdup(self->root));
    for (int i = 0; i < 2000; i++) {
        const char *above = g_ptr_array_index(made, g_rand_int_range(rand, 0, (int)made->len));
        char name[4] = {0};
        g_autofree char *path = NULL;

        for (int j = g_rand_int_range(rand, 1, 4); j-- > 0;)
            do
                name[j] = bytes[g_rand_int_range(rand, 0, 7)];
            while (name[j] == '/');
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        path = g_build_filename(above, name, NULL);
        if (g_rand_boolean(rand)) {
            int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);

            count += fd >= 0 ? 1 : 0;
            bk_fd_clear(&fd);
        } else if (mkdir(path, 0700) == 0) {
            count++;
            g_ptr_array_add(made, g_steal_pointer(&path));
        }
    }
    g_assert_true(files_tree_walk(self, NULL));
    g_assert_cmpuint(self->told->len, ==, count);
    for (guint i = 1; i < self->paths->len; i++)
        g_assert_cmpint(
            strcmp(g_ptr_array_index(self->paths, i - 1), g_ptr_array_index(self->paths, i)), <, 0);
}

static void
make_socket(const FilesTree *self, const char *name)
{
    g_autofree char *path = files_tree_path(self, name);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_auto(BkFd) fd = socket(AF_UNIX, SOCK_STREAM, 0);

    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
}

static void
make_link(const FilesTree *self, const char *target, const char *name)
{
    g_autofree char *path = files_tree_path(self, name);

    g_assert_cmpint(symlink(target, path), ==, 0);
}

static void
test_kinds(FilesTree *self, const void *data)
{
    g_autofree char *fifo = files_tree_path(self, "d/fifo");
    g_autofree char *device = files_tree_path(self, "d/null");
    g_autofree char *file = files_tree_path(self, "d/file");
    g_autofree char *name = files_tree_path(self, "a");
    bool is_root = geteuid() == 0;

    (void)data;
    files_tree_make(self, "d/ d/file");
    make_link(self, "/nowhere", "d/away");
    make_link(self, "d", "d2");
    make_socket(self, "d/socket");
    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    if (is_root)
        g_assert_cmpint(mknod(device, S_IFCHR | 0600, makedev(1, 3)), ==, 0);
    g_assert_cmpint(link(file, name), ==, 0);
    expect(self, is_root ? "d , f a, d d, l d/away > /nowhere, p d/fifo, h d/file > a, c d/null, l "
                           "d2 > d"
                         : "d , f a, d d, l d/away > /nowhere, p d/fifo, h d/file > a, l d2 > d");
    g_assert_cmpuint(self->meta.sockets, ==, 1);
    g_assert_cmpuint(self->meta.kinds[BK_FILE_HARD_LINK], ==, 1);
    g_assert_cmpuint(self->meta.errors.count, ==, 0);
}

/* Without memory each name is a file of its own, and that is told. */
static void
test_link_memory(FilesTree *self, const void *data)
{
    g_autofree char *one = files_tree_path(self, "a");
    g_autofree char *two = files_tree_path(self, "b");

    (void)data;
    files_tree_make(self, "a");
    g_assert_cmpint(link(one, two), ==, 0);
    self->link_memory = 1;
    expect(self, "d , f a, f b");
    g_assert_cmpuint(self->meta.links_apart, ==, 2);
}

static void
expect_xattr(const BkFileXattr *xattr, const char *name, const char *value)
{
    g_autofree char *has = g_strndup((const char *)xattr->name, xattr->name_size);
    g_autofree char *is = g_strndup((const char *)xattr->value, xattr->value_size);

    g_assert_cmpstr(has, ==, name);
    g_assert_cmpstr(is, ==, value);
}

static bool
check_metadata(void *data, const BkFilesEntry *entry, GError **error)
{
    struct stat *st = data;
    g_autofree char *path = g_strconcat("/", entry->path, NULL);
    struct stat now;

    (void)error;
    g_assert_cmpint(lstat(path, &now), ==, 0);
    g_assert_cmpuint(entry->mode, ==, now.st_mode & 07777);
    g_assert_cmpuint(entry->uid, ==, now.st_uid);
    g_assert_cmpuint(entry->gid, ==, now.st_gid);
    if (!entry->is_above) { /* others make files in directories above */
        g_assert_cmpint(entry->mtime_sec, ==, now.st_mtim.tv_sec);
        g_assert_cmpint(entry->mtime_nsec, ==, now.st_mtim.tv_nsec);
        g_assert_cmpint(entry->identity.ctime_sec, ==, now.st_ctim.tv_sec);
    }
    g_assert_cmpuint(entry->identity.inode, ==, now.st_ino);
    g_assert_true(entry->is_local);
    if (g_str_has_suffix(entry->path, "/f")) {
        g_assert_cmpuint(entry->size, ==, 1 << 20);
        g_assert_cmpuint(entry->allocated, <, 1 << 20);
        g_assert_cmpuint(entry->mode, ==, 04710);
        g_assert_cmpint(entry->mtime_sec, ==, -5);
        g_assert_cmpuint(entry->mtime_nsec, ==, 7);
        g_assert_cmpuint(entry->xattr_count, ==, 2);
        expect_xattr(&entry->xattrs[0], "user.a", "1");
        expect_xattr(&entry->xattrs[1], "user.b", "");
        st->st_size = 1;
    }
    return true;
}

static void
test_metadata(FilesTree *self, const void *data)
{
    const struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = -5, .tv_nsec = 7}};
    g_autofree char *path = files_tree_path(self, "f");
    g_autoptr(GPtrArray) paths = g_ptr_array_new();
    g_autoptr(GPtrArray) roots = NULL;
    struct stat st = {.st_size = 0};

    (void)data;
    files_tree_make(self, "f");
    g_assert_cmpint(truncate(path, 1 << 20), ==, 0);
    g_assert_cmpint(setxattr(path, "user.b", "", 0, 0), ==, 0);
    g_assert_cmpint(setxattr(path, "user.a", "1", 1, 0), ==, 0);
    g_assert_cmpint(chmod(path, 04710), ==, 0);
    g_assert_cmpint(utimensat(AT_FDCWD, path, times, 0), ==, 0);
    g_ptr_array_add(paths, self->root);
    roots = bk_roots_open(paths, NULL);
    g_assert_true(bk_walk_run(&(BkWalkOptions){.roots = roots, .patterns = self->patterns},
                              &self->meta, check_metadata, &st, self->op, NULL));
    g_assert_cmpint(st.st_size, ==, 1);
}

static void
test_patterns(FilesTree *self, const void *data)
{
    uint64_t count;

    (void)data;
    files_tree_make(self, "a.tmp cache/ cache/keep/ cache/keep/x cache/keep/y.tmp cache/other/ "
                          "cache/other/z cache-2 d/ d/a.tmp d/b d/cache/ d/cache/x");
    exclude(self, "*.tmp");
    exclude(self, "cache/");
    exclude(self, "!cache/keep/x");
    exclude(self, "nothing");
    expect(self, "d , d cache, f cache-2, d cache/keep, f cache/keep/x, d d, f d/b");
    g_assert_cmpuint(self->meta.excluded, ==, 5);
    g_assert_cmpstr(bk_patterns_get(self->patterns, 0, &count), ==, "*.tmp");
    g_assert_cmpuint(count, ==, 2);
    g_assert_cmpstr(bk_patterns_get(self->patterns, 3, &count), ==, "nothing");
    g_assert_cmpuint(count, ==, 0);
    g_assert_cmpuint(self->meta.patterns->len, ==, 4);
}

static void
add_root(FilesTree *self, const char *path)
{
    g_ptr_array_add(self->roots, files_tree_path(self, path));
}

/* Several roots stand in one tree, with what is above them, and nothing else of that. */
static void
test_roots(FilesTree *self, const void *data)
{
    (void)data;
    files_tree_make(self,
                    "etc/ etc/nginx/ etc/nginx/conf etc/shadow etc-2/ etc-2/x etc/hosts srv/");
    add_root(self, "srv");
    add_root(self, "etc/nginx/");
    add_root(self, "etc-2");
    add_root(self, "etc/./hosts");
    expect(self, "d etc-2, f etc-2/x, f etc/hosts, d etc/nginx, f etc/nginx/conf, d srv");
    g_assert_cmpuint(self->meta.roots->len, ==, 4);
    /* Told of, too: each directory on the way, the temporary one and "etc". */
    g_assert_cmpuint(self->paths->len, >=, 6 + 2);
    for (guint i = 0; i < 4; i++) {
        const BkFilesRoot *root = g_ptr_array_index(self->meta.roots, i);

        g_assert_cmpuint(
            root->entries, ==,
            g_str_has_suffix(root->path, "-2") || g_str_has_suffix(root->path, "nginx") ? 2 : 1);
    }
}

static void
expect_failure(FilesTree *self, const char *const *paths, BkErrorCode code, const char *has)
{
    g_autoptr(GError) error = NULL;

    g_ptr_array_set_size(self->roots, 0);
    for (; *paths != NULL; paths++)
        if (**paths == '/')
            g_ptr_array_add(self->roots, g_strdup(*paths));
        else
            add_root(self, *paths);
    g_assert_false(files_tree_walk(self, &error));
    if (!bk_error_is(error, code) || strstr(error->message, has) == NULL)
        g_error("unexpected: %s", error->message);
}

static void
test_unfit_roots(FilesTree *self, const void *data)
{
    (void)data;
    files_tree_make(self, "a/ a/b/ a/b/c a-b/");
    make_link(self, "a", "link");
    expect_failure(self, (const char *const[]){"a", "a-b", "a/b", NULL}, BK_ERROR_CONFIG,
                   "lies below root");
    expect_failure(self, (const char *const[]){"/", "a", NULL}, BK_ERROR_CONFIG,
                   "lies below root \"/\"");
    expect_failure(self, (const char *const[]){"a", "a/", NULL}, BK_ERROR_CONFIG, "there twice");
    expect_failure(self, (const char *const[]){"absent", NULL}, BK_ERROR_ABSENT, "absent");
    expect_failure(self, (const char *const[]){"a", "absent", NULL}, BK_ERROR_ABSENT, "absent");
    expect_failure(self, (const char *const[]){"link", NULL}, BK_ERROR_UNFIT, "/a\" instead");
    expect_failure(self, (const char *const[]){"link/b", NULL}, BK_ERROR_UNFIT, "/a/b\" instead");
    expect_failure(self, (const char *const[]){"/proc", NULL}, BK_ERROR_UNFIT, "kind proc");
    exclude(self, "/a/b");
    expect_failure(self, (const char *const[]){"a", NULL}, BK_ERROR_CONFIG, "is below none of");
}

/* As somebody who may not read all: what cannot be read is noted, and the rest is told of. */
static void
test_unreadable(FilesTree *self, const void *data)
{
    g_autoptr(BkIdentity) nobody = bk_identity_new(65534, 65534, NULL);
    g_autofree char *root = files_tree_path(self, "r");
    g_autofree char *closed = files_tree_path(self, "r/closed");
    g_autofree char *listed = files_tree_path(self, "r/listed");

    (void)data;
    files_tree_make(self, "r/ r/a r/closed/ r/closed/x r/listed/ r/listed/x r/z");
    g_assert_cmpint(chmod(self->root, 0755), ==, 0);
    g_assert_cmpint(chmod(closed, 0), ==, 0);
    g_assert_cmpint(chmod(listed, 0444), ==, 0);
    add_root(self, "r");
    {
        g_auto(BkIdentityScope) scope = bk_identity_enter(nobody);

        expect(self, "d r, f r/a, d r/closed, d r/listed, f r/z");
        g_assert_cmpuint(self->meta.errors.count, ==, 2);
        g_assert_cmpuint(self->meta.errors.first->len, ==, 2);
        g_assert_true(g_str_has_suffix(
            ((BkFilesNote *)g_ptr_array_index(self->meta.errors.first, 0))->path, "/r/closed"));
        expect_failure(self, (const char *const[]){"r/closed", NULL}, BK_ERROR_DENIED, "r/closed");
    }
    g_assert_cmpint(chmod(closed, 0700), ==, 0);
    g_assert_cmpint(chmod(listed, 0700), ==, 0);
}

/* Deeper than descriptors last, and than a path that a system call takes. */
static void
test_deep(FilesTree *self, const void *data)
{
    enum { DEPTH = 3000 };
    g_auto(BkFd) dir = bk_fd_open_dir(AT_FDCWD, self->root, NULL);
    guint count = 0;

    (void)data;
    for (int i = 0; i < DEPTH; i++) {
        int next;
        int file;

        g_assert_cmpint(mkdirat(dir, "dd", 0700), ==, 0);
        file = openat(dir, "z", O_CREAT | O_WRONLY, 0600);
        bk_fd_clear(&file);
        next = bk_fd_open_dir(dir, "dd", NULL);
        bk_fd_clear(&dir);
        dir = next;
    }
    g_assert_true(files_tree_walk(self, NULL));
    g_assert_cmpuint(self->meta.errors.count, ==, 0);
    g_assert_cmpuint(self->told->len, ==, 2 * DEPTH + 1);
    for (guint i = 1; i < self->paths->len; i++)
        count +=
            strcmp(g_ptr_array_index(self->paths, i - 1), g_ptr_array_index(self->paths, i)) < 0
                ? 1
                : 0;
    g_assert_cmpuint(count, ==, self->paths->len - 1);
    /* nftw, which removes the tree, takes no such paths. */
    for (int i = 0; i < DEPTH; i++) {
        int up = bk_fd_open_dir(dir, "..", NULL);

        g_assert_cmpint(unlinkat(up, "z", 0), ==, 0);
        g_assert_cmpint(unlinkat(up, "dd", AT_REMOVEDIR), ==, 0);
        bk_fd_clear(&dir);
        dir = up;
    }
}

/* The kernel's own file systems are told of, and not walked. */
static void
test_mounts(FilesTree *self, const void *data)
{
    bool has_proc = false;
    bool has_content = false;

    (void)data;
    exclude(self, "/*");
    exclude(self, "!/proc");
    g_ptr_array_add(self->roots, g_strdup("/"));
    self->one_file_system = true;
    g_assert_true(files_tree_walk(self, NULL));
    for (guint i = 0; i < self->paths->len; i++) {
        const char *path = g_ptr_array_index(self->paths, i);

        has_proc = has_proc || strcmp(path, "proc") == 0;
        has_content = has_content || g_str_has_prefix(path, "proc/");
    }
    g_assert_true(has_proc);
    g_assert_false(has_content);
    g_assert_cmpuint(self->meta.mounts.count, >=, 1);
}

static void
test_cancelled(FilesTree *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    bk_op_cancel(self->op);
    g_assert_false(files_tree_walk(self, &error));
    g_assert_true(bk_error_is(error, BK_ERROR_CANCELLED));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    FILES_TREE_TEST("/walk/order", test_order);
    FILES_TREE_TEST("/walk/random-order", test_random_order);
    FILES_TREE_TEST("/walk/kinds", test_kinds);
    FILES_TREE_TEST("/walk/link-memory", test_link_memory);
    FILES_TREE_TEST("/walk/metadata", test_metadata);
    FILES_TREE_TEST("/walk/patterns", test_patterns);
    FILES_TREE_TEST("/walk/roots", test_roots);
    FILES_TREE_TEST("/walk/unfit-roots", test_unfit_roots);
    FILES_TREE_TEST("/walk/unreadable", test_unreadable);
    FILES_TREE_TEST("/walk/deep", test_deep);
    FILES_TREE_TEST("/walk/mounts", test_mounts);
    FILES_TREE_TEST("/walk/cancelled", test_cancelled);
    return g_test_run();
}
