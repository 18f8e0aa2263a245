#include "engine/restore.h"

#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"
#include "codec/crc32c.h"
#include "engine/destination.h"
#include "engine/extract.h"
#include "engine/plan-choice.h"
#include "engine/tablespace-map.h"
#include "source/pg/backup-manifest.h"
#include "source/pg/control.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define CONTROL_PATH "global/pg_control"
#define LABEL_PATH   "backup_label"

struct BkRestore {
    const BkSourceSpec *source;
    const BkRestoreRequest *request;
    BkParts parts;
    BkPlanChoice choice;
    GArray *tablespaces; /* BkRestoreTablespace */
    BkDestinationState state;

    /* While it runs. */
    BkRestoreReport *report;
    BkOp *op;
    BkSnapshot *snapshot;
    BkOwnerMap *owners;
    const BkFile *control; /* of `snapshot` */
    BkFd root;
};

void
bk_restore_report_clear(BkRestoreReport *self)
{
    g_free(self->moved_aside);
    *self = (BkRestoreReport){0};
}

void
bk_restore_free(BkRestore *self)
{
    if (self == NULL)
        return;
    bk_plan_choice_clear(&self->choice);
    bk_parts_clear(&self->parts);
    bk_tablespace_map_free(self->tablespaces);
    bk_owner_map_free(self->owners);
    bk_snapshot_free(self->snapshot);
    bk_fd_clear(&self->root);
    g_free(self);
}

const BkPlan *
bk_restore_get_plan(const BkRestore *self)
{
    return &self->choice.plan;
}

const BkRestoreTablespace *
bk_restore_tablespaces(const BkRestore *self, size_t *count)
{
    *count = self->tablespaces->len;
    return (const BkRestoreTablespace *)(const void *)self->tablespaces->data;
}

const char *
bk_restore_describe_destination(const BkRestore *self)
{
    return bk_destination_describe(self->state);
}

static bool
make_plan(BkRestore *self, BkOp *op, GError **error)
{
    const BkRestoreRequest *request = self->request;
    BkPlanRequest plan_request = {request->target, request->timeline, request->snapshot};

    if (self->parts.parts->len == 0)
        return bk_throw(error, BK_ERROR_NOT_FOUND,
                        "there is no snapshot of \"%s\" in its repositories", self->source->name);
    return bk_plan_choose(self->parts.parts, &plan_request, &self->choice, op, error);
}

/* What the restore reads from must not be what it writes over, sweeps or moves aside. */
static bool
check_apart(const BkRestore *self, const char *to, GError **error)
{
    for (size_t i = 0; i < self->source->repository_count; i++) {
        const BkRepositorySpec *repository = &self->source->repositories[i];

        if (repository->place.path != NULL && bk_destination_overlaps(to, repository->place.path))
            return bk_throw(error, BK_ERROR_UNFIT,
                            "destination \"%s\" and repository \"%s\" in \"%s\" are inside one "
                            "another: restore elsewhere",
                            to, repository->name, repository->place.path);
        if (bk_destination_overlaps(to, repository->key_file))
            return bk_throw(error, BK_ERROR_UNFIT,
                            "key file \"%s\" is inside the destination \"%s\": move it, or restore "
                            "elsewhere",
                            repository->key_file, to);
    }
    return true;
}

static bool
check_destination(BkRestore *self, GError **error)
{
    const BkRestoreRequest *request = self->request;

    if (!check_apart(self, request->to, error) ||
        !bk_destination_inspect(request->to, &self->state, error))
        return false;
    if (self->state == BK_DESTINATION_NEW || self->state == BK_DESTINATION_EMPTY ||
        request->replace)
        return true;
    if (!request->delta)
        return bk_throw(
            error, BK_ERROR_UNFIT,
            "destination \"%s\" is not empty: --delta mends what is there, --replace moves "
            "it aside",
            request->to);
    if (self->state == BK_DESTINATION_OTHER)
        return bk_throw(
            error, BK_ERROR_UNFIT,
            "destination \"%s\" holds files that are no data directory, which --delta would "
            "remove: restore elsewhere, or use --replace",
            request->to);
    return true;
}

bool
bk_restore_check_request(const BkRestoreRequest *request, GError **error)
{
    return bk_plan_check_timeline(request->timeline, error) &&
           bk_tablespace_map_check_words(request->tablespaces, error);
}

BkRestore *
bk_restore_plan(const BkSourceSpec *source, const BkRestoreRequest *request, BkOp *op,
                GError **error)
{
    g_autoptr(BkRestore) self = g_new0(BkRestore, 1);

    self->source = source;
    self->request = request;
    self->root = -1;
    if (!bk_parts_open_for_reading(source, request->repository, &self->parts, op, error))
        return NULL;
    for (guint i = 0; i < self->parts.failed->len; i++)
        bk_log(BK_LOG_WARNING, "%s", (const char *)g_ptr_array_index(self->parts.failed, i));
    if (!make_plan(self, op, error) || !check_destination(self, error))
        return NULL;
    self->tablespaces = bk_tablespace_map_new(&self->choice.plan.snapshot->meta,
                                              request->tablespaces, request->to, error);
    if (self->tablespaces == NULL || !bk_tablespace_map_check(self->tablespaces, request, error))
        return NULL;
    for (guint i = 0; i < self->tablespaces->len; i++)
        if (!check_apart(self, g_array_index(self->tablespaces, BkRestoreTablespace, i).to, error))
            return NULL;
    return g_steal_pointer(&self);
}

/* The marked directory says of itself that it is not whole; without pg_control no server starts it.
 */
static bool
mark(BkRestore *self, GError **error)
{
    if (!bk_file_write(self->root, BK_DESTINATION_MARK, "", 0, 0600, BK_FILE_REPLACE, error))
        return false;
    if (unlinkat(self->root, CONTROL_PATH, 0) < 0)
        return errno == ENOENT || errno == ENOTDIR ||
               bk_throw_errno(error, "remove \"%s\"", CONTROL_PATH);
    return bk_file_sync_parent(self->root, CONTROL_PATH, error);
}

/* Opens the directory for this restore alone: two at once would mix two snapshots in it. The lock
 * ends with the process. A file system without locks is no reason not to restore. */
static bool
lock_destination(BkRestore *self, GError **error)
{
    const char *to = self->request->to;

    bk_fd_clear(&self->root);
    if (!bk_dir_make(AT_FDCWD, to, 0700, error))
        return false;
    self->root = bk_fd_open_dir(AT_FDCWD, to, error);
    if (self->root < 0)
        return false;
    return flock(self->root, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK ||
           bk_throw(error, BK_ERROR_UNFIT, "another restore to \"%s\" is at work", to);
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
                    "destination \"%s\" was changed by somebody else since it was looked at: it %s "
                    "now",
                    self->request->to, bk_destination_describe(now));
}

static bool
open_destination(BkRestore *self, GError **error)
{
    const BkRestoreRequest *request = self->request;

    if (!lock_destination(self, error) || !check_unchanged(self, error))
        return false;
    if (request->replace && self->state != BK_DESTINATION_NEW &&
        self->state != BK_DESTINATION_EMPTY &&
        (!bk_tablespace_map_move_aside(self->tablespaces, request->to, error) ||
         !bk_destination_move_aside(request->to, g_get_real_time(), &self->report->moved_aside,
                                    error) ||
         !lock_destination(self, error)))
        return false;
    if (fchmod(self->root, 0700) < 0)
        return bk_throw_errno(error, "set the mode of \"%s\"", request->to);
    return bk_owner_map_give(self->owners, self->root, self->control->owner, error) &&
           mark(self, error);
}

static bool
make_folder(BkRestore *self, const BkFile *file, GError **error)
{
    if (mkdirat(self->root, file->path, 0700) < 0 && errno != EEXIST)
        return bk_throw_errno(error, "create the folder \"%s\"", file->path);
    if (fchmodat(self->root, file->path, file->mode, 0) < 0)
        return bk_throw_errno(error, "set the mode of \"%s\"", file->path);
    return bk_owner_map_give_at(self->owners, self->root, file->path, file->owner, error);
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

        if (files[i].kind == BK_FILE_SYMLINK &&
            fstatat(self->root, files[i].path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISLNK(st.st_mode) &&
            !bk_tablespace_map_link(self->tablespaces, self->root, &files[i], error))
            return false;
    }
    return true;
}

/* Folders and links, in order of path: what holds others comes before them. */
static bool
make_folders(BkRestore *self, GError **error)
{
    size_t count;
    const BkFile *files = bk_snapshot_files(self->snapshot, &count);

    for (size_t i = 0; i < count; i++) {
        bool ok = true;

        if (files[i].kind == BK_FILE_DIRECTORY)
            ok = make_folder(self, &files[i], error);
        else if (files[i].kind == BK_FILE_SYMLINK)
            ok = bk_tablespace_map_link(self->tablespaces, self->root, &files[i], error) &&
                 bk_owner_map_give_at(self->owners, self->root, files[i].path, files[i].owner,
                                      error);
        if (!ok)
            return false;
    }
    return true;
}

static const BkFile *
find_file(const BkSnapshot *snapshot, const char *path)
{
    size_t count;
    const BkFile *files = bk_snapshot_files(snapshot, &count);

    for (size_t i = 0; i < count; i++)
        if (strcmp(files[i].path, path) == 0)
            return &files[i];
    return NULL;
}

static bool
write_label(BkRestore *self, GError **error)
{
    const char *label = self->choice.plan.snapshot->meta.backup_label;

    return bk_file_write(self->root, LABEL_PATH, label, strlen(label), 0600, BK_FILE_REPLACE,
                         error) &&
           bk_owner_map_give_at(self->owners, self->root, LABEL_PATH, self->control->owner, error);
}

static bool
write_recovery(BkRestore *self, GError **error)
{
    const BkRestoreRequest *request = self->request;
    char timeline[16];
    BkRecoverySettings settings = {
        .target = request->target,
        .restore_command = request->restore_command,
        .timeline = timeline,
        .action = request->action,
        .archive = request->no_archive ? BK_RECOVERY_ARCHIVE_OFF : BK_RECOVERY_ARCHIVE_KEEP,
    };

    (void)g_snprintf(timeline, sizeof timeline, "%u", self->choice.plan.timeline);
    return bk_recovery_write(self->root, &settings, error);
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
    const BkPgMeta *meta = &self->choice.plan.snapshot->meta;
    g_autoptr(BkBackupManifest) manifest =
        bk_backup_manifest_begin(self->root, meta->version / 10000, meta->system_id, error);
    BkBackupManifestRange range = {meta->timeline, meta->start_lsn, meta->stop_lsn};
    size_t label_size = strlen(meta->backup_label);
    BkBackupManifestFile label = {LABEL_PATH, label_size,
                                  self->choice.plan.snapshot->head.finished_us, true,
                                  bk_crc32c(0, meta->backup_label, label_size)};
    size_t count;
    const BkFile *files = bk_snapshot_files(self->snapshot, &count);

    if (manifest == NULL || !bk_backup_manifest_add(manifest, &label, error))
        return false;
    for (size_t i = 0; i < count; i++) {
        BkBackupManifestFile row = {files[i].path, files[i].size, files[i].mtime_us, true, 0};

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
    g_autoptr(GArray) folders = NULL;

    if (!bk_fault(BK_FAULT_RESTORE_SYNC, error))
        return false;
    folders = bk_destination_file_systems(self->root, self->snapshot, error);
    for (guint i = 0; folders != NULL && i < folders->len; i++)
        if (syncfs(g_array_index(folders, BkFd, i)) < 0)
            return bk_throw_errno(error, "sync \"%s\"", self->request->to);
    return folders != NULL;
}

static bool
read_control(BkRestore *self, const BkExtractOptions *options, BkBuf *control, GError **error)
{
    BkPgControl decoded;

    if (!bk_extract_read(options, self->control, 64 * BK_KIB, control, self->op, error) ||
        !bk_pg_control_decode(control->data, control->size, &decoded, error))
        return false;
    return decoded.system_id == self->choice.plan.snapshot->meta.system_id ||
           bk_throw(error, BK_ERROR_CORRUPT, "%s of snapshot %s is that of another cluster",
                    CONTROL_PATH, self->choice.plan.snapshot->head.id);
}

/* The last step: from here on the directory is a cluster that a server will recover. */
static bool
write_control(BkRestore *self, const BkBuf *control, GError **error)
{
    const BkFile *file = self->control;

    if (!bk_fault(BK_FAULT_RESTORE_CONTROL, error) ||
        !bk_file_write(self->root, CONTROL_PATH, control->data, control->size, file->mode,
                       BK_FILE_REPLACE, error) ||
        !bk_owner_map_give_at(self->owners, self->root, CONTROL_PATH, file->owner, error))
        return false;
    if (unlinkat(self->root, BK_DESTINATION_MARK, 0) < 0)
        return bk_throw_errno(error, "remove \"%s\"", BK_DESTINATION_MARK);
    return bk_fd_sync(self->root, error);
}

static GPtrArray *
parts_in_order(const BkRestore *self)
{
    g_autoptr(GPtrArray) parts = g_ptr_array_new();

    g_ptr_array_add(parts, g_ptr_array_index(self->parts.parts, self->choice.part));
    for (guint i = 0; i < self->parts.parts->len; i++)
        if (i != self->choice.part && bk_part_shares_keys(g_ptr_array_index(self->parts.parts, i),
                                                          g_ptr_array_index(parts, 0)))
            g_ptr_array_add(parts, g_ptr_array_index(self->parts.parts, i));
    return g_steal_pointer(&parts);
}

static bool
write_files(BkRestore *self, GError **error)
{
    g_autoptr(GPtrArray) parts = parts_in_order(self);
    BkExtractOptions options = {
        .parts = parts,
        .snapshot = self->snapshot,
        .owners = self->owners,
        .root = self->root,
        .skip = CONTROL_PATH,
        .delta = self->request->delta && self->state >= BK_DESTINATION_PART,
        .workers = self->source->workers,
    };
    g_autoptr(BkExtract) extract = bk_extract_new(&options);
    g_auto(BkBuf) control = BK_BUF_INIT;
    int64_t before_us = g_get_monotonic_time();

    bk_op_begin_phase(self->op, "restoring", self->report->bytes);
    if (!read_control(self, &options, &control, error) || !bk_extract_run(extract, self->op, error))
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

/* Takes the manifest from the first repository that has it whole. */
static bool
load_snapshot(BkRestore *self, GError **error)
{
    g_autoptr(GPtrArray) parts = parts_in_order(self);
    g_autoptr(GError) first = NULL;

    for (guint i = 0; i < parts->len; i++) {
        g_autoptr(GError) cause = NULL;

        self->snapshot = bk_snapshot_load(g_ptr_array_index(parts, i),
                                          self->choice.plan.snapshot->head.id, self->op, &cause);
        if (self->snapshot != NULL && first != NULL)
            bk_log(BK_LOG_WARNING, "%s: another repository has it", first->message);
        if (self->snapshot != NULL)
            return true;
        if (first == NULL)
            first = g_steal_pointer(&cause);
    }
    return bk_propagate(error, &first);
}

static bool
run(BkRestore *self, GError **error)
{
    /* Loaded before the destination is touched: it may turn out to be damaged. */
    if (!load_snapshot(self, error))
        return false;
    if (!bk_tablespace_map_check_links(self->tablespaces, self->snapshot, error))
        return bk_prefix(error, "snapshot %s", self->choice.plan.snapshot->head.id);
    self->owners = bk_owner_map_new(self->snapshot);
    self->control = find_file(self->snapshot, CONTROL_PATH);
    if (self->control == NULL)
        return bk_throw(error, BK_ERROR_CORRUPT, "snapshot %s has no %s",
                        self->choice.plan.snapshot->head.id, CONTROL_PATH);
    self->report->bytes = self->choice.plan.snapshot->head.bytes;
    self->report->files = self->choice.plan.snapshot->head.file_count;
    return open_destination(self, error) &&
           bk_tablespace_map_make(self->tablespaces, self->owners, self->control->owner, error) &&
           (self->state < BK_DESTINATION_PART || self->request->replace ||
            (mend_links(self, error) &&
             bk_destination_remove_others(self->root, self->snapshot, self->op, error))) &&
           make_folders(self, error) && write_files(self, error);
}

bool
bk_restore_run(BkRestore *self, BkRestoreReport *report, BkOp *op, GError **error)
{
    *report = (BkRestoreReport){0};
    self->report = report;
    self->op = op;
    return run(self, error) || bk_prefix(error, "restore to \"%s\"", self->request->to);
}
