/* push-failure.c - why the last "wal push" failed, recorded beside the WAL for status and backups.
 */
#include "source/pg/archive/push-failure.h"

#include "base/fd.h"
#include "source/pg/format/lsn.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOTE        ".backstay-push-failure"
#define NOTE_LIMIT  (16 * BK_KIB)
#define LINES       3 /* file, source, message */
#define MESSAGE_MAX (4 * BK_KIB)

void
bk_push_failure_clear(BkPushFailure *self)
{
    g_free(self->wal);
    g_free(self->source);
    g_free(self->message);
    *self = (BkPushFailure){0};
}

/* Of the note beside a WAL file; a new string. */
static char *
note_path_beside(const char *path)
{
    g_autofree char *directory = g_path_get_dirname(path);

    return g_build_filename(directory, NOTE, NULL);
}

void
bk_push_failure_record(const char *path, const char *source, const GError *cause)
{
    g_autofree char *note = note_path_beside(path);
    g_autofree char *wal = g_path_get_basename(path);
    g_autofree char *message =
        g_utf8_make_valid(cause->message, (gssize)MIN(strlen(cause->message), MESSAGE_MAX));
    g_autofree char *text = NULL;
    BkWalName parsed;

    for (char *at = message; *at != 0; at++)
        if (g_ascii_iscntrl(*at))
            *at = ' ';
    text = g_strdup_printf("%s\n%s\n%s\n", wal, source, message);
    /* A wrong path on a command line by hand must not leave files in whatever directory. */
    if (bk_wal_name_parse(wal, &parsed) && g_file_test(path, G_FILE_TEST_EXISTS) &&
        !bk_file_write(AT_FDCWD, note, text, strlen(text), 0600, BK_FILE_REPLACE, NULL))
        (void)unlink(note);
}

void
bk_push_failure_forget(const char *path)
{
    g_autofree char *note = note_path_beside(path);

    (void)unlink(note);
}

bool
bk_push_failure_decode(const void *data, size_t size, BkPushFailure *failure)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    BkWalName parsed;

    *failure = (BkPushFailure){0};
    if (size > NOTE_LIMIT || !g_utf8_validate_len(data, size, NULL))
        return false;
    text = g_strndup(data, size);
    lines = g_strsplit(text, "\n", LINES + 1);
    if (g_strv_length(lines) != LINES + 1 || !bk_wal_name_parse(lines[0], &parsed) ||
        lines[1][0] == 0 || lines[LINES][0] != 0)
        return false;
    for (const char *at = text; *at != 0; at++)
        if (g_ascii_iscntrl(*at) && *at != '\n')
            return false;
    failure->wal = g_strdup(lines[0]);
    failure->source = g_strdup(lines[1]);
    failure->message = g_strdup(lines[2]);
    return true;
}

bool
bk_push_failure_read(const char *data_dir, BkPushFailure *failure)
{
    g_autofree char *note = g_build_filename(data_dir, "pg_wal", NOTE, NULL);
    g_auto(BkBuf) content = BK_BUF_INIT;
    struct stat st;

    *failure = (BkPushFailure){0};
    if (lstat(note, &st) < 0 || !S_ISREG(st.st_mode) ||
        !bk_file_read(AT_FDCWD, note, NOTE_LIMIT, &content, NULL) ||
        !bk_push_failure_decode(content.data, content.size, failure))
        return false;
    failure->time_us = (int64_t)st.st_mtim.tv_sec * BK_USEC_PER_SEC + st.st_mtim.tv_nsec / 1000;
    return true;
}
