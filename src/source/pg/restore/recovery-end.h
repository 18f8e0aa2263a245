/* recovery-end.h - removes the settings of a recovery from postgresql.auto.conf when it has ended.
 *
 * Settings that stayed would act again in every standby that is made of the recovered server: it
 * would stop at the target, or follow the old timeline only. The lines that a restore writes are
 * therefore noted in a file in pg_wal, which no base backup copies, and taken out at the end of
 * recovery by recovery_end_command, whichever way the server was started. Should the server crash
 * between the end of recovery and that command, wal push does it.
 *
 * Nothing else in the file changes, and a line that was changed since then stays: ALTER SYSTEM
 * writes the file anew, and gives lines the form that a restore gives them, too.
 * Threads: safe for different directories. */
#pragma once
#include "base/error.h"

/* Notes `lines` as those that end with the recovery of `data_dir`. Durable. */
bool bk_recovery_end_note(int data_dir, const char *lines, GError **error) BK_MUST_USE;

/* Takes out the noted lines and the note. Does nothing if there is no note. */
bool bk_recovery_end_clean(int data_dir, GError **error) BK_MUST_USE;

/* The same for the data directory whose pg_wal is at `wal_directory`, if it is not in recovery. */
bool bk_recovery_end_clean_late(const char *wal_directory, GError **error) BK_MUST_USE;

/* A recovery_end_command that runs bk_recovery_end_clean by `exe`, quoted for the shell. It never
 * fails: the server would refuse to start. Owned by the caller. Fails with BK_ERROR_USAGE for a
 * path that is not absolute or has a line break in it. */
char *bk_recovery_end_command(const char *exe, GError **error) BK_MUST_USE;
