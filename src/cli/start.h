/* start.h - "restore --start": starts the restored server, shows how it recovers, reports where to.
 *
 * Threads: belongs to the main thread. */
#pragma once
#include "cli/source.h"
#include "engine/restore/restore-start.h"
#include "report/json.h"

/* Checks, before anything is touched, that what "--start" needs is there. */
bool bk_cli_start_check(const BkArgs *args, const BkCliContext *context, const BkRestore *restore,
                        BkStartCheck *check, GError **error) BK_MUST_USE;

void bk_cli_start_check_print(const BkStartCheck *check);

/* Starts the server on what was restored, and waits until it has reached the target. */
bool bk_cli_start(const BkArgs *args, const BkCliContext *context, const BkRestore *restore,
                  const BkStartCheck *check, BkStartResult *result, GError **error) BK_MUST_USE;

void bk_cli_start_print(const BkStartResult *result);

/* Adds "reached": an object, or null for a NULL result. */
void bk_cli_start_add_json(BkJson *json, const BkStartResult *result);
