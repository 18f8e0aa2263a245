/* What a directory can do to a store: leftovers, links, missing rights, a vanished root. */
#include "store/posix.h"
#include "temp-dir.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

typedef struct Fixture {
    char *parent;
    char *dir;
    BkStore *store;
    BkOp *op;
    BkBuf out;
} Fixture;

static void
set_up(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    self->parent = temp_dir_new();
    self->dir = g_build_filename(self->parent, "store", NULL);
    self->store = bk_store_posix_open(self->dir, true, &error);
    g_assert_no_error(error);
    self->op = bk_op_new(NULL);
    self->out = BK_BUF_INIT;
}

static void
tear_down(Fixture *self, const void *data)
{
    (void)data;
    bk_store_free(self->store);
    bk_op_free(self->op);
    bk_buf_clear(&self->out);
    g_free(self->dir);
    temp_dir_free(self->parent);
}

static bool
put_text(const Fixture *self, const char *name, const char *text, GError **error)
{
    g_auto(BkBuf) buf = BK_BUF_INIT;

    bk_buf_append(&buf, text, strlen(text));
    return bk_store_put(self->store, name, &buf, self->op, error);
}

static void
must_put(const Fixture *self, const char *name, const char *text)
{
    g_autoptr(GError) error = NULL;
    bool done = put_text(self, name, text, &error);

    g_assert_no_error(error);
    g_assert_true(done);
}

static bool
get(Fixture *self, const char *name, GError **error)
{
    return bk_store_get(self->store, name, 0, SIZE_MAX, BK_MIB, &self->out, self->op, error);
}

static bool
note_name(const BkStoreEntry *entry, void *data, GError **error)
{
    (void)error;
    g_string_append_printf(data, "%s\n", entry->name);
    return true;
}

static void
assert_list(const Fixture *self, const char *prefix, const char *expected)
{
    g_autoptr(GString) names = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    bool done = bk_store_list(self->store, prefix, NULL, note_name, names, self->op, &error);

    g_assert_no_error(error);
    g_assert_true(done);
    g_assert_cmpstr(names->str, ==, expected);
}

/* The call failed, with that code, and its message has `text` in it. Clears the error. */
static void
assert_failed(bool done, GError **error, BkErrorCode code, const char *text)
{
    g_assert_false(done);
    g_assert_error(*error, BK_ERROR, (int)code);
    if (strstr((*error)->message, text) == NULL)
        g_error("\"%s\" is not in: %s", text, (*error)->message);
    g_clear_error(error);
}

static char *
path_of(const Fixture *self, const char *name)
{
    return g_build_filename(self->dir, name, NULL);
}

static void
write_file(const Fixture *self, const char *name, int64_t age_s)
{
    g_autofree char *path = path_of(self, name);
    struct timespec times[2] = {{.tv_sec = g_get_real_time() / BK_USEC_PER_SEC - age_s}};

    times[1] = times[0];
    g_assert_true(g_file_set_contents(path, "left", 4, NULL));
    g_assert_cmpint(utimensat(AT_FDCWD, path, times, 0), ==, 0);
}

static bool
exists(const Fixture *self, const char *name)
{
    g_autofree char *path = path_of(self, name);
    struct stat st;

    return lstat(path, &st) == 0;
}

static mode_t
mode_of(const Fixture *self, const char *name)
{
    g_autofree char *path = path_of(self, name);
    struct stat st;

    g_assert_cmpint(lstat(path, &st), ==, 0);
    return st.st_mode & 07777;
}

static void
test_open(Fixture *self, const void *data)
{
    g_autofree char *missing = g_build_filename(self->parent, "missing", NULL);
    g_autofree char *deep = g_build_filename(self->parent, "x/y/z", NULL);
    g_autofree char *file = g_build_filename(self->parent, "file", NULL);
    g_autofree char *below_file = g_build_filename(file, "store", NULL);
    g_autofree char *description = g_strdup_printf("directory \"%s\"", deep);
    g_autoptr(BkStore) made = NULL;
    g_autoptr(GError) error = NULL;

    (void)data;
    g_assert_true(g_file_set_contents(file, "", 0, NULL));
    assert_failed(bk_store_posix_open(missing, false, &error) != NULL, &error, BK_ERROR_ABSENT,
                  missing);
    assert_failed(bk_store_posix_open(file, false, &error) != NULL, &error, BK_ERROR_STORE,
                  "Not a directory");
    assert_failed(bk_store_posix_open(file, true, &error) != NULL, &error, BK_ERROR_STORE,
                  "Not a directory");
    assert_failed(bk_store_posix_open(below_file, true, &error) != NULL, &error, BK_ERROR_STORE,
                  "Not a directory");
    made = bk_store_posix_open(deep, true, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(bk_store_describe(made), ==, description);
}

static void
test_modes(Fixture *self, const void *data)
{
    (void)data;
    must_put(self, "a/b/c", "x");
    g_assert_cmpint(mode_of(self, "."), ==, 0700);
    g_assert_cmpint(mode_of(self, "a"), ==, 0700);
    g_assert_cmpint(mode_of(self, "a/b"), ==, 0700);
    g_assert_cmpint(mode_of(self, "a/b/c"), ==, 0600);
    g_assert_cmpint(mode_of(self, ".tmp"), ==, 0700);
}

static void
assert_owner(const Fixture *self, const char *name, uid_t uid)
{
    g_autofree char *path = path_of(self, name);
    struct stat st;

    g_assert_cmpint(lstat(path, &st), ==, 0);
    g_assert_cmpint(st.st_uid, ==, uid);
    g_assert_cmpint(st.st_gid, ==, uid);
}

/* What root makes in another user's repository is that user's; the group's rights are those of the
 * directory. */
static void
test_owner(Fixture *self, const void *data)
{
    static const char *const names[] = {"a", "a/b", "a/b/c", ".tmp"};
    g_autoptr(GError) error = NULL;

    (void)data;
    bk_store_free(self->store);
    g_assert_cmpint(chmod(self->dir, 02750), ==, 0);
    if (geteuid() == 0)
        g_assert_cmpint(chown(self->dir, NOBODY, NOBODY), ==, 0);
    self->store = bk_store_posix_open(self->dir, false, &error);
    g_assert_no_error(error);
    must_put(self, "a/b/c", "x");
    g_assert_cmpint(mode_of(self, "a/b"), ==, 02750);
    g_assert_cmpint(mode_of(self, ".tmp"), ==, 02750);
    g_assert_cmpint(mode_of(self, "a/b/c"), ==, 0640);
    for (size_t i = 0; geteuid() == 0 && i < G_N_ELEMENTS(names); i++)
        assert_owner(self, names[i], NOBODY);
}

static unsigned
count_temps(const Fixture *self)
{
    g_autofree char *path = path_of(self, ".tmp");
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    unsigned count = 0;

    while (dir != NULL && g_dir_read_name(dir) != NULL)
        count++;
    return count;
}

static void
test_leftovers(Fixture *self, const void *data)
{
    const int64_t day_s = INT64_C(24) * 3600;

    (void)data;
    must_put(self, "first", "x");
    g_assert_cmpuint(count_temps(self), ==, 0);
    write_file(self, ".tmp/1-old", day_s + 60);
    write_file(self, ".tmp/2-young", day_s - 600);
    write_file(self, ".tmp-other", day_s + 60);
    must_put(self, "second", "x"); /* not the first of its handle */
    g_assert_true(exists(self, ".tmp/1-old"));
    bk_store_free(self->store);
    self->store = bk_store_posix_open(self->dir, false, NULL);
    assert_list(self, "", "first\nsecond\n");
    assert_list(self, ".tmp/", "");
    assert_list(self, ".", "");
    must_put(self, "third", "x");
    g_assert_false(exists(self, ".tmp/1-old"));
    g_assert_true(exists(self, ".tmp/2-young"));
    g_assert_true(exists(self, ".tmp-other"));
}

static void
test_reserved_names(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    must_put(self, "first", "x");
    write_file(self, ".tmp/1-young", 0);
    assert_failed(put_text(self, ".tmp/new", "x", &error), &error, BK_ERROR_STORE, "reserved");
    assert_failed(get(self, ".tmp/1-young", &error), &error, BK_ERROR_ABSENT, "no such object");
    g_assert_true(bk_store_delete(self->store, ".tmp/1-young", self->op, &error));
    g_assert_true(exists(self, ".tmp/1-young"));
}

static void
test_temp_directory_removed(Fixture *self, const void *data)
{
    g_autofree char *path = path_of(self, ".tmp");

    (void)data;
    must_put(self, "first", "x");
    g_assert_cmpint(rmdir(path), ==, 0);
    must_put(self, "second", "x");
    assert_list(self, "", "first\nsecond\n");
}

/* Every call must say that the root is gone, none that an object is absent or the store empty. */
static void
assert_gone(Fixture *self)
{
    g_autofree char *text = g_strdup_printf("the directory \"%s\" is gone", self->dir);
    g_autoptr(GString) names = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    uint64_t size;

    assert_failed(get(self, "a/absent", &error), &error, BK_ERROR_STORE, text);
    assert_failed(get(self, "no/directory", &error), &error, BK_ERROR_STORE, text);
    assert_failed(bk_store_stat(self->store, "no/directory", &size, self->op, &error), &error,
                  BK_ERROR_STORE, text);
    assert_failed(bk_store_stat(self->store, "a/absent", &size, self->op, &error), &error,
                  BK_ERROR_STORE, text);
    assert_failed(put_text(self, "a/new", "x", &error), &error, BK_ERROR_STORE, text);
    assert_failed(bk_store_delete(self->store, "a/absent", self->op, &error), &error,
                  BK_ERROR_STORE, text);
    assert_failed(bk_store_list(self->store, "", NULL, note_name, names, self->op, &error), &error,
                  BK_ERROR_STORE, text);
    assert_failed(bk_store_list(self->store, "no/", NULL, note_name, names, self->op, &error),
                  &error, BK_ERROR_STORE, text);
}

static void
test_root_removed(Fixture *self, const void *data)
{
    (void)data;
    must_put(self, "a/object", "x");
    temp_dir_free(g_strdup(self->dir));
    assert_gone(self);
    g_assert_false(exists(self, ""));
}

/* As when the file system was unmounted: an empty directory stands in its place. */
static void
test_root_replaced(Fixture *self, const void *data)
{
    g_autofree char *aside = g_build_filename(self->parent, "aside", NULL);

    (void)data;
    must_put(self, "a/object", "x");
    g_assert_cmpint(rename(self->dir, aside), ==, 0);
    g_assert_cmpint(mkdir(self->dir, 0700), ==, 0);
    assert_gone(self);
    g_assert_false(exists(self, "a"));
    g_assert_false(exists(self, ".tmp"));
}

static void
test_links(Fixture *self, const void *data)
{
    g_autofree char *object = path_of(self, "a/link");
    g_autofree char *directory = path_of(self, "b");
    g_autofree char *pipe = path_of(self, "a/pipe");
    g_autoptr(GError) error = NULL;
    uint64_t size;

    (void)data;
    must_put(self, "a/object", "x");
    g_assert_cmpint(symlink("object", object), ==, 0);
    g_assert_cmpint(symlink("a", directory), ==, 0);
    g_assert_cmpint(mkfifo(pipe, 0600), ==, 0);
    assert_failed(get(self, "a/link", &error), &error, BK_ERROR_STORE, "not a regular file");
    assert_failed(get(self, "a/pipe", &error), &error, BK_ERROR_STORE, "not a regular file");
    assert_failed(get(self, "a", &error), &error, BK_ERROR_STORE, "not a regular file");
    assert_failed(bk_store_stat(self->store, "a/link", &size, self->op, &error), &error,
                  BK_ERROR_STORE, "not a regular file");
    assert_failed(put_text(self, "a/link", "y", &error), &error, BK_ERROR_STORE,
                  "not a regular file");
    assert_failed(get(self, "b/object", &error), &error, BK_ERROR_STORE, "Not a directory");
    assert_failed(put_text(self, "b/new", "y", &error), &error, BK_ERROR_STORE, "Not a directory");
    assert_failed(bk_store_delete(self->store, "b/object", self->op, &error), &error,
                  BK_ERROR_STORE, "Not a directory");
    assert_failed(put_text(self, "a/object/below", "y", &error), &error, BK_ERROR_STORE,
                  "Not a directory");
    assert_list(self, "", "a/object\n");
    g_assert_cmpuint(count_temps(self), ==, 0);
}

static void
test_foreign_files(Fixture *self, const void *data)
{
    g_autofree char *directory = path_of(self, "lost+found");

    (void)data;
    must_put(self, "a/object", "x");
    write_file(self, "a/with space", 0);
    write_file(self, "a/caf\xc3\xa9", 0);
    g_assert_cmpint(mkdir(directory, 0700), ==, 0);
    write_file(self, "lost+found/inode", 0);
    assert_list(self, "", "a/object\n");
    assert_list(self, "lost+found/", "");
}

/* In a child: it can give up rights, and fault points count their passages for each process. */
static void
run_in_child(Fixture *self, void (*work)(Fixture *self, const void *data), const void *data)
{
    int status;
    pid_t child = fork();

    g_assert_cmpint(child, >=, 0);
    if (child == 0) {
        work(self, data);
        _exit(0);
    }
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_cmpint(status, ==, 0);
}

static void
meet_denials(Fixture *self, const void *data)
{
    g_autoptr(GString) names = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    bool is_root = geteuid() == 0;

    (void)data;
    if (is_root)
        g_assert_true(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
    assert_failed(put_text(self, "a/new", "x", &error), &error, BK_ERROR_DENIED,
                  "Permission denied");
    assert_failed(get(self, "a/object", &error), &error, BK_ERROR_DENIED, "Permission denied");
    assert_failed(bk_store_delete(self->store, "a/object", self->op, &error), &error,
                  BK_ERROR_DENIED, "Permission denied");
    assert_failed(bk_store_list(self->store, "", NULL, note_name, names, self->op, &error), &error,
                  BK_ERROR_DENIED, "Permission denied");
    assert_failed(bk_store_posix_open(self->dir, false, &error) != NULL, &error, BK_ERROR_DENIED,
                  is_root ? "Permission denied: it belongs to user \"root\" and its mode is 0000"
                          : "Permission denied");
}

static void
test_denied(Fixture *self, const void *data)
{
    g_autofree char *directory = path_of(self, "a");
    g_autofree char *temp = path_of(self, ".tmp");

    (void)data;
    must_put(self, "a/object", "x");
    g_assert_cmpint(chmod(self->parent, 0711), ==, 0);
    g_assert_cmpint(chmod(directory, 0), ==, 0);
    g_assert_cmpint(chmod(temp, 0), ==, 0);
    g_assert_cmpint(chmod(self->dir, 0), ==, 0);
    run_in_child(self, meet_denials, NULL);
    g_assert_cmpint(chmod(self->dir, 0700), ==, 0);
    g_assert_cmpint(chmod(directory, 0700), ==, 0);
    g_assert_cmpint(chmod(temp, 0700), ==, 0);
}

#ifdef BK_FAULTS
typedef struct FaultCase {
    const char *armed;
    BkErrorCode code;
    bool is_visible; /* the object, after the failure */
} FaultCase;

/* The put fails; nothing is left of it but, past the link, the object, whole. A second attempt
 * succeeds or finds it. */
static void
put_with_fault(Fixture *self, const void *data)
{
    const FaultCase *fault = data;
    g_autoptr(GError) error = NULL;
    bool done;

    g_assert_true(g_setenv("BACKSTAY_FAULT", fault->armed, TRUE));
    assert_failed(put_text(self, "new/object", "whole", &error), &error, fault->code,
                  "put \"new/object\" into directory");
    /* The temporary name of an object that is visible says that it may not be durable. */
    g_assert_cmpuint(count_temps(self), ==, fault->is_visible ? 1 : 0);
    assert_list(self, "", fault->is_visible ? "new/object\n" : "");
    done = put_text(self, "new/object", "whole", &error);
    if (fault->is_visible)
        assert_failed(done, &error, BK_ERROR_EXISTS, "the name is already in use");
    g_assert_no_error(error);
    g_assert_true(get(self, "new/object", NULL));
    g_assert_cmpuint(self->out.size, ==, 5);
    g_assert_cmpint(memcmp(self->out.data, "whole", 5), ==, 0);
}

static void
test_put_faults(Fixture *self, const void *data)
{
    static const FaultCase cases[] = {
        {"store.posix.write:enospc", BK_ERROR_NO_SPACE, false},
        {"store.posix.write:eio", BK_ERROR_STORE, false},
        {"store.posix.sync:eio", BK_ERROR_STORE, false},
        {"store.posix.make-directory:enospc", BK_ERROR_NO_SPACE, false},
        {"store.posix.link:eio", BK_ERROR_STORE, false},
        {"store.posix.sync-dir:eio", BK_ERROR_STORE, true},
    };
    g_autofree char *directory = path_of(self, "new");

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        run_in_child(self, put_with_fault, &cases[i]);
        g_assert_true(bk_store_delete(self->store, "new/object", self->op, NULL));
        g_assert_cmpint(rmdir(directory), ==, 0);
    }
}

static void
read_with_fault(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    g_assert_true(g_setenv("BACKSTAY_FAULT", "store.posix.read:eio", TRUE));
    assert_failed(get(self, "object", &error), &error, BK_ERROR_STORE, "get \"object\" from");
    g_assert_cmpuint(self->out.size, ==, 0);
    g_assert_true(get(self, "object", NULL));
}

static void
delete_with_fault(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    g_assert_true(g_setenv("BACKSTAY_FAULT", "store.posix.delete:eio", TRUE));
    assert_failed(bk_store_delete(self->store, "object", self->op, &error), &error, BK_ERROR_STORE,
                  "delete \"object\" from");
    g_assert_true(get(self, "object", NULL));
    g_assert_true(bk_store_delete(self->store, "object", self->op, NULL));
}

static void
test_read_and_delete_faults(Fixture *self, const void *data)
{
    (void)data;
    must_put(self, "object", "whole");
    run_in_child(self, read_with_fault, NULL);
    run_in_child(self, delete_with_fault, NULL);
    g_assert_false(exists(self, "object"));
}
#endif

int
main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*run)(Fixture *fixture, const void *data);
    } tests[] = {
        {"/store/posix/open", test_open},
        {"/store/posix/modes", test_modes},
        {"/store/posix/owner", test_owner},
        {"/store/posix/leftovers", test_leftovers},
        {"/store/posix/reserved-names", test_reserved_names},
        {"/store/posix/temp-directory-removed", test_temp_directory_removed},
        {"/store/posix/root-removed", test_root_removed},
        {"/store/posix/root-replaced", test_root_replaced},
        {"/store/posix/links", test_links},
        {"/store/posix/foreign-files", test_foreign_files},
        {"/store/posix/denied", test_denied},
#ifdef BK_FAULTS
        {"/store/posix/put-faults", test_put_faults},
        {"/store/posix/read-and-delete-faults", test_read_and_delete_faults},
#endif
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, Fixture, NULL, set_up, tests[i].run, tear_down);
    return g_test_run();
}
