/* fields.h - fields that several reports share.
 *
 * The files of this directory describe what the engine's reports are made of, as text and as JSON;
 * they print nothing. Threads: tables are constant. */
#pragma once
#include "repo/lease.h"
#include "report/text.h"
#include "source/pg/history/systems.h"

/* A position in the WAL, as PostgreSQL prints it. */
#define BK_LSN(T, m, key) BK_CUSTOM(T, m, key, bk_lsn_to_text)
char *bk_lsn_to_text(const void *lsn); /* a new string */

extern const char *const bk_snapshot_state_names[];
extern const char *const bk_snapshot_mode_names[];

/* read_bytes, changed_bytes, repacked_bytes, reused_bytes. */
extern const BkField bk_snapshot_work_fields[];

extern const BkField bk_snapshot_head_fields[];

/* timeline, start_lsn, stop_lsn, system_id, pg_version, standalone. */
extern const BkField bk_pg_meta_fields[];

/* holder, expires, dead; null where nobody holds it. */
extern const BkField bk_lease_fields[];

/* A cluster of a source. */
typedef struct BkSystemView {
    uint64_t id;
    bool is_current;
    int64_t declared_us;
} BkSystemView;

extern const BkField bk_system_fields[];
#define BK_SYSTEM_TEXT                                                                             \
    "{current?current|former}: system identifier {system_identifier}[, declared current "          \
    "{declared}]"

/* Of those that are known: a new array of BkSystemView. */
GArray *bk_system_views_new(const BkSystems *systems);

/* A line of the history. */
typedef struct BkLineView {
    uint32_t timeline;
    const char *state;
    bool is_copy, grew_beside;
    BkLsn from_lsn;
    int64_t last_commit_us;
    char *what;
} BkLineView;

extern const BkField bk_line_fields[];

/* A new array of BkLineView, which it owns. */
GArray *bk_line_views_new(const BkLines *lines);
