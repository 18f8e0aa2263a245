/* recovery.h - prepares a restored data directory so that the server recovers it to a target.
 *
 * PostgreSQL 13 to 18: recovery.signal, and settings in postgresql.auto.conf, which wins over the
 * user's own postgresql.conf; his other lines in it stay. All but archive_mode leave the file when
 * recovery ends (recovery-end.h). Every file is whole and durable, owned
 * and readable as the directory itself is. The settings come first and recovery.signal last, so
 * that a directory with the signal has the settings that belong to it.
 * Threads: safe for different directories. */
#pragma once
#include "source/pg/restore/recovery-target.h"

typedef enum {
    BK_RECOVERY_PROMOTE, /* what the server does once the target is reached */
    BK_RECOVERY_PAUSE,
    BK_RECOVERY_SHUTDOWN,
} BkRecoveryAction;

typedef enum {
    BK_RECOVERY_ARCHIVE_KEEP, /* archives as the cluster did */
    BK_RECOVERY_ARCHIVE_OFF,  /* archive_mode = off: a copy that is to leave the archive alone */
} BkRecoveryArchive;

typedef struct BkRecoverySettings {
    const BkRecoveryTarget *target;
    const char *restore_command; /* not empty: the server insists on one */
    const char *end_command;     /* recovery_end_command: takes the settings out; may be "" */
    const char *timeline;        /* "latest", "current" or a number */
    BkRecoveryAction action;
    BkRecoveryArchive archive;
} BkRecoverySettings;

/* Prepares `data_dir` (no server may run in it): removes what another life of the directory left
 * (standby.signal, recovery.conf, recovery.done, backup_label.old, tablespace_map.old,
 * postmaster.pid, postmaster.opts), replaces the settings of recovery in postgresql.auto.conf, and
 * creates recovery.signal. Exactly one target is set and every other one is reset. Doing it again
 * gives the same files. Fails with BK_ERROR_USAGE (a value that no configuration file can hold) or
 * as files do. */
bool bk_recovery_write(int data_dir, const BkRecoverySettings *settings,
                       GError **error) BK_MUST_USE;

/* What a restore_command says. All but the first three may be NULL. */
typedef struct BkRecoveryFetch {
    const char *exe;        /* absolute */
    const char *config;     /* the configuration file; absolute */
    const char *source;     /* its name there */
    const char *repository; /* the only one to ask */
    const char *until;      /* the last segment that recovery needs */
    const char *reach;      /* the last one that the archive had when the restore was planned */
} BkRecoveryFetch;

/* A restore_command, quoted for the shell. The server takes an exit status of up to 125 for "the
 * archive has no such file" and would end recovery there; so whatever is neither success nor 3
 * becomes one that stops recovery with an error. Owned by the caller. Fails with BK_ERROR_USAGE for
 * a path that is not absolute or has a line break in it. */
char *bk_recovery_restore_command(const BkRecoveryFetch *fetch, GError **error) BK_MUST_USE;

/* "promote", "pause" or "shutdown". */
const char *bk_recovery_action_name(BkRecoveryAction action);

/* The action of that name. False when there is none. */
bool bk_recovery_action_parse(const char *name, BkRecoveryAction *action) BK_MUST_USE;
