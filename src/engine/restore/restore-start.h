/* restore-start.h - starts the server on what a restore has made, and waits until it has reached
 * the target: the steps that "restore --start", a restore test and a failover have in common.
 *
 * The order is bk_restore_plan, bk_restore_start_check, bk_restore_run, bk_restore_start.
 * Threads: as restore.h. */
#pragma once
#include "engine/restore/restore.h"
#include "source/pg/restore/start-check.h"

typedef struct BkRestoreStartOptions {
    const char *bin_dir; /* these as in BkStartOptions */
    const char *config_file;
    uint16_t port;
    BkStartProgress progress; /* may be NULL */
    void *progress_data;
} BkRestoreStartOptions;

/* Checks what is planned as bk_start_check does, before anything is touched. */
bool bk_restore_start_check(const BkRestore *restore, const BkRestoreStartOptions *options,
                            BkStartCheck *check, BkOp *op, GError **error) BK_MUST_USE;

/* Starts the server as checked, and waits as bk_start_server does. Its output goes to "startup.log"
 * in the data directory. */
bool bk_restore_start(const BkRestore *restore, const BkRestoreStartOptions *options,
                      const BkStartCheck *check, BkStartResult *result, BkOp *op,
                      GError **error) BK_MUST_USE;
