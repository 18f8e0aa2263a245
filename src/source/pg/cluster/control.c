/* control.c - pg_control of PostgreSQL 13 to 18. */
#include "source/pg/cluster/control.h"

#include "codec/crc32c.h"
#include "source/pg/cluster/data-dir.h"
#include "source/pg/format/bytes.h"

#include <fcntl.h>
#include <inttypes.h>

#define MAX_FILE      (64 * BK_KIB)
#define READ_TRIES    10u
#define READ_PAUSE_US 10000

/* The file is the image of a C struct of the server, on a 64-bit machine. Positions are the same in
 * 13 to 18 but for the CRC at the end, since 18 put a flag (and its padding) before it. */
enum {
    AT_SYSTEM_ID = 0,
    AT_CONTROL_VERSION = 8,
    AT_CATALOG_VERSION = 12,
    AT_STATE = 16,
    AT_TIME = 24,
    AT_CHECKPOINT = 32,
    AT_REDO = 40, /* from here on a copy of the checkpoint record */
    AT_TIMELINE = 48,
    AT_PREV_TIMELINE = 52,
    AT_NEXT_XID = 64,
    AT_CHECKPOINT_TIME = 104,
    AT_MIN_RECOVERY = 136,
    AT_MIN_RECOVERY_TIMELINE = 144,
    AT_BACKUP_START = 152,
    AT_BACKUP_END = 160,
    AT_BACKUP_END_REQUIRED = 168,
    AT_WAL_LEVEL = 172,
    AT_WAL_LOG_HINTS = 176,
    AT_MAX_CONNECTIONS = 180,
    AT_MAX_WORKER_PROCESSES = 184,
    AT_MAX_WAL_SENDERS = 188,
    AT_MAX_PREPARED_XACTS = 192,
    AT_MAX_LOCKS_PER_XACT = 196,
    AT_BLOCK_SIZE = 216,
    AT_RELATION_SEGMENT = 220,
    AT_WAL_BLOCK_SIZE = 224,
    AT_WAL_SEGMENT_SIZE = 228,
    AT_CHECKSUM_VERSION = 252,
    AT_CRC_13 = 288,
    AT_CRC_18 = 292,
};

#define CONTROL_VERSION_13 1300 /* and 14 to 16 */
#define CONTROL_VERSION_17 1700
#define CONTROL_VERSION_18 1800

#define USEC_PER_SEC INT64_C(1000000)

static unsigned
catalog_major(uint32_t catalog_version)
{
    static const struct {
        uint32_t catalog_version;
        unsigned major;
    } releases[] = {
        {202007201, 13}, {202107181, 14}, {202209061, 15},
        {202307071, 16}, {202406281, 17}, {202506291, 18},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(releases); i++)
        if (releases[i].catalog_version == catalog_version)
            return releases[i].major;
    return 0;
}

/* Seconds from the file in microseconds; what does not fit is kept at the border. */
static int64_t
get_control_time(const uint8_t *at)
{
    int64_t seconds = (int64_t)bk_bytes_u64(at);

    return CLAMP(seconds, INT64_MIN / USEC_PER_SEC, INT64_MAX / USEC_PER_SEC) * USEC_PER_SEC;
}

static bool
check_crc(const uint8_t *bytes, size_t size, GError **error)
{
    uint32_t version;
    size_t crc_at;

    if (size < AT_CRC_18 + 4)
        return bk_throw(error, BK_ERROR_CORRUPT, "pg_control has only %zu bytes", size);
    version = bk_bytes_u32(bytes + AT_CONTROL_VERSION);
    if (version != CONTROL_VERSION_13 && version != CONTROL_VERSION_17 &&
        version != CONTROL_VERSION_18) {
        if (version != 0 && GUINT32_SWAP_LE_BE(version) <= UINT16_MAX)
            return bk_throw(error, BK_ERROR_UNSUPPORTED, "pg_control has another byte order");
        return bk_throw(error, BK_ERROR_UNSUPPORTED,
                        "pg_control has version %" PRIu32
                        ", supported are %d (13 to 16), %d (17) and %d (18)",
                        version, CONTROL_VERSION_13, CONTROL_VERSION_17, CONTROL_VERSION_18);
    }
    crc_at = version == CONTROL_VERSION_18 ? AT_CRC_18 : AT_CRC_13;
    if (bk_crc32c(0, bytes, crc_at) != bk_bytes_u32(bytes + crc_at))
        return bk_throw(error, BK_ERROR_CORRUPT, "pg_control does not match its checksum");
    return true;
}

static bool
is_page_size(uint32_t size)
{
    return size >= 1024 && size <= 65536 && (size & (size - 1)) == 0;
}

/* The CRC is right, so a value that cannot be comes from a program that is not the server. */
static bool
check_values(const BkPgControl *control, uint32_t state, uint32_t wal_level, GError **error)
{
    if (state > BK_PG_STATE_IN_PRODUCTION)
        return bk_throw(error, BK_ERROR_CORRUPT, "pg_control has the unknown state %" PRIu32,
                        state);
    if (wal_level > BK_PG_WAL_LOGICAL)
        return bk_throw(error, BK_ERROR_CORRUPT, "pg_control has the unknown WAL level %" PRIu32,
                        wal_level);
    if (!bk_wal_segment_size_is_valid(control->wal_segment_size))
        return bk_throw(error, BK_ERROR_CORRUPT, "pg_control has WAL segments of %" PRIu32 " bytes",
                        control->wal_segment_size);
    if (!is_page_size(control->block_size) || !is_page_size(control->wal_block_size) ||
        control->relation_segment_blocks == 0)
        return bk_throw(error, BK_ERROR_CORRUPT,
                        "pg_control has blocks of %" PRIu32 " and WAL blocks of %" PRIu32 " bytes",
                        control->block_size, control->wal_block_size);
    return true;
}

bool
bk_pg_control_decode(const void *data, size_t size, BkPgControl *control, GError **error)
{
    const uint8_t *bytes = data;
    uint32_t state, wal_level;

    *control = (BkPgControl){0};
    if (!check_crc(bytes, size, error))
        return false;
    state = bk_bytes_u32(bytes + AT_STATE);
    wal_level = bk_bytes_u32(bytes + AT_WAL_LEVEL);
    *control = (BkPgControl){
        .system_id = bk_bytes_u64(bytes + AT_SYSTEM_ID),
        .control_version = bk_bytes_u32(bytes + AT_CONTROL_VERSION),
        .catalog_version = bk_bytes_u32(bytes + AT_CATALOG_VERSION),
        .major = catalog_major(bk_bytes_u32(bytes + AT_CATALOG_VERSION)),
        .state = (BkPgState)state,
        .time_us = get_control_time(bytes + AT_TIME),
        .checkpoint = bk_bytes_u64(bytes + AT_CHECKPOINT),
        .redo = bk_bytes_u64(bytes + AT_REDO),
        .timeline = bk_bytes_u32(bytes + AT_TIMELINE),
        .prev_timeline = bk_bytes_u32(bytes + AT_PREV_TIMELINE),
        .next_xid = bk_bytes_u64(bytes + AT_NEXT_XID),
        .checkpoint_time_us = get_control_time(bytes + AT_CHECKPOINT_TIME),
        .min_recovery = bk_bytes_u64(bytes + AT_MIN_RECOVERY),
        .min_recovery_timeline = bk_bytes_u32(bytes + AT_MIN_RECOVERY_TIMELINE),
        .backup_start = bk_bytes_u64(bytes + AT_BACKUP_START),
        .backup_end = bk_bytes_u64(bytes + AT_BACKUP_END),
        .backup_end_required = bytes[AT_BACKUP_END_REQUIRED] != 0,
        .wal_level = (BkPgWalLevel)wal_level,
        .wal_log_hints = bytes[AT_WAL_LOG_HINTS] != 0,
        .max_connections = bk_bytes_u32(bytes + AT_MAX_CONNECTIONS),
        .max_worker_processes = bk_bytes_u32(bytes + AT_MAX_WORKER_PROCESSES),
        .max_wal_senders = bk_bytes_u32(bytes + AT_MAX_WAL_SENDERS),
        .max_prepared_xacts = bk_bytes_u32(bytes + AT_MAX_PREPARED_XACTS),
        .max_locks_per_xact = bk_bytes_u32(bytes + AT_MAX_LOCKS_PER_XACT),
        .block_size = bk_bytes_u32(bytes + AT_BLOCK_SIZE),
        .relation_segment_blocks = bk_bytes_u32(bytes + AT_RELATION_SEGMENT),
        .wal_block_size = bk_bytes_u32(bytes + AT_WAL_BLOCK_SIZE),
        .wal_segment_size = bk_bytes_u32(bytes + AT_WAL_SEGMENT_SIZE),
        .checksum_version = bk_bytes_u32(bytes + AT_CHECKSUM_VERSION),
    };
    return check_values(control, state, wal_level, error);
}

const char *
bk_pg_state_name(BkPgState state)
{
    static const char *const names[] = {
        "starting up",       "shut down",           "shut down in recovery", "shutting down",
        "in crash recovery", "in archive recovery", "in production",
    };

    return (size_t)state < G_N_ELEMENTS(names) ? names[state] : "unknown";
}

bool
bk_pg_control_read(const char *data_dir, BkBuf *content, BkPgControl *control, GError **error)
{
    g_autofree char *path = g_build_filename(data_dir, "global", "pg_control", NULL);

    for (unsigned attempt = 0;; attempt++) {
        g_autoptr(GError) cause = NULL;

        if (!bk_data_dir_read(data_dir, "global/pg_control", MAX_FILE, content, error))
            return false;
        if (bk_pg_control_decode(content->data, content->size, control, &cause))
            return true;
        if (attempt == READ_TRIES) {
            g_propagate_prefixed_error(error, g_steal_pointer(&cause), "file \"%s\": ", path);
            return false;
        }
        g_usleep(READ_PAUSE_US);
    }
}
