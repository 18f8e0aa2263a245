/* events.h - what destroyed data between two points in time: transactions in the archived WAL.
 *
 * Each event has the LSN at which recovery stops just before it. The archived WAL is read from the
 * newest snapshot before the first point in time on, so that the whole of each transaction is seen
 * and names are those of its time. Promise: the LSN of an event is a valid target for restore, with
 * the same repositories. Threads: belongs to one thread. */
#pragma once
#include "repo/targets/source-spec.h"
#include "report/problem.h"
#include "source/pg/wal/wal-xacts.h"

#define BK_EVENTS_MAX         10000
#define BK_EVENTS_CHANGES_MAX 100000 /* of all events */

typedef struct BkEventsRequest {
    int64_t from_us; /* since 1970; INT64_MIN: from where recovery can begin */
    int64_t to_us;   /* INT64_MAX: to the end of the WAL */
    uint64_t min_deletes;
    const char *timeline;   /* as of a restore: "latest", "current", a number, or NULL: latest */
    uint64_t system_id;     /* the cluster; 0: the current one */
    const char *repository; /* read this one only, or NULL */
    const char *command;    /* as in BkPlanRequest */
} BkEventsRequest;

typedef struct BkEvent {
    BkWalXact xact;  /* its changes are owned by the event */
    bool has_before; /* false: no snapshot leads to the state before it */
} BkEvent;

typedef struct BkEvents {
    GPtrArray *events;            /* of BkEvent, in the order of their commits */
    uint64_t omitted;             /* events beyond the bounds above */
    GPtrArray *problems;          /* of BkProblem: what could not be read */
    uint32_t timeline;            /* the WAL of which way was read */
    uint64_t system_id;           /* of the cluster that was read, where there are several; or 0 */
    bool is_only;                 /* there is no other line, which a restore could take */
    GPtrArray *others;            /* of char *: what other lines there are, which were not read */
    int64_t start_us;             /* the first point in time that is covered */
    int64_t end_us;               /* the last transaction's; 0: none */
    uint64_t segments;            /* that were read */
    char first[BK_WAL_NAME_SIZE]; /* the first of them, and the last; "": none was */
    char last[BK_WAL_NAME_SIZE];
    GPtrArray *repositories; /* of char *: names of those that could, which count together */
} BkEvents;

void bk_events_clear(BkEvents *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkEvents, bk_events_clear)

/* Reads the WAL. Fails with BK_ERROR_NOT_FOUND when there is no recovery window, BK_ERROR_USAGE for
 * a timeline of a wrong form, or as the store. */
bool bk_events_load(const BkSourceSpec *source, const BkEventsRequest *request, BkEvents *timeline,
                    BkOp *op, GError **error) BK_MUST_USE;
