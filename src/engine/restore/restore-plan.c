/* restore-plan.c - what a restore is going to do, and whether its destination is fit for it. */
#include "engine/restore/restore-priv.h"

#include "base/log.h"
#include "engine/restore/move-aside.h"
#include "engine/restore/tablespace-map.h"
#include "engine/restore/wal-directory.h"
#include "repo/targets/targets.h"
#include "source/pg/restore/recovery-command.h"

#include <string.h>

void
bk_restore_free(BkRestore *self)
{
    if (self == NULL)
        return;
    bk_original_clear(&self->original);
    bk_destination_wal_clear(&self->wal);
    bk_tablespace_map_free(self->tablespaces);
    g_free(self->wal_directory);
    bk_plan_choice_clear(&self->choice);
    bk_targets_clear(&self->targets);
    bk_chown_map_free(self->owners);
    bk_beneath_free(self->place);
    bk_identity_free(self->identity);
    bk_identity_free(self->above);
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

const char *
bk_restore_get_wal_directory(const BkRestore *self)
{
    return self->wal_directory;
}

bool
bk_restore_moves_inside(const BkRestore *self)
{
    return self->moves_inside;
}

const BkDestinationWal *
bk_restore_get_wal(const BkRestore *self)
{
    return &self->wal;
}

bool
bk_restore_needs_wal(const BkRestore *self)
{
    return self->needs_wal;
}

bool
bk_restore_archives(const BkRestore *self, const char **sign)
{
    *sign = self->request->archive == BK_RESTORE_ARCHIVE_AUTO ? self->original.sign : NULL;
    return self->request->archive == BK_RESTORE_ARCHIVE_ON ||
           (self->request->archive == BK_RESTORE_ARCHIVE_AUTO && *sign == NULL);
}

bool
bk_restore_plan_make(BkRestore *self, const BkRecoveryTarget *target, const char *timeline,
                     BkOp *op, GError **error)
{
    const BkRestoreRequest *request = self->request;
    const BkPlanRequest plan_request = {
        .target = target,
        .timeline = timeline,
        .snapshot = request->snapshot,
        .system_id = request->system_id,
        .command = request->command,
        .lacks_repositories = !bk_targets_are_all_there(&self->targets),
        .source = self->source,
    };

    if (self->targets.source_repos->len == 0)
        return bk_throw(error, BK_ERROR_NOT_FOUND,
                        "there is no snapshot of \"%s\" in its repositories", self->source->name);
    bk_plan_choice_clear(&self->choice); /* of a plan before, perhaps one that failed */
    return bk_plan_choose(self->targets.source_repos, &plan_request, &self->choice, op, error);
}

/* What the restore reads from must not be what it writes over, sweeps or moves aside. */
static bool
check_destination_apart(const BkRestore *self, const char *to, GError **error)
{
    for (size_t i = 0; i < self->source->repository_count; i++) {
        const BkRepositorySpec *repository = &self->source->repositories[i];

        if (repository->place.path != NULL && bk_destination_overlaps(to, repository->place.path))
            return bk_throw(error, BK_ERROR_UNFIT,
                            "destination \"%s\" and repository \"%s\" in \"%s\" must not contain "
                            "each other: restore to another directory",
                            to, repository->name, repository->place.path);
        if (bk_destination_overlaps(to, repository->key_file))
            return bk_throw(error, BK_ERROR_UNFIT,
                            "key file \"%s\" is inside the destination \"%s\": move it, or restore "
                            "to another directory",
                            repository->key_file, to);
    }
    return true;
}

static bool
check_destination(BkRestore *self, GError **error)
{
    const BkRestoreRequest *request = self->request;

    if (!check_destination_apart(self, request->to, error) ||
        !bk_destination_inspect(request->to, &self->state, error))
        return false;
    if (self->state == BK_DESTINATION_NEW || self->state == BK_DESTINATION_EMPTY)
        return true;
    self->moves_inside = request->replace && bk_aside_is_inside(request->to);
    if (request->replace)
        return bk_aside_check(request->to, error);
    if (!request->delta)
        return bk_throw(error, BK_ERROR_UNFIT,
                        "destination \"%s\" is not empty: use --delta to reuse what is correct in "
                        "it, or --replace to move it aside",
                        request->to);
    if (self->state == BK_DESTINATION_OTHER)
        return bk_throw(error, BK_ERROR_UNFIT,
                        "destination \"%s\" contains files that are not a data directory, which "
                        "--delta would remove: use --replace, or another directory",
                        request->to);
    return true;
}

bool
bk_restore_check_request(const BkRestoreRequest *request, GError **error)
{
    return bk_plan_check_timeline(request->timeline, error) &&
           bk_tablespace_map_check_words(request->tablespaces, error);
}

/* WAL that is written over must be archived first, or be given up by the user. */
static bool
check_destination_wal(const BkRestore *self, GError **error)
{
    g_autofree char *names = NULL;

    if (!self->request->delta || self->wal.foreign == NULL || self->wal.foreign->len == 0)
        return true;
    names = bk_destination_wal_names(self->wal.foreign);
    return bk_throw(error, BK_ERROR_UNFIT,
                    "\"%s\" has WAL that is missing in the archive and that --delta would remove: "
                    "%s (%s): save these files, or delete them with --discard-wal",
                    self->wal.directory, names, self->wal.why);
}

/* Looks for what only the destination has. */
static bool
find_wal(BkRestore *self, BkOp *op, GError **error)
{
    const BkRestoreRequest *request = self->request;

    if (request->discard_wal ||
        (self->state != BK_DESTINATION_PART && self->state != BK_DESTINATION_DATA))
        return true;
    return bk_destination_wal_find(request->to, self->targets.source_repos, self->original.runs,
                                   &self->wal, op, error) ||
           bk_prefix(error, "WAL of the destination (--discard-wal deletes it)");
}

/* Plans. A target that the archive does not lead to may lie in the WAL of the destination: then the
 * plan is that to the end of the archive, and `*cause` says why. */
static bool
plan_for_now(BkRestore *self, GError **cause, BkOp *op, GError **error)
{
    const BkRecoveryTarget latest = {.kind = BK_RECOVERY_TARGET_LATEST};

    if (bk_restore_plan_make(self, self->request->target, self->request->timeline, op, cause))
        return true;
    if (self->request->delta && !self->request->discard_wal &&
        bk_error_is(*cause, BK_ERROR_NOT_FOUND) &&
        bk_restore_plan_make(self, &latest, self->request->timeline, op, NULL))
        return true;
    return bk_propagate(error, cause);
}

static bool
find_original(BkRestore *self, BkOp *op, GError **error)
{
    return bk_original_find(self->source, &self->choice.plan.snapshot->meta,
                            self->choice.system->pasts, self->request->to, g_get_real_time(),
                            &self->original, op, error);
}

bool
bk_restore_plan_places(BkRestore *self, GError **error)
{
    const BkRestoreRequest *request = self->request;

    bk_tablespace_map_free(self->tablespaces);
    self->tablespaces = bk_tablespace_map_new(&self->choice.plan.snapshot->meta,
                                              request->tablespaces, request->to, error);
    if (self->tablespaces == NULL ||
        !bk_tablespace_map_check(self->tablespaces, &self->choice.plan.snapshot->meta, request,
                                 error))
        return false;
    for (guint i = 0; i < self->tablespaces->len; i++)
        if (!check_destination_apart(
                self, g_array_index(self->tablespaces, BkRestoreTablespace, i).to, error))
            return false;
    g_clear_pointer(&self->wal_directory, g_free);
    return bk_wal_directory_find(request, self->state, &self->wal_directory, error) &&
           (self->wal_directory == NULL ||
            check_destination_apart(self, self->wal_directory, error));
}

bool
bk_restore_check_commands(const BkRestoreRequest *request, GError **error)
{
    return bk_recovery_check_path(request->program, error) &&
           bk_recovery_check_path(request->config, error);
}

/* The plan goes by the others. Only what a required one has may still be missing at its end. */
static void
warn_of_failed(const BkRestore *self)
{
    const BkTargets *targets = &self->targets;
    bool is_latest = self->request->target->kind == BK_RECOVERY_TARGET_LATEST;

    for (guint i = 0; i < targets->all->len; i++) {
        const BkTarget *target = bk_targets_at(targets, i);
        bool stops = is_latest && targets->source_repos->len > 0 && target->is_required;

        if (target->state != BK_TARGET_DROPPED)
            continue;
        bk_log(BK_LOG_WARNING, "%s%s", target->why,
               stops ? "; if it still does not answer then, recovery will stop at the end of the "
                       "plan instead of opening the server, since it may have more WAL: use "
                       "--repository to recover from another one alone"
                     : "");
    }
}

BkRestore *
bk_restore_plan(const BkSourceSpec *source, const BkRestoreRequest *request, BkOp *op,
                GError **error)
{
    g_autoptr(BkRestore) self = g_new0(BkRestore, 1);
    g_autoptr(GError) cause = NULL;

    self->source = source;
    self->request = request;
    self->root = -1;
    if (!bk_targets_open_for_reading(source, request->repository, &self->targets, op, error))
        return NULL;
    warn_of_failed(self);
    if (!plan_for_now(self, &cause, op, error) ||
        !check_destination(self, cause != NULL ? NULL : error)) {
        if (cause != NULL)
            bk_propagate(error, &cause);
        return NULL;
    }
    if (!find_original(self, op, error) || !find_wal(self, op, error) ||
        !bk_destination_wal_reaches(&self->wal, request->target, &self->needs_wal, error))
        return NULL;
    self->needs_wal = self->needs_wal && cause != NULL;
    if (cause != NULL && !self->needs_wal) {
        bk_propagate(error, &cause);
        return NULL;
    }
    if (!check_destination_wal(self, error) || !bk_restore_plan_places(self, error))
        return NULL;
    return g_steal_pointer(&self);
}
