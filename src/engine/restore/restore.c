/* restore.c - restores a PostgreSQL cluster into a directory, ready to recover to a target. */
#include "engine/restore/restore.h"

#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"
#include "codec/crc32c.h"
#include "engine/restore/move-aside.h"
#include "engine/restore/restore-priv.h"
#include "engine/restore/tablespace-map.h"
#include "engine/restore/wal-directory.h"
#include "repo/extract/extract.h"
#include "repo/targets/targets.h"
#include "source/pg/cluster/control.h"
#include "source/pg/restore/backup-manifest.h"
#include "source/pg/restore/plan-proof.h"
#include "source/pg/restore/recovery-end.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define CONTROL_PATH "global/pg_control"
#define LABEL_PATH   "backup_label"

void
bk_restore_report_clear(BkRestoreReport *self)
{
    g_free(self->moved_aside);
    *self = (BkRestoreReport){0};
}

/* The marked directory says of itself that it is not whole; without pg_control no server starts it.
 */
static bool
mark_unfinished(BkRestore *self, GError **error)
{
    struct stat st;
    bool found;

    if (!bk_beneath_write(self->place, BK_DESTINATION_MARK, "", 0, 0600, BK_FILE_REPLACE, error) ||
        !bk_beneath_stat(self->place, "global", &st, &found, error))
        return false;
    /* Whatever else stands in the place of the directory, the sweep removes it. */
    if (!found || !S_ISDIR(st.st_mode))
        return true;
    return bk_beneath_unlink(self->place, CONTROL_PATH, 0, error) &&
           bk_beneath_sync_parent(self->place, CONTROL_PATH, error);
}

/* Opens the directory for this restore alone: two at once would mix two snapshots in it. The lock
 * ends with the process. A file system without locks is no reason not to restore. */
static bool
lock_destination(BkRestore *self, bool is_empty, GError **error)
{
    const char *to = self->request->to;

    g_clear_pointer(&self->place, bk_beneath_free);
    g_clear_pointer(&self->identity, bk_identity_free);
    self->owner = bk_chown_map_cluster(self->owners);
    self->root = bk_owned_directory_open(to, self->above, is_empty, &self->owner, error);
    if (self->root < 0)
        return false;
    self->place = bk_beneath_new(self->root, NULL);
    self->identity = bk_identity_new(self->owner.uid, self->owner.gid, error);
    if (self->identity == NULL)
        return false;
    bk_beneath_become(self->place, self->identity);
    return flock(self->root, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK ||
           bk_throw(error, BK_ERROR_UNFIT, "another restore to \"%s\" is running: wait for it", to);
}

/* Another restore may have been at work since the plan was made, and a server may run by now. */
static bool
check_unchanged(const BkRestore *self, GError **error)
{
    BkDestinationState now;

    if (!bk_destination_inspect(self->request->to, &now, error))
        return false;
    return now == self->state ||
           (self->state == BK_DESTINATION_NEW && now == BK_DESTINATION_EMPTY) ||
           bk_throw(error, BK_ERROR_UNFIT,
                    "destination \"%s\" was changed by another process after the plan was made: it "
                    "%s now",
                    self->request->to, bk_destination_describe(now));
}

/* What moves within the directories of the old cluster moves as their owner. */
static bool
make_room_inside(BkRestore *self, GError **error)
{
    g_auto(BkIdentityScope) scope = bk_identity_enter(self->identity);
    const char *to = self->request->to;

    if (self->wal_directory != NULL && !bk_wal_directory_move_aside(to, self->wal_directory, error))
        return false;
    return !self->moves_inside ||
           bk_aside_move(to, NULL, g_get_real_time(), &self->report->moved_aside, error);
}

/* The old cluster makes room, with its tablespaces. */
static bool
move_aside(BkRestore *self, GError **error)
{
    const char *to = self->request->to;

    if (!bk_tablespace_map_move_aside(self->tablespaces, &self->choice.plan.snapshot->meta, to,
                                      self->identity, error) ||
        !make_room_inside(self, error))
        return false;
    if (self->moves_inside)
        return true;
    {
        g_auto(BkIdentityScope) scope = bk_identity_enter(self->above);

        if (!bk_destination_move_aside(to, g_get_real_time(), &self->report->moved_aside, error))
            return false;
    }
    return lock_destination(self, true, error);
}

/* With the group's access or without: the server accepts no other mode. */
static mode_t
data_mode(const BkRestore *self)
{
    return (self->choice.plan.snapshot->meta.data_mode & S_IRGRP) != 0 ? 0750 : 0700;
}

static bool
set_mode(BkRestore *self, GError **error)
{
    g_auto(BkIdentityScope) scope = bk_identity_enter(self->identity);

    return fchmod(self->root, data_mode(self)) == 0 ||
           bk_throw_errno(error, "set the mode of \"%s\"", self->request->to);
}

static GPtrArray *
repos_in_order(const BkRestore *self)
{
    return bk_plan_proof_order(self->targets.source_repos, self->choice.source_repo);
}

/* Everything of the snapshot that the destination is prepared by. */
static bool
take_restored_snapshot(BkRestore *self, GError **error)
{
    self->snapshot = self->choice.snapshot;
    if (!bk_tablespace_map_check_links(self->tablespaces, self->snapshot, error))
        return bk_prefix(error, "snapshot %s", self->choice.plan.snapshot->head.id);
    self->control = bk_snapshot_find_file(self->snapshot, CONTROL_PATH);
    if (self->control == NULL)
        return bk_throw(error, BK_ERROR_CORRUPT, "snapshot %s has no %s",
                        self->choice.plan.snapshot->head.id, CONTROL_PATH);
    self->owners = bk_chown_map_new(self->snapshot, self->control->owner);
    self->report->bytes = self->choice.plan.snapshot->head.bytes;
    self->report->files = self->choice.plan.snapshot->head.file_count;
    return true;
}

/* The archive leads further now, by the WAL of the destination. Where that has made it ambiguous
 * which line the target is on, it is the one of the plan that was shown. */
static bool
plan_again(BkRestore *self, GError **error)
{
    const BkRestoreRequest *request = self->request;
    g_autofree char *timeline = g_strdup_printf("%u", self->choice.plan.timeline);
    g_autoptr(GError) cause = NULL;

    g_clear_pointer(&self->tablespaces, bk_tablespace_map_free);
    g_clear_pointer(&self->owners, bk_chown_map_free);
    self->snapshot = NULL;
    bk_plan_choice_clear(&self->choice);
    if (!bk_restore_plan_make(self, request->target, request->timeline, self->op, &cause) &&
        (self->needs_wal || request->timeline != NULL || !bk_error_is(cause, BK_ERROR_NOT_FOUND) ||
         !bk_restore_plan_make(self, request->target, timeline, self->op, NULL)))
        return bk_propagate(error, &cause);
    return bk_restore_plan_places(self, error) && take_restored_snapshot(self, error);
}

static bool
finish_wal(BkRestore *self, GError **error)
{
    {
        g_auto(BkIdentityScope) scope = bk_identity_enter(self->identity);

        if (!bk_destination_wal_finish_last(&self->wal, error))
            return false;
    }
    return bk_destination_wal_archive_last(&self->wal, self->source, self->op, error) &&
           plan_again(self, error);
}

static bool
open_destination(BkRestore *self, GError **error)
{
    const BkRestoreRequest *request = self->request;
    const BkPathOwner owner = bk_chown_map_cluster(self->owners);
    bool is_empty = self->state == BK_DESTINATION_NEW || self->state == BK_DESTINATION_EMPTY;
    bool archives = request->delta && bk_destination_wal_is_needed(&self->wal);

    if (geteuid() == 0 && owner.uid == 0)
        return bk_throw(error, BK_ERROR_UNFIT,
                        "the files of the snapshot belong to root, but a server cannot run as "
                        "root: run the restore as the server's user");
    self->above = bk_owned_directory_find_above(request->to, &owner, error);
    if (self->above == NULL || !lock_destination(self, is_empty, error) ||
        !check_unchanged(self, error))
        return false;
    if (request->replace && !is_empty && !move_aside(self, error))
        return false;
    /* What is finished is archived while the server could still be started again; what it would go
     * on with only when it no longer can, since it has lost its pg_control. */
    return (!archives || bk_destination_wal_archive(&self->wal, self->source, self->op, error)) &&
           set_mode(self, error) && mark_unfinished(self, error) &&
           (!archives || finish_wal(self, error));
}

static bool
make_restored_directory(BkRestore *self, const BkFile *file, GError **error)
{
    g_auto(BkIdentityScope) scope = bk_identity_enter(self->identity);
    g_auto(BkFd) dir = -1;

    if (bk_beneath_mounted(self->place, file->path) < 0 &&
        !bk_beneath_mkdir(self->place, file->path, 0700, error))
        return false;
    dir = bk_beneath_open(self->place, file->path, O_RDONLY | O_DIRECTORY, 0, error);
    return dir >= 0 && (bk_chown_map_apply(self->owners, dir, file, error) ||
                        bk_prefix(error, "\"%s\"", file->path));
}

/* Links that the destination has already lead from now on to where the tablespaces go: what is
 * swept below them must be the new place, not the old one. */
static bool
mend_links(BkRestore *self, GError **error)
{
    size_t count;
    const BkFile *files = bk_snapshot_files(self->snapshot, &count);

    for (size_t i = 0; i < count; i++) {
        struct stat st;
        bool found;

        if (files[i].kind != BK_FILE_SYMLINK)
            continue;
        if (!bk_beneath_stat(self->place, files[i].path, &st, &found, error) ||
            (found && S_ISLNK(st.st_mode) &&
             !bk_tablespace_map_link(self->tablespaces, self->place, &files[i], error)))
            return false;
    }
    return true;
}

/* Directories and links, in order of path: what holds others comes before them. */
static bool
make_restored_directories(BkRestore *self, GError **error)
{
    size_t count;
    const BkFile *files = bk_snapshot_files(self->snapshot, &count);

    for (size_t i = 0; i < count; i++) {
        bool ok = true;

        if (files[i].kind == BK_FILE_DIRECTORY)
            ok = make_restored_directory(self, &files[i], error);
        else if (files[i].kind == BK_FILE_SYMLINK)
            ok = bk_tablespace_map_link(self->tablespaces, self->place, &files[i], error);
        else if (files[i].kind != BK_FILE_REGULAR)
            ok = bk_throw(error, BK_ERROR_UNSUPPORTED,
                          "\"%s\" cannot be in a cluster: it is a file of kind %d", files[i].path,
                          (int)files[i].kind);
        if (!ok)
            return false;
    }
    return true;
}

/* Of the files that are added. */
static mode_t
file_mode(const BkRestore *self)
{
    return (data_mode(self) & S_IRGRP) != 0 ? 0640 : 0600;
}

static bool
write_label(BkRestore *self, GError **error)
{
    const char *label = self->choice.plan.snapshot->meta.backup_label;

    return bk_beneath_write(self->place, LABEL_PATH, label, strlen(label), file_mode(self),
                            BK_FILE_REPLACE, error);
}

/* The last segment of the plan. Recovery to a target ends with it; recovery to the end of the
 * archive must at least come to it, and to no timeline that somebody else has made. */
static const char *
name_last_segment(const BkRestore *self, char name[BK_WAL_NAME_SIZE])
{
    const BkPlan *plan = &self->choice.plan;
    const BkWindowInput *all = &self->choice.system->lines.input;
    const uint32_t size = plan->snapshot->meta.segment_size;
    uint64_t last = bk_wal_segment_of(plan->snapshot->meta.start_lsn, size) - 1;
    uint32_t timeline = plan->timeline;

    if (plan->path.count > 0)
        last = plan->path.steps[plan->path.count - 1].last;
    for (size_t i = 0; i < all->timeline_count; i++)
        timeline = MAX(timeline, all->timelines[i].timeline);
    return bk_wal_segment_name(timeline, last, size, name);
}

static bool
write_recovery(BkRestore *self, GError **error)
{
    g_auto(BkIdentityScope) scope = bk_identity_enter(self->identity);
    const BkRestoreRequest *request = self->request;
    const char *sign;
    char timeline[16];
    char name[BK_WAL_NAME_SIZE];
    const char *last = name_last_segment(self, name);
    const bool is_latest = self->choice.plan.stop.kind == BK_RECOVERY_TARGET_LATEST;
    const BkRecoveryFetch fetch = {
        .exe = request->program,
        .config = request->config,
        .source = self->source->name,
        .repository = request->repository,
        .until = is_latest || self->choice.plan.path.count == 0 ? NULL : last,
        .reach = last,
    };
    g_autofree char *restore = bk_recovery_restore_command(&fetch, error);
    g_autofree char *end =
        restore != NULL ? bk_recovery_end_command(request->program, error) : NULL;
    BkRecoverySettings settings = {
        .target = &self->choice.plan.stop,
        .restore_command = restore,
        .end_command = end,
        .timeline = timeline,
        .action = request->action,
        .archive =
            bk_restore_archives(self, &sign) ? BK_RECOVERY_ARCHIVE_KEEP : BK_RECOVERY_ARCHIVE_OFF,
    };

    (void)g_snprintf(timeline, sizeof timeline, "%u", self->choice.plan.timeline);
    return end != NULL && bk_recovery_write(self->root, &settings, error);
}

/* Files that pg_verifybackup does not ask about, since the server or the restore changes them. */
static bool
is_listed(const BkFile *file)
{
    return file->kind == BK_FILE_REGULAR && !g_str_has_prefix(file->path, "pg_wal/") &&
           strcmp(file->path, "postgresql.auto.conf") != 0;
}

static bool
write_manifest(BkRestore *self, BkExtract *extract, const BkBuf *control, GError **error)
{
    g_auto(BkIdentityScope) scope = bk_identity_enter(self->identity);
    const BkPgMeta *meta = &self->choice.plan.snapshot->meta;
    g_autoptr(BkBackupManifest) manifest =
        bk_backup_manifest_begin(self->root, meta->version / 10000, meta->system_id, error);
    BkBackupManifestRange range = {meta->timeline, meta->start_lsn, meta->stop_lsn};
    size_t label_size = strlen(meta->backup_label);
    BkBackupManifestFile label = {LABEL_PATH, label_size,
                                  self->choice.plan.snapshot->head.finished_us / BK_USEC_PER_SEC,
                                  true, bk_crc32c(0, meta->backup_label, label_size)};
    size_t count;
    const BkFile *files = bk_snapshot_files(self->snapshot, &count);

    if (manifest == NULL || !bk_backup_manifest_add(manifest, &label, error))
        return false;
    for (size_t i = 0; i < count; i++) {
        BkBackupManifestFile row = {files[i].path, files[i].size, files[i].mtime_sec, true, 0};

        if (!is_listed(&files[i]))
            continue;
        row.crc32c = strcmp(files[i].path, CONTROL_PATH) == 0
                         ? bk_crc32c(0, control->data, control->size)
                         : bk_extract_crc32c(extract, i);
        if (!bk_backup_manifest_add(manifest, &row, error))
            return false;
    }
    /* WAL that the directory does not hold is not asked for. */
    return bk_backup_manifest_commit(manifest, &range, meta->is_standalone ? 1 : 0, error);
}

/* One call for each file system: a sync for each of many files would take many times as long. */
static bool
sync_all(BkRestore *self, GError **error)
{
    g_autoptr(GArray) directories = NULL;

    if (!bk_fault(BK_FAULT_RESTORE_SYNC, error))
        return false;
    directories = bk_destination_file_systems(self->place, self->snapshot, error);
    for (guint i = 0; directories != NULL && i < directories->len; i++)
        if (syncfs(g_array_index(directories, BkFd, i)) < 0)
            return bk_throw_errno(error, "sync \"%s\"", self->request->to);
    return directories != NULL;
}

static bool
read_snapshot_control(BkRestore *self, const BkExtractOptions *options, BkBuf *control,
                      GError **error)
{
    BkPgControl decoded;

    if (!bk_extract_read(options, self->control, 64 * BK_KIB, control, self->op, error) ||
        !bk_pg_control_decode(control->data, control->size, &decoded, error))
        return false;
    return decoded.system_id == self->choice.plan.snapshot->meta.system_id ||
           bk_throw(error, BK_ERROR_CORRUPT, "%s of snapshot %s belongs to another cluster",
                    CONTROL_PATH, self->choice.plan.snapshot->head.id);
}

/* The last step: from here on the directory is a cluster that a server will recover. */
static bool
write_control(BkRestore *self, const BkBuf *control, GError **error)
{
    const BkFile *file = self->control;

    if (!bk_fault(BK_FAULT_RESTORE_CONTROL, error) ||
        !bk_beneath_write(self->place, CONTROL_PATH, control->data, control->size,
                          file->mode & 0777, BK_FILE_REPLACE, error) ||
        !bk_beneath_unlink(self->place, BK_DESTINATION_MARK, 0, error))
        return false;
    return bk_fd_sync(self->root, error);
}

static bool
write_files(BkRestore *self, GError **error)
{
    g_autoptr(GPtrArray) source_repos = repos_in_order(self);
    BkExtractOptions options = {
        .source_repos = source_repos,
        .snapshot = self->snapshot,
        .owners = self->owners,
        .place = self->place,
        .skip = CONTROL_PATH,
        .delta = self->request->delta && self->state >= BK_DESTINATION_PART,
        .workers = self->source->workers,
    };
    g_autoptr(BkExtract) extract = bk_extract_new(&options);
    g_auto(BkBuf) control = BK_BUF_INIT;
    int64_t before_us = g_get_monotonic_time();

    bk_op_begin_phase(self->op, "restoring", self->report->bytes);
    if (!read_snapshot_control(self, &options, &control, error) ||
        !bk_extract_run(extract, self->op, error))
        return false;
    self->report->written_bytes = bk_extract_written_bytes(extract);
    self->report->reused_bytes = bk_extract_reused_bytes(extract);
    self->report->copy_us = g_get_monotonic_time() - before_us;
    before_us = g_get_monotonic_time();
    bk_op_begin_phase(self->op, "syncing", 0);
    if (!write_label(self, error) || !write_recovery(self, error) ||
        !write_manifest(self, extract, &control, error) || !sync_all(self, error) ||
        !write_control(self, &control, error))
        return false;
    self->report->sync_us = g_get_monotonic_time() - before_us;
    return true;
}

static bool
run_restore(BkRestore *self, GError **error)
{
    if (!take_restored_snapshot(self, error))
        return false;
    return open_destination(self, error) &&
           bk_tablespace_map_make(self->tablespaces, self->place, &self->owner, data_mode(self),
                                  error) &&
           (self->wal_directory == NULL ||
            bk_wal_directory_make(self->wal_directory, self->place, &self->owner, data_mode(self),
                                  error)) &&
           (self->state < BK_DESTINATION_PART || self->request->replace ||
            (mend_links(self, error) &&
             bk_destination_remove_others(self->place, self->snapshot, self->op, error))) &&
           make_restored_directories(self, error) && write_files(self, error);
}

static void
warn_of_left_out(const BkPgMeta *meta)
{
    for (guint i = 0; i < meta->left_out->len; i++) {
        const BkPgLeftOut *link = g_ptr_array_index(meta->left_out, i);

        bk_log(BK_LOG_WARNING,
               "the data directory had a link \"%s\" to \"%s\", which is not in the backup: create "
               "it again if the server needs it",
               link->path, link->target);
    }
}

bool
bk_restore_run(BkRestore *self, BkRestoreReport *report, BkOp *op, GError **error)
{
    *report = (BkRestoreReport){0};
    self->report = report;
    self->op = op;
    if (run_restore(self, error)) {
        bk_chown_map_warn(self->owners);
        warn_of_left_out(&self->choice.plan.snapshot->meta);
        return true;
    }
    return bk_prefix(error, "restore to \"%s\"", self->request->to);
}

const BkSnapshot *
bk_restore_get_snapshot(const BkRestore *self)
{
    return self->choice.snapshot;
}

GPtrArray *
bk_restore_list_parts(const BkRestore *self)
{
    return repos_in_order(self);
}
