/* server-check.c - what the running server reports about its archiving, and what is wrong with it.
 */
#include "source/pg/history/server-check.h"

#include "base/fd.h"
#include "base/log.h"
#include "repo/targets/targets.h"
#include "source/pg/archive/system-id.h"
#include "source/pg/format/pg-time.h"
#include "source/pg/history/clock-check.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* Status is asked for every minute, and by people who wait. */
#define PATIENCE_US (3 * BK_USEC_PER_SEC)

/* An archiver that fails tries again after a minute; what waits for longer than two does not move.
 */
#define READY_PATIENCE_US (120 * BK_USEC_PER_SEC)

#define STATUS_DIRECTORY "pg_wal/archive_status"
#define READY            ".ready"

void
bk_server_check_clear(BkServerCheck *self)
{
    g_free(self->why);
    bk_server_facts_clear(&self->facts);
    bk_server_state_clear(&self->state);
    bk_server_ready_clear(&self->ready);
    bk_push_failure_clear(&self->failure);
    *self = (BkServerCheck){0};
}

/* --- asking -------------------------------------------------------------------------------- */

static bool
has_suffix(const char *name, const char *suffix, size_t *stem)
{
    size_t size = strlen(name);

    *stem = size - MIN(size, strlen(suffix));
    return strcmp(name + *stem, suffix) == 0;
}

/* As the server would tell, from its data directory. */
static bool
count_ready_files(const char *data_dir, BkServerReady *ready)
{
    g_autofree char *path = g_build_filename(data_dir, STATUS_DIRECTORY, NULL);
    g_auto(BkFd) dir = bk_fd_open_dir(AT_FDCWD, path, NULL);
    g_autoptr(GPtrArray) names = dir >= 0 ? bk_dir_list(dir, path, NULL) : NULL;

    for (guint i = 0; names != NULL && i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        struct stat st;
        int64_t since_us;
        size_t stem;

        if (!has_suffix(name, READY, &stem) || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        since_us = (int64_t)st.st_mtim.tv_sec * BK_USEC_PER_SEC;
        if (ready->count++ > 0 && since_us >= ready->oldest_us)
            continue;
        ready->oldest_us = since_us;
        g_free(ready->oldest);
        ready->oldest = g_strndup(name, stem);
    }
    return names != NULL;
}

static bool
ask_checked_server(BkServerCheck *self, const char *connection, BkOp *op, GError **error)
{
    g_autoptr(BkServer) server = bk_server_connect(connection, op, error);
    int64_t before_us;

    if (server == NULL || !bk_server_get_facts(server, &self->facts, op, error))
        return false;
    before_us = g_get_real_time();
    if (!bk_server_get_state(server, &self->state, op, error))
        return false;
    /* It looked at its clock at some time between our two looks at ours. */
    self->ahead_us = self->state.clock_us - (before_us + g_get_real_time()) / 2;
    self->knows_ready = bk_server_get_ready(server, &self->ready, op, NULL);
    return true;
}

void
bk_server_check_ask(const BkSourceSpec *source, BkServerCheck *check, BkOp *op)
{
    g_autoptr(BkOp) bounded = bk_op_new(op);
    g_autoptr(GError) cause = NULL;
    const char *data_dir;

    *check = (BkServerCheck){.is_asked = source->connection != NULL};
    if (!check->is_asked)
        return;
    bk_op_set_deadline(bounded, g_get_monotonic_time() + PATIENCE_US);
    if (!ask_checked_server(check, source->connection, bounded, &cause)) {
        bk_server_facts_clear(&check->facts);
        bk_server_state_clear(&check->state);
        check->why = bk_error_is(cause, BK_ERROR_TIMEOUT)
                         ? g_strdup_printf("it does not answer within %d s",
                                           (int)(PATIENCE_US / BK_USEC_PER_SEC))
                         : g_strdup(cause->message);
    }
    data_dir = source->data != NULL ? source->data : check->facts.data_directory;
    if (data_dir == NULL)
        return;
    if (!check->knows_ready)
        check->knows_ready = count_ready_files(data_dir, &check->ready);
    check->has_failure = bk_push_failure_read(data_dir, &check->failure);
}

bool
bk_server_check_is_failing(const BkServerCheck *self)
{
    /* A failure in a past in which nothing was left behind is none. */
    return self->is_asked && self->why == NULL && bk_server_state_is_failing(&self->state) &&
           !(self->knows_ready && self->ready.count == 0);
}

/* --- judging ------------------------------------------------------------------------------- */

/* "2026-11-28 07:00:00". */
static void
format_failed(const BkServerState *state, char time[BK_PG_TIME_TEXT_SIZE])
{
    (void)bk_pg_time_format(state->failed_us, time);
    time[strcspn(time, ".")] = 0;
}

/* A new string. An older note is of a failure that was overcome, or of a call by hand. */
static char *
explain_failure(const BkServerState *state, const BkPushFailure *failure)
{
    if (failure != NULL && failure->time_us > state->archived_us &&
        strcmp(failure->wal, state->failed_wal) == 0)
        return g_strdup_printf("\"wal push\" reported: %s", failure->message);
    return g_strdup("archive_command failed before \"wal push\" or \"wal push\" could not record "
                    "its error in pg_wal: see the server's log");
}

char *
bk_archiver_describe_failure(const BkServerState *state, const BkPushFailure *failure)
{
    g_autofree char *why = explain_failure(state, failure);
    char time[BK_PG_TIME_TEXT_SIZE];

    format_failed(state, time);
    return g_strdup_printf("the server's archiver failed with %s at %s UTC: %s", state->failed_wal,
                           time, why);
}

/* A server of another cluster than the current one; with several clusters it may be a former one.
 */
static void
judge_cluster(const BkServerCheck *self, const BkSourceSpec *source, const BkListing *listing,
              GPtrArray *problems)
{
    const uint64_t id = self->facts.system_id;
    bool is_former = bk_systems_find(&listing->systems, id) != NULL;

    bk_problem_add(problems,
                   is_former ? BK_PROBLEM_SERVER_OF_FORMER_CLUSTER
                             : BK_PROBLEM_SERVER_OF_OTHER_CLUSTER,
                   .source = source->name, .cluster = id,
                   .current = bk_systems_current(&listing->systems)->id);
}

static void
judge_settings(const BkServerFacts *facts, const BkSourceSpec *source, GPtrArray *problems)
{
    if (strcmp(facts->wal_level, "minimal") == 0)
        bk_problem_add(problems, BK_PROBLEM_WAL_LEVEL_MINIMAL, .source = source->name);
    if (strcmp(facts->archive_mode, "off") == 0)
        bk_problem_add(problems, BK_PROBLEM_ARCHIVE_MODE_OFF, .source = source->name);
    else if (facts->archive_method[0] == 0)
        bk_problem_add(problems, BK_PROBLEM_ARCHIVE_COMMAND_EMPTY, .source = source->name);
}

static const BkArchiveTimeline *
find_archived_timeline(const BkRecoveryIndex *past, uint32_t timeline)
{
    for (guint i = 0; i < past->archive->len; i++) {
        const BkArchiveTimeline *one = g_ptr_array_index(past->archive, i);

        if (one->timeline == timeline)
            return one;
    }
    return NULL;
}

static bool
archive_has(const BkListing *listing, const BkWalName *name)
{
    for (guint i = 0; i < listing->pasts->len; i++) {
        const BkArchiveTimeline *archived =
            find_archived_timeline(g_ptr_array_index(listing->pasts, i), name->timeline);

        for (guint j = 0; archived != NULL && j < archived->segments->len; j++) {
            const BkWalName *segment = &g_array_index(archived->segments, BkWalName, j);

            if (segment->log == name->log && segment->seg == name->seg)
                return true;
        }
    }
    return false;
}

/* Does what the server counts as archived go to this source? Its command may say anything and be
 * a script around ours; what has arrived tells. */
static void
judge_destination(const BkServerCheck *self, const BkSourceSpec *source, const BkListing *listing,
                  GPtrArray *problems)
{
    const BkServerFacts *facts = &self->facts;
    const BkServerState *state = &self->state;
    bool is_ours = strstr(facts->archive_method, "wal push") != NULL;
    BkWalName name;

    if (strcmp(facts->archive_mode, "off") == 0 || facts->archive_method[0] == 0)
        return;
    if (state->archived_wal == NULL || !bk_wal_name_parse(state->archived_wal, &name) ||
        name.kind != BK_WAL_SEGMENT || !bk_targets_are_all_there(&listing->targets)) {
        if (!is_ours && state->archived_wal == NULL)
            bk_problem_add(problems, BK_PROBLEM_ARCHIVE_COMMAND_OTHER, .source = source->name,
                           .command = facts->archive_method);
        return;
    }
    if (!archive_has(listing, &name))
        bk_problem_add(problems, BK_PROBLEM_ARCHIVED_ELSEWHERE, .source = source->name,
                       .first = state->archived_wal, .command = facts->archive_method);
}

static void
judge_archiver(const BkServerCheck *self, const char *source, int64_t rpo_us, int64_t now_us,
               GPtrArray *problems)
{
    int64_t patience_us = rpo_us > 0 ? MIN(rpo_us, READY_PATIENCE_US) : READY_PATIENCE_US;
    int64_t server_now_us = self->why == NULL ? self->state.clock_us : now_us;
    int64_t waits_us = server_now_us - self->ready.oldest_us;

    if (bk_server_check_is_failing(self)) {
        g_autofree char *why =
            explain_failure(&self->state, self->has_failure ? &self->failure : NULL);
        char time[BK_PG_TIME_TEXT_SIZE];

        format_failed(&self->state, time);
        bk_problem_add(problems, BK_PROBLEM_ARCHIVER_FAILING, .source = source,
                       .first = self->state.failed_wal, .since = time, .cause = why,
                       .count = self->state.failed_count);
    }
    if (self->ready.count > 0 && waits_us > patience_us)
        bk_problem_add(problems, BK_PROBLEM_WAL_WAITING, .source = source,
                       .count = self->ready.count, .first = self->ready.oldest, .age_us = waits_us);
}

/* What is said of lines needs not be said again of their timelines. */
static bool
is_declared_dead(const BkLines *lines, uint32_t timeline)
{
    for (size_t i = 0; i < lines->map.line_count; i++)
        if (lines->map.lines[i].timeline == timeline)
            return lines->map.lines[i].verdict == BK_LINE_DECLARED;
    return false;
}

/* The timeline whose segments arrived last, of lines that were not declared dead; NULL if there are
 * none. */
static const BkArchiveTimeline *
find_newest_timeline(const BkRecoveryIndex *past, const BkLines *lines)
{
    const BkArchiveTimeline *newest = NULL;

    for (guint i = 0; i < past->archive->len; i++) {
        const BkArchiveTimeline *one = g_ptr_array_index(past->archive, i);

        if (one->segments->len > 0 && !is_declared_dead(lines, one->timeline) &&
            (newest == NULL || one->modified_us > newest->modified_us))
            newest = one;
    }
    return newest;
}

static bool
is_ancestor(const BkRecoveryIndex *past, uint32_t timeline, uint32_t of)
{
    for (size_t i = 0; i < past->input.timeline_count; i++) {
        const BkWindowTimeline *one = &past->input.timelines[i];

        for (size_t j = 0; one->timeline == of && j < one->switch_count; j++)
            if (one->switches[j].timeline == timeline)
                return true;
    }
    return false;
}

/* What single repositories lack is told of them. */
static void
judge_timeline(const BkServerCheck *self, const char *source, const BkListing *listing,
               GPtrArray *problems)
{
    const BkRecoveryIndex *past = listing->lines->past;
    const BkArchiveTimeline *newest = find_newest_timeline(past, listing->lines);
    uint32_t timeline = self->state.timeline;

    if (newest == NULL || newest->timeline == timeline)
        return;
    if (find_archived_timeline(past, timeline) == NULL)
        bk_problem_add(problems, BK_PROBLEM_TIMELINE_NOT_ARCHIVED, .source = source,
                       .timeline = timeline, .other = newest->timeline);
    else if (!is_ancestor(past, newest->timeline, timeline))
        bk_problem_add(problems, BK_PROBLEM_TIMELINE_OF_OTHER_SERVER, .source = source,
                       .timeline = timeline, .other = newest->timeline);
}

void
bk_server_check_judge(const BkServerCheck *self, const BkSourceSpec *source,
                      const BkListing *listing, int64_t rpo_us, int64_t now_us, GPtrArray *problems)
{
    const uint64_t system_id = bk_systems_current(&listing->systems)->id;

    if (!self->is_asked)
        return;
    if (self->why == NULL)
        bk_clock_check_server(source->name, self->ahead_us, problems);
    if (self->why == NULL && system_id != 0 && system_id != self->facts.system_id) {
        judge_cluster(self, source, listing, problems);
        judge_archiver(self, source->name, rpo_us, now_us, problems);
        return;
    }
    if (self->why == NULL && self->facts.is_in_recovery) {
        bk_problem_add(problems, BK_PROBLEM_SERVER_IS_STANDBY, .source = source->name);
        return;
    }
    judge_archiver(self, source->name, rpo_us, now_us, problems);
    if (self->why != NULL)
        return;
    judge_settings(&self->facts, source, problems);
    judge_destination(self, source, listing, problems);
    judge_timeline(self, source->name, listing, problems);
}

bool
bk_server_check_before_backup(BkServer *server, const char *source, const char *data_dir,
                              bool is_standalone, BkOp *op, GError **error)
{
    g_auto(BkServerState) state = {0};
    int64_t before_us = g_get_real_time();
    g_autoptr(GPtrArray) problems = bk_problem_list_new();

    if (!bk_server_get_state(server, &state, op, error))
        return false;
    bk_clock_check_server(source, state.clock_us - (before_us + g_get_real_time()) / 2, problems);
    bk_problem_log(problems);
    if (!is_standalone && bk_server_state_is_failing(&state)) {
        g_auto(BkPushFailure) note = {0};
        bool has_note = bk_push_failure_read(data_dir, &note);
        g_autofree char *text = bk_archiver_describe_failure(&state, has_note ? &note : NULL);

        bk_log(BK_LOG_WARNING, "the backup will need WAL, but %s", text);
    }
    return true;
}
