/* server-environment.c - the part of the caller's environment that a started server gets. */
#include "source/pg/restore/server-environment.h"

#include <string.h>

bool
bk_server_environment_is_private(const char *name)
{
    static const char *const prefixes[] = {"PG",   "AWS_",      "AZURE_", "GOOGLE_", "GCLOUD",
                                           "GCP_", "CLOUDSDK_", "VAULT_", "MINIO_",  "ECS_"};
    static const char *const words[] = {"SECRET", "TOKEN", "PASSW", "PASSPHRASE", "CREDENTIAL",
                                        "APIKEY", "_KEY",  "PROXY", "AUTH"};
    g_autofree char *upper = g_ascii_strup(name, -1);

    for (size_t i = 0; i < G_N_ELEMENTS(prefixes); i++)
        if (g_str_has_prefix(upper, prefixes[i]))
            return true;
    for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
        if (strstr(upper, words[i]) != NULL)
            return true;
    return strcmp(upper, "KEY") == 0;
}

char **
bk_server_environment_new(const char *user)
{
    char **environment = g_get_environ();
    g_auto(GStrv) names = g_listenv();

    for (char **name = names; *name != NULL; name++)
        if (bk_server_environment_is_private(*name))
            environment = g_environ_unsetenv(environment, *name);
    /* What it says is read. */
    environment = g_environ_unsetenv(environment, "LC_ALL");
    environment = g_environ_unsetenv(environment, "LANGUAGE");
    environment = g_environ_setenv(environment, "LC_MESSAGES", "C", TRUE);
    if (user != NULL) {
        environment = g_environ_setenv(environment, "USER", user, TRUE);
        environment = g_environ_setenv(environment, "LOGNAME", user, TRUE);
        environment = g_environ_unsetenv(environment, "HOME");
    }
    return environment;
}
