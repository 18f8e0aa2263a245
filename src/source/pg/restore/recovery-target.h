/* recovery-target.h - the recovery target, parsed from the form that the user types.
 *
 * What is accepted here is accepted by the server as well; whether it is inside a recovery window
 * is decided elsewhere. Threads: safe; a target belongs to one thread, or is read only. */
#pragma once
#include "source/pg/format/lsn.h"

#define BK_RECOVERY_TARGET_NAME_MAX 63 /* bytes of a restore point's name */

typedef enum {
    BK_RECOVERY_TARGET_LATEST,    /* the end of the WAL that is there */
    BK_RECOVERY_TARGET_IMMEDIATE, /* as soon as the restored copy is consistent */
    BK_RECOVERY_TARGET_SNAPSHOT,  /* the same, of the snapshot `text` */
    BK_RECOVERY_TARGET_TIME,
    BK_RECOVERY_TARGET_LSN,
    BK_RECOVERY_TARGET_XID,
    BK_RECOVERY_TARGET_NAME, /* the restore point `text` */
} BkRecoveryTargetKind;

typedef struct BkRecoveryTarget {
    BkRecoveryTargetKind kind;
    int64_t time_us; /* TIME: since 1970, UTC */
    char *text;      /* SNAPSHOT, NAME: owned; else NULL */
    BkLsn lsn;       /* LSN */
    uint32_t xid;    /* XID: without the epoch */
    bool exclusive;  /* stop just before it; parsing leaves it false. TIME, LSN and XID only */
} BkRecoveryTarget;

#define BK_RECOVERY_TARGET_INIT ((BkRecoveryTarget){0})

void bk_recovery_target_clear(BkRecoveryTarget *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkRecoveryTarget, bk_recovery_target_clear)

/* Parses "latest", "immediate", a snapshot's id, "lsn:X/Y", "xid:N", "name:P" or a time (see
 * pg-time.h, also for `now_us`). `target` is overwritten, and LATEST on failure. Fails with
 * BK_ERROR_USAGE and one line that says what is wrong and which forms there are. */
bool bk_recovery_target_parse(const char *text, int64_t now_us, BkRecoveryTarget *target,
                              GError **error) BK_MUST_USE;

/* For people: "time 2026-11-21 10:15:00.000000 UTC", "lsn 0/3000028 (exclusive)". Owned by the
 * caller. */
char *bk_recovery_target_describe(const BkRecoveryTarget *self);

/* Static text: "latest", "immediate", "snapshot", "time", "lsn", "xid" or "name". */
const char *bk_recovery_target_kind_name(BkRecoveryTargetKind kind);

/* The value alone, in the form in which the server takes it ("2026-11-21 10:15:00.000000+00",
 * "0/3000028", "731", a name or id); NULL for LATEST and IMMEDIATE. Owned by the caller. */
char *bk_recovery_target_value(const BkRecoveryTarget *self);
