/* server.h - talking to the PostgreSQL server that is backed up (libpq).
 *
 * The connection string never holds a password: that comes from the password file or service file
 * of libpq, so no secret passes through here.
 * A cancelled operation cancels the statement that runs on the server.
 * Threads: a connection belongs to one thread. */
#pragma once
#include "base/op.h"
#include "source/pg/meta.h"

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

/* What the archiver last failed with: a new string, or NULL when it does not fail or cannot be
 * asked. */
char *bk_server_describe_archiver_failure(BkServer *self, BkOp *op);

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
