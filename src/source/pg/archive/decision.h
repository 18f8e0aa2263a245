/* decision.h - decisions of an operator about a source: about the lines of its history
 * (source/pg/history/line.h), and its current cluster (source/pg/history/system.h).
 *
 * A decision is the sealed object "SOURCE/decisions/NUMBER", NUMBER of 16 hex digits from 1 on. It
 * is put once, like every object, and taken back by a later one. Each repository of the source gets
 * all decisions.
 * Threads: functions are safe from any thread. */
#pragma once
#include "repo/repository.h"
#include "source/pg/format/lsn.h"

#define BK_DECISION_HOST_MAX 255
#define BK_DECISIONS_MAX     4096 /* of one source */

typedef enum BkDecisionKind {
    BK_DECISION_DAMAGED = 0, /* its object cannot be read; never on disk */
    BK_DECISION_DEAD = 1,
    BK_DECISION_CURRENT = 2,
    BK_DECISION_FORGET = 3,  /* takes back what was decided about `timeline` before */
    BK_DECISION_CLUSTER = 4, /* the source goes on with the cluster `system_id` */
} BkDecisionKind;            /* the numbers are on disk */

typedef struct BkDecision {
    uint64_t number; /* from 1; later ones are higher */
    BkDecisionKind kind;
    uint64_t system_id;   /* of the cluster that it is about */
    uint64_t previous_id; /* CLUSTER: the one that was current before; `system_id` itself if
                             that was not known */
    uint32_t timeline;    /* 0 for CLUSTER */
    BkLsn lsn; /* it is about every line that passes through this position of `timeline` */
    int64_t time_us;
    char host[BK_DECISION_HOST_MAX + 1]; /* on which it was made */
} BkDecision;

/* Appends the content of the object. */
void bk_decision_encode(const BkDecision *self, BkBuf *out);

/* Fails with BK_ERROR_CORRUPT. `decision` is overwritten. */
bool bk_decision_decode(const void *data, size_t size, BkDecision *decision,
                        GError **error) BK_MUST_USE;

/* Appends every decision in `source_repo` to `decisions` (of BkDecision), by number. Of a damaged
 * one only the number is known, which stays in use permanently; `damage` (of char *) gets what is
 * wrong with it, and with names that are no decision's. Fails as the store. */
bool bk_decision_list(const BkSourceRepo *source_repo, GArray *decisions, GPtrArray *damage,
                      BkOp *op, GError **error) BK_MUST_USE;

/* Sets `*has` to whether there is any decision in `source_repo`, by one cheap request: whoever puts
 * several puts them by number, so that the first one is there if any is. Fails as the store. */
bool bk_decision_has_any(const BkSourceRepo *source_repo, bool *has, BkOp *op,
                         GError **error) BK_MUST_USE;

/* Adds what `decisions` lacks of `others`, those of another repository, and sorts them by number. A
 * decision that is damaged in one may be intact in the other; of two different ones with one
 * number, which repositories can get that do not reach each other, both are kept, by time. */
void bk_decision_join(GArray *decisions, const GArray *others);

/* The number for a new decision, where `decisions` are all that there are. */
uint64_t bk_decision_next_number(const GArray *decisions);

/* Puts the intact ones of `decisions`, which are sorted by number, whose numbers `source_repo`
 * lacks. `damage` as in bk_decision_list. BK_ERROR_EXISTS when another one got a number meanwhile.
 */
bool bk_decision_bring(const GArray *decisions, const BkSourceRepo *source_repo, GPtrArray *damage,
                       BkOp *op, GError **error) BK_MUST_USE;

/* Puts a decision. BK_ERROR_EXISTS when there is one of that number. */
bool bk_decision_put(const BkSourceRepo *source_repo, const BkDecision *decision, BkOp *op,
                     GError **error) BK_MUST_USE;
