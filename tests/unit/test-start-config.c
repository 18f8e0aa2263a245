/* test-start-config.c - where configurations are looked for that no snapshot has. */
#include "source/pg/restore/start-config.h"

#include "temp-dir.h"

static void
put(const char *root, const char *path, const char *text)
{
    g_autofree char *file = g_build_filename(root, path, NULL);
    g_autofree char *directory = g_path_get_dirname(file);

    g_assert_cmpint(g_mkdir_with_parents(directory, 0700), ==, 0);
    g_assert_true(g_file_set_contents(file, text, -1, NULL));
}

/* The candidates of version 15 with the root cut off, joined. */
static char *
list(const char *root, const char *but)
{
    g_autofree char *left_out = g_strconcat(root, but, NULL);
    g_autoptr(GPtrArray) found = bk_start_config_candidates(root, 15, left_out);
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < found->len; i++)
        g_string_append_printf(text, "%s\n",
                               (const char *)g_ptr_array_index(found, i) + strlen(root));
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static void
test_candidates(void)
{
    char *root = temp_dir_new();
    g_autofree char *none = list(root, "/srv");
    g_autofree char *all = NULL;
    g_autofree char *but = NULL;

    g_assert_cmpstr(none, ==, "");
    put(root, "etc/postgresql/15/main/postgresql.conf", "");
    put(root, "etc/postgresql/15/other/pg_hba.conf", "");
    put(root, "etc/postgresql/14/main/postgresql.conf", "");
    put(root, "var/lib/pgsql/15/data/postgresql.conf", "");
    put(root, "var/lib/pgsql/15/data/PG_VERSION", "15\n");
    put(root, "var/lib/pgsql/data/postgresql.conf", "");
    put(root, "var/lib/pgsql/data/PG_VERSION", "13\n"); /* another version's */
    all = list(root, "/var/lib/pgsql/15/dat");
    g_assert_cmpstr(all, ==,
                    "/etc/postgresql/15/main/postgresql.conf\n"
                    "/var/lib/pgsql/15/data/postgresql.conf\n");
    but = list(root, "/var/lib/pgsql/15/data");
    g_assert_cmpstr(but, ==, "/etc/postgresql/15/main/postgresql.conf\n");
    temp_dir_free(root);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/start-config/candidates", test_candidates);
    return g_test_run();
}
