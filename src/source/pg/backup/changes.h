/* changes.h - what changed in a cluster between two LSNs, according to its WAL.
 *
 * The summaries of the archived segments are added up; what is not archived yet is read from the
 * server's own pg_wal. The records of neighbours must link up, so that WAL of another history under
 * the same names is noticed. Threads: a call starts and joins threads of its own. */
#pragma once
#include "base/op.h"
#include "source/pg/cluster/pg-meta.h"
#include "source/pg/wal/block-map.h"

/* A segment as an archive has it, read whole for one question and worth keeping for the next. */
typedef struct BkArchivedSegment {
    char name[BK_WAL_NAME_SIZE]; /* "": none */
    BkBuf content;
} BkArchivedSegment;

typedef struct BkChangesRequest {
    GPtrArray *source_repos; /* of BkSourceRepo: the repositories that may have the WAL */
    const char *data_dir;    /* of the running server */
    const BkPgMeta *from;    /* the older snapshot: everything since its start LSN */
    const BkPgMeta *to;      /* this backup, on the same timeline: up to its start LSN */
    unsigned workers;
    BkArchivedSegment *archived; /* gets what is read for a mark, and saves reading it again; NULL:
                                    nothing is kept */
} BkChangesRequest;

typedef struct BkChanges {
    BkBlockMap *map;       /* NULL: the WAL cannot be relied on for this */
    char *why;             /* then */
    bool is_contradictory; /* then: not because WAL is missing, but since it is of two histories */
} BkChanges;

void bk_changes_clear(BkChanges *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkChanges, bk_changes_clear)

/* Finds them. `changes` is overwritten. False when a repository cannot be asked, or `op` ended. */
bool bk_changes_find(const BkChangesRequest *request, BkChanges *changes, BkOp *op,
                     GError **error) BK_MUST_USE;

/* Finds out whether the WAL of `timeline` in the server or the archive has the record that `mark`
 * names. False also when neither has that place any more. */
bool bk_changes_have_mark(const BkChangesRequest *request, uint32_t timeline, const BkWalMark *mark,
                          bool *have, BkOp *op, GError **error) BK_MUST_USE;
