/* target.h - the moment to which a cluster is recovered, as the user names it.
 *
 * What is accepted here is accepted by the server as well; whether the moment lies in a recovery
 * window is for others to say.
 * Threads: safe; a target belongs to one thread, or is read only. */
#pragma once
#include "source/pg/lsn.h"

#define BK_TARGET_NAME_MAX 63 /* bytes of a restore point's name */

typedef enum {
    BK_TARGET_LATEST,    /* the end of the WAL that is there */
    BK_TARGET_IMMEDIATE, /* as soon as the restored copy is consistent */
    BK_TARGET_SNAPSHOT,  /* the same, of the snapshot `text` */
    BK_TARGET_TIME,
    BK_TARGET_LSN,
    BK_TARGET_XID,
    BK_TARGET_NAME, /* the restore point `text` */
} BkTargetKind;

typedef struct BkTarget {
    BkTargetKind kind;
    int64_t time_us; /* TIME: since 1970, UTC */
    char *text;      /* SNAPSHOT, NAME: owned; else NULL */
    BkLsn lsn;       /* LSN */
    uint32_t xid;    /* XID: without the epoch */
    bool exclusive;  /* stop just before it; parsing leaves it false. TIME, LSN and XID only */
} BkTarget;

#define BK_TARGET_INIT ((BkTarget){0})

void bk_target_clear(BkTarget *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkTarget, bk_target_clear)

/* Parses "latest", "immediate", a snapshot's id, "lsn:X/Y", "xid:N", "name:P" or a time (see
 * pg-time.h, also for `now_us`). `target` is overwritten, and LATEST on failure. Fails with
 * BK_ERROR_USAGE and one line that says what is wrong and which forms there are. */
bool bk_target_parse(const char *text, int64_t now_us, BkTarget *target,
                     GError **error) BK_MUST_USE;

/* For people: "time 2026-11-21 10:15:00.000000 UTC", "lsn 0/3000028 (exclusive)". Owned by the
 * caller. */
char *bk_target_describe(const BkTarget *self);

/* Static text: "latest", "immediate", "snapshot", "time", "lsn", "xid" or "name". */
const char *bk_target_kind_name(BkTargetKind kind);

/* The value alone, in the form in which the server takes it ("2026-11-21 10:15:00.000000+00",
 * "0/3000028", "731", a name or id); NULL for LATEST and IMMEDIATE. Owned by the caller. */
char *bk_target_value(const BkTarget *self);
