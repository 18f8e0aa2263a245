/* system-id.h - which PostgreSQL clusters a source consists of, by system identifier.
 *
 * Those are the cluster of its snapshots and each that the operator has declared current since
 * ("backup --new-cluster", a sealed decision in every repository). WAL of any other is refused, so
 * that none gets in by accident.
 * Threads: safe. */
#pragma once
#include "repo/repository.h"

typedef enum BkSystemStanding {
    BK_SYSTEM_FIRST,   /* the source has no snapshot yet, and no decision: any cluster is taken */
    BK_SYSTEM_CURRENT, /* the source goes on with this cluster */
    BK_SYSTEM_FORMER,  /* it went on with another one; the last WAL of this one is still taken */
    BK_SYSTEM_FOREIGN, /* no cluster of this source */
    BK_SYSTEM_UNKNOWN, /* snapshots or decisions are there, and all are damaged; the archive has WAL
                          of several clusters, or none */
} BkSystemStanding;

/* What `system_id` is for the source, according to one source repository. `*current` gets the
 * identifier of the current cluster, 0 if there is none yet; if UNKNOWN, a cluster in the archive:
 * this one if it is there, 0 if there is none. May be NULL. Asks for a listing of the snapshots and
 * the head of the newest one whose manifest can be read; only where that is not of this cluster
 * also for the decisions, and only for a cluster that these do not name, for the other heads.
 * Damaged manifests stop nothing; where nothing else is there, the WAL archive is listed: the only
 * cluster with a directory in it is the current one. CURRENT may become FORMER, and FORMER CURRENT,
 * by a later decision; that a cluster is one of the source's (either of them) holds for as long as
 * the source is there, and may be remembered. */
bool bk_system_judge(const BkSourceRepo *source_repo, uint64_t system_id,
                     BkSystemStanding *standing, uint64_t *current, BkOp *op,
                     GError **error) BK_MUST_USE;

/* The cluster that this host has noted as one of the source's, sealed with the source's key.
 * Returns false if none is noted. Nothing is refused by it: another one may be the source's as
 * well. */
bool bk_system_id_recall(const BkSourceRepo *source_repo, uint64_t *system_id) BK_MUST_USE;

/* Fails with BK_ERROR_UNFIT, and says what to do, if WAL of that cluster is not to be archived.
 * Where the cluster is UNKNOWN, WAL is taken of those that the archive has already. For whoever
 * asks again and again: of a repository in a bucket, that the cluster is the source's is noted on
 * this host, and then costs no request. While the source has no snapshot nothing is noted, since
 * any cluster may still become its own. */
bool bk_system_check_wal(const BkSourceRepo *source_repo, uint64_t system_id, BkOp *op,
                         GError **error) BK_MUST_USE;

/* Fails with BK_ERROR_UNFIT, and says what to do, if that cluster is not the current one. Neither
 * what this host has noted nor the newest snapshot decides: the decisions are always asked for.
 * `snapshots` are those of the part, of bk_snapshot_list; NULL: they are listed. */
bool bk_system_check_current(const BkSourceRepo *source_repo, GPtrArray *snapshots,
                             uint64_t system_id, BkOp *op, GError **error) BK_MUST_USE;

/* What to do with a server of another cluster, FORMER or FOREIGN: a new string. */
char *bk_system_advise(const char *source, BkSystemStanding standing, uint64_t system_id,
                       uint64_t current);

/* Declares that the source goes on with `system_id`, in all of `source_repos` (of BkSourceRepo, of
 * required repositories), each of which also gets the decisions that it lacks. Nothing is done
 * where it is known in all of them to be the current cluster, or the source has none yet.
 * `source_repos` must agree on their keys. Crash: what is declared in some of them is declared by
 * calling again; WAL is taken once the first part has it, which is the last to get it. */
bool bk_system_declare(const GPtrArray *source_repos, uint64_t system_id, BkOp *op,
                       GError **error) BK_MUST_USE;

/* Brings the decisions that `to` lacks from `from`. */
bool bk_system_bring_decisions(const BkSourceRepo *from, const BkSourceRepo *to, BkOp *op,
                               GError **error) BK_MUST_USE;
