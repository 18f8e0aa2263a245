/* plan.c - from a recovery target to the snapshot and the WAL that lead to it. */
#include "source/pg/restore/plan.h"

#include "base/log.h"
#include "repo/targets/targets.h"
#include "source/pg/restore/plan-stop.h"
#include "source/pg/restore/wal-search.h"

#include <string.h>

typedef struct Planner {
    const BkRecoveryIndex *past;
    const BkPlanRequest *request;
    BkPlan *plan;
    BkOp *op;
    uint32_t leaf;
    BkRecoveryIndexEnd end; /* of the way to it */
} Planner;

/* "; what can be reached: FROM to END (timeline 1), …", for the one line that refuses a target. */
static char *
describe_windows(const Planner *self)
{
    const BkWindows *windows = &self->past->windows;
    g_autoptr(GString) text = g_string_new(NULL);

    for (size_t i = 0; i < windows->count; i++) {
        const BkWindow *window = &windows->windows[i];
        g_auto(BkWindowPath) path = {0};
        BkRecoveryIndexEnd end = {0};
        g_autoptr(GDateTime) from =
            g_date_time_new_from_unix_utc(window->from_time_us / BK_USEC_PER_SEC);
        g_autofree char *from_text = g_date_time_format(from, "%Y-%m-%d %H:%M:%S");
        g_autofree char *to_text = NULL;
        char from_lsn[BK_LSN_TEXT_SIZE];
        char end_lsn[BK_LSN_TEXT_SIZE];

        if (bk_window_path(&self->past->input, window->last_snapshot, window->timeline, &path) &&
            !bk_recovery_index_find_end(self->past, &path, window->from_lsn, &end, NULL, self->op,
                                        NULL))
            continue;
        if (end.time_us != 0) {
            g_autoptr(GDateTime) to = g_date_time_new_from_unix_utc(end.time_us / BK_USEC_PER_SEC);

            to_text = g_date_time_format(to, "%Y-%m-%d %H:%M:%S");
        }
        g_string_append_printf(
            text, "%s%s UTC (%s) to %s%s (%s) on timeline %u",
            i == 0 ? "; recovery windows: " : ", ", from_text,
            bk_lsn_format(window->from_lsn, from_lsn), to_text != NULL ? to_text : "the same state",
            to_text != NULL ? " UTC" : "", bk_lsn_format(MAX(end.lsn, window->from_lsn), end_lsn),
            window->timeline);
    }
    if (text->len == 0)
        g_string_append(text, "; there is no recovery window, because there is no usable snapshot");
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static bool
refuse_target(const Planner *self, const char *why, GError **error)
{
    g_autofree char *target = bk_recovery_target_describe(self->request->target);
    g_autofree char *windows = describe_windows(self);

    return bk_throw(error, BK_ERROR_NOT_FOUND, "%s of \"%s\" cannot be reached: %s%s", target,
                    bk_source_repo_source(self->past->source_repo), why, windows);
}

static const BkRecoveryIndexSnapshot *
snapshot_at(const Planner *self, size_t index)
{
    return g_ptr_array_index(self->past->restorable, index);
}

/* The snapshot that the user insists on: by --snapshot, or as the target itself. */
static const char *
wanted_id(const Planner *self)
{
    if (self->request->target->kind == BK_RECOVERY_TARGET_SNAPSHOT)
        return self->request->target->text;
    return self->request->snapshot;
}

/* Can recovery start from snapshot `index` and come to `leaf`? A standalone one without any
 * archived WAL can, though no further than its own end. */
static bool
has_path(const Planner *self, size_t index, uint32_t leaf, BkWindowPath *path)
{
    const BkPgMeta *meta = &snapshot_at(self, index)->meta;

    if (bk_window_path(&self->past->input, index, leaf, path))
        return true;
    bk_window_path_clear(path);
    if (!meta->is_standalone || meta->timeline != leaf)
        return false;
    path->end_lsn = meta->stop_lsn;
    return true;
}

static bool
is_snapshot_candidate(const Planner *self, size_t index, uint32_t leaf)
{
    const char *wanted = wanted_id(self);
    g_auto(BkWindowPath) path = {0};

    if (wanted != NULL && strcmp(snapshot_at(self, index)->head.id, wanted) != 0)
        return false;
    return has_path(self, index, leaf, &path);
}

static bool
is_reachable_leaf(const Planner *self, uint32_t leaf)
{
    for (size_t i = 0; i < self->past->restorable->len; i++)
        if (is_snapshot_candidate(self, i, leaf))
            return true;
    return false;
}

static bool
check_wanted(const Planner *self, GError **error)
{
    const char *wanted = wanted_id(self);
    bool has_any = self->past->snapshots->len > 0;

    for (guint i = 0; i < self->past->unreadable->len; i++) {
        const BkRecoveryIndexUnreadable *unreadable = g_ptr_array_index(self->past->unreadable, i);

        if (wanted == NULL && !has_any)
            return bk_throw(error, BK_ERROR_CORRUPT, "%s", unreadable->why);
        if (wanted != NULL && strcmp(unreadable->id, wanted) == 0)
            return bk_throw(error, BK_ERROR_CORRUPT,
                            "%s (no other snapshot is used, because this one was requested)",
                            unreadable->why);
    }
    if (wanted == NULL)
        return true;
    for (guint i = 0; i < self->past->snapshots->len; i++) {
        const BkRecoveryIndexSnapshot *snapshot = g_ptr_array_index(self->past->snapshots, i);

        if (strcmp(snapshot->head.id, wanted) != 0)
            continue;
        if (snapshot->head.state == BK_SNAPSHOT_UNFINISHED)
            return bk_throw(error, BK_ERROR_NOT_FOUND,
                            "snapshot \"%s\" is unfinished and cannot be restored", wanted);
        return true;
    }
    return bk_throw(error, BK_ERROR_NOT_FOUND, "there is no snapshot \"%s\" of \"%s\"", wanted,
                    bk_source_repo_source(self->past->source_repo));
}

/* Is snapshot `meta` complete before the target? xid and name are looked for afterwards. */
static bool
is_before_target(const Planner *self, const BkPgMeta *meta)
{
    const BkRecoveryTarget *target = self->request->target;

    if (target->kind == BK_RECOVERY_TARGET_TIME)
        return meta->stop_us <= target->time_us;
    if (target->kind == BK_RECOVERY_TARGET_LSN)
        return meta->stop_lsn <= target->lsn;
    return true;
}

/* The newest snapshot below `below_lsn` from which the target may be reached; whole ones come
 * before damaged ones. -1 for none. */
static gssize
find_best(const Planner *self, BkLsn below_lsn)
{
    gssize best = -1;

    for (size_t i = 0; i < self->past->restorable->len; i++) {
        const BkRecoveryIndexSnapshot *snapshot = snapshot_at(self, i);
        const BkRecoveryIndexSnapshot *present;
        bool is_whole = snapshot->head.state == BK_SNAPSHOT_COMPLETE;
        bool best_is_whole;

        if (snapshot->meta.stop_lsn >= below_lsn || !is_before_target(self, &snapshot->meta) ||
            !is_snapshot_candidate(self, i, self->leaf))
            continue;
        present = best >= 0 ? snapshot_at(self, (size_t)best) : NULL;
        best_is_whole = present != NULL && present->head.state == BK_SNAPSHOT_COMPLETE;
        if (present == NULL || (is_whole && !best_is_whole) ||
            (is_whole == best_is_whole && snapshot->meta.stop_lsn >= present->meta.stop_lsn))
            best = (gssize)i;
    }
    return best;
}

static void
take_plan_snapshot(Planner *self, gssize index)
{
    BkPlan *plan = self->plan;

    bk_window_path_clear(&plan->path);
    plan->snapshot = snapshot_at(self, (size_t)index);
    plan->timeline = self->leaf;
    plan->stop_lsn = plan->snapshot->meta.stop_lsn - 1;
    if (!has_path(self, (size_t)index, self->leaf, &plan->path))
        g_assert_not_reached();
}

/* Looks for a transaction or a restore point: behind the newest snapshot first, then further back,
 * also past WAL that is damaged. */
static bool
search_path(Planner *self, GError **error)
{
    g_autoptr(GError) damage = NULL;
    BkLsn below_lsn = UINT64_MAX;
    gssize index;

    while ((index = find_best(self, below_lsn)) >= 0) {
        BkWalMoment found = {0};
        g_autoptr(GError) cause = NULL;

        take_plan_snapshot(self, index);
        if (!bk_wal_search(self->past, &self->plan->path, self->plan->snapshot->meta.stop_lsn,
                           below_lsn, self->request->target, &found, self->op, &cause)) {
            if (!bk_targets_is_at_fault(cause))
                return bk_propagate(error, &cause);
            found = (BkWalMoment){0};
            bk_targets_keep_worst(&damage, &cause);
        }
        if (found.lsn != 0 && damage != NULL)
            bk_log(BK_LOG_WARNING, "it is unknown whether it is in later WAL, too: %s",
                   damage->message);
        if (found.lsn != 0) {
            self->plan->stop_lsn = found.lsn;
            return bk_plan_settle_found(self->past, self->request, self->plan, &found, self->op,
                                        error);
        }
        below_lsn = self->plan->snapshot->meta.stop_lsn;
    }
    return damage != NULL
               ? bk_propagate(error, &damage)
               : refuse_target(self, "it is not in the WAL that follows a snapshot", error);
}

/* --- a time -------------------------------------------------------------------------------------
 */

/* Transactions that commit at once may have times that fall by a little. */
#define CLOCK_STEP_US BK_USEC_PER_SEC
/* Segments before a snapshot whose times are looked at, further than to the snapshot before it. */
#define LOOK_BACK_MAX 1024
/* Segments behind the next snapshot whose times are looked at, evenly spread. */
#define LOOK_AHEAD_MAX 1024
/* How much nearer the target the last commit before it must be at the first of two places. */
#define CLOCK_CLEAR_US (INT64_C(3600) * BK_USEC_PER_SEC)

/* The last snapshot on the line that ends before `below_lsn`, whatever its time; -1 for none. */
static gssize
find_previous(const Planner *self, BkLsn below_lsn)
{
    gssize best = -1;

    for (size_t i = 0; i < self->past->restorable->len; i++) {
        const BkLsn stop_lsn = snapshot_at(self, i)->meta.stop_lsn;
        g_auto(BkWindowPath) path = {0};

        if (stop_lsn < below_lsn &&
            (best < 0 || stop_lsn > snapshot_at(self, (size_t)best)->meta.stop_lsn) &&
            has_path(self, i, self->leaf, &path))
            best = (gssize)i;
    }
    return best;
}

/* The earliest snapshot on the line from which no more than so many segments lead to `lsn`, or else
 * the last one before it; -1 for none. */
static gssize
find_look_back(const Planner *self, BkLsn lsn)
{
    gssize first = find_previous(self, lsn);

    for (gssize i = first; i >= 0;) {
        const BkLsn stop_lsn = snapshot_at(self, (size_t)i)->meta.stop_lsn;

        if ((lsn - stop_lsn) / self->past->input.segment_size > LOOK_BACK_MAX)
            break;
        first = i;
        i = find_previous(self, stop_lsn);
    }
    return first;
}

/* WAL that recovery does not read may be damaged: then less is known of the clock. */
static bool
pass_damage(GError **cause, GError **error)
{
    if (!bk_targets_is_at_fault(*cause) && !bk_error_is(*cause, BK_ERROR_NOT_FOUND))
        return bk_propagate(error, cause);
    bk_log(BK_LOG_WARNING,
           "it is not completely known whether the server's clock ran backwards (this WAL is not "
           "needed for recovery): %s",
           (*cause)->message);
    return true;
}

/* Finds a transaction before the end of snapshot `index` that is later than the target, or an
 * earlier snapshot that is: then the server's clock ran backwards before the snapshot. `*lsn` is 0
 * when there is none. */
static bool
find_later_before(const Planner *self, gssize index, BkLsn *lsn, GError **error)
{
    const int64_t time_us = self->request->target->time_us;
    const BkLsn to_lsn = snapshot_at(self, (size_t)index)->meta.stop_lsn;
    const gssize first = find_look_back(self, to_lsn);
    g_auto(BkWindowPath) path = {0};
    g_autoptr(GError) cause = NULL;
    BkLsn from_lsn = 0;
    BkWalStop stop;

    *lsn = 0;
    for (gssize i = find_previous(self, to_lsn); i >= 0;) {
        const BkPgMeta *meta = &snapshot_at(self, (size_t)i)->meta;

        if (meta->stop_us > time_us)
            *lsn = meta->stop_lsn;
        i = find_previous(self, meta->stop_lsn);
    }
    if (first >= 0)
        from_lsn = snapshot_at(self, (size_t)first)->meta.stop_lsn;
    if (*lsn != 0 || !has_path(self, (size_t)(first >= 0 ? first : index), self->leaf, &path))
        return true;
    bk_window_path_cut(&path, to_lsn, self->past->input.segment_size);
    if (!bk_wal_search_time(self->past, &path, from_lsn, time_us, &stop, self->op, &cause))
        return pass_damage(&cause, error);
    if (stop.stop.lsn < to_lsn)
        *lsn = stop.stop.lsn;
    return true;
}

/* The way from the plan's snapshot on to the end of the first snapshot that ends behind `lsn`:
 * returns where that is. */
static BkLsn
find_way_past(const Planner *self, BkLsn lsn, BkWindowPath *path)
{
    BkLsn next_lsn = self->plan->path.end_lsn;
    size_t index = 0;

    while (snapshot_at(self, index) != self->plan->snapshot)
        index++;
    for (size_t i = 0; i < self->past->restorable->len; i++) {
        const BkLsn stop_lsn = snapshot_at(self, i)->meta.stop_lsn;

        if (stop_lsn > lsn)
            next_lsn = MIN(next_lsn, stop_lsn);
    }
    if (has_path(self, index, self->leaf, path))
        bk_window_path_cut(path, next_lsn, self->past->input.segment_size);
    return next_lsn;
}

static void
keep_first(BkLsn *lsn, BkLsn other)
{
    if (other != 0 && (*lsn == 0 || other < *lsn))
        *lsn = other;
}

/* The same behind `lsn`, the end of the next snapshot: by the times of snapshots and of the end of
 * the WAL, and by heads of segments where these are no requests. */
static bool
find_far_dip(const Planner *self, BkLsn lsn, BkLsn *dip, GError **error)
{
    const int64_t time_us = self->request->target->time_us - CLOCK_STEP_US;
    g_autoptr(GError) cause = NULL;
    BkLsn found = 0;

    if (self->end.time_us != 0 && self->end.time_us < time_us && self->end.last_lsn > lsn)
        *dip = self->end.last_lsn;
    for (size_t i = 0; i < self->past->restorable->len; i++) {
        const BkPgMeta *meta = &snapshot_at(self, i)->meta;
        g_auto(BkWindowPath) path = {0};

        if (meta->stop_lsn >= lsn && meta->stop_us < time_us &&
            has_path(self, i, self->leaf, &path))
            keep_first(dip, meta->stop_lsn);
    }
    if (bk_recovery_index_is_remote(self->past))
        return true;
    if (!bk_wal_search_earlier_far(self->past, &self->plan->path, lsn, time_us, LOOK_AHEAD_MAX,
                                   &found, self->op, &cause))
        return pass_damage(&cause, error);
    keep_first(dip, found);
    return true;
}

/* Finds where the clock has gone back by more than a step behind `lsn`, the first transaction that
 * is later than the target: 0 for nowhere. */
static bool
find_dip(const Planner *self, BkLsn lsn, BkLsn *dip, GError **error)
{
    const int64_t time_us = self->request->target->time_us;
    g_auto(BkWindowPath) path = {0};
    g_autoptr(GError) cause = NULL;
    BkWalStop later;
    const BkLsn next_lsn = find_way_past(self, lsn, &path);
    const bool ok =
        bk_wal_search_earlier(self->past, &path, lsn, time_us - CLOCK_STEP_US, dip, self->op,
                              &cause) &&
        (*dip != 0 ||
         (bk_wal_search_time(self->past, &path, lsn, time_us + CLOCK_STEP_US, &later, self->op,
                             &cause) &&
          (later.stop.lsn == 0 || bk_wal_search_earlier(self->past, &path, later.stop.lsn,
                                                        time_us + 1, dip, self->op, &cause))));

    return (ok || pass_damage(&cause, error)) &&
           (*dip != 0 || find_far_dip(self, next_lsn, dip, error));
}

/* What to give for "lsn:X --exclusive", or for the end of the line: a new string. */
static char *
describe_stop(const Planner *self, const BkWalStop *stop)
{
    char lsn[BK_LSN_TEXT_SIZE];
    g_autofree char *at = stop->stop.lsn == 0 ? g_strdup("latest")
                                              : g_strdup_printf("lsn:%s --exclusive",
                                                                bk_lsn_format(stop->stop.lsn, lsn));

    return bk_plan_format_choice(self->request, at, self->leaf);
}

/* Where the clock passed a target again. */
typedef struct Again {
    BkWalStop stop;
    int64_t before_us; /* what it showed last before that */
} Again;

/* Looks behind `dip`, where the clock was back, the end of a snapshot or a commit. */
static bool
search_again(const Planner *self, BkLsn dip, Again *second, GError **error)
{
    const gssize near = find_previous(self, dip + 1);
    g_auto(BkWindowPath) path = {0};

    *second = (Again){.before_us = self->request->target->time_us};
    if (near < 0)
        return true;
    if (has_path(self, (size_t)near, self->leaf, &path) &&
        !bk_wal_search_time(self->past, &path, dip, self->request->target->time_us, &second->stop,
                            self->op, error))
        return false;
    second->before_us = second->stop.commit.lsn != 0
                            ? second->stop.commit.time_us
                            : snapshot_at(self, (size_t)near)->meta.stop_us;
    return true;
}

/* The clock passed the target at `first` and again at `second`. The first is meant when the last
 * commit before it is clearly nearer to the target; otherwise only the user knows. `first` is NULL
 * when no snapshot leads there. */
static bool
judge_clock(Planner *self, const BkWalStop *first, const Again *second, BkLsn dip, GError **error)
{
    const BkRecoveryTarget *target = self->request->target;
    g_autofree char *described = bk_recovery_target_describe(target);
    g_autofree char *one = first != NULL ? describe_stop(self, first) : NULL;
    g_autofree char *other = describe_stop(self, &second->stop);
    char lsn[BK_LSN_TEXT_SIZE];
    int64_t before_us = self->plan->snapshot->meta.stop_us;

    bk_lsn_format(dip, lsn);
    if (first == NULL)
        return bk_throw(error, BK_ERROR_AMBIGUOUS,
                        "%s of \"%s\" cannot be reached: the server's clock ran backwards before "
                        "lsn %s, and no snapshot ended before it passed that time first; use %s "
                        "for the state when it passed it again",
                        described, bk_source_repo_source(self->past->source_repo), lsn, other);
    if (first->commit.lsn > self->plan->snapshot->meta.stop_lsn)
        before_us = first->commit.time_us;
    if (target->time_us - second->before_us > 2 * (target->time_us - before_us) + CLOCK_CLEAR_US) {
        self->plan->caution = g_strdup_printf(
            "the server's clock ran backwards before lsn %s: this is the state when it passed that "
            "time first; use %s for the one when it passed it again",
            lsn, other);
        return true;
    }
    return bk_throw(
        error, BK_ERROR_AMBIGUOUS,
        "%s of \"%s\" is ambiguous, because the server's clock ran backwards before lsn %s: use %s "
        "for the state when it passed that time first, or %s for the one "
        "when it passed it again",
        described, bk_source_repo_source(self->past->source_repo), lsn, one, other);
}

/* The clock is back at `dip` (0: nowhere). */
static bool
judge_dip(Planner *self, const BkWalStop *first, BkLsn dip, GError **error)
{
    g_autoptr(GError) cause = NULL;
    Again second;

    if (dip == 0)
        return true;
    if (!search_again(self, dip, &second, &cause))
        return pass_damage(&cause, error);
    return judge_clock(self, first, &second, dip, error);
}

/* The last transaction before the stop may be dated before one that came earlier: then the clock
 * was set back between them, and the target, at which nothing was committed, may mean the state
 * before that. */
static bool
check_passed_before(const Planner *self, const BkWalStop *first, GError **error)
{
    const BkPlan *plan = self->plan;
    const int64_t last_us =
        first->commit.lsn != 0 ? first->commit.time_us : plan->snapshot->meta.stop_us;
    const gssize from = find_look_back(self, first->stop.lsn);
    g_auto(BkWindowPath) path = {0};
    g_autofree char *described = bk_recovery_target_describe(self->request->target);
    g_autofree char *one = NULL;
    g_autofree char *other = describe_stop(self, first);
    g_autoptr(GError) cause = NULL;
    BkWalStop passed, before = {.stop = {.lsn = 0}};

    if (from < 0 || !has_path(self, (size_t)from, self->leaf, &path))
        return true;
    bk_window_path_cut(&path, first->stop.lsn, self->past->input.segment_size);
    if (!bk_wal_search_time(self->past, &path, snapshot_at(self, (size_t)from)->meta.stop_lsn,
                            last_us + CLOCK_STEP_US, &passed, self->op, &cause))
        return pass_damage(&cause, error);
    if (passed.stop.lsn == 0 || passed.stop.lsn >= first->stop.lsn)
        return true;
    if (!bk_wal_search_earlier(self->past, &path, passed.stop.lsn,
                               passed.stop.time_us - CLOCK_STEP_US / 2, &before.stop.lsn, self->op,
                               &cause))
        return pass_damage(&cause, error);
    if (before.stop.lsn == 0 || before.stop.lsn >= first->stop.lsn)
        return true;
    one = describe_stop(self, &before);
    return bk_throw(error, BK_ERROR_AMBIGUOUS,
                    "%s of \"%s\" is ambiguous, because the server's clock was set back after it "
                    "had come near that time: use %s for the state before that, or %s for the one "
                    "when it passed that time again",
                    described, bk_source_repo_source(self->past->source_repo), one, other);
}

static bool
refuse_late(const Planner *self, GError **error)
{
    g_autofree char *choice = bk_plan_format_choice(self->request, "latest", self->leaf);
    g_autofree char *why = g_strdup_printf(
        "no transaction in the archive is later (use %s for everything in the archive)", choice);

    return refuse_target(self, why, error);
}

/* Plans for a time from the newest snapshot before it, `late`, or from an earlier one when the
 * server's clock ran backwards. The server stops at the first transaction that is later; without
 * one it would refuse to start. */
static bool
plan_time(Planner *self, gssize late, GError **error)
{
    const BkRecoveryTarget *target = self->request->target;
    BkPlan *plan = self->plan;
    BkLsn later = 1, dip = 0;
    gssize early = late;
    BkWalStop first;
    Again second;

    while (early >= 0 && later != 0) {
        if (!find_later_before(self, early, &later, error))
            return false;
        if (later != 0)
            early = find_best(self, later + 1);
    }
    if (early < 0)
        return search_again(self, plan->snapshot->meta.stop_lsn, &second, error) &&
               judge_clock(self, NULL, &second, plan->snapshot->meta.stop_lsn, error);
    if (early != late) {
        dip = plan->snapshot->meta.stop_lsn;
        take_plan_snapshot(self, early);
    }
    if (!bk_wal_search_time(self->past, &plan->path, plan->snapshot->meta.stop_lsn,
                            target->time_us - target->exclusive, &first, self->op, error))
        return false;
    if (first.stop.lsn == 0)
        return refuse_late(self, error);
    if (dip == 0 && !check_passed_before(self, &first, error))
        return false;
    if ((dip == 0 && !find_dip(self, first.stop.lsn, &dip, error)) ||
        !judge_dip(self, &first, dip, error))
        return false;
    plan->last_commit = first.commit;
    if (first.commit.lsn != 0)
        plan->stop_lsn = first.commit.lsn;
    return bk_plan_settle(self->past, self->request, plan, &(BkStopPosition){first.stop.lsn, false},
                          first.stop.end_lsn, self->op, error);
}

/* The command that leads to the last transaction before a gap: a new string. */
static char *
offer_end(const Planner *self, const BkRecoveryIndexEnd *end)
{
    char lsn[BK_LSN_TEXT_SIZE];
    g_autofree char *at = NULL;

    if (end->time_us == 0)
        at = g_strdup(self->plan->snapshot->head.id);
    else
        at = g_strdup_printf("lsn:%s", bk_lsn_format(end->last_lsn, lsn));
    return bk_plan_format_command(self->request, at, self->leaf);
}

/* The end of what can be replayed must be the end of the line. */
static bool
check_whole(const Planner *self, const BkRecoveryIndexEnd *end, GError **error)
{
    const uint32_t size = self->past->input.segment_size;
    const BkWindowGap *gap = &self->plan->path.gap;
    g_autofree char *command = NULL;
    g_autofree char *windows = NULL;
    char first[BK_WAL_NAME_SIZE], last[BK_WAL_NAME_SIZE];

    if (self->request->accepts_gap || gap->timeline == 0)
        return true;
    command = offer_end(self, end);
    windows = describe_windows(self);
    return bk_throw(error, BK_ERROR_NOT_FOUND,
                    "the end of timeline %u of \"%s\" cannot be reached: WAL segments %s to %s are "
                    "missing, and there is later WAL; archive them if the old or the new primary "
                    "still has them, or restore up to the last transaction before them with: %s%s",
                    self->leaf, bk_source_repo_source(self->past->source_repo),
                    bk_wal_segment_name(gap->timeline, gap->first, size, first),
                    bk_wal_segment_name(gap->timeline, gap->last, size, last), command, windows);
}

static bool
plan_without_search(Planner *self, GError **error)
{
    const BkRecoveryTarget *target = self->request->target;
    BkPlan *plan = self->plan;
    g_autoptr(GPtrArray) damage = bk_problem_list_new();
    gssize index = find_best(self, UINT64_MAX);
    BkRecoveryIndexEnd end;

    if (index < 0)
        return refuse_target(self, "it is before the end of every snapshot", error);
    take_plan_snapshot(self, index);
    /* Only who wants to come to the end needs all that leads there. */
    if (!bk_recovery_index_find_end(self->past, &plan->path, plan->snapshot->meta.stop_lsn, &end,
                                    target->kind != BK_RECOVERY_TARGET_LATEST ? damage : NULL,
                                    self->op, error))
        return false;
    bk_problem_log(damage);
    plan->end_lsn = end.lsn;
    plan->end_time_us = end.time_us;
    self->end = end;
    switch (target->kind) {
    case BK_RECOVERY_TARGET_TIME:
        return plan_time(self, index, error);
    case BK_RECOVERY_TARGET_LSN:
        if (target->lsn >= end.lsn)
            return refuse_target(self, "the WAL in the archive ends before it", error);
        plan->stop_lsn = target->lsn;
        return bk_plan_settle(self->past, self->request, plan,
                              &(BkStopPosition){target->lsn, !target->exclusive}, target->lsn + 1,
                              self->op, error);
    case BK_RECOVERY_TARGET_IMMEDIATE:
    case BK_RECOVERY_TARGET_SNAPSHOT:
        return bk_plan_settle(self->past, self->request, plan,
                              &(BkStopPosition){plan->snapshot->meta.stop_lsn, false},
                              plan->snapshot->meta.stop_lsn, self->op, error);
    case BK_RECOVERY_TARGET_LATEST:
        return check_whole(self, &end, error) &&
               bk_plan_settle(self->past, self->request, plan, &(BkStopPosition){end.lsn, false}, 0,
                              self->op, error);
    case BK_RECOVERY_TARGET_XID:
    case BK_RECOVERY_TARGET_NAME:
        break;
    }
    return true;
}

static uint64_t
count_path_segments(const BkWindowPath *path)
{
    uint64_t count = 0;

    for (size_t i = 0; i < path->count; i++)
        count += path->steps[i].last - path->steps[i].first + 1;
    return count;
}

bool
bk_plan_make_along(const BkRecoveryIndex *past, const BkPlanRequest *request, uint32_t timeline,
                   BkPlan *plan, BkOp *op, GError **error)
{
    Planner self = {
        .past = past,
        .request = request,
        .plan = plan,
        .op = op,
        .leaf = timeline,
    };
    BkRecoveryTargetKind kind = request->target->kind;
    bool ok;

    *plan = (BkPlan){.stop = *request->target};
    if (!check_wanted(&self, error))
        return false;
    if (!is_reachable_leaf(&self, timeline)) {
        g_autofree char *why = g_strdup_printf("no snapshot leads to timeline %u", timeline);

        return refuse_target(&self, past->windows.count > 0 ? why : "no snapshot has all its WAL",
                             error);
    }
    ok = kind == BK_RECOVERY_TARGET_XID || kind == BK_RECOVERY_TARGET_NAME
             ? search_path(&self, error)
             : plan_without_search(&self, error);
    plan->segments = count_path_segments(&plan->path);
    return ok;
}
