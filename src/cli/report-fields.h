/* report-fields.h - fields that several reports have in common, as JSON.
 *
 * Threads: belongs to one thread. */
#pragma once
#include "repo/snapshot/snapshot.h"
#include "report/json.h"
#include "report/problem.h"
#include "source/pg/cluster/pg-meta.h"

/* "complete", "damaged" or "unfinished": a static string. */
const char *bk_snapshot_state_name(BkSnapshotState state);

/* "full", "incremental" or "scan": a static string. */
const char *bk_snapshot_mode_name(BkSnapshotMode mode);

/* mode, parent and why (null for ""), read_bytes, changed_bytes, repacked_bytes, reused_bytes. */
void bk_json_add_work(BkJson *json, BkSnapshotMode mode, const char *parent, const char *why,
                      const BkSnapshotWork *work);

/* ISO 8601 in UTC; null for 0. */
/* A system identifier, as a string: it does not fit into the numbers of JavaScript. */
void bk_json_add_system(BkJson *json, const char *key, uint64_t system_id);

void bk_json_add_time(BkJson *json, const char *key, int64_t time_us);

/* The array "problems", of BkProblem. */
void bk_json_add_problems(BkJson *json, const GPtrArray *problems);

/* As PostgreSQL prints it. */
void bk_json_add_lsn(BkJson *json, const char *key, BkLsn lsn);

/* timeline, start_lsn, stop_lsn, system_id, pg_version, standalone. */
void bk_json_add_pg_meta(BkJson *json, const BkPgMeta *meta);
