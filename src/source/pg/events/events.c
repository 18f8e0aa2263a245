/* events.c - what destroyed data between two points in time: transactions in the archived WAL. */
#include "source/pg/events/events.h"

#include "base/log.h"
#include "repo/targets/targets.h"
#include "source/pg/cluster/server.h"
#include "source/pg/events/snapshot-relation-names.h"
#include "source/pg/history/systems.h"
#include "source/pg/restore/plan-lines.h"
#include "source/pg/restore/plan-proof.h"

#include <string.h>

/* The server is asked for names only; when it is gone, nobody shall wait for it. */
#define SERVER_WAIT_US (5 * BK_USEC_PER_SEC)

typedef struct Reading {
    const BkSourceSpec *source;
    const BkEventsRequest *request;
    BkEvents *timeline;
    BkOp *op;
    const GPtrArray *source_repos;    /* of BkSourceRepo */
    const BkSystem *system;           /* the cluster */
    const BkRecoveryIndex *past;      /* of it, in all repositories together */
    BkSnapshotRelationNames *catalog; /* or NULL */
    uint64_t system_id;               /* of what was read */
    BkLsn window_lsn;                 /* recovery cannot stop before */
    uint64_t changes;                 /* of all events */
} Reading;

static void
free_event(void *data)
{
    BkEvent *event = data;

    g_free((void *)(uintptr_t)event->xact.changes);
    g_free(event);
}

void
bk_events_clear(BkEvents *self)
{
    g_clear_pointer(&self->events, g_ptr_array_unref);
    g_clear_pointer(&self->problems, g_ptr_array_unref);
    g_clear_pointer(&self->others, g_ptr_array_unref);
    g_clear_pointer(&self->repositories, g_ptr_array_unref);
}

static void
add_event_problem(const Reading *self, BkProblemCode code, const char *cause)
{
    bk_problem_add(self->timeline->problems, code,
                   .source = bk_source_repo_source(self->past->source_repo), .cause = cause);
}

static BkRelationNames *
open_catalog(uint32_t database, void *user)
{
    Reading *self = user;

    return self->catalog != NULL
               ? bk_snapshot_relation_names_open(self->catalog, database, self->op)
               : NULL;
}

static bool
on_xact(const BkWalXact *xact, void *user, GError **error)
{
    Reading *self = user;
    BkEvents *timeline = self->timeline;
    BkEvent *event;

    if (!bk_op_check(self->op, error))
        return false;
    if (xact->lsn < self->window_lsn || xact->time_us < self->request->from_us ||
        xact->time_us > self->request->to_us)
        return true;
    if (timeline->events->len == BK_EVENTS_MAX ||
        self->changes + xact->count > BK_EVENTS_CHANGES_MAX) {
        timeline->omitted++;
        return true;
    }
    event = g_new0(BkEvent, 1);
    event->xact = *xact;
    event->xact.changes = g_memdup2(xact->changes, xact->count * sizeof *xact->changes);
    event->has_before = xact->before >= self->window_lsn;
    self->changes += xact->count;
    g_ptr_array_add(timeline->events, event);
    return true;
}

/* Damage of one segment ends recovery there, but not the search for what happened. */
static bool
read_events_of_segment(Reading *self, BkWalXacts *xacts, uint32_t timeline, uint64_t segno,
                       BkWalXactsSegment *told, GError **error)
{
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_autoptr(GError) cause = NULL;
    char name[BK_WAL_NAME_SIZE];

    *told = (BkWalXactsSegment){0};
    if (!bk_op_check(self->op, error))
        return false;
    if (bk_recovery_index_get_segment(self->past, timeline, segno, &content, self->op, &cause) &&
        bk_wal_xacts_scan(xacts, content.data, content.size, told, &cause)) {
        bk_op_advance(self->op, self->past->input.segment_size);
        self->timeline->segments++;
        bk_wal_segment_name(timeline, segno, self->past->input.segment_size, self->timeline->last);
        if (self->timeline->first[0] == 0)
            memcpy(self->timeline->first, self->timeline->last, sizeof self->timeline->first);
        if (told->reason != NULL) {
            g_autofree char *text = g_strdup_printf(
                "segment %s ends early: %s",
                bk_wal_segment_name(timeline, segno, self->past->input.segment_size, name),
                told->reason);

            add_event_problem(self, BK_PROBLEM_WAL_UNREADABLE, text);
        }
        return true;
    }
    if (!bk_error_is(cause, BK_ERROR_CORRUPT))
        return bk_propagate(error, &cause);
    add_event_problem(self, BK_PROBLEM_WAL_UNREADABLE, cause->message);
    return true;
}

static bool
read_path(Reading *self, BkWalXacts *xacts, const BkWindowPath *path, GError **error)
{
    for (size_t i = 0; i < path->count; i++) {
        const BkWindowStep *step = &path->steps[i];

        for (uint64_t segno = step->first; segno <= step->last; segno++) {
            BkWalXactsSegment told;

            if (!read_events_of_segment(self, xacts, step->timeline, segno, &told, error))
                return false;
            self->timeline->end_us = MAX(self->timeline->end_us, told.max_time_us);
            if (told.min_time_us > self->request->to_us)
                return true;
        }
    }
    return true;
}

static const BkRecoveryIndexSnapshot *
get_snapshot_at(const Reading *self, size_t index)
{
    return g_ptr_array_index(self->past->restorable, index);
}

/* Where to begin in a window: its newest snapshot that ended before the first moment, otherwise its
 * first. */
static size_t
choose_snapshot(const Reading *self, const BkWindow *window)
{
    size_t best = window->first_snapshot;

    for (size_t i = 0; i < self->past->restorable->len; i++) {
        const BkPgMeta *meta = &get_snapshot_at(self, i)->meta;
        g_auto(BkWindowPath) path = {0};

        if (meta->stop_us > self->request->from_us || meta->stop_lsn < window->from_lsn ||
            meta->stop_lsn > window->end_lsn ||
            meta->stop_lsn < get_snapshot_at(self, best)->meta.stop_lsn)
            continue;
        if (bk_window_path(&self->past->input, i, window->timeline, &path))
            best = i;
    }
    return best;
}

static uint64_t
count_bytes(const BkWindowPath *path, uint32_t segment_size)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < path->count; i++)
        bytes += (path->steps[i].last - path->steps[i].first + 1) * segment_size;
    return bytes;
}

static void
note_event_bounds(Reading *self, const BkWalXacts *xacts)
{
    if (bk_wal_xacts_untracked(xacts) > 0)
        bk_problem_add(self->timeline->problems, BK_PROBLEM_EVENTS_INCOMPLETE,
                       .source = bk_source_repo_source(self->past->source_repo),
                       .count = bk_wal_xacts_untracked(xacts));
    if (bk_wal_xacts_is_full(xacts)) {
        g_autofree char *text =
            g_strdup_printf("a database has more than %zu relations", BK_RELATION_NAMES_ROWS_MAX);

        add_event_problem(self, BK_PROBLEM_NAMES_INCOMPLETE, text);
    }
}

/* The repositories that have a snapshot's objects, one that has its manifest first. */
static GPtrArray *
find_event_repositories(const Reading *self, const char *id)
{
    const BkSourceRepo *source_repo = bk_recovery_index_find_member(self->past, id)->source_repo;
    guint index = 0;

    while (g_ptr_array_index(self->source_repos, index) != source_repo)
        index++;
    return bk_plan_proof_order(self->source_repos, index);
}

static bool
read_events_of_window(Reading *self, const BkWindow *window, GError **error)
{
    const BkRecoveryIndexSnapshot *snapshot = get_snapshot_at(self, choose_snapshot(self, window));
    const BkWalXactsOptions options = {
        .min_deletes = self->request->min_deletes,
        .major = snapshot->meta.version / 10000,
        .open_catalog = open_catalog,
        .on_xact = on_xact,
        .user = self,
    };
    g_autoptr(BkWalXacts) xacts = bk_wal_xacts_new(&options);
    g_autoptr(GPtrArray) source_repos = find_event_repositories(self, snapshot->head.id);
    g_autoptr(BkSnapshotRelationNames) catalog = NULL;
    g_autoptr(GError) cause = NULL;
    g_auto(BkWindowPath) path = {0};

    if (!bk_window_path(&self->past->input, choose_snapshot(self, window), window->timeline, &path))
        return true; /* one point without WAL: nothing happens in it */
    catalog = bk_snapshot_relation_names_load(source_repos, g_ptr_array_index(source_repos, 0),
                                              snapshot->head.id, options.major, self->op, &cause);
    if (catalog == NULL) {
        if (!bk_op_check(self->op, error))
            return false;
        add_event_problem(self, BK_PROBLEM_NAMES_INCOMPLETE, cause->message);
    }
    self->catalog = catalog;
    self->system_id = snapshot->meta.system_id;
    self->window_lsn = window->from_lsn;
    bk_op_begin_phase(self->op, "reading WAL", count_bytes(&path, self->past->input.segment_size));
    if (!read_path(self, xacts, &path, error))
        return false;
    note_event_bounds(self, xacts);
    self->catalog = NULL;
    return true;
}

static void
note_gap(Reading *self, const BkWindow *window)
{
    const uint32_t size = self->past->input.segment_size;
    char first[BK_WAL_NAME_SIZE], last[BK_WAL_NAME_SIZE];

    if (window->gap.timeline != 0)
        bk_problem_add(
            self->timeline->problems, BK_PROBLEM_WAL_SKIPPED,
            .source = bk_source_repo_source(self->past->source_repo),
            .first = bk_wal_segment_name(window->gap.timeline, window->gap.first, size, first),
            .last = bk_wal_segment_name(window->gap.timeline, window->gap.last, size, last));
}

/* The windows of the way to one timeline follow each other, with gaps between them. */
static bool
read_windows(Reading *self, uint32_t leaf, GError **error)
{
    const BkWindows *windows = &self->past->windows;
    BkEvents *timeline = self->timeline;

    for (size_t i = 0; i < windows->count; i++) {
        const BkWindow *window = &windows->windows[i];
        const BkWindow *next = i + 1 < windows->count ? window + 1 : NULL;

        if (window->timeline != leaf)
            continue;
        if (timeline->start_us == 0)
            timeline->start_us = window->from_time_us;
        if (window->from_time_us > self->request->to_us ||
            (next != NULL && next->timeline == leaf &&
             next->from_time_us <= self->request->from_us))
            continue;
        if (!read_events_of_window(self, window, error))
            return false;
        note_gap(self, window);
    }
    return true;
}

/* --- names from the server ------------------------------------------------------------------ */

static bool
lacks_name(const BkWalChange *change)
{
    return change->database_name[0] == 0 ||
           (change->relation[0] == 0 && change->kind != BK_WAL_DATABASE_DROPPED);
}

/* Asks for what is still there: the database, and the relation by its present file. */
static bool
ask_event_server(const Reading *self, BkServer *server, BkWalChange *change, BkOp *op,
                 GError **error)
{
    const uint32_t node = change->new_file_node != 0 ? change->new_file_node : change->file_node;
    g_autoptr(BkServer) own = NULL;

    if (change->database != 0 && change->database_name[0] == 0 &&
        !bk_server_find_database(server, change->database, change->database_name, op, error))
        return false;
    if (change->relation[0] != 0 || change->database_name[0] == 0 || node == 0 ||
        change->kind == BK_WAL_DROPPED || change->kind == BK_WAL_DATABASE_DROPPED)
        return true;
    own = bk_server_connect_to(self->source->connection, change->database_name, op, error);
    return own != NULL && bk_server_find_relation(own, change->tablespace, node, change->schema,
                                                  change->relation, op, error);
}

static bool
is_same_cluster(const Reading *self, BkServer *server, BkOp *op, GError **error)
{
    g_auto(BkServerFacts) facts = {0};

    return bk_server_get_facts(server, &facts, op, error) && facts.system_id == self->system_id;
}

/* Best effort, and a hundred questions at most: whatever fails leaves numbers. */
static void
find_names(const Reading *self)
{
    g_autoptr(BkOp) op = bk_op_new(self->op);
    g_autoptr(BkServer) server = NULL;
    g_autoptr(GError) error = NULL;
    bool goes_on = true;
    int left = 100;

    bk_op_set_deadline(op, g_get_monotonic_time() + SERVER_WAIT_US);
    for (guint i = 0; goes_on && i < self->timeline->events->len; i++) {
        const BkEvent *event = g_ptr_array_index(self->timeline->events, i);
        BkWalChange *changes = (BkWalChange *)(uintptr_t)event->xact.changes;

        for (size_t j = 0; goes_on && j < event->xact.count; j++) {
            if (!lacks_name(&changes[j]))
                continue;
            if (server == NULL && self->source->connection == NULL)
                return; /* read on a machine that knows the repository alone */
            if (server == NULL) {
                server = bk_server_connect(self->source->connection, op, &error);
                goes_on = server != NULL && is_same_cluster(self, server, op, &error);
            }
            goes_on =
                goes_on && left-- > 0 && ask_event_server(self, server, &changes[j], op, &error);
        }
    }
    if (error != NULL)
        bk_log(BK_LOG_INFO, "more names could not be read from the server: %s", error->message);
}

/* --- the way that is read -------------------------------------------------------------------- */

/* What can be read is, also before and behind a gap. */
static bool
choose_leaf(const Reading *self, const BkLines *lines, uint32_t *leaf, GError **error)
{
    const BkRecoveryTarget latest = BK_RECOVERY_TARGET_INIT;
    const BkPlanRequest request = {
        .target = &latest,
        .accepts_gap = true,
        .timeline = self->request->timeline,
        .command = self->request->command,
        .lines = lines,
        .system_id = self->system->id,
        .names_system = self->request->system_id != 0,
    };
    g_auto(BkPlan) plan = {0};

    if (!bk_plan_make(self->past, &request, &plan, self->op, error))
        return false;
    *leaf = plan.timeline;
    return true;
}

static void
note_others(const Reading *self, const BkLines *lines)
{
    BkEvents *timeline = self->timeline;

    timeline->is_only = lines->map.line_count < 2;
    for (size_t i = 0; i < lines->map.line_count; i++)
        if (lines->map.lines[i].timeline != timeline->timeline)
            g_ptr_array_add(timeline->others, bk_lines_describe(lines, i));
}

static bool
read_past(Reading *self, GError **error)
{
    BkEvents *timeline = self->timeline;

    if (!choose_leaf(self, &self->system->lines, &timeline->timeline, error))
        return false;
    note_others(self, &self->system->lines);
    if (!read_windows(self, timeline->timeline, error))
        return false;
    find_names(self);
    return true;
}

/* Loads what each repository has; one that answers is enough. */
static bool
load_event_systems(Reading *self, BkSystems *systems, GError **error)
{
    BkEvents *timeline = self->timeline;
    g_autoptr(GError) first = NULL;

    for (guint i = 0; i < self->source_repos->len; i++) {
        const BkSourceRepo *source_repo = g_ptr_array_index(self->source_repos, i);
        g_autoptr(GError) cause = NULL;

        if (bk_systems_add(systems, source_repo, BK_RECOVERY_INDEX_WHOLE_ARCHIVE, self->op,
                           &cause)) {
            g_ptr_array_add(timeline->repositories,
                            g_strdup(bk_repository_name(bk_source_repo_repository(source_repo))));
            continue;
        }
        if (!bk_op_check(self->op, error))
            return false;
        bk_problem_add(timeline->problems, BK_PROBLEM_REPOSITORY_UNUSABLE,
                       .repository = bk_repository_name(bk_source_repo_repository(source_repo)),
                       .cause = cause->message);
        if (first == NULL)
            first = g_steal_pointer(&cause);
    }
    if (timeline->repositories->len > 0)
        return bk_systems_order(systems, BK_RECOVERY_INDEX_WHOLE_ARCHIVE, self->op, error) &&
               bk_systems_load_lines(systems, self->source, self->op, error);
    if (first == NULL)
        return bk_throw(error, BK_ERROR_NOT_FOUND,
                        "there is no snapshot of \"%s\" in its repositories", self->source->name);
    return bk_propagate(error, &first);
}

/* The wanted cluster, or the current one. */
static bool
choose_event_system(Reading *self, const BkSystems *systems, GError **error)
{
    const uint64_t wanted = self->request->system_id;
    g_autofree char *known = NULL;

    self->system = wanted != 0 ? bk_systems_find(systems, wanted) : bk_systems_current(systems);
    if (self->system != NULL && self->system->pasts->len > 0) {
        self->past = self->system->lines.past;
        self->timeline->system_id = systems->systems->len > 1 ? self->system->id : 0;
        return true;
    }
    known = bk_systems_describe(systems);
    return bk_throw(error, BK_ERROR_NOT_FOUND,
                    "\"%s\" has no cluster with system identifier %" G_GUINT64_FORMAT ": %s",
                    self->source->name, wanted, known);
}

bool
bk_events_load(const BkSourceSpec *source, const BkEventsRequest *request, BkEvents *timeline,
               BkOp *op, GError **error)
{
    g_auto(BkTargets) targets = {0};
    g_auto(BkSystems) systems = {NULL};
    Reading self = {
        .source = source,
        .request = request,
        .timeline = timeline,
        .op = op,
    };

    *timeline = (BkEvents){
        .events = g_ptr_array_new_with_free_func(free_event),
        .problems = bk_problem_list_new(),
        .others = g_ptr_array_new_with_free_func(g_free),
        .repositories = g_ptr_array_new_with_free_func(g_free),
    };
    bk_systems_init(&systems);
    if (!bk_plan_check_timeline(request->timeline, error) ||
        !bk_targets_open_for_reading(source, request->repository, &targets, op, error))
        return false;
    bk_targets_add_problems(&targets, timeline->problems);
    self.source_repos = targets.source_repos;
    return load_event_systems(&self, &systems, error) &&
           choose_event_system(&self, &systems, error) && read_past(&self, error);
}
