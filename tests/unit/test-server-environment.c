/* test-server-environment.c - no secret of the caller reaches a server that is started. */
#include "source/pg/restore/server-environment.h"

static void
test_names(void)
{
    static const char *const kept_back[] = {"AWS_ACCESS_KEY_ID",
                                            "AWS_REGION",
                                            "AWS_WEB_IDENTITY_TOKEN_FILE",
                                            "PGPASSWORD",
                                            "PGPORT",
                                            "https_proxy",
                                            "HTTP_PROXY",
                                            "AZURE_STORAGE_ACCOUNT",
                                            "GOOGLE_APPLICATION_CREDENTIALS",
                                            "DB_PASSWORD",
                                            "GITHUB_TOKEN",
                                            "SSH_AUTH_SOCK",
                                            "VAULT_ADDR",
                                            "MY_API_KEY"};
    static const char *const passed[] = {"PATH", "LANG",  "LC_ALL", "TZ", "LD_LIBRARY_PATH",
                                         "HOME", "TMPDIR"};

    for (size_t i = 0; i < G_N_ELEMENTS(kept_back); i++)
        g_assert_true(bk_server_environment_is_private(kept_back[i]));
    for (size_t i = 0; i < G_N_ELEMENTS(passed); i++)
        g_assert_false(bk_server_environment_is_private(passed[i]));
}

static void
test_environment(void)
{
    g_auto(GStrv) own = NULL;
    g_auto(GStrv) other = NULL;

    g_assert_true(g_setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t", TRUE));
    g_assert_true(g_setenv("TZ", "UTC", TRUE));
    g_assert_true(g_setenv("HOME", "/root", TRUE));
    own = bk_server_environment_new(NULL);
    other = bk_server_environment_new("postgres");
    g_assert_null(g_environ_getenv(own, "AWS_SECRET_ACCESS_KEY"));
    g_assert_cmpstr(g_environ_getenv(own, "TZ"), ==, "UTC");
    g_assert_cmpstr(g_environ_getenv(own, "HOME"), ==, "/root");
    g_assert_cmpstr(g_environ_getenv(other, "USER"), ==, "postgres");
    g_assert_null(g_environ_getenv(other, "HOME"));
    g_assert_null(g_environ_getenv(other, "AWS_SECRET_ACCESS_KEY"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/server-environment/names", test_names);
    g_test_add_func("/server-environment/environment", test_environment);
    return g_test_run();
}
