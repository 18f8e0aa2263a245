/* recovery.c - prepares a restored data directory so that the server recovers it to a target. */
#include "source/pg/restore/recovery.h"

#include "base/fd.h"
#include "source/pg/cluster/data-dir-priv.h"
#include "source/pg/restore/recovery-command.h"
#include "source/pg/restore/recovery-end.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define AUTO_CONF_LIMIT (16 * BK_MIB)
#define SIGNAL_FILE     "recovery.signal"

/* What an earlier life of the directory may have left. recovery.conf is fatal to these servers. */
static const char *const LEFTOVERS[] = {
    "standby.signal",   SIGNAL_FILE,          "recovery.conf",  "recovery.done",
    "backup_label.old", "tablespace_map.old", "postmaster.pid", "postmaster.opts",
};

/* Settings of an earlier recovery or standby, which must not act in this one. */
static const char *const REPLACED[] = {
    "restore_command",          "archive_cleanup_command", "recovery_end_command",
    "recovery_target",          "recovery_target_name",    "recovery_target_time",
    "recovery_target_xid",      "recovery_target_lsn",     "recovery_target_inclusive",
    "recovery_target_timeline", "recovery_target_action",  "recovery_min_apply_delay",
    "primary_conninfo",         "primary_slot_name",       "promote_trigger_file",
};

/* --- the files ---------------------------------------------------------------------------- */

static bool
remove_recovery_leftovers(int data_dir, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(LEFTOVERS); i++)
        if (unlinkat(data_dir, LEFTOVERS[i], 0) < 0 && errno != ENOENT)
            return bk_throw_errno(error, "remove \"%s\"", LEFTOVERS[i]);
    return bk_fd_sync(data_dir, error) || bk_prefix(error, "the data directory");
}

/* --- the settings ------------------------------------------------------------------------- */

/* Does this line of a configuration file set one of the names that are about to be set anew? */
static bool
is_replaced(const char *line, size_t size, BkRecoveryArchive archive)
{
    size_t start = 0;
    size_t end;

    while (start < size && g_ascii_isspace(line[start]))
        start++;
    end = start;
    while (end < size && (g_ascii_isalnum(line[end]) || strchr("_.$", line[end]) != NULL))
        end++;
    for (size_t i = 0; i <= G_N_ELEMENTS(REPLACED); i++) {
        const char *name = i < G_N_ELEMENTS(REPLACED) ? REPLACED[i] : "archive_mode";

        if (i == G_N_ELEMENTS(REPLACED) && archive != BK_RECOVERY_ARCHIVE_OFF)
            return false;
        if (strlen(name) == end - start &&
            g_ascii_strncasecmp(line + start, name, end - start) == 0)
            return true;
    }
    return false;
}

/* Appends the lines of the present file that stay. */
static bool
keep_lines(int data_dir, BkRecoveryArchive archive, GString *out, GError **error)
{
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_autoptr(GError) read_error = NULL;
    const char *line;
    const char *end;

    if (!bk_file_read(data_dir, BK_RECOVERY_AUTO_CONF, AUTO_CONF_LIMIT, &content, &read_error)) {
        if (!bk_error_is(read_error, BK_ERROR_ABSENT))
            return bk_propagate(error, &read_error);
        return true;
    }
    line = (const char *)content.data;
    for (end = line + content.size; line < end;) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        size_t size = (size_t)((newline != NULL ? newline : end) - line);

        if (!is_replaced(line, size, archive)) {
            g_string_append_len(out, line, (gssize)size);
            g_string_append_c(out, '\n');
        }
        line += size + 1;
    }
    return true;
}

/* name = 'value', with the quoting of configuration files: two quotes for one, and a backslash
 * begins an escape. */
static bool
append_setting(GString *out, const char *name, const char *value, GError **error)
{
    if (strpbrk(value, "\n\r") != NULL)
        return bk_throw(error, BK_ERROR_USAGE, "the value of %s contains a line break", name);
    g_string_append_printf(out, "%s = '", name);
    for (const char *c = value; *c != '\0'; c++) {
        if (*c == '\'' || *c == '\\')
            g_string_append_c(out, *c);
        g_string_append_c(out, *c);
    }
    g_string_append(out, "'\n");
    return true;
}

/* Exactly one target is not empty: the user's own postgresql.conf may set another one. It comes
 * last, since the server takes even an empty one that follows it for a second target. */
static bool
append_target(GString *out, const BkRecoveryTarget *target, GError **error)
{
    static const char *const names[] = {
        [BK_RECOVERY_TARGET_LATEST] = NULL,
        [BK_RECOVERY_TARGET_IMMEDIATE] = "recovery_target",
        [BK_RECOVERY_TARGET_SNAPSHOT] = NULL,
        [BK_RECOVERY_TARGET_TIME] = "recovery_target_time",
        [BK_RECOVERY_TARGET_LSN] = "recovery_target_lsn",
        [BK_RECOVERY_TARGET_XID] = "recovery_target_xid",
        [BK_RECOVERY_TARGET_NAME] = "recovery_target_name",
    };
    BkRecoveryTargetKind kind =
        target->kind == BK_RECOVERY_TARGET_SNAPSHOT ? BK_RECOVERY_TARGET_IMMEDIATE : target->kind;
    g_autofree char *value = kind == BK_RECOVERY_TARGET_IMMEDIATE
                                 ? g_strdup("immediate")
                                 : bk_recovery_target_value(target);

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
        if (names[i] != NULL && i != kind && !append_setting(out, names[i], "", error))
            return false;
    return append_setting(out, "recovery_target_inclusive", target->exclusive ? "off" : "on",
                          error) &&
           (names[kind] == NULL || append_setting(out, names[kind], value, error));
}

static bool
append_settings(GString *out, const BkRecoverySettings *settings, GError **error)
{
    /* The commands and the delay of the user's own configuration belong to a standby: the first
     * would clean up the archive that is being recovered from. */
    return append_setting(out, "restore_command", settings->restore_command, error) &&
           append_setting(out, "archive_cleanup_command", "", error) &&
           append_setting(out, "recovery_end_command", settings->end_command, error) &&
           append_setting(out, "recovery_min_apply_delay", "0", error) &&
           append_target(out, settings->target, error) &&
           append_setting(out, "recovery_target_timeline", settings->timeline, error) &&
           append_setting(out, "recovery_target_action", bk_recovery_action_name(settings->action),
                          error);
}

bool
bk_recovery_write(int data_dir, const BkRecoverySettings *settings, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GString) lines = g_string_new(NULL);

    g_assert(settings->restore_command != NULL && settings->restore_command[0] != '\0');
    if (!keep_lines(data_dir, settings->archive, text, error) ||
        (settings->archive == BK_RECOVERY_ARCHIVE_OFF &&
         !append_setting(text, "archive_mode", "off", error)) ||
        !append_settings(lines, settings, error) || !remove_recovery_leftovers(data_dir, error))
        return false;
    g_string_append(text, lines->str);
    return bk_recovery_end_note(data_dir, lines->str, error) &&
           bk_data_dir_write(data_dir, BK_RECOVERY_AUTO_CONF, text->str, text->len, error) &&
           bk_data_dir_write(data_dir, SIGNAL_FILE, "", 0, error);
}

/* --- restore_command ---------------------------------------------------------------------- */

/* A name as the configuration has it needs no quotes, and reads better without. */
static void
append_plain_name(GString *out, const char *name)
{
    if (name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-")] == '\0')
        g_string_append(out, name);
    else
        bk_recovery_append_quoted(out, name);
}

char *
bk_recovery_restore_command(const BkRecoveryFetch *fetch, GError **error)
{
    g_autoptr(GString) command = g_string_new(NULL);

    if (!bk_recovery_check_path(fetch->exe, error) || !bk_recovery_check_path(fetch->config, error))
        return NULL;
    bk_recovery_append_quoted(command, fetch->exe);
    g_string_append(command, " -c ");
    bk_recovery_append_quoted(command, fetch->config);
    g_string_append(command, " wal fetch ");
    append_plain_name(command, fetch->source);
    if (fetch->repository != NULL) {
        g_string_append(command, " --repository ");
        append_plain_name(command, fetch->repository);
    }
    if (fetch->until != NULL)
        g_string_append_printf(command, " --until %s", fetch->until);
    if (fetch->reach != NULL)
        g_string_append_printf(command, " --reach %s", fetch->reach);
    /* From 126 on the server gives up instead of taking the archive for finished; a signal's
     * number stays as it is, since the server ends quietly after SIGTERM. */
    g_string_append(command, " %f %p; s=$?; case $s in 0|3) exit $s;; esac; exit $((s | 128))");
    return g_string_free(g_steal_pointer(&command), FALSE);
}

static const char *const ACTIONS[] = {
    [BK_RECOVERY_PROMOTE] = "promote",
    [BK_RECOVERY_PAUSE] = "pause",
    [BK_RECOVERY_SHUTDOWN] = "shutdown",
};

const char *
bk_recovery_action_name(BkRecoveryAction action)
{
    return ACTIONS[action];
}

bool
bk_recovery_action_parse(const char *name, BkRecoveryAction *action)
{
    for (size_t i = 0; i < G_N_ELEMENTS(ACTIONS); i++)
        if (strcmp(ACTIONS[i], name) == 0) {
            *action = (BkRecoveryAction)i;
            return true;
        }
    return false;
}
