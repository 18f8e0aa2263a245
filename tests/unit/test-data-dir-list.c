/* test-data-dir-list.c - what of a data directory is copied, and what is left out. */
#include "expect.h"
#include "source/pg/cluster/data-dir-list.h"
#include "temp-dir.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534
#define OWN    "PG_15_202209061"

static const BkPgControl control = {
    .major = 15, .catalog_version = 202209061, .relation_segment_blocks = 131072};

static void
add_text(const char *root, const char *path, size_t size)
{
    g_autofree char *full = g_build_filename(root, path, NULL);
    g_autofree char *directory = g_path_get_dirname(full);
    g_autofree char *text = g_strnfill(size, 'x');

    g_assert_cmpint(g_mkdir_with_parents(directory, 0755), ==, 0);
    g_assert_true(g_file_set_contents(full, text, (gssize)size, NULL));
}

static void
add_dir(const char *root, const char *path)
{
    g_autofree char *full = g_build_filename(root, path, NULL);

    g_assert_cmpint(g_mkdir_with_parents(full, 0755), ==, 0);
}

static void
add_link(const char *root, const char *path, const char *target)
{
    g_autofree char *full = g_build_filename(root, path, NULL);

    g_assert_cmpint(symlink(target, full), ==, 0);
}

static const BkSourceFile *
find(const BkDataDirList *tree, const char *path)
{
    for (guint i = 0; i < tree->files->len; i++) {
        const BkSourceFile *file = g_ptr_array_index(tree->files, i);

        if (strcmp(file->path, path) == 0)
            return file;
    }
    return NULL;
}

static const BkSourceFile *
must_find(const BkDataDirList *tree, const char *path)
{
    const BkSourceFile *file = find(tree, path);

    g_assert(file != NULL);
    return file;
}

/* The paths in order, joined by blanks. */
static char *
list(const TempDir *self)
{
    g_autoptr(GString) paths = g_string_new(NULL);
    g_auto(BkDataDirList) tree = {0};
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_data_dir_list_list(self->root, &control, &tree, self->op, &error));
    for (guint i = 0; i < tree.files->len; i++) {
        const BkSourceFile *file = g_ptr_array_index(tree.files, i);

        g_string_append_printf(paths, "%s%s", i > 0 ? " " : "", file->path);
    }
    return g_strdup(paths->str);
}

static void
test_left_out(TempDir *self, const void *data)
{
    static const char *const left_out[] = {"postmaster.pid",
                                           "postmaster.opts",
                                           "backup_label",
                                           "pg_wal/000000010000000000000001",
                                           "pg_replslot/slot/state",
                                           "pg_dynshmem/mmap.1",
                                           "pg_notify/0000",
                                           "pg_serial/0000",
                                           "pg_snapshots/1",
                                           "pg_stat_tmp/db_5.stat",
                                           "pg_subtrans/0000",
                                           "base/pgsql_tmp/t1",
                                           "base/5/pgsql_tmp1.0",
                                           "base/5/pg_internal.init",
                                           "base/5/pg_internal.init.123",
                                           "global/pg_internal.init",
                                           "base/5/t3_16400",
                                           "base/5/t3_16400_fsm"};
    g_autofree char *paths = NULL;

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(left_out); i++)
        add_text(self->root, left_out[i], 10);
    add_text(self->root, "PG_VERSION", 3);
    add_text(self->root, "backup_label_not", 3);
    add_text(self->root, "global/pg_control", 3);
    paths = list(self);
    g_assert_cmpstr(paths, ==,
                    "PG_VERSION backup_label_not base base/5 global global/pg_control pg_dynshmem "
                    "pg_notify pg_replslot pg_serial pg_snapshots pg_stat_tmp pg_subtrans pg_wal");
}

/* An index gets its init fork when it has been built: a later listing tells. */
static void
test_unlogged_by_then(TempDir *self, const void *data)
{
    static const char *const paths[] = {
        "base/5/16390", "base/5/16390.1",         "base/5/16390_fsm", "base/5/16391",
        "base/6/16390", "base/5/pg_filenode.map", "global/16390",     "base/5/16390_vm",
        "PG_VERSION",   "global/pg_control"};
    g_auto(BkDataDirList) tree = {0};
    g_autoptr(GError) error = NULL;

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(paths); i++)
        add_text(self->root, paths[i], 10);
    EXPECT_DONE(bk_data_dir_list_list(self->root, &control, &tree, self->op, &error));
    add_text(self->root, "base/5/16390_init", 10);
    EXPECT_DONE(bk_data_dir_list_leave_out_unlogged(&tree, self->root, &error));
    for (size_t i = 0; i < G_N_ELEMENTS(paths); i++)
        g_assert_true(must_find(&tree, paths[i])->is_left_out ==
                      (g_str_has_prefix(paths[i], "base/5/16390")));
}

/* Of an unlogged relation only the init forks are kept, in any tablespace; elsewhere such names
 * mean nothing. */
static void
test_unlogged(TempDir *self, const void *data)
{
    static const char *const files[] = {
        "base/5/100", "base/5/100.1", "base/5/100_fsm",  "base/5/100_init", "base/5/1000",
        "base/6/100", "global/100",   "global/100_init", "pg_logical/100",  "pg_logical/100_init"};
    g_autofree char *paths = NULL;

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(files); i++)
        add_text(self->root, files[i], 10);
    paths = list(self);
    g_assert_cmpstr(paths, ==,
                    "base base/5 base/5/1000 base/5/100_init base/6 base/6/100 global global/100 "
                    "global/100_init pg_logical pg_logical/100 pg_logical/100_init");
}

static void
test_pages(TempDir *self, const void *data)
{
    static const struct {
        const char *path;
        bool is_paged;
        uint32_t first_block;
    } files[] = {{"base/5/100", true, 0},
                 {"base/5/100.3", true, 3 * 131072},
                 {"base/5/100_vm", true, 0},
                 {"base/5/PG_VERSION", false, 0},
                 {"base/5/pg_filenode.map", false, 0},
                 {"global/100", true, 0},
                 {"global/pg_control", false, 0},
                 {"pg_xact/0000", false, 0},
                 {"base/5/100.4294967295", false, 0}};
    g_auto(BkDataDirList) tree = {0};
    g_autoptr(GError) error = NULL;

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(files); i++)
        add_text(self->root, files[i].path, 10 + i);
    EXPECT_DONE(bk_data_dir_list_list(self->root, &control, &tree, self->op, &error));
    for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
        const BkSourceFile *file = must_find(&tree, files[i].path);

        g_assert_cmpuint(file->page_size, ==, files[i].is_paged ? 8192 : 0);
        g_assert_cmpuint(file->first_page, ==, files[i].first_block);
        g_assert_cmpuint(file->size, ==, 10 + i);
        g_assert_true(S_ISREG(file->mode));
        g_assert_cmpuint(file->uid, ==, geteuid());
    }
    g_assert_cmpuint(tree.bytes, ==, 9 * 10 + 36);
}

/* The number of a block depends on how large the files of a relation are, which is chosen when the
 * server is built. */
static void
test_other_segment_size(TempDir *self, const void *data)
{
    BkPgControl small = control;
    g_auto(BkDataDirList) tree = {0};
    g_autoptr(GError) error = NULL;

    (void)data;
    small.relation_segment_blocks = 16;
    add_text(self->root, "base/5/100.3", 10);
    add_text(self->root, "base/5/100.268435455", 10);
    add_text(self->root, "base/5/100.268435456", 10);
    EXPECT_DONE(bk_data_dir_list_list(self->root, &small, &tree, self->op, &error));
    g_assert_cmpuint(must_find(&tree, "base/5/100.3")->first_page, ==, 48);
    g_assert_cmpuint(must_find(&tree, "base/5/100.268435455")->page_size, ==, 8192);
    g_assert_cmpuint(must_find(&tree, "base/5/100.268435456")->page_size, ==, 0);
}

static void
test_tablespaces(TempDir *self, const void *data)
{
    g_autofree char *place = g_build_filename(self->parent, "fast", NULL);
    g_auto(BkDataDirList) tree = {0};
    g_autoptr(GError) error = NULL;
    const BkSourceFile *link;

    (void)data;
    add_text(place, "PG_15_202209061/5/200", 10);
    add_text(place, "PG_15_202209061/5/t9_200", 10);
    add_text(place, "PG_15_202209061/pgsql_tmp/x", 10);
    add_dir(self->root, "pg_tblspc");
    add_link(self->root, "pg_tblspc/16385", place);
    EXPECT_DONE(bk_data_dir_list_list(self->root, &control, &tree, self->op, &error));
    link = must_find(&tree, "pg_tblspc/16385");
    g_assert_cmpstr(link->link, ==, place);
    g_assert_true(S_ISLNK(link->mode));
    g_assert_cmpuint(must_find(&tree, "pg_tblspc/16385/PG_15_202209061/5/200")->page_size, ==,
                     8192);
    g_assert_null(find(&tree, "pg_tblspc/16385/PG_15_202209061/5/t9_200"));
    g_assert_null(find(&tree, "pg_tblspc/16385/PG_15_202209061/pgsql_tmp"));
}

/* Beside a cluster's directory in the directory of a tablespace others have theirs. */
static void
test_shared_tablespace(TempDir *self, const void *data)
{
    static const char *const others[] = {"PG_14_202107181/5/1", "PG_15_202209062/5/1",
                                         "PG_16_202209061/5/1", "lost+found/1", "README"};
    g_autofree char *place = g_build_filename(self->parent, "fast", NULL);
    BkPgControl unknown = control;
    g_auto(BkDataDirList) tree = {0};
    g_auto(BkDataDirList) again = {0};
    g_autoptr(GError) error = NULL;

    (void)data;
    add_text(place, OWN "/5/1", 10);
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
        add_text(place, others[i], 10);
    add_dir(self->root, "pg_tblspc");
    add_link(self->root, "pg_tblspc/16385", place);
    EXPECT_DONE(bk_data_dir_list_list(self->root, &control, &tree, self->op, &error));
    g_assert_cmpuint(tree.files->len, ==, 5);
    g_assert_cmpuint(must_find(&tree, "pg_tblspc/16385/" OWN "/5/1")->page_size, ==, 8192);
    /* Of a version between releases the number of the catalog alone is known. */
    unknown.major = 0;
    EXPECT_DONE(bk_data_dir_list_list(self->root, &unknown, &again, self->op, &error));
    g_assert_nonnull(find(&again, "pg_tblspc/16385/" OWN "/5/1"));
    g_assert_null(find(&again, "pg_tblspc/16385/PG_14_202107181"));
}

/* One that was created after the server was asked for them is not forgotten. */
static void
test_added_tablespaces(TempDir *self, const void *data)
{
    g_autofree char *fast = g_build_filename(self->parent, "fast", NULL);
    g_autofree char *late = g_build_filename(self->parent, "late", NULL);
    g_auto(BkPgMeta) meta = {0};
    g_auto(BkDataDirList) tree = {0};
    g_autoptr(GError) error = NULL;
    const BkPgTablespace *added;

    (void)data;
    add_dir(fast, OWN);
    add_dir(late, OWN);
    add_dir(self->root, "pg_tblspc");
    add_link(self->root, "pg_tblspc/16385", fast);
    add_link(self->root, "pg_tblspc/16390", late);
    add_link(self->root, "pg_tblspc/other", late);
    bk_pg_meta_init(&meta);
    bk_pg_meta_add_tablespace(&meta, 16385, "fast", fast);
    EXPECT_DONE(bk_data_dir_list_list(self->root, &control, &tree, self->op, &error));
    bk_data_dir_list_add_tablespaces(&tree, &meta);
    g_assert_cmpuint(meta.tablespaces->len, ==, 2);
    added = g_ptr_array_index(meta.tablespaces, 1);
    g_assert_cmpuint(added->oid, ==, 16390);
    g_assert_cmpstr(added->name, ==, "16390");
    g_assert_cmpstr(added->location, ==, late);
}

/* pg_wal may be elsewhere; a directory whose content is made anew is one again; any other link is
 * left out and named, whatever is behind it. */
static void
test_links(TempDir *self, const void *data)
{
    static const char *const left_out[] = {"gone", "log", "pg_hba.conf"};
    g_autofree char *wal = g_build_filename(self->parent, "wal", NULL);
    g_auto(BkDataDirList) tree = {0};
    g_autoptr(GError) error = NULL;

    (void)data;
    add_text(wal, "000000010000000000000001", 10);
    add_text(self->parent, "hba", 7);
    add_link(self->root, "pg_wal", wal);
    add_link(self->root, "pg_hba.conf", "../hba");
    add_link(self->root, "pg_stat_tmp", "/run/pg");
    add_link(self->root, "log", "/root");
    add_link(self->root, "gone", "nowhere");
    EXPECT_DONE(bk_data_dir_list_list(self->root, &control, &tree, self->op, &error));
    g_assert_cmpuint(tree.files->len, ==, 2);
    g_assert_true(S_ISDIR(must_find(&tree, "pg_wal")->mode));
    g_assert_null(must_find(&tree, "pg_wal")->link);
    g_assert_true(S_ISDIR(must_find(&tree, "pg_stat_tmp")->mode));
    g_assert_cmpuint(tree.left_out->len, ==, G_N_ELEMENTS(left_out));
    for (guint i = 0; i < tree.left_out->len; i++)
        g_assert_true(g_strv_contains(
            left_out, ((const BkSourceFile *)g_ptr_array_index(tree.left_out, i))->path));
}

/* Without these a snapshot would be none. */
static void
test_links_of_essentials(TempDir *self, const void *data)
{
    static const char *const essential[] = {"base", "global", "pg_xact", "base/5/16384"};

    (void)data;
    add_dir(self->parent, "elsewhere");
    for (size_t i = 0; i < G_N_ELEMENTS(essential); i++) {
        g_autofree char *path = g_build_filename(self->root, essential[i], NULL);
        g_auto(BkDataDirList) tree = {0};
        g_autoptr(GError) error = NULL;

        if (strchr(essential[i], '/') != NULL)
            add_dir(self->root, "base/5");
        add_link(self->root, essential[i], "../elsewhere");
        g_assert_false(bk_data_dir_list_list(self->root, &control, &tree, self->op, &error));
        g_assert_nonnull(strstr(error->message, essential[i]));
        EXPECT_ERROR(false, BK_ERROR_UNFIT);
        g_assert_cmpint(unlink(path), ==, 0);
    }
}

/* A link that leads to a directory around it would be followed for ever. */
static void
test_links_that_lead_back(TempDir *self, const void *data)
{
    static const struct {
        const char *link;
        const char *target;
        const char *named;
    } cases[] = {{"pg_wal", ".", "\"pg_wal\""},
                 {"pg_wal", "/", "\"pg_wal\""},
                 {"pg_tblspc/16385", "..", "\"pg_tblspc/16385\""}};

    (void)data;
    add_dir(self->root, "base/5");
    add_dir(self->root, "pg_tblspc");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_build_filename(self->root, cases[i].link, NULL);
        g_auto(BkDataDirList) tree = {0};
        g_autoptr(GError) error = NULL;

        add_link(self->root, cases[i].link, cases[i].target);
        g_assert_false(bk_data_dir_list_list(self->root, &control, &tree, self->op, &error));
        g_assert_nonnull(strstr(error->message, cases[i].named));
        EXPECT_ERROR(false, BK_ERROR_UNFIT);
        g_assert_cmpint(unlink(path), ==, 0);
    }
}

static void
test_sockets_and_no_directory(TempDir *self, const void *data)
{
    g_autofree char *fifo = g_build_filename(self->root, "fifo", NULL);
    g_autofree char *paths = NULL;
    g_auto(BkDataDirList) tree = {0};
    g_autoptr(GError) error = NULL;

    (void)data;
    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    paths = list(self);
    g_assert_cmpstr(paths, ==, "");
    EXPECT_ERROR(bk_data_dir_list_list(fifo, &control, &tree, self->op, &error), BK_ERROR_SYSTEM);
    bk_data_dir_list_clear(&tree);
    bk_op_cancel(self->op);
    EXPECT_ERROR(bk_data_dir_list_list(self->root, &control, &tree, self->op, &error),
                 BK_ERROR_CANCELLED);
}

/* The path says what cannot be read. Root can read all: another user looks. */
static void
test_denied(TempDir *self, const void *data)
{
    g_autofree char *closed = g_build_filename(self->root, "base", "5", NULL);
    int status;
    pid_t pid;

    (void)data;
    add_dir(self->root, "base/5");
    g_assert_cmpint(chmod(self->parent, 0755), ==, 0);
    g_assert_cmpint(chmod(self->root, 0755), ==, 0);
    g_assert_cmpint(chmod(closed, 0), ==, 0);
    pid = fork();
    if (pid == 0) {
        BkDataDirList tree;
        GError *error = NULL;

        if (geteuid() == 0 && setuid(NOBODY) < 0)
            _exit(3);
        if (bk_data_dir_list_list(self->root, &control, &tree, self->op, &error))
            _exit(2);
        _exit(bk_error_is(error, BK_ERROR_DENIED) && strstr(error->message, "base/5") ? 0 : 1);
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_cmpint(chmod(closed, 0700), ==, 0);
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    TEMP_DIR_TEST("/data-dir-list/left-out", test_left_out);
    TEMP_DIR_TEST("/data-dir-list/unlogged", test_unlogged);
    TEMP_DIR_TEST("/data-dir-list/unlogged-by-then", test_unlogged_by_then);
    TEMP_DIR_TEST("/data-dir-list/pages", test_pages);
    TEMP_DIR_TEST("/data-dir-list/other-segment-size", test_other_segment_size);
    TEMP_DIR_TEST("/data-dir-list/tablespaces", test_tablespaces);
    TEMP_DIR_TEST("/data-dir-list/shared-tablespace", test_shared_tablespace);
    TEMP_DIR_TEST("/data-dir-list/added-tablespaces", test_added_tablespaces);
    TEMP_DIR_TEST("/data-dir-list/links-of-essentials", test_links_of_essentials);
    TEMP_DIR_TEST("/data-dir-list/links", test_links);
    TEMP_DIR_TEST("/data-dir-list/links-that-lead-back", test_links_that_lead_back);
    TEMP_DIR_TEST("/data-dir-list/sockets-and-no-directory", test_sockets_and_no_directory);
    TEMP_DIR_TEST("/data-dir-list/denied", test_denied);
    return g_test_run();
}
