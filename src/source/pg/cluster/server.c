/* server.c - the connection to the PostgreSQL server that is backed up (libpq). */
#include "source/pg/cluster/server.h"

#include "base/log.h"
#include "source/pg/cluster/libpq.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define POLL_MS 100

#define OLDEST_VERSION 130000
#define NEWEST_VERSION 190000 /* exclusive */

struct BkServer {
    PGconn *connection;
    uint32_t version;
};

void
bk_server_facts_clear(BkServerFacts *self)
{
    g_free(self->data_directory);
    g_free(self->wal_level);
    g_free(self->archive_mode);
    g_free(self->archive_method);
    *self = (BkServerFacts){0};
}

/* libpq's messages end in a line feed and may have several lines; ours are one. */
static char *
one_line(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autoptr(GString) joined = g_string_new(NULL);

    for (size_t i = 0; lines[i] != NULL; i++) {
        const char *line = g_strstrip(lines[i]);

        if (line[0] == 0)
            continue;
        if (joined->len > 0)
            g_string_append(joined, "; ");
        g_string_append(joined, line);
    }
    return g_string_free(g_steal_pointer(&joined), FALSE);
}

static bool
throw_server(BkServer *self, const char *what, GError **error)
{
    g_autofree char *text = one_line(PQerrorMessage(self->connection));

    return bk_throw(error, BK_ERROR_SERVER, "%s: %s", what, text);
}

/* Waits until the socket is ready for `events`, looking at the operation in between. */
static bool
wait_for_socket(BkServer *self, short events, BkOp *op, GError **error)
{
    struct pollfd entry = {.fd = PQsocket(self->connection), .events = events};

    for (;;) {
        int ready;

        if (!bk_op_check(op, error))
            return false;
        ready = poll(&entry, 1, POLL_MS);
        if (ready > 0)
            return true;
        if (ready < 0 && errno != EINTR)
            return bk_throw_errno(error, "wait for the server");
    }
}

static bool
finish_connecting(BkServer *self, BkOp *op, GError **error)
{
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;

    while (status != PGRES_POLLING_OK) {
        if (status == PGRES_POLLING_FAILED)
            return throw_server(self, "connect to PostgreSQL", error);
        if (!wait_for_socket(self, status == PGRES_POLLING_READING ? POLLIN : POLLOUT, op, error))
            return false;
        status = PQconnectPoll(self->connection);
    }
    return true;
}

static void
cancel_statement(BkServer *self)
{
    PGcancel *cancel = PQgetCancel(self->connection);
    char text[256];

    if (cancel != NULL)
        (void)PQcancel(cancel, text, sizeof text);
    PQfreeCancel(cancel);
}

static bool
is_answer_complete(BkServer *self)
{
    return PQisBusy(self->connection) == 0;
}

/* Runs one statement with text parameters and returns its rows. */
static PGresult *
query_server(BkServer *self, const char *what, const char *sql, const char *const *params,
             int count, BkOp *op, GError **error)
{
    g_autoptr(PGresult) result = NULL;
    PGresult *more;

    if (PQsendQueryParams(self->connection, sql, count, NULL, params, NULL, NULL, 0) == 0) {
        throw_server(self, what, error);
        return NULL;
    }
    while (!is_answer_complete(self)) {
        if (!wait_for_socket(self, POLLIN, op, error)) {
            cancel_statement(self);
            return NULL;
        }
        if (PQconsumeInput(self->connection) == 0) {
            throw_server(self, what, error);
            return NULL;
        }
    }
    result = PQgetResult(self->connection);
    while ((more = PQgetResult(self->connection)) != NULL)
        PQclear(more);
    if (PQresultStatus(result) != PGRES_TUPLES_OK && PQresultStatus(result) != PGRES_COMMAND_OK) {
        throw_server(self, what, error);
        return NULL;
    }
    return g_steal_pointer(&result);
}

static const char *
get_result_value(const PGresult *result, int row, int column)
{
    return PQgetvalue(result, row, column);
}

static uint64_t
get_result_number(const PGresult *result, int row, int column)
{
    return g_ascii_strtoull(get_result_value(result, row, column), NULL, 10);
}

static bool
get_result_truth(const PGresult *result, int row, int column)
{
    return get_result_value(result, row, column)[0] == 't';
}

static bool
set_up_session(BkServer *self, BkOp *op, GError **error)
{
    /* Whatever the server's or the user's defaults are: this session idles while files are copied,
     * and its answers are parsed. */
    static const char *const settings[] = {
        "set statement_timeout = 0",
        "set lock_timeout = 0",
        "set idle_in_transaction_session_timeout = 0",
        "set client_encoding = 'UTF8'",
        "set datestyle = 'ISO'",
        "set search_path = pg_catalog",
        "set standard_conforming_strings = on",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(settings); i++) {
        g_autoptr(PGresult) result =
            query_server(self, "set up the session", settings[i], NULL, 0, op, error);

        if (result == NULL)
            return false;
    }
    if (self->version >= 140000) {
        g_autoptr(PGresult) result = query_server(
            self, "set up the session", "set idle_session_timeout = 0", NULL, 0, op, error);

        if (result == NULL)
            return false;
    }
    return true;
}

/* What the server says beside its answers belongs in the log, not between our own lines. */
static void
log_notice(void *unused, const char *message)
{
    g_autofree char *text = one_line(message);

    (void)unused;
    bk_log(BK_LOG_INFO, "the server says: %s", text);
}

BkServer *
bk_server_connect_to(const char *connection, const char *database, BkOp *op, GError **error)
{
    /* Of two "dbname" the last one counts, and only the first may be a connection string. */
    const char *const keywords[] = {"dbname", "fallback_application_name",
                                    database != NULL ? "dbname" : NULL, NULL};
    const char *const values[] = {connection, "backstay", database, NULL};
    g_autoptr(BkServer) self = g_new0(BkServer, 1);

    if (!bk_libpq_load(error))
        return NULL;
    /* With expand_dbname a connection string in "dbname" is taken apart; a "dbname" inside it, or
     * the default, stays in force. */
    self->connection = PQconnectStartParams(keywords, values, 1);
    if (self->connection == NULL)
        g_error("no memory for a connection");
    if (PQstatus(self->connection) == CONNECTION_BAD) {
        throw_server(self, "connect to PostgreSQL", error);
        return NULL;
    }
    if (!finish_connecting(self, op, error))
        return NULL;
    (void)PQsetNoticeProcessor(self->connection, log_notice, NULL);
    self->version = (uint32_t)PQserverVersion(self->connection);
    if (self->version < OLDEST_VERSION || self->version >= NEWEST_VERSION)
        return bk_throw_null(error, BK_ERROR_UNSUPPORTED,
                             "the server is PostgreSQL %u.%u, supported are 13 to 18",
                             self->version / 10000, self->version % 10000);
    return set_up_session(self, op, error) ? g_steal_pointer(&self) : NULL;
}

BkServer *
bk_server_connect(const char *connection, BkOp *op, GError **error)
{
    return bk_server_connect_to(connection, NULL, op, error);
}

void
bk_server_close(BkServer *self)
{
    if (self == NULL)
        return;
    PQfinish(self->connection);
    g_free(self);
}

bool
bk_server_get_facts(BkServer *self, BkServerFacts *facts, BkOp *op, GError **error)
{
    static const char sql[] =
        "select (select system_identifier from pg_control_system()),"
        " current_setting('data_directory', true), current_setting('wal_level'),"
        " current_setting('archive_mode'),"
        " coalesce(nullif(current_setting('archive_library', true), ''),"
        "  nullif(nullif(current_setting('archive_command', true), ''), '(disabled)'), ''),"
        " pg_is_in_recovery(), current_setting('data_checksums') = 'on',"
        " coalesce((select bool_and(has_function_privilege(oid, 'execute')) from pg_proc"
        "  where pronamespace = 'pg_catalog'::regnamespace"
        "  and proname in ('pg_backup_start', 'pg_backup_stop', 'pg_start_backup')), false)"
        "  or (select rolsuper from pg_roles where rolname = current_user),"
        " current_setting('block_size'),"
        " (select setting from pg_settings where name = 'wal_segment_size')";
    g_autoptr(PGresult) result =
        query_server(self, "ask the server for its settings", sql, NULL, 0, op, error);

    if (result == NULL)
        return false;
    *facts = (BkServerFacts){
        .version = self->version,
        .system_id = get_result_number(result, 0, 0),
        .data_directory = g_strdup(get_result_value(result, 0, 1)),
        .wal_level = g_strdup(get_result_value(result, 0, 2)),
        .archive_mode = g_strdup(get_result_value(result, 0, 3)),
        .archive_method = g_strdup(get_result_value(result, 0, 4)),
        .is_in_recovery = get_result_truth(result, 0, 5),
        .has_checksums = get_result_truth(result, 0, 6),
        .may_backup = get_result_truth(result, 0, 7),
        .block_size = (uint32_t)get_result_number(result, 0, 8),
        .wal_segment_size = (uint32_t)get_result_number(result, 0, 9),
    };
    return true;
}

bool
bk_server_get_timeline(BkServer *self, uint64_t *system_id, uint32_t *timeline, BkOp *op,
                       GError **error)
{
    /* That of pg_control is older until the checkpoint after a promotion is done. */
    g_autoptr(PGresult) result =
        query_server(self, "ask the server for its timeline",
                     "select (select system_identifier from pg_control_system()),"
                     " case when pg_is_in_recovery() then '0'"
                     " else substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) end",
                     NULL, 0, op, error);

    if (result == NULL)
        return false;
    *system_id = get_result_number(result, 0, 0);
    *timeline = (uint32_t)g_ascii_strtoull(get_result_value(result, 0, 1), NULL, 16);
    return true;
}

bool
bk_server_check_fit(const BkServerFacts *facts, bool standalone, GError **error)
{
    if (!facts->may_backup)
        return bk_throw(
            error, BK_ERROR_UNFIT,
            "this user may not take a backup: grant it execution of pg_backup_start "
            "and pg_backup_stop (before version 15: pg_start_backup, pg_stop_backup), or "
            "connect as a superuser");
    if (facts->data_directory[0] == 0)
        return bk_throw(
            error, BK_ERROR_UNFIT,
            "this user may not read the server's data_directory: grant it pg_read_all_settings");
    if (facts->is_in_recovery)
        return bk_throw(error, BK_ERROR_UNFIT,
                        "the server is a standby: take the backup from its primary");
    if (strcmp(facts->wal_level, "minimal") == 0)
        return bk_throw(error, BK_ERROR_UNFIT,
                        "the server has wal_level minimal, which does not allow recovery: set it "
                        "to replica and restart the server");
    if (standalone)
        return true;
    if (strcmp(facts->archive_mode, "off") == 0)
        return bk_throw(error, BK_ERROR_UNFIT,
                        "the server does not archive its WAL (archive_mode is off): turn it on, or "
                        "use --standalone for a snapshot that can be restored only to its own end");
    if (facts->archive_method[0] == 0)
        return bk_throw(
            error, BK_ERROR_UNFIT,
            "the server has no archive_command: set it to \"backstay wal push SOURCE %%p\", or use "
            "--standalone for a snapshot that can be restored only to its own end");
    return true;
}

bool
bk_server_get_tablespaces(BkServer *self, BkPgMeta *meta, BkOp *op, GError **error)
{
    g_autoptr(PGresult) result =
        query_server(self, "ask the server for its tablespaces",
                     "select oid, spcname, pg_tablespace_location(oid) from pg_tablespace"
                     " where pg_tablespace_location(oid) like '/%' order by oid",
                     NULL, 0, op, error);

    if (result == NULL)
        return false;
    for (int row = 0; row < PQntuples(result); row++)
        bk_pg_meta_add_tablespace(meta, (uint32_t)get_result_number(result, row, 0),
                                  get_result_value(result, row, 1),
                                  get_result_value(result, row, 2));
    return true;
}

char *
bk_server_describe_databases(BkServer *self, BkOp *op, GError **error)
{
    g_autoptr(PGresult) result = query_server(self, "ask the server for its databases",
                                              "select coalesce(string_agg(format('%s %s %s', oid, "
                                              "dattablespace, xmin), ',' order by oid),"
                                              " '') from pg_database",
                                              NULL, 0, op, error);

    return result != NULL ? g_strdup(get_result_value(result, 0, 0)) : NULL;
}

bool
bk_server_hold_wal(BkServer *self, BkOp *op, GError **error)
{
    g_autoptr(PGresult) result = query_server(self, "create a temporary replication slot",
                                              "select pg_create_physical_replication_slot("
                                              "'backstay_' || pg_backend_pid(), true, true)",
                                              NULL, 0, op, error);

    return result != NULL;
}

static bool
get_lsn(const PGresult *result, int column, BkLsn *lsn, GError **error)
{
    return bk_lsn_parse(get_result_value(result, 0, column), lsn) ||
           bk_throw(error, BK_ERROR_SERVER, "the server answered \"%s\" for an LSN",
                    get_result_value(result, 0, column));
}

bool
bk_server_begin_backup(BkServer *self, const char *label, bool fast, BkPgMeta *meta, BkOp *op,
                       GError **error)
{
    const char *params[] = {label, fast ? "true" : "false"};
    const char *sql = self->version >= 150000 ? "select pg_backup_start($1, $2)"
                                              : "select pg_start_backup($1, $2, false)";
    g_autoptr(PGresult) started = query_server(self, "start the backup", sql, params, 2, op, error);
    g_autoptr(PGresult) timeline = NULL;

    if (started == NULL || !get_lsn(started, 0, &meta->start_lsn, error))
        return false;
    /* A backup starts where the redo of its checkpoint does. */
    meta->redo_lsn = meta->start_lsn;
    timeline = query_server(self, "ask for the timeline",
                            "select timeline_id from pg_control_checkpoint()", NULL, 0, op, error);
    if (timeline == NULL)
        return false;
    meta->timeline = (uint32_t)get_result_number(timeline, 0, 0);
    return true;
}

bool
bk_server_end_backup(BkServer *self, BkPgMeta *meta, BkOp *op, GError **error)
{
    const char *sql = self->version >= 150000
                          ? "select lsn, labelfile, spcmapfile,"
                            " (extract(epoch from clock_timestamp()) * 1000000)::bigint from "
                            "pg_backup_stop(false)"
                          : "select lsn, labelfile, spcmapfile,"
                            " (extract(epoch from clock_timestamp()) * 1000000)::bigint from"
                            " pg_stop_backup(false, false)";
    g_autoptr(PGresult) result = query_server(self, "end the backup", sql, NULL, 0, op, error);

    if (result == NULL || !get_lsn(result, 0, &meta->stop_lsn, error))
        return false;
    meta->backup_label = g_strdup(get_result_value(result, 0, 1));
    meta->tablespace_map = g_strdup(get_result_value(result, 0, 2));
    meta->stop_us = (int64_t)get_result_number(result, 0, 3);
    return true;
}

void
bk_server_state_clear(BkServerState *self)
{
    g_free(self->failed_wal);
    g_free(self->archived_wal);
    *self = (BkServerState){0};
}

/* A new string, or NULL for the SQL null. */
static char *
copy_result_text(const PGresult *result, int row, int column)
{
    return PQgetisnull(result, row, column) ? NULL
                                            : g_strdup(get_result_value(result, row, column));
}

bool
bk_server_get_state(BkServer *self, BkServerState *state, BkOp *op, GError **error)
{
    static const char sql[] =
        "select (extract(epoch from clock_timestamp()) * 1000000)::bigint,"
        " case when pg_is_in_recovery() then"
        "  (select greatest(c.timeline_id, r.min_recovery_end_timeline)::bigint"
        "   from pg_control_checkpoint() c, pg_control_recovery() r)"
        " else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint end,"
        " failed_count, last_failed_wal,"
        " (extract(epoch from last_failed_time) * 1000000)::bigint, last_archived_wal,"
        " (extract(epoch from last_archived_time) * 1000000)::bigint from pg_stat_archiver";
    g_autoptr(PGresult) result =
        query_server(self, "ask the server for its archiver", sql, NULL, 0, op, error);

    if (result == NULL)
        return false;
    if (PQntuples(result) != 1)
        return bk_throw(error, BK_ERROR_SERVER, "ask the server for its archiver: %d rows",
                        PQntuples(result));
    *state = (BkServerState){
        .clock_us = (int64_t)get_result_number(result, 0, 0),
        .timeline = (uint32_t)get_result_number(result, 0, 1),
        .failed_count = get_result_number(result, 0, 2),
        .failed_wal = copy_result_text(result, 0, 3),
        .failed_us = (int64_t)get_result_number(result, 0, 4),
        .archived_wal = copy_result_text(result, 0, 5),
        .archived_us = (int64_t)get_result_number(result, 0, 6),
    };
    return true;
}

bool
bk_server_state_is_failing(const BkServerState *self)
{
    return self->failed_us > self->archived_us;
}

void
bk_server_ready_clear(BkServerReady *self)
{
    g_free(self->oldest);
    *self = (BkServerReady){0};
}

bool
bk_server_get_ready(BkServer *self, BkServerReady *ready, BkOp *op, GError **error)
{
    static const char sql[] = "select count(*), (array_agg(name order by modification, name))[1],"
                              " (extract(epoch from min(modification)) * 1000000)::bigint"
                              " from pg_ls_archive_statusdir() where name like '%.ready'";
    g_autoptr(PGresult) result =
        query_server(self, "ask the server for WAL to be archived", sql, NULL, 0, op, error);

    if (result == NULL)
        return false;
    *ready = (BkServerReady){
        .count = get_result_number(result, 0, 0),
        .oldest = copy_result_text(result, 0, 1),
        .oldest_us = (int64_t)get_result_number(result, 0, 2),
    };
    if (ready->oldest != NULL)
        *strrchr(ready->oldest, '.') = 0; /* the name ends in ".ready" */
    return true;
}

static void
copy_result_name(char to[BK_SERVER_NAME_SIZE], const PGresult *result, int column)
{
    (void)g_strlcpy(to, PQntuples(result) > 0 ? get_result_value(result, 0, column) : "",
                    BK_SERVER_NAME_SIZE);
}

bool
bk_server_find_database(BkServer *self, uint32_t oid, char name[BK_SERVER_NAME_SIZE], BkOp *op,
                        GError **error)
{
    g_autofree char *number_text = g_strdup_printf("%u", oid);
    const char *params[] = {number_text};
    g_autoptr(PGresult) result =
        query_server(self, "ask for a database",
                     "select datname from pg_database where oid = $1::oid", params, 1, op, error);

    if (result == NULL)
        return false;
    copy_result_name(name, result, 0);
    return true;
}

bool
bk_server_find_relation(BkServer *self, uint32_t tablespace, uint32_t file_node,
                        char schema[BK_SERVER_NAME_SIZE], char relation[BK_SERVER_NAME_SIZE],
                        BkOp *op, GError **error)
{
    g_autofree char *tablespace_text = g_strdup_printf("%u", tablespace);
    g_autofree char *node_text = g_strdup_printf("%u", file_node);
    const char *params[] = {tablespace_text, node_text};
    g_autoptr(PGresult) result =
        query_server(self, "ask for a relation",
                     "select n.nspname, c.relname from pg_class c"
                     " join pg_namespace n on n.oid = c.relnamespace"
                     " where c.oid = pg_filenode_relation($1::oid, $2::oid)",
                     params, 2, op, error);

    if (result == NULL)
        return false;
    copy_result_name(schema, result, 0);
    copy_result_name(relation, result, 1);
    return true;
}

static char *
option_of(const char *connection, const char *keyword)
{
    PQconninfoOption *options = bk_libpq_load(NULL) ? PQconninfoParse(connection, NULL) : NULL;
    char *found = NULL;

    for (PQconninfoOption *option = options; option != NULL && option->keyword != NULL; option++)
        if (strcmp(option->keyword, keyword) == 0 && option->val != NULL)
            found = g_strdup(option->val);
    PQconninfoFree(options);
    return found;
}

char *
bk_server_user_of(const char *connection)
{
    return option_of(connection, "user");
}

char *
bk_server_database_of(const char *connection)
{
    return option_of(connection, "dbname");
}
