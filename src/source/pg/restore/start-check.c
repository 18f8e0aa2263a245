/* start-check.c - checks that a server will start on what is going to be restored. */
#include "source/pg/restore/start-check.h"

#include "base/log.h"
#include "repo/extract/extract.h"
#include "source/pg/cluster/control.h"
#include "source/pg/restore/port-check.h"
#include "source/pg/restore/start-config.h"

#include <string.h>
#include <sys/stat.h>

#define CONTROL_PATH  "global/pg_control"
#define CONTROL_LIMIT (64 * BK_KIB)

typedef struct Check {
    const BkStartCheckRequest *request;
    BkStartCheck *result;
    BkOp *op;
    BkServerProcess process;
    BkStartConfig config;
} Check;

static void
clear_start_check(Check *self)
{
    bk_start_config_clear(&self->config);
    bk_server_process_clear(&self->process);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Check, clear_start_check)

void
bk_start_check_clear(BkStartCheck *self)
{
    g_free(self->program);
    g_free(self->config_file);
    g_free(self->pid_file);
    *self = (BkStartCheck){0};
}

static bool
read_restored_control(Check *self, BkPgControl *control, GError **error)
{
    const BkExtractOptions options = {.source_repos = self->request->source_repos,
                                      .snapshot = self->request->snapshot,
                                      .workers = 1};
    const BkFile *file = bk_snapshot_find_file(self->request->snapshot, CONTROL_PATH);
    g_auto(BkBuf) content = BK_BUF_INIT;

    if (file == NULL)
        return bk_throw(error, BK_ERROR_CORRUPT, "the snapshot has no %s", CONTROL_PATH);
    return bk_extract_read(&options, file, CONTROL_LIMIT, &content, self->op, error) &&
           bk_pg_control_decode(content.data, content.size, control, error);
}

/* Whose the server will be: who has the destination, or had the cluster. */
static void
find_future_owner(Check *self)
{
    const BkFile *file = bk_snapshot_find_file(self->request->snapshot, CONTROL_PATH);
    size_t count;
    const BkOwner *owners = bk_snapshot_owners(self->request->snapshot, &count);
    struct stat st;

    if (stat(self->request->to, &st) == 0 && st.st_uid != 0)
        bk_server_process_set_owner(&self->process, st.st_uid, NULL);
    else if (file != NULL && file->owner < count)
        bk_server_process_set_owner(&self->process, owners[file->owner].uid,
                                    owners[file->owner].user);
}

static bool
find_config(Check *self, GError **error)
{
    const BkStartConfigRequest request = {
        .source_repos = self->request->source_repos,
        .snapshot = self->request->snapshot,
        .process = &self->process,
        .major = self->request->major,
        .file = self->request->config_file,
        .to = self->request->to,
        .old_data_dir = self->request->old_data_dir,
    };

    if (!bk_start_config_find(&request, &self->config, self->op, error))
        return false;
    self->result->config_file = g_strdup(self->config.file);
    self->result->is_found = self->config.is_found;
    return true;
}

static bool
get_number(Check *self, const char *name, uint64_t *number, GError **error)
{
    g_autofree char *text = bk_start_config_get(&self->config, &self->process, name, error);

    return text != NULL && (g_ascii_string_to_unsigned(text, 10, 0, UINT32_MAX, number, NULL) ||
                            bk_throw(error, BK_ERROR_UNFIT, "%s is \"%s\"", name, text));
}

/* Recovery with hot standby demands of these that they are not less than they were. */
static bool
check_settings(Check *self, const BkPgControl *control, GError **error)
{
    const struct {
        const char *name;
        uint32_t least;
    } settings[] = {
        {"max_connections", control->max_connections},
        {"max_worker_processes", control->max_worker_processes},
        {"max_wal_senders", control->max_wal_senders},
        {"max_prepared_transactions", control->max_prepared_xacts},
        {"max_locks_per_transaction", control->max_locks_per_xact},
    };
    g_autofree char *hot_standby =
        bk_start_config_get(&self->config, &self->process, "hot_standby", error);

    if (hot_standby == NULL)
        return false;
    for (size_t i = 0; strcmp(hot_standby, "off") != 0 && i < G_N_ELEMENTS(settings); i++) {
        uint64_t value = 0;

        if (!get_number(self, settings[i].name, &value, error))
            return false;
        if (value >= settings[i].least)
            continue;
        if (self->config.file != NULL)
            return bk_throw(
                error, BK_ERROR_UNFIT,
                "%s is %" G_GUINT64_FORMAT
                " by \"%s\" (with the changes of postgresql.auto.conf of the snapshot), which is "
                "less than before: recovery needs at least %u; set it there",
                settings[i].name, value, self->config.file, settings[i].least);
        return bk_throw(error, BK_ERROR_UNFIT,
                        "%s is %" G_GUINT64_FORMAT
                        " in the snapshot's configuration, which is less than in the running "
                        "server: recovery needs at least %u; "
                        "restore without --start, set it in \"%s/postgresql.auto.conf\" and start "
                        "the server, or name another configuration with --pg-config",
                        settings[i].name, value, settings[i].least, self->request->to);
    }
    return true;
}

static bool
check_port(Check *self, GError **error)
{
    uint64_t port = self->request->port;
    g_autofree char *addresses = NULL;
    g_autofree char *directories = NULL;

    if (port == 0 && !get_number(self, "port", &port, error))
        return false;
    self->result->port = (uint16_t)port;
    addresses = bk_start_config_get(&self->config, &self->process, "listen_addresses", error);
    if (addresses == NULL)
        return false;
    directories =
        bk_start_config_get(&self->config, &self->process, "unix_socket_directories", error);
    return directories != NULL && bk_port_check(self->result->port, addresses, directories, error);
}

/* A configuration that is another cluster's names a file for that one's process. */
static bool
choose_pid_file(Check *self, GError **error)
{
    const BkStartConfig bare = {.file = self->config.file};
    g_autofree char *directory = NULL;
    g_autofree char *pid_file = NULL;

    if (self->config.file == NULL)
        return true;
    pid_file = bk_start_config_get(&self->config, &self->process, "external_pid_file", error);
    if (pid_file == NULL)
        return false;
    directory = bk_start_config_get(&bare, &self->process, "data_directory", NULL);
    if (pid_file[0] != 0 && g_strcmp0(directory, self->request->to) != 0)
        self->result->pid_file = g_build_filename(self->request->to, "external.pid", NULL);
    return true;
}

/* The snapshot's own configuration may include files that do not end in ".conf" and were not
 * brought along: that is no reason not to restore. */
static bool
is_config_readable(const Check *self)
{
    g_autoptr(GError) cause = NULL;
    g_autofree char *port = self->config.file == NULL
                                ? bk_start_config_get(&self->config, &self->process, "port", &cause)
                                : NULL;

    if (cause == NULL)
        return true;
    bk_log(BK_LOG_WARNING, "it is unknown whether the server will start: %s", cause->message);
    return false;
}

static bool
run_start_checks(Check *self, GError **error)
{
    const BkStartOptions options = {
        .bin_dir = self->request->bin_dir, .major = self->request->major, .data_dir = "/"};
    BkPgControl control;

    find_future_owner(self);
    if (!bk_server_process_find_program(&self->process, &options, error) ||
        !read_restored_control(self, &control, error) || !find_config(self, error))
        return false;
    self->result->program = g_strdup(self->process.program);
    if (!is_config_readable(self))
        return true;
    return check_settings(self, &control, error) && check_port(self, error) &&
           choose_pid_file(self, error);
}

bool
bk_start_check(const BkStartCheckRequest *request, BkStartCheck *check, BkOp *op, GError **error)
{
    g_auto(Check) self = {.request = request, .result = check, .op = op};

    *check = (BkStartCheck){0};
    return run_start_checks(&self, error) ||
           bk_prefix(error, "nothing was changed; --start would fail");
}
