/* backup.h - takes a snapshot of a running PostgreSQL cluster.
 *
 * Promises:
 *   - Nothing is put into a repository before the server was found fit for a backup.
 *   - The manifest is put last, when every pack and (unless standalone) every WAL segment from
 *     start to stop is durable in that repository: a snapshot that is listed can be restored.
 *   - Success means that every required repository has the snapshot. One of best effort that fails
 *     or hangs is left out from then on, and the report says so.
 *   - However the call ends, also by a kill, the server leaves backup mode with the session.
 * Threads: one backup a call; the call blocks and starts threads of its own. */
#pragma once
#include "repo/snapshot/snapshot.h"
#include "repo/targets/source-spec.h"
#include "report/problem.h"
#include "source/pg/cluster/pg-meta.h"

typedef struct BkBackupOptions {
    bool standalone;
    bool fast_checkpoint;
    bool break_lease;
    bool new_cluster;  /* go on with the server's cluster, whatever the source was before */
    bool is_full;      /* take nothing over from an earlier snapshot */
    bool check_reused; /* check the LSN of every page that is reused unread */
    const char *label; /* may be NULL */
    int64_t archive_timeout_us; /* how long to wait for WAL without any arriving */
} BkBackupOptions;

/* The result in one repository. */
typedef struct BkBackupRepository {
    const char *name; /* of the source's */
    bool is_required;
    char *why; /* it is behind; NULL: it holds the snapshot */
} BkBackupRepository;

typedef struct BkBackupReport {
    char id[BK_SNAPSHOT_ID_SIZE + 1];
    BkSnapshotState state;
    int64_t started_us;
    int64_t finished_us;
    uint64_t files;
    uint64_t bytes;
    uint64_t stored_bytes;
    uint64_t new_bytes;
    uint64_t packs;
    BkSnapshotMode mode;
    char *parent; /* id, or "" */
    char *why;    /* it is not an increment, or "" */
    BkSnapshotWork work;
    uint64_t checked_bytes;
    BkPgMeta meta;
    GPtrArray *repositories; /* of BkBackupRepository; NULL when there is no snapshot */
    GPtrArray *problems;     /* of BkProblem; likewise */
    int64_t total_us;        /* durations, by the monotonic clock: of all up to the snapshot, */
    int64_t start_us;        /* starting the backup on the server, */
    int64_t copy_us;         /* copying, */
    int64_t stop_us;         /* stopping it, */
    int64_t wait_us;         /* and waiting for the archive */
} BkBackupReport;

void bk_backup_report_clear(BkBackupReport *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkBackupReport, bk_backup_report_clear)

/* Takes a snapshot. When the source has damaged pages the snapshot is kept and marked, the report
 * is filled and the call fails with BK_ERROR_DAMAGED. Other failures: BK_ERROR_BUSY,
 * BK_ERROR_SERVER, BK_ERROR_UNFIT, BK_ERROR_KEY, BK_ERROR_NOT_FOUND (no repository),
 * BK_ERROR_TIMEOUT (WAL did not arrive), BK_ERROR_SERVER (nor will it), and those of the stores. */
bool bk_backup_run(const BkSourceSpec *source, const BkBackupOptions *options,
                   BkBackupReport *report, BkOp *op, GError **error) BK_MUST_USE;
