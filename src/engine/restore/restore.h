/* restore.h - restores a PostgreSQL cluster into a directory, ready to recover to a target.
 *
 * Promises:
 *   - Nothing is touched before the plan is made, its manifest was loaded and proven whole, and the
 *     destination was found fit.
 *   - pg_control comes last, when all else is durable: a directory that was restored in part never
 *     starts. Until then it has the file "backstay_restore_unfinished".
 *   - --replace moves aside what is there and deletes nothing.
 *   - --delta archives the WAL that only the destination has before it removes it, or refuses.
 * Threads: a BkRestore belongs to one thread; bk_restore_run starts threads of its own. */
#pragma once
#include "engine/restore/destination-wal.h"
#include "engine/restore/restore-request.h"
#include "repo/targets/source-spec.h"
#include "source/pg/restore/plan-request.h"
#include "source/pg/restore/recovery.h"

typedef struct BkRestoreReport {
    uint64_t files;
    uint64_t bytes;
    uint64_t written_bytes;
    uint64_t reused_bytes;
    char *moved_aside; /* where --replace put the old directory, or NULL */
    int64_t copy_us;   /* durations: writing, */
    int64_t sync_us;   /* and making it durable */
} BkRestoreReport;

void bk_restore_report_clear(BkRestoreReport *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkRestoreReport, bk_restore_report_clear)

typedef struct BkRestore BkRestore;

/* Checks the form of what the user asks for, without looking at anything. BK_ERROR_USAGE. */
bool bk_restore_check_request(const BkRestoreRequest *request, GError **error) BK_MUST_USE;

/* Checks that commands of the server can name `program` and `config`. BK_ERROR_USAGE. */
bool bk_restore_check_commands(const BkRestoreRequest *request, GError **error) BK_MUST_USE;

/* Makes the plan and checks the destination; changes nothing. `source` and `request` must outlive
 * the result. Fails as bk_plan_make, or with BK_ERROR_UNFIT (destination), BK_ERROR_DENIED,
 * BK_ERROR_USAGE. */
BkRestore *bk_restore_plan(const BkSourceSpec *source, const BkRestoreRequest *request, BkOp *op,
                           GError **error) BK_MUST_USE;
void bk_restore_free(BkRestore *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkRestore, bk_restore_free)

/* Where pg_wal goes, or NULL for a plain directory. */
const char *bk_restore_get_wal_directory(const BkRestore *self);

/* Returns true if --replace moves what is at the destination into a directory there, since the
 * destination itself cannot be moved. */
bool bk_restore_moves_inside(const BkRestore *self);

const BkPlan *bk_restore_get_plan(const BkRestore *self);
const BkRestoreTablespace *bk_restore_tablespaces(const BkRestore *self, size_t *count);

/* What is in the destination now: "is new", "is empty", …: a static string. */
const char *bk_restore_describe_destination(const BkRestore *self);

/* The snapshot of the plan, loaded completely. */
const BkSnapshot *bk_restore_get_snapshot(const BkRestore *self);

/* The repositories from which the snapshot can be read, the best first: a new array of
 * BkSourceRepo. */
GPtrArray *bk_restore_list_parts(const BkRestore *self);

/* WAL that only the destination has; empty if it was not searched. */
const BkDestinationWal *bk_restore_get_wal(const BkRestore *self);

/* Returns true if the target lies in that WAL: then the plan is that to the end of the archive. */
bool bk_restore_needs_wal(const BkRestore *self);

/* Returns true if the restored server may archive; otherwise `*sign` says why not, or is NULL if
 * the request forbids it. */
bool bk_restore_archives(const BkRestore *self, const char **sign);

/* Carries the plan out, after it has archived the WAL of the destination and planned once more.
 * When it fails, what was written stays, without pg_control, for --delta to continue. */
bool bk_restore_run(BkRestore *self, BkRestoreReport *report, BkOp *op, GError **error) BK_MUST_USE;
