/* wal-fetch.c - fetches WAL files from the archive: the work of restore_command. */
#include "source/pg/archive/wal-fetch.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/workers.h"
#include "repo/targets/targets.h"
#include "source/pg/archive/archive-gap.h"
#include "source/pg/archive/archive.h"
#include "source/pg/archive/prefetch.h"
#include "source/pg/archive/wal-origin.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HOLE_TRIES    20 /* while a segment may be on its way */
#define HOLE_PAUSE_US (BK_USEC_PER_SEC / 2)

/* For a repository of best effort: to open it, and to get a file that recovery can do without. */
#define OPEN_US  (10 * BK_USEC_PER_SEC)
#define SPARE_US (30 * BK_USEC_PER_SEC)

typedef struct Ahead {
    BkPrefetch *directory;
    const BkSourceRepo *source_repo;
    uint64_t system_id;
    uint32_t timeline;
    uint32_t segment_size;
    uint64_t first;
    uint64_t count;
    atomic_uint_fast64_t next;
} Ahead;

/* What repositories have answered that did not give the file. */
typedef struct Answers {
    GError *worst;  /* of those that could be asked */
    GError *outage; /* the first that could not; NULL: all could */
    size_t outages;
} Answers;

static void
answers_clear(Answers *self)
{
    g_clear_error(&self->worst);
    g_clear_error(&self->outage);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Answers, answers_clear)

/* "Not there" is said when every repository that has to was asked and answered so. */
static void
throw_answers(Answers *self, const BkSourceSpec *source, GError **error)
{
    if (self->outages == source->repository_count)
        (void)bk_propagate(error, &self->outage);
    else if (self->outages > 0)
        (void)bk_throw(error, BK_ERROR_STORE,
                       "%s; it may have the file, so recovery must not end here: try again when it "
                       "answers, or restore with --repository from another one",
                       self->outage->message);
    else if (self->worst == NULL)
        (void)bk_throw(error, BK_ERROR_NOT_FOUND, "no repository has WAL of this source");
    else
        (void)bk_propagate(error, &self->worst);
}

/* Returns true if `name` is behind `last`, a segment. What a plan has counted on are the segments
 * up to its last one, and the histories of all timelines that were there; the first one has none.
 */
static bool
is_past_last_segment(const BkWalName *name, const BkWalName *last)
{
    if (last == NULL)
        return false;
    if (name->kind != BK_WAL_SEGMENT)
        return name->timeline > last->timeline || name->timeline == 1;
    return name->log > last->log || (name->log == last->log && name->seg > last->seg);
}

/* Opens one repository. Recovery does not wait long for one of best effort: another one may have
 * the file. `own` is the operation for that one alone. */
static bool
open_fetch_repository(const BkSourceSpec *source, const BkRepositorySpec *spec, BkTargets *targets,
                      BkOp *own, GError **error)
{
    bool ok;

    bk_targets_clear(targets);
    if (!spec->is_required)
        bk_op_set_deadline(own, g_get_monotonic_time() + OPEN_US);
    ok = bk_targets_open_for_reading(source, spec->name, targets, own, error);
    bk_op_set_deadline(own, 0);
    return ok;
}

static void
note_outage(Answers *answers, GError **cause)
{
    answers->outages++;
    if (answers->outage == NULL)
        answers->outage = g_steal_pointer(cause);
}

/* Returns true if a repository that could not be asked counts as one without the file: the plan did
 * not count on it, and of a repository of best effort nobody has to wait for the answer. */
static bool
is_passed_by(const BkWalFetch *fetch, const BkWalName *parsed, const BkRepositorySpec *spec,
             const GError *cause)
{
    if (spec->is_required || !is_past_last_segment(parsed, fetch->reach) ||
        bk_error_is(cause, BK_ERROR_NOT_FOUND) || bk_error_is(cause, BK_ERROR_CORRUPT))
        return false;
    bk_log(BK_LOG_WARNING, "not waiting for %s, since repository \"%s\" is best-effort: %s",
           fetch->name, spec->name, cause->message);
    return true;
}

/* What is asked for, and what was answered so far. */
typedef struct Question {
    const BkWalFetch *fetch;
    const BkWalName *parsed;
    BkArchiveGap *hole; /* NULL: nobody wants to know */
    Answers *answers;
} Question;

/* Looks for later WAL in a repository that does not have the file, until one shows it. */
static void
ask_for_hole(Question *self, const BkRepositorySpec *spec, const BkSourceRepo *source_repo,
             BkOp *op)
{
    g_autoptr(GError) cause = NULL;

    if (self->hole == NULL || self->hole->evidence != NULL ||
        bk_archive_gap_find(source_repo, self->fetch->system_id, self->parsed, g_get_real_time(),
                            self->hole, op, &cause) ||
        is_passed_by(self->fetch, self->parsed, spec, cause))
        return;
    bk_targets_keep_worst(&self->answers->worst, &cause);
}

/* The file from the first repository that has it whole: its part, in `targets`. Those behind it are
 * not even opened: they may take long to fail. A repository without the file is asked for `hole`
 * (may be NULL), until one shows it. */
static const BkSourceRepo *
get_from_first_repository(const BkSourceSpec *source, const BkWalFetch *fetch,
                          const BkWalName *parsed, BkBuf *content, BkTargets *targets,
                          BkArchiveGap *hole, BkOp *op, GError **error)
{
    g_auto(Answers) answers = {NULL};
    Question asked = {fetch, parsed, hole, &answers};

    for (size_t i = 0; i < source->repository_count; i++) {
        const BkRepositorySpec *spec = &source->repositories[i];
        g_autoptr(BkOp) own = bk_op_new(op);
        g_autoptr(GError) cause = NULL;
        const BkSourceRepo *source_repo;

        if (!bk_op_check(op, error))
            return NULL;
        if (!open_fetch_repository(source, spec, targets, own, &cause)) {
            if (!is_passed_by(fetch, parsed, spec, cause))
                note_outage(&answers, &cause);
            continue;
        }
        if (targets->source_repos->len == 0)
            continue; /* it holds nothing of the source */
        source_repo = g_ptr_array_index(targets->source_repos, 0);
        if (!spec->is_required && is_past_last_segment(parsed, fetch->reach))
            bk_op_set_deadline(own, g_get_monotonic_time() + SPARE_US);
        if (bk_archive_get(source_repo, fetch->system_id, fetch->name, parsed, content, own,
                           &cause))
            return source_repo;
        if (is_passed_by(fetch, parsed, spec, cause))
            continue;
        if (bk_error_is(cause, BK_ERROR_NOT_FOUND))
            ask_for_hole(&asked, spec, source_repo, own);
        bk_targets_keep_worst(&answers.worst, &cause);
    }
    throw_answers(&answers, source, error);
    return NULL;
}

/* --- absent: the end of the WAL, or a hole -------------------------------------------------- */

/* Returns true if a hole does no harm: a standby waits for the segment and takes it from its
 * primary, and a server that has it in its own pg_wal reads it there. */
static bool
is_hole_harmless(const char *name, const char *path)
{
    g_autofree char *wal = g_path_get_dirname(path);
    g_autofree char *data = g_path_get_dirname(wal);
    g_autofree char *own = g_build_filename(wal, name, NULL);
    g_autofree char *standby = g_build_filename(data, "standby.signal", NULL);

    return access(own, F_OK) == 0 || access(standby, F_OK) == 0;
}

/* The segment, or NULL: with BK_ERROR_NOT_FOUND at the end of the WAL, with BK_ERROR_ABSENT where
 * later WAL is there. */
static const BkSourceRepo *
get_or_explain(const BkSourceSpec *source, const BkWalFetch *fetch, const BkWalName *parsed,
               BkBuf *content, BkTargets *targets, BkOp *op, GError **error)
{
    const bool looks = parsed->kind == BK_WAL_SEGMENT &&
                       !is_past_last_segment(parsed, fetch->until) &&
                       !is_hole_harmless(fetch->name, fetch->path);

    for (unsigned tries = 1;; tries++) {
        g_autoptr(GError) cause = NULL;
        g_auto(BkArchiveGap) hole = {NULL};
        const BkSourceRepo *source_repo = get_from_first_repository(
            source, fetch, parsed, content, targets, looks ? &hole : NULL, op, &cause);

        if (source_repo != NULL)
            return source_repo;
        if (hole.evidence == NULL || !bk_error_is(cause, BK_ERROR_NOT_FOUND)) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return NULL;
        }
        if (!hole.is_fresh || tries == HOLE_TRIES) {
            (void)bk_throw(error, BK_ERROR_ABSENT,
                           "WAL segment \"%s\" of \"%s\" is missing in every repository, though "
                           "\"%s\" exists: recovery must not end at this gap; archive the segment "
                           "from the server's pg_wal, or restore to a target before it",
                           fetch->name, source->name, hole.evidence);
            return NULL;
        }
        if (!bk_op_sleep(op, HOLE_PAUSE_US, error))
            return NULL;
    }
}

static bool
write_whole(const char *path, const BkBuf *content, GError **error)
{
    g_autofree char *temp = g_strdup_printf("%s.backstay-%ld", path, (long)getpid());
    g_auto(BkFd) fd = -1;
    bool ok;

    (void)unlink(temp); /* of a process that died and had this number */
    fd = bk_fd_open(AT_FDCWD, temp, O_WRONLY | O_CREAT | O_EXCL, bk_file_mode_beside(temp), error);
    ok = fd >= 0 && bk_fd_write(fd, content->data, content->size, error);
    if (ok && rename(temp, path) < 0)
        ok = bk_throw_errno(error, "rename \"%s\"", temp);
    if (!ok)
        (void)unlink(temp);
    return ok || bk_prefix(error, "\"%s\"", path);
}

static bool
fetch_ahead_worker(unsigned index, void *data, BkOp *op, GError **error)
{
    Ahead *ahead = data;
    g_auto(BkBuf) content = BK_BUF_INIT;
    uint64_t next;

    (void)index;
    while ((next = atomic_fetch_add(&ahead->next, 1)) < ahead->count) {
        char name[BK_WAL_NAME_SIZE];
        const BkWalName parsed =
            bk_wal_name_of_segment(ahead->timeline, ahead->first + next, ahead->segment_size, name);

        if (bk_prefetch_has(ahead->directory, name))
            continue;
        if (!bk_archive_get(ahead->source_repo, ahead->system_id, name, &parsed, &content, op,
                            error) ||
            !bk_prefetch_put(ahead->directory, name, content.data, content.size, error))
            return false;
    }
    return true;
}

/* The object of the segment so many behind the first one; a new string. */
static char *
name_ahead(const Ahead *ahead, uint64_t index)
{
    char name[BK_WAL_NAME_SIZE];
    const BkWalName parsed =
        bk_wal_name_of_segment(ahead->timeline, ahead->first + index, ahead->segment_size, name);

    return bk_archive_object_name(ahead->source_repo, ahead->system_id, name, &parsed);
}

typedef struct Count {
    const Ahead *ahead;
    uint64_t present;
    uint64_t wanted;
} Count;

/* Ends the listing with the first name that is not the next one. */
static bool
count_next(const BkStoreEntry *entry, void *data, GError **error)
{
    Count *self = data;
    g_autofree char *next = name_ahead(self->ahead, self->present);

    if (strcmp(entry->name, next) != 0)
        return bk_throw(error, BK_ERROR_ABSENT, "not there");
    self->present++;
    return self->present < self->wanted || bk_throw(error, BK_ERROR_EXISTS, "enough");
}

/* How many of the wanted segments the repository has without a gap. Where requests are slow, one
 * listing tells. */
static uint64_t
count_present(const Ahead *ahead, uint64_t wanted, BkOp *op)
{
    BkStore *store = bk_source_repo_store(ahead->source_repo);
    g_autofree char *directory =
        bk_archive_timeline_directory(ahead->source_repo, ahead->system_id, ahead->timeline);
    g_autofree char *before = name_ahead(ahead, UINT64_MAX); /* the one that was asked for */
    Count count = {.ahead = ahead, .wanted = wanted};
    g_autoptr(GError) end = NULL;

    if (bk_store_is_remote(store)) {
        (void)!bk_store_list(store, directory, before, count_next, &count, op, &end);
        return count.present;
    }
    for (; count.present < wanted; count.present++) {
        g_autofree char *object = name_ahead(ahead, count.present);
        uint64_t size;

        if (!bk_store_stat(store, object, &size, op, NULL))
            break;
    }
    return count.present;
}

/* Is from `source_repo` at least the first of the wanted segments to be had? */
static bool
find_count(Ahead *ahead, const BkSourceRepo *source_repo, uint64_t wanted, BkOp *op)
{
    ahead->source_repo = source_repo;
    ahead->count = count_present(ahead, wanted, op);
    return ahead->count > 0;
}

/* In a process of its own, which nobody waits for; what it cannot fetch will be asked for again. */
static void
run_ahead(Ahead *ahead, unsigned workers, BkOp *op)
{
    char last[BK_WAL_NAME_SIZE];

    bk_wal_segment_name(ahead->timeline, ahead->first + ahead->count - 1, ahead->segment_size,
                        last);
    if (bk_prefetch_announce(ahead->directory, last, NULL) &&
        !bk_workers_run((unsigned)MIN(workers, ahead->count), fetch_ahead_worker, ahead, op, NULL))
        return;
}

static void
leave_terminal(void)
{
    int null = open("/dev/null", O_RDWR);

    (void)setsid();
    for (int fd = 0; null >= 0 && fd <= 2; fd++)
        (void)dup2(null, fd);
    if (null > 2)
        (void)close(null);
}

/* In the child: from `source_repo` (may be NULL) when that has the next segment, or else from the
 * first repository that has it. */
static void
fetch_on(const BkSourceSpec *source, Ahead *ahead, const BkSourceRepo *source_repo, unsigned wanted)
{
    g_autoptr(BkOp) op = bk_op_new(NULL);
    bool found = source_repo != NULL && find_count(ahead, source_repo, wanted, op);

    if (found)
        run_ahead(ahead, source->workers, op);
    for (size_t i = 0; !found && i < source->repository_count; i++) {
        g_autoptr(BkOp) own = bk_op_new(op);
        g_auto(BkTargets) opened = {0};

        found = open_fetch_repository(source, &source->repositories[i], &opened, own, NULL) &&
                opened.source_repos->len > 0 &&
                find_count(ahead, g_ptr_array_index(opened.source_repos, 0), wanted, op);
        if (found)
            run_ahead(ahead, source->workers, op);
    }
}

/* Starts a process that fetches the segments behind the one that was asked for. */
static void
start_ahead(const BkSourceSpec *source, const BkWalFetch *fetch, const BkSourceRepo *source_repo,
            const BkWalName *parsed, uint32_t segment_size, BkPrefetch *directory)
{
    Ahead ahead = {
        .directory = directory,
        .system_id = fetch->system_id,
        .timeline = parsed->timeline,
        .segment_size = segment_size,
    };

    if (fetch->ahead == 0 || !bk_wal_name_segno(parsed, segment_size, &ahead.first) ||
        !bk_prefetch_lock(directory, fetch->name))
        return;
    ahead.first++;
    /* Two processes cannot share the connections of a store that is far away. */
    if (source_repo != NULL && bk_store_is_remote(bk_source_repo_store(source_repo)))
        source_repo = NULL;
    if (fork() == 0) {
        /* The parent's handlers cancel what is not ours. */
        (void)signal(SIGINT, SIG_DFL);
        (void)signal(SIGTERM, SIG_DFL);
        leave_terminal();
        fetch_on(source, &ahead, source_repo, fetch->ahead);
        _exit(0);
    }
}

/* Goes on fetching before the last of those fetched ahead has been taken: recovery is not to wait
 * for the next ones. The segment was taken just now. */
static void
refill_prefetch(const BkSourceSpec *source, const BkWalFetch *fetch, const BkWalName *parsed,
                BkPrefetch *directory)
{
    char middle[BK_WAL_NAME_SIZE];
    struct stat st;
    uint64_t segno;

    if (stat(fetch->path, &st) < 0 || st.st_size <= 0 ||
        (uint64_t)st.st_size > BK_ARCHIVE_FILE_MAX ||
        !bk_wal_name_segno(parsed, (uint32_t)st.st_size, &segno))
        return;
    bk_wal_segment_name(parsed->timeline, segno + (fetch->ahead + 1) / 2, (uint32_t)st.st_size,
                        middle);
    if (!bk_prefetch_has(directory, middle))
        start_ahead(source, fetch, NULL, parsed, (uint32_t)st.st_size, directory);
}

/* What tells the archive of one cluster from all others that recovery may ever ask here. */
static char *
identify_fetch(const BkSourceSpec *source, uint64_t system_id)
{
    g_autoptr(GString) text = g_string_new(source->name);

    g_string_append_printf(text, "\n%" G_GUINT64_FORMAT, system_id);
    for (size_t i = 0; i < source->repository_count; i++) {
        const BkLocation *place = &source->repositories[i].place;

        if (place->path != NULL)
            g_string_append_printf(text, "\n%s", place->path);
        else
            g_string_append_printf(text, "\n%s\n%s\n%s",
                                   place->s3->endpoint != NULL ? place->s3->endpoint : "",
                                   place->s3->bucket, place->s3->prefix);
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* --- of which cluster ------------------------------------------------------------------------- */

static bool
note_listed_system(const BkStoreEntry *entry, void *data, GError **error)
{
    GArray *systems = data;
    const char *end = entry->name + strlen(entry->name);
    uint64_t system_id;
    g_autofree char *digits = NULL;

    (void)error;
    if (end - entry->name < 17 || end[-1] != '/')
        return true;
    digits = g_strndup(end - 17, 16);
    if (g_ascii_string_to_unsigned(digits, 16, 1, G_MAXUINT64, &system_id, NULL))
        g_array_append_val(systems, system_id);
    return true;
}

/* Adds the clusters of which one repository has WAL. */
static bool
list_systems(const BkSourceSpec *source, const BkRepositorySpec *spec, GArray *systems, BkOp *op,
             GError **error)
{
    g_auto(BkTargets) targets = {0};
    g_autofree char *directory = NULL;
    const BkSourceRepo *source_repo;

    if (!bk_targets_open_for_reading(source, spec->name, &targets, op, error))
        return false;
    if (targets.source_repos->len == 0)
        return true;
    source_repo = g_ptr_array_index(targets.source_repos, 0);
    directory = bk_source_repo_object_name(source_repo, "wal/");
    return bk_store_list_directory(bk_source_repo_store(source_repo), directory, note_listed_system,
                                   systems, op, error);
}

/* The only cluster of which the archive has WAL. Each required repository has to answer, since what
 * one does not have proves nothing; those of best effort follow them, and are asked only where
 * they have nothing. */
static bool
find_only_system(const BkSourceSpec *source, uint64_t *only, BkOp *op, GError **error)
{
    g_autoptr(GArray) systems = g_array_new(FALSE, FALSE, sizeof(uint64_t));

    *only = 0;
    for (int is_required = 1; systems->len == 0 && is_required >= 0; is_required--)
        for (size_t i = 0; i < source->repository_count; i++)
            if (source->repositories[i].is_required == (is_required == 1) &&
                !list_systems(source, &source->repositories[i], systems, op, error))
                return false;
    for (guint i = 0; i < systems->len; i++) {
        const uint64_t one = g_array_index(systems, uint64_t, i);

        if (*only != 0 && one != *only)
            return bk_throw(
                error, BK_ERROR_UNFIT,
                "\"%s\" has WAL of several clusters: choose one with --system N, or give a path in "
                "pg_wal of a data directory with a readable global/pg_control",
                source->name);
        *only = one;
    }
    return *only != 0 ||
           bk_throw(error, BK_ERROR_NOT_FOUND, "no repository has WAL of this source");
}

static bool
find_fetch_system(const BkSourceSpec *source, BkWalFetch *fetch, BkOp *op, GError **error)
{
    g_autofree char *wal_dir = g_path_get_dirname(fetch->path);

    if (fetch->system_id == 0)
        fetch->system_id = bk_wal_origin_of_directory(wal_dir);
    return fetch->system_id != 0 || find_only_system(source, &fetch->system_id, op, error);
}

/* The server reads ahead of its target: what is wrong there must not stop it before. */
static bool
is_needless(const BkWalFetch *fetch, const BkWalName *parsed, const GError *cause)
{
    return parsed->kind == BK_WAL_SEGMENT && is_past_last_segment(parsed, fetch->until) &&
           bk_targets_is_at_fault(cause);
}

bool
bk_wal_fetch(const BkSourceSpec *source, const BkWalFetch *request, BkOp *op, GError **error)
{
    BkWalFetch told = *request;
    const BkWalFetch *fetch = &told;
    g_autofree char *archive = NULL;
    g_autoptr(BkPrefetch) directory = NULL;
    g_auto(BkTargets) targets = {0};
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_autoptr(GError) cause = NULL;
    const BkSourceRepo *source_repo;
    BkWalName parsed;
    bool taken = false;

    if (!bk_wal_name_parse(fetch->name, &parsed))
        return bk_throw(error, BK_ERROR_USAGE, "\"%s\" is not the name of a WAL file", fetch->name);
    if (!find_fetch_system(source, &told, op, error))
        return false;
    archive = identify_fetch(source, fetch->system_id);
    directory = bk_prefetch_new(fetch->path, archive);
    if (parsed.kind == BK_WAL_SEGMENT &&
        !bk_prefetch_take(directory, fetch->name, fetch->path, &taken, op, error))
        return false;
    if (parsed.kind == BK_WAL_SEGMENT && taken) {
        refill_prefetch(source, fetch, &parsed, directory);
        return true;
    }
    source_repo = get_or_explain(source, fetch, &parsed, &content, &targets, op, &cause);
    if (source_repo == NULL) {
        if (is_needless(fetch, &parsed, cause))
            return bk_throw(
                error, BK_ERROR_NOT_FOUND,
                "%s cannot be read, but recovery ends before it and does not need it: %s",
                fetch->name, cause->message);
        /* Recovery ends with asking for the history of the next timeline, which is not there. */
        if (parsed.kind == BK_WAL_HISTORY && bk_error_is(cause, BK_ERROR_NOT_FOUND))
            bk_prefetch_discard(directory);
        return bk_propagate(error, &cause);
    }
    if (!write_whole(fetch->path, &content, error))
        return false;
    if (parsed.kind == BK_WAL_SEGMENT)
        start_ahead(source, fetch, source_repo, &parsed, (uint32_t)content.size, directory);
    return true;
}
