/* wal-push.c - archives WAL files: the work of archive_command. */
#include "engine/archive/wal-push.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/workers.h"
#include "repo/targets/targets.h"
#include "source/pg/archive/archive-check.h"
#include "source/pg/archive/archive-fill.h"
#include "source/pg/archive/archive.h"
#include "source/pg/archive/push-ahead.h"
#include "source/pg/archive/system-id.h"
#include "source/pg/archive/wal-origin.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

/* How many files one call archives for each worker: enough to spread the cost of starting over
 * many, few enough that the server need not wait long for its answer. */
#define FILES_PER_WORKER 8

/* How many files a repository gets at once while another one fails. */
#define FILES_APART 256

/* Once the file has failed, how small a share of the time-out another repository gets: each may be
 * the one that does not answer, and the server waits meanwhile. */
#define ALONE_SHARE 4

/* How long the server may have to wait for repositories that it need not wait for. */
#define BEST_EFFORT_US (5 * BK_USEC_PER_SEC)

typedef struct Push {
    const BkSourceSpec *source;
    const char *directory;
    BkTargets targets;
    bool is_apart;      /* only one repository is served, whatever its kind */
    uint64_t system_id; /* of the cluster of the wanted file; of others nothing is put */
    GPtrArray *names;   /* of char *: the wanted file first */
    atomic_uint next;
    pthread_mutex_t mutex;          /* guards what follows */
    bool was_opened;                /* the targets of best effort */
    bool is_open;                   /* the operation did not end meanwhile */
    char highest[BK_WAL_NAME_SIZE]; /* of the segments that were put; "": none */
    GPtrArray *ahead;               /* of char *: what was put beside the wanted file */
} Push;

static void
push_init(Push *self, const BkSourceSpec *source, const char *directory, const char *wanted,
          uint64_t system_id)
{
    *self = (Push){.source = source, .directory = directory, .system_id = system_id};
    self->names = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(self->names, g_strdup(wanted));
    self->ahead = g_ptr_array_new();
    (void)pthread_mutex_init(&self->mutex, NULL);
}

static void
push_clear(Push *self)
{
    bk_targets_clear(&self->targets);
    g_clear_pointer(&self->ahead, g_ptr_array_unref); /* they are of `names` */
    g_clear_pointer(&self->names, g_ptr_array_unref);
    (void)pthread_mutex_destroy(&self->mutex);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Push, push_clear)

static bool
is_segment(const char *name)
{
    BkWalName parsed;

    return bk_wal_name_parse(name, &parsed) && parsed.kind == BK_WAL_SEGMENT;
}

static int
compare_names(const void *left, const void *right)
{
    const char *const *a = left;
    const char *const *b = right;

    return strcmp(*a, *b);
}

/* Adds the segments behind the wanted one that the server has marked ready, in order. Not being
 * able to tell is no error: each will be asked for by a call of its own. */
static void
add_ready(Push *self, size_t limit)
{
    g_autofree char *status = g_build_filename(self->directory, "archive_status", NULL);
    g_autoptr(GPtrArray) ready = g_ptr_array_new_with_free_func(g_free);
    const char *wanted = g_ptr_array_index(self->names, 0);
    g_auto(BkFd) dir = bk_fd_open_dir(AT_FDCWD, status, NULL);
    g_autoptr(GPtrArray) marks = dir >= 0 ? bk_dir_list(dir, status, NULL) : NULL;

    for (guint i = 0; marks != NULL && i < marks->len; i++) {
        char *name = g_ptr_array_index(marks, i);
        char *suffix = strrchr(name, '.');

        if (suffix == NULL || strcmp(suffix, ".ready") != 0)
            continue;
        *suffix = 0;
        if (is_segment(name) && strcmp(name, wanted) > 0)
            g_ptr_array_add(ready, g_strdup(name));
    }
    g_ptr_array_sort(ready, compare_names);
    for (guint i = 0; i < ready->len && self->names->len < limit; i++)
        g_ptr_array_add(self->names, g_strdup(g_ptr_array_index(ready, i)));
}

/* Has the server marked the segment as complete, now or before? */
static bool
is_ready(const Push *self, const char *name)
{
    static const char *const marks[] = {"ready", "done"};

    for (size_t i = 0; i < G_N_ELEMENTS(marks); i++) {
        g_autofree char *mark =
            g_strdup_printf("%s/archive_status/%s.%s", self->directory, name, marks[i]);

        if (access(mark, F_OK) == 0)
            return true;
    }
    return false;
}

/* They are not even opened before the required repositories have something for them. */
static bool
open_best_effort(Push *self, GError **error)
{
    bool is_open;

    (void)pthread_mutex_lock(&self->mutex);
    if (!self->was_opened)
        self->is_open = bk_targets_open(&self->targets, BK_TARGETS_BEST_EFFORT, NULL) &&
                        bk_targets_create(&self->targets, BK_TARGETS_BEST_EFFORT, NULL);
    self->was_opened = true;
    is_open = self->is_open;
    (void)pthread_mutex_unlock(&self->mutex);
    return is_open || bk_throw(error, BK_ERROR_CANCELLED, "cancelled");
}

static void
note_put(Push *self, const char *name, const BkWalName *parsed)
{
    (void)pthread_mutex_lock(&self->mutex);
    if (name != g_ptr_array_index(self->names, 0))
        g_ptr_array_add(self->ahead, (void *)(uintptr_t)name);
    if (parsed->kind == BK_WAL_SEGMENT && strcmp(name, self->highest) > 0)
        (void)g_strlcpy(self->highest, name, sizeof self->highest);
    (void)pthread_mutex_unlock(&self->mutex);
}

/* What a writer has put last. */
typedef struct PutFile {
    BkArchiveWriter *writer;
    const BkArchiveFile *file;
    uint64_t system_id;
} PutFile;

static bool
put_file_again(BkTarget *target, const void *data, BkOp *op, GError **error)
{
    const PutFile *put = data;

    return bk_archive_put_again(put->writer, target->source_repo, put->file, put->system_id, op,
                                error);
}

static bool
put_file(Push *self, const char *name, const BkWalName *parsed, BkArchiveWriter *writer,
         BkBuf *content, BkOp *op, GError **error)
{
    g_autofree char *path = g_build_filename(self->directory, name, NULL);
    g_autofree char *before = bk_archive_identify(path);
    g_autofree char *identity = NULL;
    BkArchiveFile file = {
        .name = name,
        .parsed = *parsed,
        .content = content,
        .is_ready = is_ready(self, name),
    };

    if (!bk_file_read(AT_FDCWD, path, BK_ARCHIVE_FILE_MAX, content, error))
        return false;
    identity = bk_archive_identify(path);
    if (g_strcmp0(before, identity) == 0)
        file.identity = identity; /* so it was all the while */
    if (!bk_archive_check_other(&file, self->system_id, error) ||
        !bk_archive_put(writer, self->targets.source_repos, &file, self->system_id, op, error))
        return false;
    bk_op_advance(op, 0);
    note_put(self, name, parsed);
    return self->is_apart ||
           (open_best_effort(self, error) &&
            bk_targets_each(&self->targets, BK_TARGETS_BEST_EFFORT, put_file_again,
                            &(PutFile){writer, &file, self->system_id}, op, error));
}

/* The parts of which a question costs nothing, or those of which it costs a request. A new array,
 * which owns nothing. */
static GPtrArray *
choose_parts(const Push *self, bool is_far)
{
    GPtrArray *chosen = g_ptr_array_new();

    for (guint i = 0; i < self->targets.source_repos->len; i++) {
        BkSourceRepo *source_repo = g_ptr_array_index(self->targets.source_repos, i);

        if (bk_store_is_remote(bk_source_repo_store(source_repo)) == is_far)
            g_ptr_array_add(chosen, source_repo);
    }
    return chosen;
}

/* Asks whether the wanted file is archived, where that is cheaper than to put it. In a bucket it is
 * not, since a put of what is there is refused; but when all that is near has it, so may all. */
static bool
find_wanted(const Push *self, const char *path, const BkWalName *parsed, bool *archived, BkOp *op,
            GError **error)
{
    g_autoptr(GPtrArray) near = choose_parts(self, false);
    g_autoptr(GPtrArray) far = choose_parts(self, true);

    *archived = false;
    return near->len == 0 ||
           (bk_archive_has(near, self->system_id, path, parsed, archived, op, error) &&
            (!*archived ||
             bk_archive_has(far, self->system_id, path, parsed, archived, op, error)));
}

/* The same of one behind it, by its name: the server's own call for it asks for the rest. */
static bool
find_behind(const Push *self, const char *name, const BkWalName *parsed, bool *archived, BkOp *op,
            GError **error)
{
    g_autoptr(GPtrArray) near = choose_parts(self, false);

    *archived =
        near->len == 0 && bk_push_ahead_has(g_ptr_array_index(self->targets.source_repos, 0), name);
    return near->len == 0 ||
           bk_archive_has_name(near, self->system_id, name, parsed, archived, op, error);
}

/* The wanted file is not there, as the caller knows; one behind it may be. */
static bool
push_one(Push *self, unsigned index, BkArchiveWriter *writer, BkBuf *content, BkOp *op,
         GError **error)
{
    const char *name = g_ptr_array_index(self->names, index);
    BkWalName parsed;
    bool has = false;

    if (!bk_wal_name_parse(name, &parsed))
        g_assert_not_reached();
    if (index > 0 && !find_behind(self, name, &parsed, &has, op, error))
        return false;
    return has || put_file(self, name, &parsed, writer, content, op, error);
}

static bool
run_worker(unsigned index, void *data, BkOp *op, GError **error)
{
    Push *self = data;
    g_autoptr(BkArchiveWriter) writer =
        bk_archive_writer_new(self->source->codec, self->source->level);
    g_auto(BkBuf) content = BK_BUF_INIT;
    unsigned next;

    (void)index;
    while ((next = atomic_fetch_add(&self->next, 1)) < self->names->len) {
        g_autoptr(GError) cause = NULL;

        if (push_one(self, next, writer, &content, op, &cause))
            continue;
        if (next == 0)
            return bk_propagate(error, &cause);
        /* The call that the server makes for this one will report it. */
        bk_log(BK_LOG_INFO, "archiving %s ahead: %s",
               (const char *)g_ptr_array_index(self->names, next), cause->message);
    }
    return true;
}

static bool
run_workers(Push *self, BkOp *op, GError **error)
{
    self->next = 0;
    return bk_workers_run(MIN(self->source->workers, self->names->len), run_worker, self, op,
                          error);
}

/* Puts the wanted file, and those behind it up to `limit` in all, into the open parts. */
static bool
push_names(Push *self, size_t limit, BkOp *op, GError **error)
{
    const char *wanted = g_ptr_array_index(self->names, 0);

    if (!bk_system_check_wal(g_ptr_array_index(self->targets.source_repos, 0), self->system_id, op,
                             error))
        return bk_prefix(error, "\"%s\" is not archived", wanted);
    if (is_segment(wanted))
        add_ready(self, limit);
    return run_workers(self, op, error);
}

/* A new timeline begins here: what of its ancestors did nobody archive? The next backup looks for
 * it again, so this is no reason to have the server call once more. */
static void
fill_ancestors(const Push *self, uint32_t timeline, BkOp *op)
{
    BkArchiveFillRequest request = {
        .source_repos = self->targets.source_repos,
        .wal_dir = self->directory,
        .timeline = timeline,
        .system_id = self->system_id,
        .codec = self->source->codec,
        .level = self->source->level,
    };
    g_autoptr(GError) cause = NULL;
    BkArchiveFilled filled;

    if (!bk_wal_fill(&request, &filled, op, &cause))
        bk_log(BK_LOG_WARNING,
               "whether the archive lacks WAL of before timeline %u is not known: %s", timeline,
               cause->message);
}

static bool
push_everywhere(const BkSourceSpec *source, const char *directory, const char *name,
                const BkWalName *parsed, uint64_t system_id, BkOp *op, GError **error)
{
    g_autoptr(BkOp) own = bk_op_new(op);
    const BkTargetsOptions options = {
        .patience_us = BEST_EFFORT_US,
        .budget_us = BEST_EFFORT_US,
    };
    g_auto(Push) self = {NULL};
    g_autofree char *path = g_build_filename(directory, name, NULL);
    bool archived; /* by an earlier call, ahead */
    bool ok;

    bk_op_set_patience(own, source->push_timeout_us);
    if (!bk_archive_fill_is_due(directory, name, parsed) &&
        bk_push_ahead_find(source, path, parsed, system_id, own))
        return true;
    push_init(&self, source, directory, name, system_id);
    bk_targets_init(&self.targets, source, &options, own);
    if (!bk_targets_open(&self.targets, BK_TARGETS_REQUIRED, error) ||
        !bk_targets_create(&self.targets, BK_TARGETS_REQUIRED, error) ||
        !find_wanted(&self, path, parsed, &archived, own, error))
        return false;
    ok = archived || push_names(&self, (size_t)source->workers * FILES_PER_WORKER, own, error);
    if (self.ahead->len > 0)
        bk_push_ahead_note(&self.targets, self.ahead);
    if (!ok)
        return false;
    if (self.highest[0] != 0) /* for later: what is not there any more then was removed */
        bk_targets_remember(&self.targets, BK_TARGETS_ALL, NULL, self.system_id, self.highest);
    if (bk_archive_fill_is_due(directory, name, parsed))
        fill_ancestors(&self, parsed->timeline, own);
    return true;
}

static bool
push_alone(const BkSourceSpec *source, const BkRepositorySpec *spec, const char *directory,
           const char *name, uint64_t system_id, BkOp *op, GError **error)
{
    g_autoptr(BkOp) own = bk_op_new(op);
    g_auto(Push) self = {NULL};

    push_init(&self, source, directory, name, system_id);
    self.is_apart = true;
    if (spec->is_required)
        bk_op_set_patience(own, source->push_timeout_us / ALONE_SHARE);
    else
        bk_op_set_deadline(own, g_get_monotonic_time() + BEST_EFFORT_US);
    return bk_targets_open_for_reading(source, spec->name, &self.targets, own, error) &&
           (self.targets.source_repos->len == 0 || push_names(&self, FILES_APART, own, error));
}

/* Each repository by itself gets all that is ready: one that is down for days must not keep the
 * others from having the WAL of these days. */
static void
push_apart(const BkSourceSpec *source, const char *directory, const char *name, uint64_t system_id,
           BkOp *op)
{
    for (size_t i = 0; i < source->repository_count; i++) {
        const BkRepositorySpec *spec = &source->repositories[i];
        g_autoptr(GError) cause = NULL;

        if (!push_alone(source, spec, directory, name, system_id, op, &cause))
            bk_log(BK_LOG_INFO, "archiving into repository \"%s\" alone: %s", spec->name,
                   cause->message);
    }
}

/* May the failure be one repository's own, which the others do not share? */
static bool
may_be_of_one(const GError *error)
{
    static const BkErrorCode of_all[] = {BK_ERROR_CANCELLED, BK_ERROR_CONFLICT, BK_ERROR_UNFIT,
                                         BK_ERROR_USAGE};

    for (size_t i = 0; i < G_N_ELEMENTS(of_all); i++)
        if (bk_error_is(error, of_all[i]))
            return false;
    return true;
}

/* The archiver's log is read by people who know the server, not this program. */
static void
explain_timeout(const BkSourceSpec *source, const char *name, GError **cause)
{
    g_autofree char *message = NULL;

    if (!bk_error_is(*cause, BK_ERROR_TIMEOUT))
        return;
    message = g_strdup_printf("\"%s\" is not archived: nothing has moved in a repository of "
                              "\"%s\" for %.3g s (push_timeout): %s; the server will try again",
                              name, source->name, (double)source->push_timeout_us / BK_USEC_PER_SEC,
                              (*cause)->message);
    g_clear_error(cause);
    bk_throw(cause, BK_ERROR_TIMEOUT, "%s", message);
}

/* The cluster that the file is of. Without one that is told, the file is no WAL, or nobody knows
 * whose. */
static bool
find_origin(const char *path, const char *name, const BkWalName *parsed, uint64_t *system_id,
            GError **error)
{
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_auto(BkWalInfo) info = {0};
    g_auto(BkWalBlocks) blocks = {0};
    const BkArchiveFile file = {.name = name, .parsed = *parsed, .content = &content};

    *system_id = bk_wal_origin_of_file(path, parsed);
    if (*system_id != 0)
        return true;
    if (!bk_file_read(AT_FDCWD, path, BK_ARCHIVE_FILE_MAX, &content, error) ||
        !bk_archive_check_other(&file, 0, error) ||
        (parsed->kind == BK_WAL_SEGMENT &&
         !bk_archive_check_segment(&file, 0, &info, &blocks, error)))
        return false;
    return bk_throw(error, BK_ERROR_UNFIT,
                    "\"%s\" is not archived: nothing beside it tells of which cluster it is "
                    "(global/pg_control of the data directory, or a WAL segment)",
                    name);
}

bool
bk_wal_push(const BkSourceSpec *source, const char *path, BkOp *op, GError **error)
{
    g_autofree char *directory = g_path_get_dirname(path);
    g_autofree char *name = g_path_get_basename(path);
    g_autoptr(GError) cause = NULL;
    BkWalName parsed;
    uint64_t system_id;

    if (!bk_wal_name_parse(name, &parsed))
        return bk_throw(error, BK_ERROR_USAGE, "\"%s\" is not the name of a WAL file", name);
    if (!find_origin(path, name, &parsed, &system_id, error))
        return false;
    if (push_everywhere(source, directory, name, &parsed, system_id, op, &cause))
        return true;
    if (source->repository_count > 1 && may_be_of_one(cause))
        push_apart(source, directory, name, system_id, op);
    explain_timeout(source, name, &cause);
    return bk_propagate(error, &cause);
}
