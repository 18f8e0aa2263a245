/* restore-request.h - what a restore is asked for.
 *
 * Threads: plain data. */
#pragma once
#include "source/pg/restore/recovery-target.h"
#include "source/pg/restore/recovery.h"

typedef struct BkRestoreTablespace {
    uint32_t oid;
    const char *name;
    const char *from; /* where it was */
    char *to;         /* where it is restored; absolute */
} BkRestoreTablespace;

typedef enum {
    BK_RESTORE_ARCHIVE_AUTO, /* unless the original seems to be running elsewhere */
    BK_RESTORE_ARCHIVE_ON,   /* as the cluster is configured */
    BK_RESTORE_ARCHIVE_OFF,
} BkRestoreArchive;

typedef struct BkRestoreRequest {
    const char *to; /* absolute */
    const BkRecoveryTarget *target;
    const char *timeline;           /* as in BkPlanRequest */
    const char *snapshot;           /* as in BkPlanRequest */
    uint64_t system_id;             /* as in BkPlanRequest */
    const char *command;            /* as in BkPlanRequest */
    const char *repository;         /* read from this one only, or NULL */
    const char *const *tablespaces; /* "NAME=DIR", NULL at the end */
    const char *wal_dir;            /* where pg_wal goes, or NULL: where the destination has it */
    bool delta;
    bool replace;
    BkRecoveryAction action;
    BkRestoreArchive archive; /* may the restored server archive? */
    bool discard_wal;         /* do not archive WAL of the destination before it is removed */
    const char *program;      /* this one, which the server runs in recovery; absolute */
    const char *config;       /* with that file; absolute */
} BkRestoreRequest;
