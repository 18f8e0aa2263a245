/* plan-request.h - what a plan is asked for, what it says, and the commands that it names to the
 * user.
 *
 * Threads: plain data; functions have no state. */
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

/* Is that a timeline as a request names it (see there)? BK_ERROR_USAGE otherwise. */
bool bk_plan_check_timeline(const char *timeline, GError **error) BK_MUST_USE;

/* "2026-11-28 10:00:00 UTC": a new string. */
char *bk_plan_format_time(int64_t time_us);

/* The request's command with another target (NULL: its own) along `timeline` (0: as by default): a
 * new string. */
char *bk_plan_format_command(const BkPlanRequest *request, const char *at, uint32_t timeline);

/* "--at AT"; where there are several lines, which may all have that, the whole command that follows
 * `timeline`: a new string. */
char *bk_plan_format_choice(const BkPlanRequest *request, const char *at, uint32_t timeline);
