/* plan.h - from a recovery target to the snapshot and the WAL that lead to it.
 *
 * Promise: a plan that is made can be carried out with what the repository holds; a target that
 * cannot be reached is refused, with the windows that exist, and so is one that may mean two
 * different states, or one with a database half dropped, with the command for each.
 * Threads: belongs to one thread. */
#pragma once
#include "source/pg/history/lines.h"
#include "source/pg/restore/recovery-target.h"

typedef struct BkPlanRequest {
    const BkRecoveryTarget *target;
    const char *timeline; /* "latest", "current", a number, or NULL: latest */
    const char *snapshot; /* id to start from, or NULL: the best one */
    uint64_t system_id;   /* of the cluster that is meant; 0: see bk_plan_choose */
    bool names_system;    /* commands for the user name the cluster */
    const char *command;  /* for the user to type, to which --timeline and --at can be added; NULL:
                             the options alone are shown */
    bool lacks_repositories;    /* some could not be opened, and what they have is unknown */
    bool accepts_gap;           /* `latest` may mean the last position before a gap */
    const BkSourceSpec *source; /* whose server may be asked on which timeline it is; or NULL */
    const BkLines *lines;       /* of all repositories; NULL: those of the one past */
} BkPlanRequest;

typedef struct BkPlan {
    const BkRecoveryIndexSnapshot *snapshot; /* in the past that the plan was made of */
    uint32_t timeline;                       /* to recover along */
    BkWindowPath path;       /* WAL from the snapshot's start to the target, or to the end */
    uint64_t segments;       /* in that path */
    BkLsn end_lsn;           /* of the WAL on the way to `timeline` */
    int64_t end_time_us;     /* of the last transaction in it; 0: none past the snapshot */
    BkWalMoment last_commit; /* for a time: the last that is replayed; lsn 0: none past the
                                snapshot's start */
    BkLsn stop_lsn;          /* the position that is reached, by which two plans are the same */
    BkRecoveryTarget stop;   /* what the server is told: the request's target, or the exact position
                        that it   stands for. Its text is the request's */
    char *note;              /* for people: why it is this timeline; NULL: as always */
    char *caution; /* for people: why `stop` is another target, or the clock; NULL: nothing */
} BkPlan;

void bk_plan_clear(BkPlan *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkPlan, bk_plan_clear)

/* Checks that it is a timeline as a request names it (see there); BK_ERROR_USAGE otherwise. */
bool bk_plan_check_timeline(const char *timeline, GError **error) BK_MUST_USE;

/* The plan that follows one timeline, whatever the request says of timelines; it needs
 * request->lines. Fails as bk_plan_make. */
bool bk_plan_make_along(const BkRecoveryIndex *past, const BkPlanRequest *request,
                        uint32_t timeline, BkPlan *plan, BkOp *op, GError **error) BK_MUST_USE;

/* "2026-11-28 10:00:00 UTC": a new string. */
char *bk_plan_format_time(int64_t time_us);

/* The request's command with another target (NULL: its own) along `timeline` (0: as by default): a
 * new string. */
char *bk_plan_format_command(const BkPlanRequest *request, const char *at, uint32_t timeline);

/* "--at AT"; where there are several lines, which may all have that, the whole command that follows
 * `timeline`: a new string. */
char *bk_plan_format_choice(const BkPlanRequest *request, const char *at, uint32_t timeline);

/* Makes a plan. Without a timeline in the request, `latest` and `immediate` follow the line on
 * which the cluster lives; any other target is looked for on every line that was not declared dead,
 * and must be found at one place only; one that is found on another line than that, while a line
 * could not be searched, is refused. `latest` leads to the end of its line and never to a gap
 * before it. Fails with BK_ERROR_NOT_FOUND when there is no such snapshot, the target is outside
 * every window, or it is ambiguous on which line the cluster lives, BK_ERROR_AMBIGUOUS when the
 * target is, or may be, in several places (either says by which commands each is reached),
 * BK_ERROR_USAGE for a timeline of a wrong form, BK_ERROR_CORRUPT when the wanted snapshot's
 * manifest, or every one, is damaged. The index must outlive the plan. */
bool bk_plan_make(const BkRecoveryIndex *past, const BkPlanRequest *request, BkPlan *plan, BkOp *op,
                  GError **error) BK_MUST_USE;
