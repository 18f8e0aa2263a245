/* lines.h - the lines of one cluster's history over all repositories of its source, judged from
 * the archive, the operator's decisions and the server (source/pg/history/line.h has the rules).
 *
 * What one repository is missing of a line, another one may have. Damage is reported as a problem,
 * and its content stays unknown: then lines may be ambiguous. Nothing but what is loaded already is
 * read where there is only one timeline. Threads: belongs to one thread, or is read only. */
#pragma once
#include "repo/targets/source-spec.h"
#include "source/pg/archive/decision.h"
#include "source/pg/history/line.h"
#include "source/pg/history/recovery-index.h"

typedef struct BkLines {
    const GPtrArray *pasts; /* of BkRecoveryIndex, all of one cluster, which must outlive it */
    BkRecoveryIndex *past;  /* all of them together; owned */
    BkWindowInput input;    /* that of `past` */
    BkLineMap map;
    BkLineActivity *activities; /* owned; one for each stretch */
    GArray *decisions;          /* of BkDecision, by number: all that were ever made, of any
                                   cluster */
    GArray *valid;              /* of BkLineDecision: those that are not taken back */
    size_t undecided_parts;     /* repositories that lack one of the decisions */
    GPtrArray *problems;        /* of BkProblem: what could not be read */
    uint64_t system_id;         /* of the cluster; 0: there is nothing */
    uint32_t server_timeline;   /* on which the source's server writes; 0: not known */
} BkLines;

void bk_lines_clear(BkLines *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkLines, bk_lines_clear)

/* Finds and judges the lines of `pasts` (of BkRecoveryIndex with their archives). `source` (or
 * NULL) names the server that may be asked, for a few seconds at most. Fails only when `op` ended.
 */
bool bk_lines_load(const GPtrArray *pasts, const BkSourceSpec *source, BkLines *lines, BkOp *op,
                   GError **error) BK_MUST_USE;

/* Appends the decisions in `source_repo` to `decisions` as bk_decision_list; those that cannot be
 * read are added to `problems`. Fails only when `op` ended. */
bool bk_lines_list_decisions(const BkSourceRepo *source_repo, GArray *decisions,
                             GPtrArray *problems, BkOp *op, GError **error) BK_MUST_USE;

/* Loads the decisions also where there is one line, for which they mean nothing. Fails only when
 * `op` ended. */
bool bk_lines_load_decisions(BkLines *self, BkOp *op, GError **error) BK_MUST_USE;

/* The current line, or NULL if it is ambiguous or there is none. */
const BkLine *bk_lines_living(const BkLines *self);

/* The newest snapshot of the current line, by position; where that is ambiguous, of all lines. An
 * index into `input`'s; SIZE_MAX: there is none. */
size_t bk_lines_newest_snapshot(const BkLines *self);

/* Index of snapshot `id` in `input`; SIZE_MAX: it is not there. */
size_t bk_lines_find_snapshot(const BkLines *self, const char *id);

/* Returns true if line `index` passes through that snapshot of `input`. */
bool bk_lines_has_snapshot(const BkLines *self, size_t index, size_t snapshot);

/* Timelines of which there are segments, or which a snapshot needs, but whose history file is not
 * there, though something older is: they cannot be reached from it. An array of uint32_t. */
GArray *bk_lines_find_orphans(const BkLines *self);

/* What is known of a line, in a few words: "timeline 2 from 0/5000000, last commit …, 1 snapshot".
 * A new string. */
char *bk_lines_describe(const BkLines *self, size_t index);

/* Sorts pointers to const BkRecoveryIndexSnapshot by line and position: each line in its order, the
 * living line's newest last. `at` gives the snapshot of an element. */
typedef const BkRecoveryIndexSnapshot *(*BkLinesGetSnapshot)(const void *element);
void bk_lines_sort(const BkLines *self, GPtrArray *elements, BkLinesGetSnapshot at);
