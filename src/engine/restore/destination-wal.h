/* destination-wal.h - WAL in the destination of a restore that no repository has.
 *
 * A server that was stopped may have finished segments that were not archived yet, and a crash
 * leaves the segment that was being written. `--delta` removes what is in pg_wal, so these files go
 * into the archive of the source first, where they are of its own history. Those that are of
 * another cluster or history have no place there: they are reported in `foreign`.
 *
 * What counts: segments whose header agrees with their name (others are recycled or preallocated),
 * history files and partial segments. The server's own marks (archive_status) are believed only as
 * far as the repositories confirm them.
 * Threads: belongs to one thread. */
#pragma once
#include "repo/targets/source-spec.h"
#include "source/pg/restore/recovery-target.h"
#include "source/pg/wal/wal-info.h"

typedef struct BkDestinationWal {
    char *directory;    /* pg_wal, with its links resolved; NULL if there is none */
    GPtrArray *lacking; /* of char *: names of finished files to archive, in the order for it */
    char *last;         /* the segment that the server had not finished, also to archive; or NULL */
    GPtrArray *foreign; /* of char *: names of files that cannot be archived for the source */
    const char *why;    /* what is wrong with them; static */
    BkWalMoment end;    /* the last commit or abort in `lacking` and `last`; lsn 0 if none */
    BkLsn end_lsn;      /* where their WAL ends; 0 if there is none */
} BkDestinationWal;

void bk_destination_wal_clear(BkDestinationWal *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkDestinationWal, bk_destination_wal_clear)

/* Looks in the data directory `path`, in which no server runs. `source_repos` are the opened source
 * repositories, at least one; `original_lives` says that the source's server is running elsewhere:
 * then the segment that it is writing is not taken from here. */
bool bk_destination_wal_find(const char *path, GPtrArray *source_repos, bool original_lives,
                             BkDestinationWal *self, BkOp *op, GError **error) BK_MUST_USE;

/* Returns true if there is anything to archive. */
bool bk_destination_wal_is_needed(const BkDestinationWal *self);

/* Returns in `*reaches` whether a target that the archive does not lead to lies in this WAL. */
bool bk_destination_wal_reaches(const BkDestinationWal *self, const BkRecoveryTarget *target,
                                bool *reaches, GError **error) BK_MUST_USE;

/* Archives the finished files in every required repository. Nothing in the directory changes. */
bool bk_destination_wal_archive(const BkDestinationWal *self, const BkSourceSpec *source, BkOp *op,
                                GError **error) BK_MUST_USE;

/* Marks `last`, if there is one, as finished, for good: also for a restore that continues this one.
 */
bool bk_destination_wal_finish_last(const BkDestinationWal *self, GError **error) BK_MUST_USE;

/* Archives `last`, if there is one, when it was marked. The server must be unable to go on in
 * this directory: it would finish the segment differently. */
bool bk_destination_wal_archive_last(const BkDestinationWal *self, const BkSourceSpec *source,
                                     BkOp *op, GError **error) BK_MUST_USE;

/* "000000010000000000000004, 000000010000000000000005 and 3 more": a new string. */
char *bk_destination_wal_names(const GPtrArray *names);
