/* best-effort.c - the repositories that a backup, or the archiving of WAL, serves as long as they
 * keep up. */
#include "engine/targets/best-effort.h"

#include "base/log.h"
#include "engine/copy/copy.h"
#include "repo/stale-uploads.h"
#include "repo/targets/host-memory.h"
#include "source/pg/archive/system-id.h"
#include "source/pg/history/wal-wait.h"

#include <pthread.h>
#include <string.h>

/* One that is dead once the required repositories have all is not waited for: it must answer within
 * a part of the patience before anything longer is asked of it. */
#define PATIENCE_PARTS 6

/* How long giving up the lease in one that was dropped may take: it would run out by itself. */
#define RELEASE_US (2 * BK_USEC_PER_SEC)

/* What is known of a snapshot. */
typedef struct Newest {
    char id[BK_SNAPSHOT_ID_SIZE + 1]; /* "": there is none */
    int64_t started_us;
    uint64_t system_id;
    uint32_t timeline;
    uint64_t segno; /* where its WAL starts */
    uint32_t segment_size;
} Newest;

typedef struct Effort {
    char *name;
    const BkRepositorySpec *spec; /* to be opened; NULL: it is open */
    const BkSourceSpec *source;   /* that it was opened for, or NULL */
    BkRepository *repository;     /* NULL until it was opened */
    BkSourceRepo *source_repo;    /* NULL until it was taken, and so is lease */
    BkLease *lease;
    BkOp *op;      /* ends with it */
    Newest newest; /* that it had when it was taken */
    char *lack;    /* what keeps the manifest from being put; NULL: nothing is known to */

    pthread_mutex_t mutex; /* guards what follows */
    unsigned calls;        /* that are under way */
    char *why;             /* it was dropped; NULL: it was not */
} Effort;

struct BkBestEffort {
    BkBestEffortOptions options;
    BkOp *op;
    BkOp *budget_op;    /* its child, and parent of each effort's */
    GPtrArray *efforts; /* of Effort */

    pthread_mutex_t mutex; /* guards what follows */
    unsigned calls;        /* that are under way */
    int64_t since_us;      /* when that began */
    int64_t spent_us;      /* before */
};

/* Something to be done with one of them. */
typedef bool (*Call)(Effort *effort, const void *data, GError **error);

static void
effort_free(void *data)
{
    Effort *self = data;

    if (self->why != NULL)
        bk_lease_release_within(self->lease, RELEASE_US);
    else
        bk_lease_release(self->lease);
    bk_source_repo_free(self->source_repo);
    bk_repository_free(self->repository);
    bk_op_free(self->op);
    (void)pthread_mutex_destroy(&self->mutex);
    g_free(self->name);
    g_free(self->lack);
    g_free(self->why);
    g_free(self);
}

BkBestEffort *
bk_best_effort_new(const BkBestEffortOptions *options, BkOp *op)
{
    BkBestEffort *self = g_new0(BkBestEffort, 1);

    self->options = *options;
    self->op = op;
    self->budget_op = bk_op_new(op);
    (void)pthread_mutex_init(&self->mutex, NULL);
    self->efforts = g_ptr_array_new_with_free_func(effort_free);
    return self;
}

void
bk_best_effort_free(BkBestEffort *self)
{
    if (self == NULL)
        return;
    g_ptr_array_unref(self->efforts);
    bk_op_free(self->budget_op);
    (void)pthread_mutex_destroy(&self->mutex);
    g_free(self);
}

static Effort *
add(BkBestEffort *self, const char *name)
{
    Effort *effort = g_new0(Effort, 1);

    effort->name = g_strdup(name);
    effort->op = bk_op_new(self->budget_op);
    (void)pthread_mutex_init(&effort->mutex, NULL);
    g_ptr_array_add(self->efforts, effort);
    return effort;
}

static Effort *
effort_at(const BkBestEffort *self, size_t index)
{
    return g_ptr_array_index(self->efforts, index);
}

/* False when it was dropped. */
static bool
begin_call(Effort *effort, int64_t patience_us)
{
    bool is_live;

    (void)pthread_mutex_lock(&effort->mutex);
    is_live = effort->why == NULL;
    if (is_live && effort->calls++ == 0)
        bk_op_set_patience(effort->op, patience_us);
    (void)pthread_mutex_unlock(&effort->mutex);
    return is_live;
}

/* While nothing is asked of it, time does not count. */
static void
end_call(Effort *effort, bool ok, int64_t patience_us)
{
    (void)pthread_mutex_lock(&effort->mutex);
    if (--effort->calls == 0)
        bk_op_set_patience(effort->op, 0);
    else if (ok)
        bk_op_set_patience(effort->op, patience_us);
    (void)pthread_mutex_unlock(&effort->mutex);
}

/* The budget is spent while anything is asked of anyone. */
static void
begin_spending(BkBestEffort *self)
{
    const int64_t now_us = g_get_monotonic_time();

    if (self->options.budget_us == 0)
        return;
    (void)pthread_mutex_lock(&self->mutex);
    if (self->calls++ == 0) {
        self->since_us = now_us;
        bk_op_set_deadline(self->budget_op, now_us + self->options.budget_us - self->spent_us);
    }
    (void)pthread_mutex_unlock(&self->mutex);
}

static void
end_spending(BkBestEffort *self)
{
    if (self->options.budget_us == 0)
        return;
    (void)pthread_mutex_lock(&self->mutex);
    if (--self->calls == 0)
        self->spent_us += g_get_monotonic_time() - self->since_us;
    (void)pthread_mutex_unlock(&self->mutex);
}

/* The first failure says why; those of calls that it cancels say nothing. */
static void
drop(Effort *effort, const GError *cause)
{
    (void)pthread_mutex_lock(&effort->mutex);
    if (effort->why == NULL) {
        effort->why = g_strdup(cause->message);
        bk_op_cancel(effort->op);
        bk_log(BK_LOG_WARNING,
               "repository \"%s\" (best effort) is left out from here on, \"copy\" or the next "
               "backup will bring what it misses: %s",
               effort->name, effort->why);
    }
    (void)pthread_mutex_unlock(&effort->mutex);
}

static bool
call_one(BkBestEffort *self, Effort *effort, Call call, const void *data, int64_t patience_us,
         GError **error)
{
    g_autoptr(GError) cause = NULL;
    bool ok;

    if (!begin_call(effort, patience_us))
        return true;
    begin_spending(self);
    ok = call(effort, data, &cause);
    end_spending(self);
    end_call(effort, ok, patience_us);
    if (ok)
        return true;
    if (!bk_op_check(self->op, error))
        return false;
    bk_lease_explain(effort->lease, &cause);
    drop(effort, cause);
    return true;
}

static bool
call_each(BkBestEffort *self, Call call, const void *data, int64_t patience_us, GError **error)
{
    for (guint i = 0; i < self->efforts->len; i++)
        if (!call_one(self, effort_at(self, i), call, data, patience_us, error))
            return false;
    return true;
}

static bool
open_one(Effort *effort, const void *data, GError **error)
{
    const BkSourceSpec *source = data;

    effort->repository =
        bk_repository_spec_open_kept(effort->spec, source->name, effort->op, error);
    return effort->repository != NULL;
}

bool
bk_best_effort_open(BkBestEffort *self, const BkSourceSpec *source, GError **error)
{
    for (size_t i = 0; i < source->repository_count; i++) {
        const BkRepositorySpec *spec = &source->repositories[i];
        Effort *effort;

        if (spec->is_required)
            continue;
        effort = add(self, spec->name);
        effort->spec = spec;
        effort->source = source;
        if (!call_one(self, effort, open_one, source, self->options.patience_us, error))
            return false;
    }
    return true;
}

void
bk_best_effort_add(BkBestEffort *self, BkRepository *repository)
{
    add(self, bk_repository_name(repository))->repository = repository;
}

typedef struct Creation {
    const char *source;
    const BkSourceRepo *model;
} Creation;

static bool
create_one(Effort *effort, const void *data, GError **error)
{
    const Creation *creation = data;

    effort->source_repo = effort->source != NULL
                              ? bk_source_repo_open_or_create(effort->source, effort->repository,
                                                              creation->model, effort->op, error)
                              : bk_source_repo_create_alike(effort->repository, creation->source,
                                                            creation->model, effort->op, error);
    return effort->source_repo != NULL;
}

bool
bk_best_effort_create(BkBestEffort *self, const char *source, const BkSourceRepo *model,
                      GError **error)
{
    return call_each(self, create_one, &(Creation){source, model}, self->options.patience_us,
                     error);
}

typedef struct Taking {
    uint64_t system_id;
    const BkSourceRepo *model;
    BkLeaseOptions options;
} Taking;

/* Snapshots of two clusters must not get among each other there either. */
static bool
check_system_id(const Effort *effort, const Taking *taking, GError **error)
{
    g_autoptr(GError) cause = NULL;
    BkSystemStanding standing;

    if (bk_system_check_current(effort->source_repo, NULL, taking->system_id, effort->op, &cause))
        return true;
    if (!bk_error_is(cause, BK_ERROR_UNFIT))
        return bk_propagate(error, &cause);
    /* It may have been away when the cluster was declared current. What only damage hides there the
     * required repository knows, which has the same keys. */
    return bk_system_bring_decisions(taking->model, effort->source_repo, effort->op, error) &&
           bk_system_judge(effort->source_repo, taking->system_id, &standing, NULL, effort->op,
                           error) &&
           (standing == BK_SYSTEM_UNKNOWN ||
            bk_system_check_current(effort->source_repo, NULL, taking->system_id, effort->op,
                                    error));
}

/* The newest of cluster `system_id`, or of any where that has none. One that cannot be read is
 * passed over: then more is caught up. */
static bool
find_newest(Effort *effort, uint64_t system_id, GError **error)
{
    g_autoptr(GPtrArray) ids = bk_snapshot_list(effort->source_repo, effort->op, error);

    if (ids == NULL)
        return false;
    for (guint i = ids->len; i-- > 0 && effort->newest.system_id != system_id;) {
        g_auto(BkSnapshotHead) head = {.source = NULL};
        g_auto(BkPgMeta) meta = {0};

        if (bk_snapshot_load_head(effort->source_repo, g_ptr_array_index(ids, i), &head, effort->op,
                                  NULL) &&
            bk_pg_meta_decode(&meta, &head.meta, NULL) && head.state != BK_SNAPSHOT_UNFINISHED &&
            (effort->newest.id[0] == 0 || meta.system_id == system_id)) {
            effort->newest = (Newest){
                .started_us = head.started_us,
                .system_id = meta.system_id,
                .timeline = meta.timeline,
                .segno = bk_wal_segment_of(meta.start_lsn, meta.segment_size),
                .segment_size = meta.segment_size,
            };
            memcpy(effort->newest.id, head.id, sizeof effort->newest.id);
        }
        if (!bk_op_check(effort->op, error))
            return false;
    }
    return true;
}

static bool
take_one(Effort *effort, const void *data, GError **error)
{
    const Taking *taking = data;

    if (!check_system_id(effort, taking, error) || !find_newest(effort, taking->system_id, error))
        return false;
    effort->lease = bk_lease_acquire(effort->source_repo, &taking->options, effort->op, error);
    if (effort->lease != NULL)
        bk_stale_uploads_abort(effort->source_repo, effort->lease, 0, effort->op);
    return effort->lease != NULL;
}

bool
bk_best_effort_take(BkBestEffort *self, uint64_t system_id, const BkSourceRepo *model,
                    bool break_lease, GError **error)
{
    const Taking taking = {system_id, model, {.break_held = break_lease}};

    return call_each(self, take_one, &taking, self->options.patience_us, error);
}

typedef struct Pack {
    const uint8_t *name;
    const BkBuf *object;
} Pack;

static bool
put_pack(Effort *effort, const void *data, GError **error)
{
    const Pack *pack = data;

    return bk_pack_put(effort->source_repo, pack->name, pack->object, effort->op, error);
}

bool
bk_best_effort_put_pack(BkBestEffort *self, const uint8_t name[BK_SHA256_SIZE], const BkBuf *object,
                        GError **error)
{
    return call_each(self, put_pack, &(Pack){name, object}, self->options.patience_us, error);
}

typedef struct File {
    BkArchiveWriter *writer;
    const BkArchiveFile *file;
    uint64_t system_id;
} File;

static bool
put_file(Effort *effort, const void *data, GError **error)
{
    const File *file = data;

    return bk_archive_put_again(file->writer, effort->source_repo, file->file, file->system_id,
                                effort->op, error);
}

bool
bk_best_effort_put_file(BkBestEffort *self, BkArchiveWriter *writer, const BkArchiveFile *file,
                        uint64_t system_id, GError **error)
{
    return call_each(self, put_file, &(File){writer, file, system_id}, self->options.patience_us,
                     error);
}

/* What is new was put, and did not fail. */
static bool
find_missing_pack(Effort *effort, const BkPublishRequest *request, GError **error)
{
    g_autoptr(GHashTable) present = NULL;
    size_t count;
    const BkPackRef *packs = bk_snapshot_packs(request->snapshot, &count);

    if (request->parent == NULL)
        return true;
    present = bk_pack_list(effort->source_repo, effort->op, error);
    if (present == NULL)
        return false;
    for (size_t i = 0; i < count && effort->lack == NULL; i++) {
        g_autofree char *name = bk_pack_object_name(effort->source_repo, packs[i].name);

        if (GPOINTER_TO_SIZE(g_hash_table_lookup(present, name)) != packs[i].size)
            effort->lack =
                g_strdup_printf("it lacks packs of earlier snapshots, such as \"%s\"", name);
    }
    return true;
}

/* What is pushed reaches the required repositories first. */
static bool
find_missing_wal(Effort *effort, const BkBestEffortSnapshot *snapshot, GError **error)
{
    g_autoptr(GPtrArray) source_repos = g_ptr_array_new();
    const BkWalWait wait = {
        .source_repos = source_repos,
        .data_dir = snapshot->data_dir,
        .timeout_us = snapshot->timeout_us,
    };
    g_autoptr(GError) cause = NULL;

    g_ptr_array_add(source_repos, effort->source_repo);
    if (snapshot->meta->is_standalone || bk_wal_wait(&wait, snapshot->meta, effort->op, &cause))
        return true;
    if (!bk_error_is(cause, BK_ERROR_TIMEOUT) || !bk_op_check(effort->op, NULL))
        return bk_propagate(error, &cause);
    effort->lack = g_strdup("it lacks WAL that the snapshot needs");
    return true;
}

static bool
publish_one(Effort *effort, const void *data, GError **error)
{
    const BkBestEffortSnapshot *snapshot = data;
    BkObjectLock retain;

    if (!find_missing_pack(effort, &snapshot->publish, error))
        return false;
    if (effort->lack == NULL && !find_missing_wal(effort, snapshot, error))
        return false;
    return effort->lack != NULL ||
           (bk_object_lock_begin(&retain, effort->source_repo, snapshot->started_us,
                                 snapshot->publish.parent, effort->op, error) &&
            bk_publish(&snapshot->publish, effort->source_repo, effort->lease, &retain, effort->op,
                       error));
}

static bool
ask_whether_alive(Effort *effort, const void *data, GError **error)
{
    uint64_t size;

    (void)data;
    return bk_store_stat(bk_source_repo_store(effort->source_repo), "backstay.json", &size,
                         effort->op, error) ||
           bk_prefix(error, "at the end of the backup");
}

bool
bk_best_effort_publish(BkBestEffort *self, const BkBestEffortSnapshot *snapshot, GError **error)
{
    if (!call_each(self, ask_whether_alive, NULL,
                   MAX(self->options.patience_us / PATIENCE_PARTS, BK_USEC_PER_SEC), error))
        return false;
    return call_each(self, publish_one, snapshot, self->options.patience_us, error);
}

/* Looks for WAL that a repository of best effort lacks. */
typedef struct Comparison {
    GHashTable *own;
    bool lacks;
} Comparison;

static bool
note_own(const BkStoreEntry *entry, void *data, GError **error)
{
    Comparison *self = data;

    (void)error;
    (void)g_hash_table_add(self->own, g_strdup(entry->name));
    return true;
}

static bool
compare_with_own(const BkStoreEntry *entry, void *data, GError **error)
{
    Comparison *self = data;
    BkWalName name;

    (void)error;
    if (bk_wal_name_parse(bk_store_base_name(entry->name), &name) && name.kind == BK_WAL_SEGMENT &&
        !g_hash_table_contains(self->own, entry->name))
        self->lacks = true;
    return true;
}

/* The object that comes before the WAL of the newest snapshot that it had. NULL: none does. */
static char *
name_before(const Effort *effort)
{
    char name[BK_WAL_NAME_SIZE];
    BkWalName parsed;

    if (effort->newest.segno == 0)
        return NULL;
    parsed = bk_wal_name_of_segment(effort->newest.timeline, effort->newest.segno - 1,
                                    effort->newest.segment_size, name);
    return bk_archive_object_name(effort->source_repo, effort->newest.system_id, name, &parsed);
}

typedef struct CatchUp {
    const BkBestEffortSnapshot *snapshot;
    const BkSourceRepo *from;
} CatchUp;

/* Sets `*lacks` if `from` has WAL of the cluster, since the newest snapshot that it had, which it
 * has not. Without a snapshot of that cluster it is not known what it lacks. */
static bool
compare_wal(const Effort *effort, const CatchUp *wanted, bool *lacks, GError **error)
{
    g_autoptr(GHashTable) own = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autofree char *prefix =
        bk_archive_system_directory(effort->source_repo, effort->newest.system_id);
    g_autofree char *after = name_before(effort);
    Comparison comparison = {.own = own};

    if (effort->newest.system_id != wanted->snapshot->meta->system_id) {
        *lacks = true;
        return true;
    }
    if (!bk_store_list(bk_source_repo_store(effort->source_repo), prefix, after, note_own,
                       &comparison, effort->op, error) ||
        !bk_store_list(bk_source_repo_store(wanted->from), prefix, after, compare_with_own,
                       &comparison, effort->op, error))
        return false;
    *lacks = comparison.lacks;
    return true;
}

static bool
catch_up_one(Effort *effort, const void *data, GError **error)
{
    const CatchUp *self = data;
    bool has_newest = effort->newest.id[0] != 0;
    const BkCopyOptions options = {
        .since_us = has_newest ? effort->newest.started_us : self->snapshot->started_us,
        .workers = self->snapshot->publish.workers,
        .lease = effort->lease,
    };
    BkCopyReport report;
    bool lacks = effort->lack != NULL;

    if (!lacks && has_newest && !compare_wal(effort, self, &lacks, error))
        return false;
    if (!lacks)
        return true;
    if (!bk_replicate(self->from, effort->source_repo, &options, &report, effort->op, error))
        return bk_prefix(error, "bringing what it missed");
    g_clear_pointer(&effort->lack, g_free);
    return true;
}

bool
bk_best_effort_catch_up(BkBestEffort *self, const BkBestEffortSnapshot *snapshot,
                        const BkSourceRepo *from, GError **error)
{
    return call_each(self, catch_up_one, &(CatchUp){snapshot, from}, self->options.patience_us,
                     error);
}

/* That have a part and were not dropped. */
static bool
is_served(Effort *effort)
{
    bool is_live;

    (void)pthread_mutex_lock(&effort->mutex);
    is_live = effort->why == NULL && effort->source_repo != NULL;
    (void)pthread_mutex_unlock(&effort->mutex);
    return is_live;
}

void
bk_best_effort_remember(const BkBestEffort *self, const BkSourceSpec *source, const char *snapshot,
                        uint64_t system_id, const char *segment)
{
    for (guint i = 0; i < self->efforts->len; i++) {
        Effort *effort = effort_at(self, i);

        if (is_served(effort))
            bk_host_memory_add(source, effort->source_repo, effort->lack == NULL ? snapshot : NULL,
                               system_id, segment, self->op);
    }
}

void
bk_best_effort_remember_anew(const BkBestEffort *self, const BkSourceSpec *source)
{
    g_autoptr(GPtrArray) source_repos = g_ptr_array_new();

    for (guint i = 0; i < self->efforts->len; i++)
        if (is_served(effort_at(self, i)))
            g_ptr_array_add(source_repos, effort_at(self, i)->source_repo);
    bk_host_memory_begin_anew(source, &(BkTargets){.source_repos = source_repos}, self->op);
}

size_t
bk_best_effort_count(const BkBestEffort *self)
{
    return self->efforts->len;
}

const char *
bk_best_effort_name(const BkBestEffort *self, size_t index)
{
    return effort_at(self, index)->name;
}

const char *
bk_best_effort_why(const BkBestEffort *self, size_t index)
{
    const Effort *effort = effort_at(self, index);

    return effort->why != NULL ? effort->why : effort->lack;
}
