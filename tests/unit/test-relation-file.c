/* test-relation-file.c - the names of relation files, and what only looks like one. */
#include "source/pg/format/relation-file.h"

static void
test_names(void)
{
    static const struct {
        const char *name;
        BkRelationFile parsed;
    } cases[] = {
        {"16384", {16384, BK_FORK_MAIN, 0, false}},
        {"16384.2", {16384, BK_FORK_MAIN, 2, false}},
        {"16384_vm", {16384, BK_FORK_VM, 0, false}},
        {"16384_fsm.10", {16384, BK_FORK_FSM, 10, false}},
        {"16384_init", {16384, BK_FORK_INIT, 0, false}},
        {"t3_16384", {16384, BK_FORK_MAIN, 0, true}},
        {"t3_16384_fsm.1", {16384, BK_FORK_FSM, 1, true}},
        {"4294967295.4294967295", {UINT32_MAX, BK_FORK_MAIN, UINT32_MAX, false}},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        BkRelationFile parsed;

        g_assert_true(bk_relation_file_parse(cases[i].name, &parsed));
        g_assert_cmpuint(parsed.file_node, ==, cases[i].parsed.file_node);
        g_assert_cmpint(parsed.fork, ==, cases[i].parsed.fork);
        g_assert_cmpuint(parsed.segment, ==, cases[i].parsed.segment);
        g_assert_true(parsed.is_temporary == cases[i].parsed.is_temporary);
    }
}

static void
test_others(void)
{
    static const char *const names[] = {"",
                                        "t",
                                        "t3",
                                        "t_1",
                                        "t3_",
                                        "PG_VERSION",
                                        "pg_control",
                                        "16384_",
                                        "16384_vmx",
                                        "16384_VM",
                                        "16384.",
                                        "16384.0",
                                        "16384.01",
                                        "16384.1.1",
                                        "016384",
                                        "16384 ",
                                        " 16384",
                                        "+16384",
                                        "-1",
                                        "16384_vm_fsm",
                                        "1_2",
                                        "0x10",
                                        "4294967296",
                                        "1.4294967296",
                                        "t4294967296_1",
                                        "99999999999999999999999999",
                                        "1.99999999999999999999999999",
                                        "T3_16384",
                                        "pg_internal.init",
                                        "16384_vm.x"};

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        BkRelationFile parsed;

        g_assert_false(bk_relation_file_parse(names[i], &parsed));
    }
}

static void
test_paths(void)
{
    static const struct {
        const char *path;
        BkRelationPath parsed;
    } cases[] = {
        {"base/5/16384", {1663, 5, {16384, BK_FORK_MAIN, 0, false}}},
        {"base/5/16384.3", {1663, 5, {16384, BK_FORK_MAIN, 3, false}}},
        {"base/0/1", {1663, 0, {1, BK_FORK_MAIN, 0, false}}},
        {"base/5/t3_16384_vm", {1663, 5, {16384, BK_FORK_VM, 0, true}}},
        {"global/1262", {1664, 0, {1262, BK_FORK_MAIN, 0, false}}},
        {"global/1262_fsm", {1664, 0, {1262, BK_FORK_FSM, 0, false}}},
        {"pg_tblspc/16400/PG_15_202209061/5/16384.1", {16400, 5, {16384, BK_FORK_MAIN, 1, false}}},
        {"pg_tblspc/16400/PG_18_202506291/5/16390_init",
         {16400, 5, {16390, BK_FORK_INIT, 0, false}}},
        {"base/4294967295/4294967295", {1663, UINT32_MAX, {UINT32_MAX, BK_FORK_MAIN, 0, false}}},
        {"pg_tblspc/4294967295/PG_13_1/4294967295/1",
         {UINT32_MAX, UINT32_MAX, {1, BK_FORK_MAIN, 0, false}}},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        BkRelationPath parsed;

        g_assert_true(bk_relation_path_parse(cases[i].path, &parsed));
        g_assert_cmpuint(parsed.tablespace, ==, cases[i].parsed.tablespace);
        g_assert_cmpuint(parsed.database, ==, cases[i].parsed.database);
        g_assert_cmpuint(parsed.name.file_node, ==, cases[i].parsed.name.file_node);
        g_assert_cmpint(parsed.name.fork, ==, cases[i].parsed.name.fork);
        g_assert_cmpuint(parsed.name.segment, ==, cases[i].parsed.name.segment);
        g_assert_true(parsed.name.is_temporary == cases[i].parsed.name.is_temporary);
    }
}

static void
test_other_paths(void)
{
    static const char *const paths[] = {"",
                                        "16384",
                                        "/16384",
                                        "base",
                                        "base/",
                                        "base/5",
                                        "base/5/",
                                        "base/16384x",
                                        "base//16384",
                                        "base/5//16384",
                                        "base/05/16384",
                                        "base/-5/16384",
                                        "base/5x/16384",
                                        "base/5/6/16384",
                                        "base/5/16384/",
                                        "base/5/PG_VERSION",
                                        "base/pgsql_tmp/16384",
                                        "base/4294967296/16384",
                                        "base/99999999999999999999999/16384",
                                        "base/5/4294967296",
                                        "Base/5/16384",
                                        "global",
                                        "global/",
                                        "global/5/16384",
                                        "global/pg_control",
                                        "global/4294967296",
                                        "pg_tblspc",
                                        "pg_tblspc/",
                                        "pg_tblspc/16400",
                                        "pg_tblspc/16400/",
                                        "pg_tblspc/16400/5/16384",
                                        "pg_tblspc/16400/PG_15_202209061",
                                        "pg_tblspc/16400/PG_15_202209061/",
                                        "pg_tblspc/16400/PG_15_202209061/5",
                                        "pg_tblspc/16400/PG_15_202209061/5/",
                                        "pg_tblspc/16400/PG_15_202209061/16384/x",
                                        "pg_tblspc/16400/PG_15_202209061/5/6/16384",
                                        "pg_tblspc/16400/XX_15_202209061/5/16384",
                                        "pg_tblspc/x/PG_15_202209061/5/16384",
                                        "pg_tblspc/4294967296/PG_15_202209061/5/16384",
                                        "pg_tblspc/16400/PG_15_202209061/4294967296/1",
                                        "pg_xact/0000",
                                        "pg_multixact/offsets/1000",
                                        "basement/5/16384",
                                        "globally/1262"};

    for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
        BkRelationPath parsed;

        g_assert_false(bk_relation_path_parse(paths[i], &parsed));
    }
}

static void
test_tablespace_paths(void)
{
    static const char *const others[] = {"",
                                         "pg_tblspc",
                                         "pg_tblspc/",
                                         "pg_tblspc/x",
                                         "pg_tblspc/016400",
                                         "pg_tblspc/16400/",
                                         "pg_tblspc/16400/PG_15_202209061",
                                         "pg_tblspc/4294967296",
                                         "base/16400",
                                         "16400"};
    uint32_t oid;

    g_assert_true(bk_tablespace_path_parse("pg_tblspc/16400", &oid));
    g_assert_cmpuint(oid, ==, 16400);
    g_assert_true(bk_tablespace_path_parse("pg_tblspc/4294967295", &oid));
    g_assert_cmpuint(oid, ==, UINT32_MAX);
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
        g_assert_false(bk_tablespace_path_parse(others[i], &oid));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/relation-file/names", test_names);
    g_test_add_func("/relation-file/others", test_others);
    g_test_add_func("/relation-file/paths", test_paths);
    g_test_add_func("/relation-file/other-paths", test_other_paths);
    g_test_add_func("/relation-file/tablespace-paths", test_tablespace_paths);
    return g_test_run();
}
