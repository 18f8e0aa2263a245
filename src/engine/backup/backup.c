/* backup.c - takes a snapshot of a running PostgreSQL cluster. */
#include "engine/backup/backup.h"

#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"
#include "engine/backup/backup-report.h"
#include "engine/backup/own-wal.h"
#include "engine/backup/pg-target.h"
#include "repo/snapshot/snapshot-manifest.h"
#include "repo/snapshot/unfinished.h"
#include "repo/targets/host-memory.h"
#include "repo/targets/targets.h"
#include "source/pg/archive/archive-fill.h"
#include "source/pg/archive/system-id.h"
#include "source/pg/archive/wal-lock.h"
#include "source/pg/backup/backup-meta.h"
#include "source/pg/backup/file-copy-ddl.h"
#include "source/pg/backup/lsn-check.h"
#include "source/pg/backup/page-selection.h"
#include "source/pg/backup/page-source.h"
#include "source/pg/backup/parent.h"
#include "source/pg/backup/repack.h"
#include "source/pg/cluster/control.h"
#include "source/pg/cluster/data-dir-list.h"
#include "source/pg/cluster/data-dir.h"
#include "source/pg/cluster/server.h"
#include "source/pg/format/page.h"
#include "source/pg/history/server-check.h"
#include "source/pg/history/wal-wait.h"

#include <fcntl.h>
#include <string.h>

#define CONTROL_PATH "global/pg_control"

#define MAX_ATTEMPTS 5u

/* Of a repository of best effort: how long nothing may succeed in it, and how long its WAL may take
 * after the required ones have it. */
#define PATIENCE_US     (60 * BK_USEC_PER_SEC)
#define WAL_PATIENCE_US (6 * BK_USEC_PER_SEC)

/* Everything that lives as long as one backup. */
typedef struct Backup {
    const BkSourceSpec *source;
    const BkBackupOptions *options;
    BkBackupReport *report;
    BkOp *op;
    int64_t begun_us; /* by the monotonic clock */
    BkServer *server;
    BkServerFacts facts;
    BkTargets targets;
    char *data_dir;
    BkPgControl control; /* as it was when the backup had begun */
    char *databases;     /* before it began */
    BkDataDirList tree;
    BkParent base;
    bool *is_given_up; /* for each of the parent's packs; NULL: not decided */
    BkSelection *selection;
    char *contradiction;  /* found between the WAL's word and a page; or NULL */
    GPtrArray *wal_files; /* of BkSourceFile: the WAL of a standalone snapshot */
    BkSelection *wal_selection;
    BkPageSource *pages;
    BkPipeline *copy;
    GPtrArray *removed;    /* of BkProblem: a snapshot that this host has put before */
    GPtrArray *listings;   /* of snapshots in `targets`, under the leases */
    GPtrArray *unfinished; /* what this and earlier attempts have put down */
    char checkpoint_id[BK_SNAPSHOT_ID_SIZE + 1]; /* of the last checkpoint manifest, or "" */
} Backup;

static void
backup_clear(Backup *self)
{
    bk_pipeline_free(self->copy);
    bk_page_source_free(self->pages);
    bk_server_close(self->server);
    bk_server_facts_clear(&self->facts);
    bk_targets_clear(&self->targets);
    g_free(self->data_dir);
    g_free(self->databases);
    bk_data_dir_list_clear(&self->tree);
    bk_selection_free(self->selection);
    bk_selection_free(self->wal_selection);
    bk_parent_clear(&self->base);
    g_free(self->is_given_up);
    g_free(self->contradiction);
    g_clear_pointer(&self->removed, g_ptr_array_unref);
    g_clear_pointer(&self->wal_files, g_ptr_array_unref);
    g_clear_pointer(&self->listings, g_ptr_array_unref);
    g_clear_pointer(&self->unfinished, g_ptr_array_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Backup, backup_clear)

static bool
inspect_server(Backup *self, GError **error)
{
    BkPgMeta *meta = &self->report->meta;

    self->server = bk_server_connect(self->source->connection, self->op, error);
    if (self->server == NULL || !bk_server_get_facts(self->server, &self->facts, self->op, error) ||
        !bk_server_check_fit(&self->facts, self->options->standalone, error))
        return false;
    self->data_dir =
        g_strdup(self->source->data != NULL ? self->source->data : self->facts.data_directory);
    meta->is_standalone = self->options->standalone;
    return bk_backup_meta_fill(meta, &self->facts, self->data_dir, error) &&
           bk_server_check_before_backup(self->server, self->source->name, self->data_dir,
                                         self->options->standalone, self->op, error);
}

static bool
check_places(const Backup *self, GError **error)
{
    g_autofree char *data = g_strconcat(self->data_dir, "/", NULL);

    for (size_t i = 0; i < self->source->repository_count; i++)
        if (self->source->repositories[i].place.path != NULL &&
            g_str_has_prefix(self->source->repositories[i].place.path, data))
            return bk_throw(
                error, BK_ERROR_UNFIT,
                "repository \"%s\" is inside the data directory \"%s\", with which it would be "
                "lost: move it",
                self->source->repositories[i].name, self->data_dir);
    return true;
}

static BkPgTargetRequest
describe_to_targets(const Backup *self)
{
    return (BkPgTargetRequest){
        .meta = &self->report->meta,
        .data_dir = self->data_dir,
        .model = g_ptr_array_index(self->targets.source_repos, 0),
        .timeout_us = WAL_PATIENCE_US,
        .started_us = self->report->started_us,
        .workers = self->source->workers,
    };
}

static bool
take_targets(Backup *self, BkTargetKinds kinds, GError **error)
{
    const BkPgTargetRequest request = describe_to_targets(self);
    const BkTargetsTaking taking = {
        .break_lease = self->options->break_lease,
        .log_file_size = self->facts.wal_segment_size,
        .check = bk_pg_target_check_cluster,
        .data = &request,
    };

    return bk_targets_take(&self->targets, kinds, &taking, error);
}

/* Once for all who ask which snapshots there are: under the lease nobody else adds any. */
static void
list_snapshots(Backup *self)
{
    self->listings = g_ptr_array_new();
    self->removed = bk_problem_list_new();
    for (guint i = 0; i < self->targets.all->len; i++) {
        const BkTarget *target = bk_targets_at(&self->targets, i);

        if (!target->is_required)
            continue;
        g_ptr_array_add(self->listings, target->snapshots);
        if (self->removed->len == 0)
            bk_host_memory_compare(self->source, target->source_repo, target->snapshots,
                                   self->removed, self->op);
    }
}

/* A server of another cluster breaks no lease. */
static bool
check_wal_is_taken(const Backup *self, GError **error)
{
    for (guint i = 0; i < self->targets.source_repos->len; i++)
        if (!bk_system_check_wal(g_ptr_array_index(self->targets.source_repos, i),
                                 self->facts.system_id, self->op, error))
            return false;
    return true;
}

static bool
take_source(Backup *self, GError **error)
{
    BkTargets *targets = &self->targets;

    if (!check_places(self, error) || !bk_targets_create(targets, BK_TARGETS_REQUIRED, error))
        return false;
    bk_targets_remember_anew(targets, BK_TARGETS_REQUIRED); /* or no WAL would be archived */
    if ((self->options->new_cluster &&
         !bk_system_declare(targets->source_repos, self->facts.system_id, self->op, error)) ||
        !check_wal_is_taken(self, error) || !take_targets(self, BK_TARGETS_REQUIRED, error))
        return false;
    list_snapshots(self);
    if (!bk_targets_create(targets, BK_TARGETS_BEST_EFFORT, error))
        return false;
    bk_targets_remember_anew(targets, BK_TARGETS_BEST_EFFORT);
    return take_targets(self, BK_TARGETS_BEST_EFFORT, error);
}

/* Without a slot the WAL is usually still there when it is copied, and when it is not, the backup
 * says so and fails. */
static void
hold_wal(Backup *self)
{
    g_autoptr(GError) cause = NULL;

    if (self->options->standalone && !bk_server_hold_wal(self->server, self->op, &cause))
        bk_log(BK_LOG_INFO, "%s", cause->message);
}

/* A copy or a standby of the cluster has its system identifier too. But the backup began with a
 * checkpoint, of which only the server's own directory knows. */
static bool
check_is_live(Backup *self, GError **error)
{
    g_auto(BkBuf) content = BK_BUF_INIT;

    if (!bk_pg_control_read(self->data_dir, &content, &self->control, error))
        return false;
    self->report->meta.control_version = self->control.control_version;
    self->report->meta.catalog_version = self->control.catalog_version;
    bk_backup_meta_set_mark(&self->report->meta, self->data_dir, self->control.checkpoint);
    return (self->control.state == BK_PG_STATE_IN_PRODUCTION &&
            self->control.redo >= self->report->meta.start_lsn) ||
           bk_throw(
               error, BK_ERROR_UNFIT,
               "data directory \"%s\" is not the one in which the server works but a copy or a "
               "standby of it: correct \"data\" or \"connection\"",
               self->data_dir);
}

static void
note_left_out(Backup *self)
{
    for (guint i = 0; i < self->tree.left_out->len; i++) {
        const BkSourceFile *link = g_ptr_array_index(self->tree.left_out, i);

        bk_log(BK_LOG_WARNING,
               "the link \"%s/%s\" is not followed: what it leads to, \"%s\", is not in the backup",
               self->data_dir, link->path, link->link);
        bk_pg_meta_add_left_out(&self->report->meta, link->path, link->link);
    }
}

static bool
begin(Backup *self, GError **error)
{
    BkPgMeta *meta = &self->report->meta;
    g_autofree char *label =
        g_strdup_printf("backstay %s %s", self->source->name, self->report->id);

    bk_op_begin_phase(self->op, "waiting for the checkpoint", 0);
    hold_wal(self);
    self->databases = bk_server_describe_databases(self->server, self->op, error);
    if (self->databases == NULL)
        return false;
    if (!bk_fault(BK_FAULT_BACKUP_BEGIN, error) ||
        !bk_server_begin_backup(self->server, label, self->options->fast_checkpoint, meta, self->op,
                                error) ||
        !check_is_live(self, error) ||
        !bk_server_get_tablespaces(self->server, meta, self->op, error) ||
        !bk_data_dir_list_list(self->data_dir, &self->control, &self->tree, self->op, error))
        return false;
    bk_data_dir_list_add_tablespaces(&self->tree, meta);
    note_left_out(self);
    return true;
}

/* The backup itself can do without what came before it. */
static bool
fill_archive(Backup *self, GError **error)
{
    const BkPgMeta *meta = &self->report->meta;
    g_autofree char *wal_dir = g_build_filename(self->data_dir, "pg_wal", NULL);
    const BkArchiveFillRequest request = {
        .source_repos = self->targets.source_repos,
        .wal_dir = wal_dir,
        .timeline = meta->timeline,
        .end_lsn = meta->start_lsn,
        .system_id = meta->system_id,
        .codec = self->source->codec,
        .level = self->source->level,
    };
    g_autoptr(GError) cause = NULL;
    BkArchiveFilled filled;

    if (self->options->standalone || bk_wal_fill(&request, &filled, self->op, &cause))
        return true;
    if (!bk_op_check(self->op, error))
        return false;
    bk_log(BK_LOG_WARNING, "whether the archive lacks WAL that is in \"%s\" is not known: %s",
           wal_dir, cause->message);
    return true;
}

/* What the parent's packs are worth, and then what to read because of it. */
static bool
select_increment(Backup *self, GError **error)
{
    const BkSnapshotHead *head = bk_snapshot_head(self->base.snapshot);
    BkPageSelectionOptions options = {
        .parent = self->base.snapshot,
        .map = self->base.map,
        .parent_us = head->started_us,
    };
    g_autoptr(BkSelection) first = bk_page_selection_new(self->tree.files, &options);
    g_autofree uint64_t *live = NULL;
    BkRepackRequest request = {
        .source_repos = self->targets.source_repos,
        .parent = self->base.snapshot,
        .period_us = head->state == BK_SNAPSHOT_UNFINISHED ? 0 : self->source->repack_after_us,
        .now_us = self->report->started_us,
    };
    size_t count;

    (void)bk_snapshot_packs(self->base.snapshot, &count);
    request.live = live = g_new0(uint64_t, count + 1);
    bk_selection_count_live(first, live);
    self->is_given_up = bk_repack_choose(&request, self->op, error);
    if (self->is_given_up == NULL)
        return false;
    options.is_given_up = self->is_given_up;
    /* As a rule nothing is given up, and what was selected for counting holds. */
    self->selection = memchr(self->is_given_up, true, count * sizeof *self->is_given_up) == NULL
                          ? g_steal_pointer(&first)
                          : bk_page_selection_new(self->tree.files, &options);
    return true;
}

/* Compares the WAL's word with what the pages themselves say. */
static bool
audit(Backup *self, GError **error)
{
    const BkLsnCheckRequest request = {
        .root = self->data_dir,
        .selection = self->selection,
        .from = self->base.meta.start_lsn,
        .to = self->report->meta.start_lsn,
        .is_other_timeline = self->base.meta.timeline != self->report->meta.timeline,
        .has_checksums = self->facts.has_checksums,
        .workers = self->source->workers,
    };
    g_autoptr(GError) cause = NULL;

    if (!bk_lsn_check_sample(&request, &self->contradiction, self->op, &cause)) {
        if (!bk_error_is(cause, BK_ERROR_CORRUPT))
            return bk_propagate(error, &cause);
        self->contradiction = g_strdup_printf("the parent cannot be read: %s", cause->message);
    }
    if (self->contradiction != NULL || !self->options->check_reused ||
        self->base.mode != BK_SNAPSHOT_INCREMENTAL)
        return true;
    bk_op_begin_phase(self->op, "auditing",
                      self->tree.bytes - bk_selection_to_read(self->selection));
    return bk_lsn_check_all(&request, &self->report->checked_bytes, &self->contradiction, self->op,
                            error);
}

static void
select_everything(Backup *self)
{
    g_clear_pointer(&self->selection, bk_selection_free);
    self->selection = bk_page_selection_new_full(self->tree.files);
}

/* Decides what is read and what is taken over from an earlier snapshot. */
static bool
select_files(Backup *self, GError **error)
{
    const BkParentRequest request = {
        .source_repos = self->targets.source_repos,
        .entries = g_ptr_array_index(self->listings, 0),
        .data_dir = self->data_dir,
        .now = &self->report->meta,
        .workers = self->source->workers,
        .is_full = self->options->is_full,
    };

    bk_op_begin_phase(self->op, "finding what changed", 0);
    if (!bk_parent_find(&request, &self->base, self->op, error))
        return false;
    if (self->base.snapshot == NULL) {
        select_everything(self);
        return true;
    }
    if (!select_increment(self, error))
        return false;
    if (!audit(self, error))
        return false;
    if (self->contradiction == NULL)
        return true;
    bk_log(BK_LOG_ERROR, "%s: nothing is taken over from snapshot %s, everything is read",
           self->contradiction, bk_snapshot_head(self->base.snapshot)->id);
    select_everything(self);
    bk_parent_distrust(&self->base, g_strdup(self->contradiction));
    return true;
}

static const BkSelected *
find_control(const Backup *self)
{
    size_t count;
    const BkSelected *files = bk_selection_files(self->selection, &count);

    for (size_t i = 0; i < count; i++)
        if (strcmp(files[i].file->path, CONTROL_PATH) == 0)
            return &files[i];
    return NULL;
}

static bool
read_control(void *data, BkBuf *content, BkOp *op, GError **error)
{
    const Backup *self = data;
    BkPgControl decoded;

    (void)op;
    return bk_pg_control_read(self->data_dir, content, &decoded, error);
}

static bool try_checkpoint(BkPipeline *copy, void *data, BkOp *op, GError **error);

static bool
open_pages(Backup *self, GError **error)
{
    const bool has_pages = self->facts.block_size == BK_PG_PAGE_SIZE;
    const BkPageSourceOptions options = {
        .root = self->data_dir,
        .verify_pages = self->facts.has_checksums && has_pages,
        .parent_lsn = self->base.meta.start_lsn,
    };

    if (self->facts.has_checksums && !has_pages)
        bk_log(BK_LOG_WARNING, "pages of %u bytes: their checksums are not verified",
               self->facts.block_size);
    self->pages = bk_page_source_new(&options, error);
    return self->pages != NULL;
}

static bool
copy_files(Backup *self, GError **error)
{
    BkPipelineOptions options = {
        .targets = &self->targets,
        .codec = self->source->codec,
        .level = self->source->level,
        .workers = self->source->workers,
        .max_rate = self->source->max_rate,
        .resume_interval_us = self->source->resume_interval_us,
        .checkpoint = try_checkpoint,
        .data = self,
    };
    /* pg_control is read last. */
    const BkPipelineLast last = {find_control(self), read_control, self};
    size_t count = 0;

    if (last.selected == NULL)
        return bk_throw(error, BK_ERROR_UNFIT, "data directory \"%s\" has no %s", self->data_dir,
                        CONTROL_PATH);
    if (!open_pages(self, error))
        return false;
    if (self->base.snapshot != NULL)
        (void)bk_snapshot_packs(self->base.snapshot, &count);
    options.source = bk_page_source_get(self->pages);
    options.first_pack = (uint32_t)count;
    bk_op_begin_phase(self->op, "copying", bk_selection_to_read(self->selection));
    self->copy = bk_pipeline_new(&options);
    return bk_pipeline_run(self->copy, self->selection, &last, self->op, error);
}

/* The segments from start to stop, from the data directory. */
static bool
copy_wal(Backup *self, GError **error)
{
    const BkPgMeta *meta = &self->report->meta;

    self->wal_files = bk_own_wal_list(self->data_dir, meta, error);
    if (self->wal_files == NULL)
        return false;
    self->wal_selection = bk_page_selection_new_full(self->wal_files);
    return bk_pipeline_run(self->copy, self->wal_selection, NULL, self->op, error) &&
           bk_own_wal_check(self->copy, self->wal_files, self->data_dir, meta, error);
}

static bool
end(Backup *self, GError **error)
{
    BkPgMeta *meta = &self->report->meta;
    int64_t before_us = g_get_monotonic_time();

    bk_op_begin_phase(self->op, "ending the backup", 0);
    if (!bk_fault(BK_FAULT_BACKUP_END, error) ||
        !bk_server_end_backup(self->server, meta, self->op, error) ||
        !bk_data_dir_list_leave_out_unlogged(&self->tree, self->data_dir, error))
        return false;
    self->report->stop_us = g_get_monotonic_time() - before_us;
    before_us = g_get_monotonic_time();
    if (self->options->standalone) {
        if (!copy_wal(self, error))
            return false;
    } else {
        bk_op_begin_phase(self->op, "waiting for the archive", 0);
        if (!bk_wal_wait(&(BkWalWait){self->targets.source_repos, self->data_dir, self->server,
                                      self->options->archive_timeout_us},
                         meta, self->op, error))
            return false;
    }
    self->report->wait_us = g_get_monotonic_time() - before_us;
    self->unfinished = bk_unfinished_find(self->targets.source_repos, self->listings,
                                          self->checkpoint_id, self->op);
    return true;
}

/* Was a database made or moved while the backup ran, so that replay would not make it what it was?
 */
static bool
check_databases(Backup *self, bool *is_overtaken, GError **error)
{
    g_autofree char *now = bk_server_describe_databases(self->server, self->op, error);
    const BkFileCopyDdlRequest request = {
        .source_repos = self->targets.source_repos,
        .data_dir = self->data_dir,
        .meta = &self->report->meta,
        .workers = self->source->workers,
    };

    if (now == NULL)
        return false;
    return strcmp(now, self->databases) == 0 ||
           bk_file_copy_ddl_find(&request, is_overtaken, self->op, error);
}

static void
fill_head(const Backup *self, const BkPgMeta *meta, BkSnapshotState state, BkSnapshotHead *head)
{
    const BkBackupReport *report = self->report;
    const BkParent *base = &self->base;

    (void)g_strlcpy(head->id, report->id, sizeof head->id);
    head->source = g_strdup(self->source->name);
    head->kind = g_strdup(BK_PG_KIND);
    head->parent = g_strdup(base->snapshot != NULL ? bk_snapshot_head(base->snapshot)->id : "");
    head->mode = base->mode;
    head->why = g_strdup(base->why != NULL ? base->why : "");
    head->label = g_strdup(self->options->label != NULL ? self->options->label : "");
    head->host = g_strdup(g_get_host_name());
    head->program = g_strdup("backstay " BK_VERSION);
    head->state = state;
    head->started_us = report->started_us;
    head->finished_us = g_get_real_time();
    bk_pg_meta_encode(meta, &head->meta);
}

static bool
publish(Backup *self, BkTargetKinds kinds, BkSnapshot *snapshot, GError **error)
{
    const BkPgTargetRequest target_request = describe_to_targets(self);
    const BkPublishRequest request = {
        .snapshot = snapshot,
        .parent = self->base.snapshot,
        .workers = self->source->workers,
        .started_us = self->report->started_us,
        .lock_log = bk_wal_lock_extend,
        .find_lack = bk_pg_target_find_lack,
        .data = &target_request,
    };

    return bk_targets_publish(&self->targets, kinds, &request, error);
}

/* What is known of the cluster while the backup runs: a copy that borrows all it refers to, and
 * lists the damage in `damage`. As long as a part of the cluster is as in the parent, the changes
 * since the parent count for all of it, and so does the damage that was found then; which of the
 * pages found since were only being written is not known yet. */
static BkPgMeta
describe_so_far(const Backup *self, bool is_behind, GPtrArray *damage)
{
    const BkPgMeta *before = &self->base.meta;
    BkPgMeta meta = self->report->meta;
    size_t count;
    const BkPageDamage *found = bk_page_source_damage(self->pages, &count);

    meta.damage = damage;
    for (size_t i = 0; i < count; i++)
        bk_pg_meta_add_damage(&meta, found[i].file->path, found[i].block);
    if (!is_behind)
        return meta;
    meta.start_lsn = before->start_lsn;
    meta.timeline = before->timeline;
    for (guint i = 0; i < before->damage->len; i++) {
        const BkPgDamage *one = g_ptr_array_index(before->damage, i);

        bk_pg_meta_add_damage(&meta, one->file, one->block);
    }
    return meta;
}

/* Saves the progress of the backup in a manifest, from which the next one goes on when this one
 * dies. */
static bool
put_resume_point(BkPipeline *copy, Backup *self, GError **error)
{
    g_auto(BkAssembly) assembly = {NULL};
    g_auto(BkPgMeta) own = {0};
    g_autofree char *before = g_strdup(self->checkpoint_id);
    BkSnapshotHead *head;
    BkPgMeta meta;

    if (!bk_snapshot_make_id(g_get_real_time(), self->checkpoint_id, error))
        return false;
    bk_assemble(copy, self->base.snapshot, self->tree.files, NULL, &assembly);
    head = bk_snapshot_head(assembly.snapshot);
    bk_pg_meta_init(&own);
    meta = describe_so_far(self, assembly.is_behind, own.damage);
    fill_head(self, &meta, BK_SNAPSHOT_UNFINISHED, head);
    (void)g_strlcpy(head->id, self->checkpoint_id, sizeof head->id);
    if (!publish(self, BK_TARGETS_REQUIRED, assembly.snapshot, error))
        return false;
    for (guint i = 0; before[0] != 0 && i < self->targets.source_repos->len; i++)
        bk_unfinished_delete(g_ptr_array_index(self->targets.source_repos, i), before, self->op);
    return true;
}

/* A backup can do without a checkpoint, but not go on when it has lost the source. */
static bool
try_checkpoint(BkPipeline *copy, void *data, BkOp *op, GError **error)
{
    g_autoptr(GError) cause = NULL;

    if (put_resume_point(copy, data, &cause))
        return true;
    if (!bk_op_check(op, error))
        return false;
    if (bk_error_is(cause, BK_ERROR_LEASE_LOST))
        return bk_propagate(error, &cause);
    bk_log(BK_LOG_WARNING, "how far the backup has come could not be put down: %s", cause->message);
    return true;
}

static void
collect_damage(Backup *self)
{
    size_t count;
    const BkPageDamage *damage = bk_page_source_damage(self->pages, &count);
    BkPgMeta *meta = &self->report->meta;

    /* A page whose LSN lies between start and stop was being written, and replay repairs it. */
    for (size_t i = 0; i < count; i++)
        if (damage[i].lsn < meta->start_lsn || damage[i].lsn > meta->stop_lsn)
            bk_pg_meta_add_damage(meta, damage[i].file->path, damage[i].block);
    self->report->state = meta->damaged_pages > 0 ? BK_SNAPSHOT_DAMAGED : BK_SNAPSHOT_COMPLETE;
}

/* The required repositories have the snapshot: now for the others. */
static bool
serve_best_effort(Backup *self, BkSnapshot *snapshot, GError **error)
{
    const BkPgTargetRequest request = describe_to_targets(self);

    if (!publish(self, BK_TARGETS_BEST_EFFORT, snapshot, error))
        return false;
    /* What comes now may take long, and nobody need wait for it but these repositories. */
    g_clear_pointer(&self->server, bk_server_close);
    bk_targets_release(&self->targets);
    return bk_targets_each(&self->targets, BK_TARGETS_BEST_EFFORT, bk_pg_target_catch_up, &request,
                           self->op, error);
}

static void
remember_snapshot(const Backup *self)
{
    const BkPgMeta *meta = &self->report->meta;
    char segment[BK_WAL_NAME_SIZE];

    bk_wal_segment_name(meta->timeline, bk_wal_segment_of(meta->stop_lsn - 1, meta->segment_size),
                        meta->segment_size, segment);
    bk_targets_remember(&self->targets, BK_TARGETS_REQUIRED, self->report->id, meta->system_id,
                        meta->is_standalone ? NULL : segment);
}

static bool
put_manifest(Backup *self, GError **error)
{
    g_auto(BkAssembly) assembly = {NULL};
    bool ok;

    bk_op_begin_phase(self->op, "putting the manifest", 0);
    collect_damage(self);
    bk_assemble(self->copy, self->base.snapshot, self->tree.files, self->wal_files, &assembly);
    fill_head(self, &self->report->meta, self->report->state, bk_snapshot_head(assembly.snapshot));
    if (!publish(self, BK_TARGETS_REQUIRED, assembly.snapshot, error))
        return false;
    bk_unfinished_delete_all(self->targets.source_repos, self->unfinished, self->op);
    bk_backup_report_fill(self->report, &assembly);
    self->report->total_us = g_get_monotonic_time() - self->begun_us;
    remember_snapshot(self);
    ok = serve_best_effort(self, assembly.snapshot, error);
    bk_targets_remember(&self->targets, BK_TARGETS_BEST_EFFORT, self->report->id, 0, NULL);
    bk_backup_report_add_repositories(self->report, &self->targets);
    return ok;
}

/* One attempt. What was copied in vain is put down for the next one to go on from. */
static bool
run_attempt(Backup *self, bool *is_overtaken, GError **error)
{
    BkBackupReport *report = self->report;
    int64_t before_us;

    bk_targets_init(&self->targets, self->source, &(BkTargetsOptions){.patience_us = PATIENCE_US},
                    self->op);
    if (!bk_snapshot_make_id(report->started_us, report->id, error) ||
        !bk_targets_open(&self->targets, BK_TARGETS_ALL, error) || !inspect_server(self, error) ||
        !take_source(self, error))
        return false;
    before_us = g_get_monotonic_time();
    if (!begin(self, error))
        return bk_prefix(error, "source \"%s\"", self->source->name);
    report->start_us = g_get_monotonic_time() - before_us;
    before_us = g_get_monotonic_time();
    if (!fill_archive(self, error) || !select_files(self, error) || !copy_files(self, error))
        return bk_prefix(error, "source \"%s\"", self->source->name);
    report->copy_us = g_get_monotonic_time() - before_us;
    if (!end(self, error) || !check_databases(self, is_overtaken, error))
        return false;
    if (*is_overtaken)
        return put_resume_point(self->copy, self, error);
    return put_manifest(self, error) &&
           bk_backup_report_check(report, self->source->name, self->contradiction, self->removed,
                                  error);
}

bool
bk_backup_run(const BkSourceSpec *source, const BkBackupOptions *options, BkBackupReport *report,
              BkOp *op, GError **error)
{
    *report = (BkBackupReport){0};
    for (unsigned attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
        g_auto(Backup) self = {source, options, report, op, .begun_us = g_get_monotonic_time()};
        g_autoptr(GError) cause = NULL;
        bool is_overtaken = false;

        bk_backup_report_clear(report);
        report->started_us = g_get_real_time();
        bk_pg_meta_init(&report->meta);
        if (!run_attempt(&self, &is_overtaken, &cause)) {
            bk_targets_explain(&self.targets, &cause);
            return bk_propagate(error, &cause);
        }
        if (!is_overtaken)
            return true;
        bk_log(BK_LOG_WARNING,
               "a database was made or moved by copying files while the backup ran: it goes on "
               "with a new start (%u of %u)",
               attempt, MAX_ATTEMPTS);
    }
    return bk_throw(error, BK_ERROR_UNFIT,
                    "databases are being made or moved all the time, which no recovery from a "
                    "snapshot in between could repeat: run the backup at another time");
}
