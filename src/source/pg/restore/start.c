/* start.c - starts the server on a restored data directory and waits for the end of recovery. */
#include "source/pg/restore/start.h"

#include "source/pg/cluster/control.h"
#include "source/pg/cluster/libpq.h"
#include "source/pg/format/pg-time.h"
#include "source/pg/restore/start-priv.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define POLL_US          INT64_C(100000)
#define LOGIN_PATIENCE   50 /* polls for which a server that is ready may turn us away */
#define PID_FILE_LIMIT   (64 * BK_KIB)
#define CONNECT_TIMEOUT  "5"
#define DEFAULT_DATABASE "postgres"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(PGconn, PQfinish)

typedef enum {
    STAGE_STARTING, /* nobody can connect */
    STAGE_RECOVERY, /* connections that read */
    STAGE_READY,    /* out of recovery */
    STAGE_ENDING,
} Stage;

typedef struct Watch {
    const BkStartOptions *options;
    BkStartResult *result;
    BkOp *op;
    BkServerProcess process;
    BkFd data_dir;
    Stage stage;
    PGconn *connection; /* or NULL */
    unsigned refusals;  /* in a row */
    bool paused;
} Watch;

static void
watch_clear(Watch *self)
{
    g_clear_pointer(&self->connection, PQfinish);
    bk_server_process_clear(&self->process);
    bk_fd_clear(&self->data_dir);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Watch, watch_clear)

void
bk_start_result_clear(BkStartResult *self)
{
    g_free(self->socket_dir);
    *self = (BkStartResult){0};
}

/* --- what the server's files say ----------------------------------------------------------- */

/* The lines of postmaster.pid: 1 process, 4 port, 5 socket directory, 6 address, 8 state. The
 * server adds the later ones as it comes to know them. */
static void
read_pid_file(Watch *self)
{
    g_auto(BkIdentityScope) scope = bk_identity_enter(self->process.identity);
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_auto(GStrv) lines = NULL;
    const char *place;
    uint64_t port;

    if (!bk_file_read(self->data_dir, "postmaster.pid", PID_FILE_LIMIT, &content, NULL))
        return;
    lines = g_strsplit((const char *)content.data, "\n", -1);
    if (g_strv_length(lines) < 8 ||
        g_ascii_strtoll(lines[0], NULL, 10) != (gint64)self->process.pid ||
        !g_ascii_string_to_unsigned(g_strstrip(lines[3]), 10, 1, UINT16_MAX, &port, NULL))
        return;
    place = lines[4][0] != '\0' ? lines[4] : lines[5];
    if (strcmp(place, "*") == 0)
        place = "localhost";
    self->result->port = (uint16_t)port;
    g_free(self->result->socket_dir);
    self->result->socket_dir = g_strdup(place);
    g_strstrip(lines[7]);
    if (strcmp(lines[7], "ready") == 0)
        self->stage = STAGE_READY;
    else if (strcmp(lines[7], "standby") == 0)
        self->stage = STAGE_RECOVERY;
    else
        self->stage = strcmp(lines[7], "stopping") == 0 ? STAGE_ENDING : STAGE_STARTING;
}

static bool
read_started_control(const Watch *self, BkPgControl *control)
{
    g_auto(BkIdentityScope) scope = bk_identity_enter(self->process.identity);
    g_auto(BkBuf) content = BK_BUF_INIT;

    return bk_file_read(self->data_dir, "global/pg_control", (size_t)2 * BK_PG_CONTROL_SIZE,
                        &content, NULL) &&
           bk_pg_control_decode(content.data, content.size, control, NULL);
}

static void
note_progress(Watch *self, BkLsn lsn, int64_t time_us)
{
    BkStartResult *result = self->result;

    if (lsn <= result->lsn && time_us == result->time_us)
        return;
    result->lsn = MAX(lsn, result->lsn);
    if (time_us != 0)
        result->time_us = time_us;
    if (self->options->progress != NULL)
        self->options->progress(result->lsn, result->time_us, self->options->progress_data);
}

/* Roughly how far replay has come, without asking the server: what it has flushed. */
static void
note_control(Watch *self)
{
    BkPgControl control;

    if (!read_started_control(self, &control))
        return;
    if (control.state == BK_PG_STATE_ARCHIVE_RECOVERY ||
        control.state == BK_PG_STATE_SHUT_DOWN_IN_RECOVERY)
        note_progress(self, control.min_recovery, self->result->time_us);
    self->result->timeline = MAX(control.timeline, control.min_recovery_timeline);
}

/* --- asking the server --------------------------------------------------------------------- */

/* The library would print what the server remarks. */
static void
ignore_notice(void *data, const char *message)
{
    (void)data;
    (void)message;
}

/* Local connections are often open to the owner of the server alone, and which user it is that
 * connects the server sees by the effective one. */
static PGconn *
connect_as_owner(const Watch *self)
{
    const BkStartOptions *options = self->options;
    g_autofree char *port = g_strdup_printf("%u", self->result->port);
    const char *const names[] = {
        "host", "port", "user", "dbname", "connect_timeout", "application_name", "client_encoding",
        NULL};
    const char *const values[] = {
        self->result->socket_dir,
        port,
        options->user != NULL ? options->user : self->process.user,
        options->database != NULL ? options->database : DEFAULT_DATABASE,
        CONNECT_TIMEOUT,
        "backstay",
        "UTF8",
        NULL,
    };
    bool is_root = geteuid() == 0;
    PGconn *connection;

    if (is_root && seteuid(self->process.uid) < 0)
        return NULL;
    connection = PQconnectdbParams(names, values, 0);
    if (is_root)
        g_assert(seteuid(0) == 0);
    if (connection != NULL)
        (void)PQsetNoticeProcessor(connection, ignore_notice, NULL);
    return connection;
}

/* True with a connection. A server that turns us away for long lets nobody in without a password
 * that we do not have; it then is judged by its files alone. */
static bool
ensure_connection(Watch *self)
{
    if (self->connection != NULL && PQstatus(self->connection) == CONNECTION_OK)
        return true;
    g_clear_pointer(&self->connection, PQfinish);
    self->connection = connect_as_owner(self);
    if (self->connection != NULL && PQstatus(self->connection) == CONNECTION_OK) {
        self->refusals = 0;
        return true;
    }
    g_clear_pointer(&self->connection, PQfinish);
    self->refusals++;
    return false;
}

/* Result with rows, or NULL: the connection is then given up, and another tried at the next poll.
 */
static PGresult *
ask_started_server(Watch *self, const char *sql)
{
    g_autoptr(PGresult) result = PQexec(self->connection, sql);

    if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1)
        return g_steal_pointer(&result);
    g_clear_pointer(&self->connection, PQfinish);
    return NULL;
}

static int64_t
number_of(const PGresult *result, int column)
{
    return PQgetisnull(result, 0, column)
               ? 0
               : g_ascii_strtoll(PQgetvalue(result, 0, column), NULL, 10);
}

/* Sets `*in_recovery` when the server has answered. */
static bool
ask_state(Watch *self, bool *in_recovery)
{
    static const char sql[] =
        "SELECT pg_is_in_recovery(), pg_last_wal_replay_lsn(),"
        " (extract(epoch FROM pg_last_xact_replay_timestamp()) * 1000000)::bigint,"
        " CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END,"
        " CASE WHEN pg_is_in_recovery() THEN"
        " (SELECT greatest(c.timeline_id, r.min_recovery_end_timeline)"
        " FROM pg_control_checkpoint() c, pg_control_recovery() r)"
        " ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END";
    g_autoptr(PGresult) answer = ask_started_server(self, sql);
    BkLsn lsn = 0;

    if (answer == NULL)
        return false;
    *in_recovery = PQgetvalue(answer, 0, 0)[0] == 't';
    self->paused = PQgetvalue(answer, 0, 3)[0] == 't';
    if (!PQgetisnull(answer, 0, 1) && !bk_lsn_parse(PQgetvalue(answer, 0, 1), &lsn))
        lsn = 0;
    note_progress(self, lsn, number_of(answer, 2));
    self->result->timeline = (uint32_t)number_of(answer, 4);
    return true;
}

/* Commits a transaction that writes. It must not wait for a standby that the old server had. */
static bool
write_something(Watch *self, GError **error)
{
    static const char sql[] = "BEGIN READ WRITE; SET LOCAL synchronous_commit = local;"
                              " SELECT txid_current(); COMMIT";
    g_autoptr(PGresult) answer = PQexec(self->connection, sql);

    if (PQresultStatus(answer) != PGRES_COMMAND_OK) {
        g_autofree char *message = g_strdup(PQerrorMessage(self->connection));

        return bk_throw(error, BK_ERROR_SERVER,
                        "the restored server is running but refuses writes: %s",
                        g_strdelimit(g_strstrip(message), "\n", ' '));
    }
    self->result->wrote = true;
    return true;
}

/* --- waiting ------------------------------------------------------------------------------- */

static char *
describe_reached(const BkStartResult *result)
{
    g_autoptr(GString) text = g_string_new(NULL);
    char lsn[BK_LSN_TEXT_SIZE];
    char time[BK_PG_TIME_TEXT_SIZE];

    if (result->lsn == 0)
        return g_strdup("nothing was replayed");
    g_string_append_printf(text, "replay reached %s", bk_lsn_format(result->lsn, lsn));
    if (result->time_us != 0)
        g_string_append_printf(text, ", last transaction of %s UTC",
                               bk_pg_time_format(result->time_us, time));
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* Takes from the log how far replay has come, where the server could not be asked. */
static void
note_log(Watch *self, const char *log)
{
    g_autofree char *last = bk_server_log_find(log, "last completed transaction was at log time ");
    g_autofree char *stop =
        bk_server_log_find(log, "recovery stopping after commit of transaction ");
    g_autofree char *redo = bk_server_log_find(log, "redo done at ");
    const char *stop_time = stop == NULL ? NULL : strstr(stop, ", time ");
    BkLsn lsn = 0;
    int64_t time_us = 0;

    if (redo != NULL) {
        redo[strcspn(redo, " ")] = '\0';
        if (!bk_lsn_parse(redo, &lsn))
            lsn = 0;
    }
    if ((last != NULL && bk_pg_time_parse(last, 0, &time_us, NULL)) ||
        (stop_time != NULL && bk_pg_time_parse(stop_time + strlen(", time "), 0, &time_us, NULL)))
        self->result->time_us = time_us;
    self->result->lsn = MAX(self->result->lsn, lsn);
}

/* The server has ended by itself: as it was told, or not. */
static bool
judge_end(Watch *self, GError **error)
{
    g_autofree char *log = bk_server_process_log(&self->process);
    g_autofree char *errors = bk_server_log_errors(log);
    g_autofree char *reached = NULL;
    BkPgControl control;

    note_control(self);
    note_log(self, log);
    /* Without hot standby a pause is a shutdown. */
    if (self->options->action != BK_RECOVERY_PROMOTE && self->process.status == 0 &&
        read_started_control(self, &control) && control.state == BK_PG_STATE_SHUT_DOWN_IN_RECOVERY)
        return true;
    reached = describe_reached(self->result);
    return bk_throw(error, BK_ERROR_SERVER, "the restored server has stopped: %s (%s; log: \"%s\")",
                    errors[0] != '\0' ? errors : "it logged nothing", reached,
                    self->options->log_path);
}

/* The server is out of recovery. */
static bool
finish_ready(Watch *self, bool answered, GError **error)
{
    self->result->pid = self->process.pid;
    self->result->in_recovery = false;
    if (!answered) {
        g_autofree char *log = bk_server_process_log(&self->process);

        note_log(self, log);
        note_control(self);
        return true;
    }
    return write_something(self, error);
}

/* A pause that nobody asked for: the settings are smaller than those of the old server. */
static bool
refuse_pause(Watch *self, GError **error)
{
    return bk_throw(error, BK_ERROR_SERVER,
                    "recovery has paused before its end, most likely because settings such as "
                    "max_connections are lower than before (log: \"%s\")",
                    self->options->log_path);
}

static bool
log_says_paused(const Watch *self)
{
    g_autofree char *log = bk_server_process_log(&self->process);

    return strstr(log, "recovery has paused") != NULL ||
           strstr(log, "pausing at the end of recovery") != NULL;
}

/* One look at a running server. `*done` when what was asked for has happened. */
static bool
look_at_started_server(Watch *self, bool *done, GError **error)
{
    bool in_recovery = true;
    bool answered = false;

    read_pid_file(self);
    if (self->stage == STAGE_RECOVERY || self->stage == STAGE_READY)
        answered = ensure_connection(self) && ask_state(self, &in_recovery);
    if (!answered)
        note_control(self);
    if (self->stage == STAGE_READY &&
        ((answered && !in_recovery) || (!answered && self->refusals > LOGIN_PATIENCE))) {
        *done = true;
        return finish_ready(self, answered, error);
    }
    if (!answered && self->stage == STAGE_RECOVERY && self->refusals > LOGIN_PATIENCE)
        self->paused = log_says_paused(self);
    if (!in_recovery || !self->paused)
        return true;
    if (self->options->action != BK_RECOVERY_PAUSE)
        return refuse_pause(self, error);
    self->result->pid = self->process.pid;
    self->result->in_recovery = true;
    *done = true;
    return true;
}

static bool
wait_for_target(Watch *self, GError **error)
{
    bool done = false;

    bk_op_begin_phase(self->op, "recovering", 0);
    while (!done) {
        if (!bk_op_sleep(self->op, POLL_US, error))
            return false;
        if (!bk_server_process_is_running(&self->process))
            return judge_end(self, error);
        if (!look_at_started_server(self, &done, error))
            return false;
    }
    return true;
}

bool
bk_start_server(const BkStartOptions *options, BkStartResult *result, BkOp *op, GError **error)
{
    g_auto(Watch) self = {.options = options, .result = result, .op = op, .data_dir = -1};

    *result = (BkStartResult){0};
    if (!bk_libpq_load(error))
        return false;
    self.data_dir = bk_fd_open_dir(AT_FDCWD, options->data_dir, error);
    if (self.data_dir < 0)
        return false;
    if (bk_server_process_spawn(&self.process, options, error) && wait_for_target(&self, error))
        return true;
    /* Disconnected first: a server in a fast shutdown would say so in its log. */
    g_clear_pointer(&self.connection, PQfinish);
    bk_server_process_stop(&self.process);
    bk_start_result_clear(result);
    return false;
}
