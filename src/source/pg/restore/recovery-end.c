/* recovery-end.c - removes the settings of a recovery from postgresql.auto.conf when it has ended.
 */
#include "source/pg/restore/recovery-end.h"

#include "base/fd.h"
#include "source/pg/cluster/data-dir-priv.h"
#include "source/pg/restore/recovery-command.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define NOTE       "pg_wal/.backstay-recovery"
#define NOTE_LIMIT (16 * BK_MIB)

bool
bk_recovery_end_note(int data_dir, const char *lines, GError **error)
{
    return bk_data_dir_write(data_dir, NOTE, lines, strlen(lines), error);
}

/* Finds the last of `lines` that is `wanted`. The server takes the last of equal names. */
static bool
find_line(GPtrArray *lines, const char *wanted, guint *index)
{
    for (guint i = lines->len; i-- > 0;)
        if (strcmp(g_ptr_array_index(lines, i), wanted) == 0) {
            *index = i;
            return true;
        }
    return false;
}

/* Lines of `content`, each with its line break; what is noted has one, too. */
static GPtrArray *
split_lines(const BkBuf *content)
{
    GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);
    const char *line = (const char *)content->data;
    const char *end = line + content->size;

    while (line < end) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        size_t size = (size_t)((newline != NULL ? newline + 1 : end) - line);

        g_ptr_array_add(lines, g_strndup(line, size));
        line += size;
    }
    return lines;
}

static bool
take_out(int data_dir, const BkBuf *note, GError **error)
{
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_autoptr(GPtrArray) noted = split_lines(note);
    g_autoptr(GPtrArray) lines = NULL;
    g_autoptr(GString) rest = g_string_new(NULL);
    bool changed = false;
    guint index;

    if (!bk_file_read(data_dir, BK_RECOVERY_AUTO_CONF, NOTE_LIMIT, &content, error))
        return false;
    /* A line is text for the server up to a zero byte, which it refuses: then all stays. */
    if (memchr(content.data, 0, content.size) != NULL)
        return bk_throw(error, BK_ERROR_UNSUPPORTED, "\"%s\" contains a zero byte",
                        BK_RECOVERY_AUTO_CONF);
    lines = split_lines(&content);
    for (guint i = 0; i < noted->len; i++)
        if (find_line(lines, g_ptr_array_index(noted, i), &index)) {
            g_ptr_array_remove_index(lines, index);
            changed = true;
        }
    for (guint i = 0; i < lines->len; i++)
        g_string_append(rest, g_ptr_array_index(lines, i));
    return !changed ||
           bk_data_dir_write(data_dir, BK_RECOVERY_AUTO_CONF, rest->str, rest->len, error);
}

bool
bk_recovery_end_clean(int data_dir, GError **error)
{
    g_auto(BkBuf) note = BK_BUF_INIT;
    g_autoptr(GError) cause = NULL;

    if (!bk_file_read(data_dir, NOTE, NOTE_LIMIT, &note, &cause))
        return bk_error_is(cause, BK_ERROR_ABSENT) || bk_propagate(error, &cause);
    if (!take_out(data_dir, &note, error))
        return false;
    if (unlinkat(data_dir, NOTE, 0) < 0 && errno != ENOENT)
        return bk_throw_errno(error, "remove \"%s\"", NOTE);
    return true;
}

bool
bk_recovery_end_clean_late(const char *wal_directory, GError **error)
{
    g_autofree char *note = g_build_filename(wal_directory, ".backstay-recovery", NULL);
    g_autofree char *parent = NULL;
    g_auto(BkFd) data_dir = -1;

    if (access(note, F_OK) < 0)
        return true;
    parent = g_path_get_dirname(wal_directory);
    data_dir = bk_fd_open_dir(AT_FDCWD, parent, error);
    if (data_dir < 0)
        return false;
    return faccessat(data_dir, "recovery.signal", F_OK, 0) == 0 ||
           faccessat(data_dir, "standby.signal", F_OK, 0) == 0 ||
           bk_recovery_end_clean(data_dir, error);
}

char *
bk_recovery_end_command(const char *exe, GError **error)
{
    g_autoptr(GString) command = g_string_new(NULL);

    if (!bk_recovery_check_path(exe, error))
        return NULL;
    bk_recovery_append_quoted(command, exe);
    g_string_append(command, " --end-recovery; exit 0");
    return g_string_free(g_steal_pointer(&command), FALSE);
}
