/* line.h - lines: the branches of a source's history, and which of them is current.
 *
 * Each promotion forks a timeline off another one, and both may go on. The forks cut the timelines
 * into stretches, which form a tree; a line is the way from its root to an end: one history that
 * the cluster may have had. Stretches before a fork belong to all lines behind it.
 *
 * Which line the cluster lives on is judged from what happened in the stretches that two lines do
 * not share, never from the numbers of timelines alone:
 *   1. what the operator declared;
 *   2. a line in which nothing happened (no commit, no snapshot) gives way to one in which
 *      something did;
 *   3. of two whose activity does not overlap in time, the later one goes on: after a promotion or
 *      a recovery in place the old timeline ends before the new one begins;
 *   4. of two that overlap, one that has a snapshot and commits later than all of the other;
 *   5. else the timeline of the running server decides; and where it contradicts 2 to 4, nothing
 *      is decided.
 * What is not decided is ambiguous, and whoever follows a line has to say which.
 * Pure calculation. Threads: safe; nothing here has state. */
#pragma once
#include "source/pg/history/recovery-window.h"

#define BK_LINE_NONE SIZE_MAX

/* A timeline from its beginning or a fork to the next fork or its end. */
typedef struct BkLineStretch {
    uint32_t timeline;
    uint64_t begin_lsn;
    uint64_t end_lsn; /* UINT64_MAX: to the end of the timeline */
    size_t before;    /* the stretch that it continues; BK_LINE_NONE: none is known */
    bool is_shared;   /* every line has it: what happened in it decides nothing */
} BkLineStretch;

/* What the WAL says of a stretch. Times are of commits and aborts. */
typedef struct BkLineActivity {
    bool has_commits;
    bool is_unknown; /* it could not be read: it may be anything */
    int64_t first_us;
    int64_t last_us;
    uint64_t last_lsn; /* of the last commit or abort */
} BkLineActivity;

typedef enum BkLineVerdict {
    BK_LINE_LIVING,
    BK_LINE_OPEN,     /* ambiguous: one of several that may be current */
    BK_LINE_ENDED,    /* another one goes on */
    BK_LINE_EMPTY,    /* nothing happened in what it does not share with the current one */
    BK_LINE_DECLARED, /* declared dead by the operator */
} BkLineVerdict;

typedef struct BkLine {
    uint32_t timeline; /* at its end: recovery_target_timeline */
    size_t end;        /* its last stretch */
    BkLineVerdict verdict;
    bool is_declared_current;
    bool is_empty;    /* nothing happened in the stretches that it alone has */
    bool is_copy;     /* it forked from the timeline of the running cluster, and archives */
    bool grew_beside; /* something happened in it at the same time as in the current one */
} BkLine;

/* A decision of the operator: about each line that passes through this position. */
typedef struct BkLineDecision {
    bool is_current; /* false: dead */
    uint32_t timeline;
    uint64_t lsn; /* behind the timeline's last fork when it was made */
} BkLineDecision;

typedef struct BkLineEvidence {
    const BkLineActivity *activities; /* one for each stretch; those of shared ones do not count */
    const BkLineDecision *decisions;
    size_t decision_count;
    uint32_t server_timeline; /* on which the source's own server writes; 0: unknown */
} BkLineEvidence;

typedef struct BkLineMap {
    BkLineStretch *stretches; /* owned; each behind the one that it continues */
    size_t stretch_count;
    BkLine *lines; /* owned; by timeline */
    size_t line_count;
    size_t living; /* index of a line; BK_LINE_NONE: ambiguous, or there is no line */
} BkLineMap;

void bk_line_map_clear(BkLineMap *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkLineMap, bk_line_map_clear)

/* Finds stretches and lines. A timeline whose own WAL and snapshots end where another one forked
 * off is no line of its own, unless it is `server_timeline`. Nothing is judged yet. */
void bk_line_map_find(const BkWindowInput *input, uint32_t server_timeline, BkLineMap *map);

/* Judges the lines: sets `living`, the current one, and the state of each. Lines of which nothing
 * but the segment of the fork is there, without a commit behind it, are removed first. */
void bk_line_map_judge(BkLineMap *self, const BkWindowInput *input, const BkLineEvidence *evidence);

/* The line that ends on `timeline`, BK_LINE_NONE when none does. */
size_t bk_line_map_find_line(const BkLineMap *self, uint32_t timeline);

/* The stretch that holds the byte before `lsn` on `timeline`, BK_LINE_NONE when there is none. */
size_t bk_line_map_find_stretch(const BkLineMap *self, uint32_t timeline, uint64_t lsn);

/* Returns true if `line` passes through `stretch`. */
bool bk_line_map_has(const BkLineMap *self, size_t line, size_t stretch);

/* The stretch in which `line` leaves all other lines: the first that it alone has, or its last. */
size_t bk_line_map_own_stretch(const BkLineMap *self, size_t line);

/* Returns true if any segment of `stretch` is there. */
bool bk_line_map_has_wal(const BkLineMap *self, const BkWindowInput *input, size_t stretch);

/* Ranks stretches so that snapshots sorted by the rank of their stretch, then by position, are in
 * the order of each line, the living line's newest last: an owned array, one for each stretch. */
size_t *bk_line_map_rank(const BkLineMap *self) BK_MUST_USE;

/* A position on the line's own stretch, for a decision about it. */
BkLineDecision bk_line_map_decide(const BkLineMap *self, size_t line, bool is_current);
