/* push-failure.h - why the last "wal push" failed, recorded beside the WAL for status and backups.
 *
 * The server counts failures of archive_command and keeps their text in its log alone. So a failed
 * "wal push" leaves one small file in pg_wal, which no backup contains, and a later success removes
 * it. It is a courtesy: whatever goes wrong with it, archiving is not concerned.
 * Threads: safe; nothing here has state. */
#pragma once
#include "base/error.h"

typedef struct BkPushFailure {
    char *wal; /* name of the file that was not archived */
    char *source;
    char *message; /* one line of UTF-8 */
    int64_t time_us;
} BkPushFailure;

void bk_push_failure_clear(BkPushFailure *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkPushFailure, bk_push_failure_clear)

/* Notes that the file `path` (%p of archive_command) could not be archived for `source`. */
void bk_push_failure_record(const char *path, const char *source, const GError *cause);

/* Removes the note beside `path`, if there is one. */
void bk_push_failure_forget(const char *path);

/* Reads the note of the server in `data_dir`. Returns false if there is none that can be used. */
bool bk_push_failure_read(const char *data_dir, BkPushFailure *failure) BK_MUST_USE;

/* Decodes the bytes of a note (any bytes): sets all but the time. Returns false if they are none.
 */
bool bk_push_failure_decode(const void *data, size_t size, BkPushFailure *failure) BK_MUST_USE;
