/* cmd-wal-push.c - the command "wal push": the server's archive_command. */
#include "cli/source.h"
#include "engine/archive/wal-push.h"
#include "source/pg/archive/push-failure.h"
#include "source/pg/restore/recovery-end.h"

/* A server that archives and is not in recovery has no use for settings of recovery any more. */
static void
end_recovery_late(const char *path)
{
    g_autofree char *directory = g_path_get_dirname(path);
    g_autoptr(GError) error = NULL;

    if (!bk_recovery_end_clean_late(directory, &error))
        bk_cli_warn("settings of recovery in postgresql.auto.conf: %s", error->message);
}

bool
bk_cmd_wal_push(const BkArgs *args, BkCliContext *context, GError **error)
{
    g_auto(BkCliSource) source = {0};
    g_autoptr(GError) cause = NULL;
    const char *path = bk_args_get_string(args, "path");

    end_recovery_late(path);
    if (bk_cli_source_load(args, context, &source, &cause) &&
        bk_wal_push(&source.spec, path, context->op, &cause)) {
        bk_push_failure_forget(path);
        return true;
    }
    /* Stopped is not failed: the server calls again. */
    if (!bk_error_is(cause, BK_ERROR_CANCELLED))
        bk_push_failure_record(path, bk_args_get_string(args, "source"), cause);
    return bk_propagate(error, &cause);
}
