/* test-tablespace-map.c - where the tablespaces of a restored cluster go. */
#include "engine/restore/tablespace-map.h"
#include "expect.h"
#include "source/pg/cluster/pg-meta.h"
#include "temp-dir.h"

#include <sys/stat.h>
#include <unistd.h>

static GArray *
map(const char *const *remaps, GError **error)
{
    g_auto(BkPgMeta) meta = {0};

    bk_pg_meta_init(&meta);
    bk_pg_meta_add_tablespace(&meta, 16385, "fast", "/mnt/fast");
    bk_pg_meta_add_tablespace(&meta, 16386, "big", "/mnt/big");
    /* Names are borrowed from the meta: only the places are looked at below. */
    return bk_tablespace_map_new(&meta, remaps, "/restored/data", error);
}

static const char *
place(const GArray *self, guint index)
{
    return g_array_index(self, BkRestoreTablespace, index).to;
}

static void
test_default(void)
{
    g_autoptr(GError) error = NULL;
    GArray *self = map(NULL, &error);

    g_assert_no_error(error);
    g_assert_cmpuint(self->len, ==, 2);
    g_assert_cmpstr(place(self, 0), ==, "/mnt/fast");
    g_assert_cmpstr(place(self, 1), ==, "/mnt/big");
    bk_tablespace_map_free(self);
    bk_tablespace_map_free(NULL);
}

static void
test_remapped(void)
{
    static const char *const remaps[] = {"big=/a//b/../c=d/", "fast=relative", NULL};
    g_autofree char *directory = g_get_current_dir();
    g_autofree char *relative = g_build_filename(directory, "relative", NULL);
    g_autoptr(GError) error = NULL;
    GArray *self = map(remaps, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(place(self, 0), ==, relative);
    g_assert_cmpstr(place(self, 1), ==, "/a/c=d");
    bk_tablespace_map_free(self);
}

static void
test_refused(void)
{
    static const char *const words[] = {"",
                                        "fast",
                                        "fast=",
                                        "=/a",
                                        "other=/a",
                                        "Fast=/a",
                                        "fast=/mnt/big",
                                        "fast=/restored/data",
                                        "fast=/restored/data/pg_tblspc/x",
                                        "fast=/restored/x/../data"};
    g_autoptr(GError) error = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        const char *const remaps[] = {words[i], NULL};

        EXPECT_ERROR(map(remaps, &error) != NULL, BK_ERROR_USAGE);
    }
}

/* A place beside the data directory whose name begins alike is not inside it. */
static void
test_beside(void)
{
    static const char *const remaps[] = {"fast=/restored/data2", NULL};
    g_autoptr(GError) error = NULL;
    GArray *self = map(remaps, &error);

    g_assert_no_error(error);
    bk_tablespace_map_free(self);
}

/* What was moved aside belongs to the old cluster still, and not what takes its place. */
static void
test_move_aside(void)
{
    char *top = temp_dir_new();
    g_autofree char *root = g_build_filename(top, "data", NULL);
    g_autofree char *links = g_build_filename(root, "pg_tblspc", NULL);
    g_autofree char *link = g_build_filename(links, "16385", NULL);
    g_autofree char *place = g_build_filename(top, "fast", NULL);
    g_autofree char *start = g_strconcat(place, "/backstay-before-restore-", NULL);
    g_autofree char *own = g_build_filename(place, "PG_15_202209061", NULL);
    g_autofree char *other = g_build_filename(place, "PG_17_202406281", NULL);
    g_autofree char *target = NULL;
    g_autofree char *moved = NULL;
    g_auto(BkPgMeta) meta = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(BkIdentity) old = bk_identity_new(geteuid(), getegid(), &error);
    GArray *self;

    bk_pg_meta_init(&meta);
    bk_pg_meta_add_tablespace(&meta, 16385, "fast", place);
    g_assert_cmpint(g_mkdir_with_parents(links, 0700), ==, 0);
    meta.version = 150004;
    meta.catalog_version = 202209061;
    g_assert_cmpint(g_mkdir_with_parents(own, 0700), ==, 0);
    g_assert_cmpint(mkdir(other, 0700), ==, 0);
    g_assert_cmpint(symlink(place, link), ==, 0);
    self = bk_tablespace_map_new(&meta, NULL, root, &error);
    g_assert_no_error(error);
    EXPECT_DONE(bk_tablespace_map_move_aside(self, &meta, root, old, &error));
    g_assert_false(g_file_test(own, G_FILE_TEST_EXISTS));
    g_assert_true(g_file_test(other, G_FILE_TEST_IS_DIR)); /* another version's */
    target = g_file_read_link(link, &error);
    g_assert_no_error(error);
    moved = g_build_filename(target, "PG_15_202209061", NULL);
    g_assert_true(g_str_has_prefix(target, start) && g_file_test(moved, G_FILE_TEST_IS_DIR));
    bk_tablespace_map_free(self);
    temp_dir_free(top);
}

/* A link anywhere else, or of a tablespace that nobody knows, would lead a restore out of what was
 * looked at. */
static void
test_links(void)
{
    static const char *const wrong[] = {"pg_wal",           "base/16385",
                                        "pg_tblspc/16387",  "pg_tblspc/x",
                                        "pg_tblspc/016385", "pg_tblspc/16385/PG_15_202209061",
                                        "pg_tblspc"};
    g_autoptr(GError) error = NULL;
    GArray *self = map(NULL, &error);
    g_autoptr(BkSnapshot) whole = bk_snapshot_new();

    g_assert_no_error(error);
    bk_snapshot_add_file(whole,
                         &(BkFile){.path = "pg_tblspc", .link = "", .kind = BK_FILE_DIRECTORY});
    bk_snapshot_add_file(
        whole, &(BkFile){.path = "pg_tblspc/16385", .link = "/mnt/fast", .kind = BK_FILE_SYMLINK});
    EXPECT_DONE(bk_tablespace_map_check_links(self, whole, &error));
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(BkSnapshot) snapshot = bk_snapshot_new();

        bk_snapshot_add_file(snapshot,
                             &(BkFile){.path = wrong[i], .link = "/etc", .kind = BK_FILE_SYMLINK});
        EXPECT_ERROR(bk_tablespace_map_check_links(self, snapshot, &error), BK_ERROR_CORRUPT);
    }
    bk_tablespace_map_free(self);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tablespace-map/default", test_default);
    g_test_add_func("/tablespace-map/remapped", test_remapped);
    g_test_add_func("/tablespace-map/refused", test_refused);
    g_test_add_func("/tablespace-map/beside", test_beside);
    g_test_add_func("/tablespace-map/move-aside", test_move_aside);
    g_test_add_func("/tablespace-map/links", test_links);
    return g_test_run();
}
