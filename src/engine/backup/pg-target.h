/* pg-target.h - what a backup of a PostgreSQL cluster asks of a target (repo/targets): that the
 * cluster is the source's there, that its WAL is there, and to be caught up where it is behind.
 *
 * Threads: belongs to the thread of the backup. */
#pragma once
#include "repo/targets/targets.h"
#include "source/pg/cluster/pg-meta.h"

typedef struct BkPgTargetRequest {
    const BkPgMeta *meta;
    const char *data_dir;      /* where the server has written its WAL */
    const BkSourceRepo *model; /* of a required target */
    int64_t timeout_us;        /* how long WAL that the required targets have may take to arrive */
    int64_t started_us;        /* when the snapshot was begun */
    unsigned workers;
} BkPgTargetRequest;

/* A BkTargetCall; `data` is a BkPgTargetRequest. Fails with BK_ERROR_UNFIT where `meta`'s cluster
 * is not the current one, also by the decisions of `model`, which it gets if it missed them. */
bool bk_pg_target_check_cluster(BkTarget *target, const void *data, BkOp *op,
                                GError **error) BK_MUST_USE;

/* As find_lack of BkPublishRequest; `data` is a BkPgTargetRequest. Waits for the WAL from start to
 * stop, unless the snapshot has it in itself. */
bool bk_pg_target_find_lack(const BkTarget *target, const void *data, char **lack, BkOp *op,
                            GError **error) BK_MUST_USE;

/* A BkTargetCall; `data` is a BkPgTargetRequest. Brings what it lacks of the snapshot, and all
 * snapshots and WAL since the newest that it had before, from `model`. */
bool bk_pg_target_catch_up(BkTarget *target, const void *data, BkOp *op,
                           GError **error) BK_MUST_USE;
