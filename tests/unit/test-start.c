/* test-start.c - what is read from a server's log when it has ended. */
#include "source/pg/restore/start-priv.h"

static void
test_errors(void)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"LOG: a\nLOG: b\n", "LOG: b"},
        {"t [1] LOG:  a\nt [1] FATAL:  b\nDETAIL:  c\nLOG:  d\n", "FATAL:  b"},
        {"FATAL:  the database system is starting up\nPANIC:  x\n", "PANIC:  x"},
        {"ERROR:  1\nERROR:  2\nFATAL:  3\nFATAL:  4", "ERROR:  2; FATAL:  3; FATAL:  4"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *errors = bk_server_log_errors(cases[i][0]);

        g_assert_cmpstr(errors, ==, cases[i][1]);
    }
}

static void
test_find(void)
{
    static const char log[] = "LOG:  redo done at 0/1\nLOG:  redo done at 0/2 x\nLOG:  end";
    g_autofree char *found = bk_server_log_find(log, "redo done at ");
    g_autofree char *end = bk_server_log_find(log, "LOG:  ");

    g_assert_cmpstr(found, ==, "0/2 x");
    g_assert_cmpstr(end, ==, "end");
    g_assert_null(bk_server_log_find(log, "begin"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/start/log-errors", test_errors);
    g_test_add_func("/start/log-find", test_find);
    return g_test_run();
}
