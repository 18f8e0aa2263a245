/* server-environment.h - the part of the caller's environment that a started server gets.
 *
 * Threads: as the environment. */
#pragma once
#include "base/macros.h"

/* Returns true if a variable of this name may hold a secret, or would change the server's defaults,
 * and is kept from it: what begins with AWS_, PG or the name of another cloud, proxies, whose
 * addresses may have a password, and all that is named a key, a secret, a token, a password or
 * credentials. */
bool bk_server_environment_is_private(const char *name);

/* The environment, with messages in English, for a server that runs as `user`, whose home is not
 * ours; NULL: as the caller. To be freed with g_strfreev. */
char **bk_server_environment_new(const char *user);
