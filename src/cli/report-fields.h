/* report-fields.h - fields that several reports have in common, as JSON.
 *
 * Threads: belongs to one thread. */
#pragma once
#include "cli/json.h"
#include "repo/snapshot.h"
#include "source/pg/meta.h"

/* "complete", "damaged" or "unfinished": a static string. */
const char *bk_snapshot_state_name(BkSnapshotState state);

/* ISO 8601 in UTC; null for 0. */
void bk_json_add_time(BkJson *json, const char *key, int64_t time_us);

/* As PostgreSQL prints it. */
void bk_json_add_lsn(BkJson *json, const char *key, BkLsn lsn);

/* timeline, start_lsn, stop_lsn, system_id, pg_version, standalone. */
void bk_json_add_pg_meta(BkJson *json, const BkPgMeta *meta);
