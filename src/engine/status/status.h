/* status.h - the state of a source: windows, ages, objectives, and what is wrong.
 *
 * Threads: belongs to one thread. */
#pragma once
#include "engine/status/replica-lag.h"
#include "repo/lease.h"
#include "source/pg/history/server-check.h"
#include "source/pg/history/snapshot-list.h"

typedef struct BkStatusWindow {
    uint64_t system_id; /* of the cluster */
    const BkWindow *window;
    const char *snapshot; /* id of its first */
    BkLsn to_lsn;
    int64_t to_us; /* last transaction that can be reached */
} BkStatusWindow;

typedef struct BkStatus {
    BkListing listing;
    const BkRecoveryIndex *past; /* of all repositories together; NULL if nothing in it is usable */
    GArray *windows;             /* BkStatusWindow, of the current cluster */
    GArray *former;              /* the same of the clusters before it */
    GPtrArray *problems;         /* of BkProblem; info: what cannot be repaired and does no harm */
    GPtrArray *standings;        /* of BkReplicaLag, one for each repository */
    BkServerCheck server;
    BkLeaseInfo lease;
    const BkRecoveryIndexSnapshot
        *newest;              /* of the living line, by position; restorable; NULL for none */
    int64_t last_archived_us; /* when the newest WAL was put; 0: none */
    int64_t rpo_us;           /* measured: time without archived WAL; 0: unknown */
    bool rpo_is_met;          /* or none is promised */
} BkStatus;

void bk_status_clear(BkStatus *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkStatus, bk_status_clear)

/* Finds out, from the repositories and, if it answers, from the server. `rpo_us` is the promised
 * one, 0 for none. What is wrong with the source is in `problems`: also a line that grew beside the
 * living one, and a gap, which is of severity info if it is before the newest snapshot of the
 * living line. The call itself fails only when no repository could be asked. */
bool bk_status_load(const BkSourceSpec *source, int64_t rpo_us, int64_t now_us, BkStatus *status,
                    BkOp *op, GError **error) BK_MUST_USE;
