/* server.h - the connection to the PostgreSQL server that is backed up (libpq).
 *
 * The connection string never holds a password: that comes from the password file or service file
 * of libpq, so no secret passes through here.
 * A cancelled operation cancels the statement that runs on the server.
 * Threads: a connection belongs to one thread. */
#pragma once
#include "base/op.h"
#include "source/pg/cluster/pg-meta.h"

typedef struct BkServer BkServer;

/* What the server says of itself. */
typedef struct BkServerFacts {
    uint32_t version; /* server_version_num */
    uint64_t system_id;
    char *data_directory;
    char *wal_level;
    char *archive_mode;
    char *archive_method; /* archive_command or archive_library, "" when neither is set */
    bool is_in_recovery;
    bool has_checksums;
    bool may_backup; /* may this user call the backup functions? */
    uint32_t block_size;
    uint32_t wal_segment_size;
} BkServerFacts;

void bk_server_facts_clear(BkServerFacts *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkServerFacts, bk_server_facts_clear)

/* Connects. Fails with BK_ERROR_SERVER, BK_ERROR_CANCELLED, or BK_ERROR_UNSUPPORTED when the server
 * is older than 13 or newer than 18. */
BkServer *bk_server_connect(const char *connection, BkOp *op, GError **error) BK_MUST_USE;

/* The same to a database of that name, whichever one the connection string has. */
BkServer *bk_server_connect_to(const char *connection, const char *database, BkOp *op,
                               GError **error) BK_MUST_USE;
void bk_server_close(BkServer *self); /* NULL is fine; ends a backup that was not stopped */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkServer, bk_server_close)

bool bk_server_get_facts(BkServer *self, BkServerFacts *facts, BkOp *op,
                         GError **error) BK_MUST_USE;

/* Which cluster this is, and on which timeline it writes: 0 while it is in recovery. */
bool bk_server_get_timeline(BkServer *self, uint64_t *system_id, uint32_t *timeline, BkOp *op,
                            GError **error) BK_MUST_USE;

/* Fails with BK_ERROR_UNFIT when a backup of this server cannot work: recovery, wal_level,
 * archiving (not asked for when `standalone`), permission. */
bool bk_server_check_fit(const BkServerFacts *facts, bool standalone, GError **error) BK_MUST_USE;

/* Adds the server's tablespaces to `meta`. */
bool bk_server_get_tablespaces(BkServer *self, BkPgMeta *meta, BkOp *op,
                               GError **error) BK_MUST_USE;

/* What the server says of its archiving at this time. Times are those of its clock. */
typedef struct BkServerState {
    int64_t clock_us;  /* its clock, since 1970 */
    uint32_t timeline; /* on which it writes, or replays */
    uint64_t failed_count;
    char *failed_wal;    /* the file that the archiver failed with last; NULL if none */
    int64_t failed_us;   /* when; 0 if never */
    char *archived_wal;  /* the file that it archived last; NULL if none */
    int64_t archived_us; /* when; 0 if never */
} BkServerState;

void bk_server_state_clear(BkServerState *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkServerState, bk_server_state_clear)

bool bk_server_get_state(BkServer *self, BkServerState *state, BkOp *op,
                         GError **error) BK_MUST_USE;

/* Returns true if the archiver's last attempt was a failure. */
bool bk_server_state_is_failing(const BkServerState *self);

/* WAL files that wait for the archiver. */
typedef struct BkServerReady {
    uint64_t count;
    char *oldest;      /* name of the one that has waited longest; NULL if there is none */
    int64_t oldest_us; /* since when */
} BkServerReady;

void bk_server_ready_clear(BkServerReady *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkServerReady, bk_server_ready_clear)

/* Fails with BK_ERROR_SERVER where the user may not see the directory (pg_monitor may). */
bool bk_server_get_ready(BkServer *self, BkServerReady *ready, BkOp *op,
                         GError **error) BK_MUST_USE;

/* Which databases there are and where: a new text that differs when one was made, dropped, moved or
 * altered in between. */
char *bk_server_describe_databases(BkServer *self, BkOp *op, GError **error) BK_MUST_USE;

/* Keeps the server from removing WAL while this session lasts, by a temporary replication slot: for
 * a snapshot that takes its WAL from the data directory. Fails where the user may have no slot. */
bool bk_server_hold_wal(BkServer *self, BkOp *op, GError **error) BK_MUST_USE;

/* Starts a backup: sets timeline, start and redo LSN of `meta`. The session must stay open until it
 * is stopped; closing it takes the server out of backup mode. */
bool bk_server_begin_backup(BkServer *self, const char *label, bool fast, BkPgMeta *meta, BkOp *op,
                            GError **error) BK_MUST_USE;

/* Ends the backup, which switches the WAL segment: sets stop LSN and time, label and tablespace
 * map. */
bool bk_server_end_backup(BkServer *self, BkPgMeta *meta, BkOp *op, GError **error) BK_MUST_USE;

#define BK_SERVER_NAME_SIZE 64 /* of a name, with the zero byte */

/* The name of the database with that OID, "" when there is none. */
bool bk_server_find_database(BkServer *self, uint32_t oid, char name[BK_SERVER_NAME_SIZE], BkOp *op,
                             GError **error) BK_MUST_USE;

/* The schema and the name of the relation of the session's database that has that file, "" when
 * there is none. */
bool bk_server_find_relation(BkServer *self, uint32_t tablespace, uint32_t file_node,
                             char schema[BK_SERVER_NAME_SIZE], char relation[BK_SERVER_NAME_SIZE],
                             BkOp *op, GError **error) BK_MUST_USE;

/* The user and the database that a connection string names: a new string, or NULL for the default.
 */
char *bk_server_user_of(const char *connection);
char *bk_server_database_of(const char *connection);
