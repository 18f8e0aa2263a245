/* control.h - pg_control of PostgreSQL 13 to 18.
 *
 * Nothing is believed before the CRC has been verified.
 * Threads: safe; nothing here has state. */
#pragma once
#include "base/buf.h"
#include "source/pg/format/lsn.h"

#define BK_PG_CONTROL_SIZE 8192 /* of the file; the meaningful part is its first 300 bytes */

typedef enum {
    BK_PG_STATE_STARTING_UP,
    BK_PG_STATE_SHUT_DOWN,
    BK_PG_STATE_SHUT_DOWN_IN_RECOVERY,
    BK_PG_STATE_SHUTTING_DOWN,
    BK_PG_STATE_CRASH_RECOVERY,
    BK_PG_STATE_ARCHIVE_RECOVERY,
    BK_PG_STATE_IN_PRODUCTION,
} BkPgState;

typedef enum {
    BK_PG_WAL_MINIMAL,
    BK_PG_WAL_REPLICA,
    BK_PG_WAL_LOGICAL,
} BkPgWalLevel;

typedef struct BkPgControl {
    uint64_t system_id;
    uint32_t control_version;
    uint32_t catalog_version;
    unsigned major; /* 13 to 18, from the catalog version; 0 when that is no release's */
    BkPgState state;
    int64_t time_us;   /* last change of the file, Unix time */
    BkLsn checkpoint;  /* of the last checkpoint record */
    BkLsn redo;        /* where replay of it begins */
    uint32_t timeline; /* of that checkpoint */
    uint32_t prev_timeline;
    uint64_t next_xid; /* epoch in the upper half */
    int64_t checkpoint_time_us;
    BkLsn min_recovery;
    uint32_t min_recovery_timeline;
    BkLsn backup_start; /* not 0: a restored backup that has not reached consistency */
    BkLsn backup_end;
    bool backup_end_required;
    BkPgWalLevel wal_level;
    bool wal_log_hints;
    uint32_t max_connections;
    uint32_t max_worker_processes;
    uint32_t max_wal_senders;
    uint32_t max_prepared_xacts;
    uint32_t max_locks_per_xact;
    uint32_t block_size;
    uint32_t relation_segment_blocks;
    uint32_t wal_block_size;
    uint32_t wal_segment_size;
    uint32_t checksum_version; /* 0: data checksums are off */
} BkPgControl;

/* Decodes the first `size` bytes of pg_control. Fails with BK_ERROR_CORRUPT (too short, CRC, values
 * that cannot be) or BK_ERROR_UNSUPPORTED (another version or byte order). */
bool bk_pg_control_decode(const void *data, size_t size, BkPgControl *control,
                          GError **error) BK_MUST_USE;

/* Static text such as "in production". */
const char *bk_pg_state_name(BkPgState state);

/* Reads global/pg_control of a running server's directory until its checksum fits: the server may
 * be writing it. Fails with BK_ERROR_CORRUPT when it does not within a tenth of a second, or as
 * reading does. */
bool bk_pg_control_read(const char *data_dir, BkBuf *content, BkPgControl *control,
                        GError **error) BK_MUST_USE;
