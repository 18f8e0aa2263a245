/* server-check.h - what the running server reports about its archiving, and what is wrong with it.
 *
 * A repository shows only what has arrived. Whether more will, the server knows: this asks it, in a
 * few seconds at most, and compares its answers with what is in the archive. Without a server that
 * answers, what its data directory shows is used.
 * Threads: belongs to one thread. */
#pragma once
#include "source/pg/archive/push-failure.h"
#include "source/pg/cluster/server.h"
#include "source/pg/history/snapshot-list.h"

typedef struct BkServerCheck {
    bool is_asked; /* the source names a server */
    char *why;     /* why it could not be asked; NULL if it has answered */
    BkServerFacts facts;
    BkServerState state;
    bool knows_ready;
    BkServerReady ready; /* WAL files that wait for the archiver */
    int64_t ahead_us;    /* by how much its clock is ahead of ours; negative: behind */
    bool has_failure;
    BkPushFailure failure; /* why "wal push" failed last */
} BkServerCheck;

void bk_server_check_clear(BkServerCheck *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkServerCheck, bk_server_check_clear)

/* Asks the server of `source`. To be called before the archive is listed: then all that the server
 * counts as archived must be in the list. */
void bk_server_check_ask(const BkSourceSpec *source, BkServerCheck *check, BkOp *op);

/* Returns true if the server has answered and its archiver fails. */
bool bk_server_check_is_failing(const BkServerCheck *self);

/* Adds to `problems` (of BkProblem) what is wrong. `listing` is what the repositories have
 * of the source, `rpo_us` the promised bound on unarchived time or 0, `now_us` the time. */
void bk_server_check_judge(const BkServerCheck *self, const BkSourceSpec *source,
                           const BkListing *listing, int64_t rpo_us, int64_t now_us,
                           GPtrArray *problems);

/* Warns, in the log, of what a backup that begins is better told before the copying than after it:
 * a clock that differs, an archiver that fails though the backup will need its WAL (unless it
 * `is_standalone`). Fails only if the server does not answer. */
bool bk_server_check_before_backup(BkServer *server, const char *source, const char *data_dir,
                                   bool is_standalone, BkOp *op, GError **error) BK_MUST_USE;

/* What the archiver fails with, for people: file, time, and the error of our own "wal push" if
 * `failure` (may be NULL) has it. A new string. */
char *bk_archiver_describe_failure(const BkServerState *state, const BkPushFailure *failure);
