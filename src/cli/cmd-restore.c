/* cmd-restore.c - the command "restore": prints the plan, restores, and starts the server. */
#include "base/escape.h"
#include "cli/progress.h"
#include "cli/report-fields.h"
#include "cli/requests.h"
#include "cli/source.h"
#include "cli/start.h"
#include "cli/system.h"
#include "engine/restore/destination.h"
#include "engine/restore/restore.h"
#include "report/format.h"
#include "report/json.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What a restore is about, from the command line. */
typedef struct Command {
    const BkArgs *args;
    BkCliContext *context;
    BkCliSource source;
    BkRecoveryTarget target;
    char *to;
    char *command; /* this one, without target and timeline */
    char *named;   /* the destination as it was given; `to` is without links */
    char *wal_dir;
    char *program;
    BkRestoreRequest request;
    BkStartCheck start; /* filled for --start */
} Command;

static void
command_clear(Command *self)
{
    bk_cli_source_clear(&self->source);
    bk_recovery_target_clear(&self->target);
    bk_start_check_clear(&self->start);
    g_free(self->to);
    g_free(self->command);
    g_free(self->named);
    g_free(self->wal_dir);
    g_free(self->program);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Command, command_clear)

/* The server runs this very program, whatever its own PATH is. */
static char *
find_program(GError **error)
{
    char exe[4096];
    ssize_t size = readlink("/proc/self/exe", exe, sizeof exe - 1);

    if (size < 0) {
        bk_throw_errno(error, "find the path of this program");
        return NULL;
    }
    exe[size] = 0;
    return g_strdup(exe);
}

static bool
parse(Command *self, GError **error)
{
    static const char *const without[] = {"at", "exclusive", "timeline", "system", NULL};
    const BkArgs *args = self->args;

    if (!bk_recovery_target_parse(bk_args_get_string(args, "at"), g_get_real_time(), &self->target,
                                  error))
        return bk_prefix(error, "--at");
    self->target.exclusive = bk_args_get_flag(args, "exclusive");
    if (self->target.exclusive && self->target.kind != BK_RECOVERY_TARGET_TIME &&
        self->target.kind != BK_RECOVERY_TARGET_LSN && self->target.kind != BK_RECOVERY_TARGET_XID)
        return bk_throw(error, BK_ERROR_USAGE,
                        "--exclusive requires a time, lsn:X/Y or xid:N as the target");
    if (bk_args_get_string(args, "to")[0] == 0)
        return bk_throw(error, BK_ERROR_USAGE, "--to: the path is empty");
    self->command = bk_args_format(args, without);
    if (bk_args_get_string(args, "wal-dir") != NULL)
        self->wal_dir = g_canonicalize_filename(bk_args_get_string(args, "wal-dir"), NULL);
    self->named = g_canonicalize_filename(bk_args_get_string(args, "to"), NULL);
    self->to = bk_destination_resolve(self->named);
    self->request = (BkRestoreRequest){
        .to = self->to,
        .target = &self->target,
        .timeline = bk_args_get_string(args, "timeline"),
        .snapshot = bk_args_get_string(args, "snapshot"),
        .command = self->command,
        .repository = bk_args_get_string(args, "repository"),
        .tablespaces = bk_args_get_list(args, "tablespace"),
        .wal_dir = self->wal_dir,
        .delta = bk_args_get_flag(args, "delta"),
        .replace = bk_args_get_flag(args, "replace"),
        .discard_wal = bk_args_get_flag(args, "discard-wal"),
        .archive = bk_args_get_flag(args, "archive")      ? BK_RESTORE_ARCHIVE_ON
                   : bk_args_get_flag(args, "no-archive") ? BK_RESTORE_ARCHIVE_OFF
                                                          : BK_RESTORE_ARCHIVE_AUTO,
    };
    if (!bk_recovery_action_parse(bk_args_get_string(args, "action"), &self->request.action))
        g_assert_not_reached(); /* the command line knows the choices */
    if (!bk_restore_check_request(&self->request, error) ||
        !bk_cli_source_load_for_reading(args, self->context, &self->source, error))
        return false;
    self->source.spec.workers =
        (unsigned)bk_args_get_int(args, "workers", self->source.spec.workers);
    self->program = find_program(error);
    self->request.program = self->program;
    self->request.config = self->source.config->path;
    return self->program != NULL && bk_cli_parse_system(args, &self->request.system_id, error) &&
           bk_restore_check_commands(&self->request, error);
}

static void
segment_names(const BkPlan *plan, char first[BK_WAL_NAME_SIZE], char last[BK_WAL_NAME_SIZE])
{
    const BkWindowStep *begin = &plan->path.steps[0];
    const BkWindowStep *end = &plan->path.steps[plan->path.count - 1];
    uint32_t size = plan->snapshot->meta.segment_size;

    bk_wal_segment_name(begin->timeline, begin->first, size, first);
    bk_wal_segment_name(end->timeline, end->last, size, last);
}

/* What is particular about the destination. */
static void
print_places(const Command *self, const BkRestore *restore)
{
    const BkPgMeta *meta = &bk_restore_get_plan(restore)->snapshot->meta;
    const char *wal = bk_restore_get_wal_directory(restore);

    if (strcmp(self->named, self->to) != 0)
        (void)printf("               through the link %s\n", self->named);
    if (bk_restore_moves_inside(restore))
        (void)printf("               its content is moved into a subdirectory\n");
    if (wal != NULL)
        (void)printf("  pg_wal       %s\n", wal);
    else if (meta->wal_directory != NULL && meta->wal_directory[0] != '\0')
        (void)printf("  pg_wal       a plain directory; in the source it is a link to %s: use "
                     "--wal-dir DIR for that\n",
                     meta->wal_directory);
}

/* WAL that only the destination has. */
static void
print_wal_there(const Command *self, const BkRestore *restore)
{
    const BkDestinationWal *wal = bk_restore_get_wal(restore);
    guint lacking = wal->lacking != NULL ? wal->lacking->len : 0;
    g_autofree char *names = lacking > 0 ? bk_destination_wal_names(wal->lacking) : NULL;
    g_autofree char *time = bk_format_time(wal->end.time_us);

    if (!bk_destination_wal_is_needed(wal))
        return;
    (void)printf("  unarchived   %s%s%s in \"%s\"%s%s\n", lacking > 0 ? names : "",
                 lacking > 0 && wal->last != NULL ? ", and " : "",
                 wal->last != NULL ? wal->last : "", wal->directory,
                 time != NULL ? ", last transaction " : "", time != NULL ? time : "");
    if (self->request.delta)
        (void)printf("               %s archived first, then a new plan is made%s\n",
                     lacking + (wal->last != NULL) == 1 ? "is" : "are",
                     bk_restore_needs_wal(restore) ? ", up to the target, which is in it" : "");
}

static void
print_plan(const Command *self, const BkRestore *restore)
{
    const char *sign;
    const BkPlan *plan = bk_restore_get_plan(restore);
    const BkSnapshotHead *head = &plan->snapshot->head;
    g_autofree char *target = bk_recovery_target_describe(&self->target);
    g_autofree char *taken = bk_format_time(head->finished_us);
    g_autofree char *bytes = bk_format_size(head->bytes);
    g_autofree char *stored = bk_format_size(head->stored_bytes);
    size_t count;
    const BkRestoreTablespace *tablespaces = bk_restore_tablespaces(restore, &count);

    (void)printf("Restoring \"%s\" to %s\n", self->source.spec.name, target);
    (void)printf("  snapshot     %s, taken %s, %s (%s stored)%s\n", head->id, taken, bytes, stored,
                 head->state == BK_SNAPSHOT_DAMAGED ? ", DAMAGED" : "");
    if (plan->segments > 0) {
        char first[BK_WAL_NAME_SIZE];
        char last[BK_WAL_NAME_SIZE];

        segment_names(plan, first, last);
        (void)printf("  WAL          %s to %s, %" G_GUINT64_FORMAT " %s, timeline %u\n", first,
                     last, plan->segments, plan->segments == 1 ? "segment" : "segments",
                     plan->timeline);
    } else {
        (void)printf("  WAL          only that in the snapshot\n");
    }
    if (plan->last_commit.lsn != 0) {
        g_autofree char *time = bk_format_time(plan->last_commit.time_us);
        char lsn[BK_LSN_TEXT_SIZE];

        (void)printf("  last commit  %s, transaction %u at %s\n", time, plan->last_commit.xid,
                     bk_lsn_format(plan->last_commit.lsn, lsn));
    }
    if (plan->note != NULL)
        (void)printf("  line         %s\n", plan->note);
    if (plan->caution != NULL)
        (void)printf("  note         %s\n", plan->caution);
    (void)printf("  destination  %s, which %s\n", self->to,
                 bk_restore_describe_destination(restore));
    print_places(self, restore);
    for (size_t i = 0; i < count; i++)
        (void)printf("  tablespace   %s: %s\n", tablespaces[i].name, tablespaces[i].to);
    print_wal_there(self, restore);
    if (!bk_restore_archives(restore, &sign))
        (void)printf("  archiving    off in the restored server%s%s%s\n",
                     sign != NULL ? ", since " : "", sign != NULL ? sign : "",
                     sign != NULL ? ": --archive lets it archive" : "");
    (void)fflush(stdout);
}

static void
add_target(BkJson *json, const BkRecoveryTarget *target)
{
    g_autofree char *value = bk_recovery_target_value(target);

    bk_json_begin_object(json, "target");
    bk_json_add_string(json, "kind", bk_recovery_target_kind_name(target->kind));
    bk_json_add_string(json, "value", target->text != NULL ? target->text : value);
    bk_json_add_time(json, "utc", target->kind == BK_RECOVERY_TARGET_TIME ? target->time_us : 0);
    bk_json_add_bool(json, "exclusive", target->exclusive);
    bk_json_end_object(json);
}

/* What the server is told. */
static void
add_stop(BkJson *json, const BkPlan *plan)
{
    g_autofree char *value = bk_recovery_target_value(&plan->stop);

    bk_json_begin_object(json, "stop");
    bk_json_add_string(json, "kind", bk_recovery_target_kind_name(plan->stop.kind));
    bk_json_add_string(json, "value", value);
    bk_json_add_bool(json, "exclusive", plan->stop.exclusive);
    bk_json_end_object(json);
    bk_json_add_string(json, "caution", plan->caution);
}

static void
add_last_commit(BkJson *json, const BkWalMoment *commit)
{
    if (commit->lsn == 0) {
        bk_json_add_null(json, "last_commit");
        return;
    }
    bk_json_begin_object(json, "last_commit");
    bk_json_add_time(json, "time", commit->time_us);
    bk_json_add_uint(json, "xid", commit->xid);
    bk_json_add_lsn(json, "lsn", commit->lsn);
    bk_json_end_object(json);
}

static void
add_wal(BkJson *json, const BkPlan *plan)
{
    char first[BK_WAL_NAME_SIZE];
    char last[BK_WAL_NAME_SIZE];

    bk_json_begin_object(json, "wal");
    if (plan->segments > 0)
        segment_names(plan, first, last);
    bk_json_add_string(json, "first", plan->segments > 0 ? first : NULL);
    bk_json_add_string(json, "last", plan->segments > 0 ? last : NULL);
    bk_json_add_uint(json, "segments", plan->segments);
    bk_json_end_object(json);
}

static void
add_unarchived(BkJson *json, const BkRestore *restore)
{
    const BkDestinationWal *wal = bk_restore_get_wal(restore);

    bk_json_begin_array(json, "unarchived_wal");
    for (guint i = 0; wal->lacking != NULL && i < wal->lacking->len; i++)
        bk_json_add_string(json, NULL, g_ptr_array_index(wal->lacking, i));
    if (wal->last != NULL)
        bk_json_add_string(json, NULL, wal->last);
    bk_json_end_array(json);
}

static void
add_tablespaces(BkJson *json, const BkRestore *restore)
{
    size_t count;
    const BkRestoreTablespace *tablespaces = bk_restore_tablespaces(restore, &count);

    bk_json_begin_array(json, "tablespaces");
    for (size_t i = 0; i < count; i++) {
        bk_json_begin_object(json, NULL);
        bk_json_add_string(json, "name", tablespaces[i].name);
        bk_json_add_string(json, "from", tablespaces[i].from);
        bk_json_add_string(json, "to", tablespaces[i].to);
        bk_json_end_object(json);
    }
    bk_json_end_array(json);
}

static void
print_json(const Command *self, const BkRestore *restore, const BkRestoreReport *report,
           const BkStartResult *started, int64_t start_us)
{
    g_autoptr(BkJson) json = bk_json_new();
    const BkPlan *plan = bk_restore_get_plan(restore);
    const char *sign;

    bk_json_begin_object(json, NULL);
    bk_json_add_string(json, "source", self->source.spec.name);
    bk_json_add_string(json, "snapshot", plan->snapshot->head.id);
    bk_json_add_uint(json, "timeline", plan->timeline);
    bk_json_add_string(json, "line_note", plan->note);
    add_target(json, &self->target);
    bk_json_add_string(json, "destination", self->to);
    bk_json_add_string(json, "wal_directory", bk_restore_get_wal_directory(restore));
    bk_json_add_uint(json, "files", plan->snapshot->head.file_count);
    bk_json_add_uint(json, "bytes", plan->snapshot->head.bytes);
    bk_json_add_uint(json, "reused_bytes", report->reused_bytes);
    bk_json_add_uint(json, "written_bytes", report->written_bytes);
    bk_json_add_string(json, "moved_aside", report->moved_aside);
    add_stop(json, plan);
    add_last_commit(json, &plan->last_commit);
    add_wal(json, plan);
    add_tablespaces(json, restore);
    add_unarchived(json, restore);
    bk_json_add_bool(json, "archives", bk_restore_archives(restore, &sign));
    bk_json_add_string(json, "archives_not_since", sign);
    bk_json_add_bool(json, "started", started != NULL);
    bk_cli_start_add_json(json, started);
    bk_json_begin_object(json, "seconds");
    bk_json_add_double(json, "copy", bk_format_seconds(report->copy_us));
    bk_json_add_double(json, "sync", bk_format_seconds(report->sync_us));
    bk_json_add_double(json, "start", bk_format_seconds(start_us));
    bk_json_end_object(json);
    bk_cli_end_report(json, self->context->op);
}

/* A command that archives a segment of the directory that was moved aside. */
static void
print_push(const Command *self, const char *moved, const char *segment)
{
    g_autofree char *path = g_build_filename(moved, "pg_wal", segment, NULL);
    g_autofree char *config = bk_escape_argument(self->source.config->path);
    g_autofree char *file = bk_escape_argument(path);

    (void)printf("  backstay -c %s wal push %s %s\n", config, self->source.spec.name, file);
}

/* Its last segment may only be archived by hand, when no server goes on in it. */
static void
print_how_to_archive(const Command *self, const BkRestore *restore, const char *moved)
{
    const BkDestinationWal *wal = bk_restore_get_wal(restore);

    if (!bk_destination_wal_is_needed(wal))
        return;
    (void)printf("It has WAL that is missing in the archive. To archive it:\n");
    for (guint i = 0; wal->lacking != NULL && i < wal->lacking->len; i++)
        print_push(self, moved, g_ptr_array_index(wal->lacking, i));
    if (wal->last != NULL) {
        g_autofree char *mark =
            g_strdup_printf("%s/pg_wal/archive_status/%s.ready", moved, wal->last);
        g_autofree char *quoted = bk_escape_argument(mark);

        (void)printf("  and when no server will be started on it any more:\n"
                     "  touch %s\n",
                     quoted);
        print_push(self, moved, wal->last);
    }
}

static void
print_done(const Command *self, const BkRestore *restore, const BkRestoreReport *report,
           unsigned major)
{
    const char *sign;
    g_autofree char *written = bk_format_size(report->written_bytes);
    g_autofree char *reused = bk_format_size(report->reused_bytes);

    (void)printf(
        "Restored: %s written, %s already correct, %.1f s and %.1f s to sync it to disk.\n",
        written, reused, bk_format_seconds(report->copy_us), bk_format_seconds(report->sync_us));
    if (report->moved_aside != NULL)
        (void)printf("The old directory is now %s.\n", report->moved_aside);
    if (report->moved_aside != NULL)
        print_how_to_archive(self, restore, report->moved_aside);
    if (!bk_restore_archives(restore, &sign) && sign != NULL)
        (void)printf("The restored server will not archive, because %s.\n", sign);
    if (!bk_args_get_flag(self->args, "start"))
        (void)printf("Start PostgreSQL %u on it: it recovers to the target on its own.\n", major);
    (void)fflush(stdout);
}

static bool
run(const Command *self, BkRestore *restore, bool as_json, GError **error)
{
    g_auto(BkRestoreReport) report = {.files = 0};
    g_auto(BkStartResult) started = {0};
    const BkPgMeta *meta = &bk_restore_get_plan(restore)->snapshot->meta;
    bool start = bk_args_get_flag(self->args, "start");
    int64_t before_us;
    BkProgress *progress;
    bool ok;

    progress = bk_progress_start(self->context->op, self->context->is_quiet);
    ok = bk_restore_run(restore, &report, self->context->op, error);
    bk_progress_stop(progress);
    if (!ok)
        return false;
    if (!as_json)
        print_done(self, restore, &report, meta->version / 10000);
    before_us = g_get_monotonic_time();
    if (start && !bk_cli_start(self->args, self->context, restore, &self->start, &started, error))
        return false;
    if (as_json)
        print_json(self, restore, &report, start ? &started : NULL,
                   g_get_monotonic_time() - before_us);
    else if (start)
        bk_cli_start_print(&started);
    return true;
}

bool
bk_cmd_restore(const BkArgs *args, BkCliContext *context, GError **error)
{
    g_auto(Command) self = {.args = args, .context = context};
    g_autoptr(BkRestore) restore = NULL;
    bool as_json = bk_args_get_flag(args, "json");

    if (!parse(&self, error))
        return false;
    restore = bk_restore_plan(&self.source.spec, &self.request, context->op, error);
    if (restore == NULL)
        return false;
    if (bk_args_get_flag(args, "start") &&
        !bk_cli_start_check(args, context, restore, &self.start, error))
        return false;
    if (!as_json)
        print_plan(&self, restore);
    if (!as_json && bk_args_get_flag(args, "start"))
        bk_cli_start_check_print(&self.start);
    if (!bk_args_get_flag(args, "dry-run"))
        return run(&self, restore, as_json, error);
    if (as_json)
        print_json(&self, restore, &(BkRestoreReport){.files = 0}, NULL, 0);
    return true;
}
