/* restore-start.c - from a restore's plan and request to the options of a server's start. */
#include "engine/restore/restore-start.h"

#include "engine/restore/restore-priv.h"
#include "source/pg/cluster/server.h"

bool
bk_restore_start_check(const BkRestore *restore, const BkRestoreStartOptions *options,
                       BkStartCheck *check, BkOp *op, GError **error)
{
    const BkPgMeta *meta = &bk_restore_get_plan(restore)->snapshot->meta;
    g_autoptr(GPtrArray) source_repos = bk_restore_list_parts(restore);
    const BkStartCheckRequest request = {
        .source_repos = source_repos,
        .snapshot = bk_restore_get_snapshot(restore),
        .to = restore->request->to,
        .old_data_dir = meta->data_directory,
        .major = meta->version / 10000,
        .bin_dir = options->bin_dir,
        .config_file = options->config_file,
        .port = options->port,
    };

    return bk_start_check(&request, check, op, error);
}

bool
bk_restore_start(const BkRestore *restore, const BkRestoreStartOptions *options,
                 const BkStartCheck *check, BkStartResult *result, BkOp *op, GError **error)
{
    const BkRestoreRequest *request = restore->request;
    const char *connection = restore->source->connection;
    g_autofree char *log_path = g_build_filename(request->to, "startup.log", NULL);
    /* On a machine that knows the repository alone libpq's defaults must do. */
    g_autofree char *user = bk_server_user_of(connection != NULL ? connection : "");
    g_autofree char *database = bk_server_database_of(connection != NULL ? connection : "");
    g_autofree char *pid_file =
        check->pid_file != NULL ? g_strconcat("external_pid_file=", check->pid_file, NULL) : NULL;
    const char *const settings[] = {pid_file, NULL};
    const BkStartOptions start = {
        .data_dir = request->to,
        .major = bk_restore_get_plan(restore)->snapshot->meta.version / 10000,
        .bin_dir = options->bin_dir,
        .config_file = check->config_file,
        .port = options->port,
        .settings = pid_file != NULL ? settings : NULL,
        .log_path = log_path,
        .user = user,
        .database = database,
        .action = request->action,
        .progress = options->progress,
        .progress_data = options->progress_data,
    };

    return bk_start_server(&start, result, op, error);
}
