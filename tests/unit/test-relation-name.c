/* test-relation-name.c - the names of relation files, and what only looks like one. */
#include "source/pg/relation-name.h"

static void
test_names(void)
{
    static const struct {
        const char *name;
        BkRelationName parsed;
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
        BkRelationName parsed;

        g_assert_true(bk_relation_name_parse(cases[i].name, &parsed));
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
        BkRelationName parsed;

        g_assert_false(bk_relation_name_parse(names[i], &parsed));
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/relation-name/names", test_names);
    g_test_add_func("/relation-name/others", test_others);
    return g_test_run();
}
