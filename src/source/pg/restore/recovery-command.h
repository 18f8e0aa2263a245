/* recovery-command.h - commands in the configuration of a server that recovers, and its file.
 *
 * Threads: safe; nothing here has state. */
#pragma once
#include "base/error.h"

#define BK_RECOVERY_AUTO_CONF "postgresql.auto.conf"

/* Appends `text` quoted for the shell, and with its percent signs doubled for the server. */
void bk_recovery_append_quoted(GString *out, const char *text);

/* Returns true if a command in a configuration file can name the path. BK_ERROR_USAGE. */
bool bk_recovery_check_path(const char *path, GError **error) BK_MUST_USE;
