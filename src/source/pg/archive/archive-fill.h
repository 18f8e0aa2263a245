/* archive-fill.h - archives WAL that is missing in the archive and still in the server's own
 * pg_wal.
 *
 * A standby marks the segments that it streams as done, so after its promotion nobody archives
 * those which the old primary had not archived yet; nor does anybody archive what an
 * archive_command threw away. As long as pg_wal has such files, they close the gap. Only the path
 * of the server's own history is looked at: of each ancestor timeline what comes before the fork.
 * What is marked ready is left to the archiver.
 * Threads: the call blocks. */
#pragma once
#include "codec/compress.h"
#include "repo/repository.h"
#include "source/pg/format/lsn.h"

typedef struct BkArchiveFillRequest {
    GPtrArray *source_repos; /* of BkSourceRepo: each gets what it lacks */
    const char *wal_dir;     /* pg_wal */
    uint32_t timeline;       /* that the server is on */
    BkLsn end_lsn;      /* of that timeline, only segments before the one with this position are
                           complete; 0: none is looked at */
    uint64_t system_id; /* of the cluster */
    BkCodec codec;
    int level;
} BkArchiveFillRequest;

typedef struct BkArchiveFilled {
    size_t count;                 /* of files that were put */
    char first[BK_WAL_NAME_SIZE]; /* segments; "" when there were only history files */
    char last[BK_WAL_NAME_SIZE];
} BkArchiveFilled;

/* Archives what is missing, by one listing for each repository and timeline of which pg_wal has
 * something to compare. A file that cannot be archived is a warning, and the others are; the call
 * fails when pg_wal cannot be read, a repository cannot be asked, or the operation ends. */
bool bk_wal_fill(const BkArchiveFillRequest *request, BkArchiveFilled *filled, BkOp *op,
                 GError **error) BK_MUST_USE;

/* Returns true if `name` is the first of what the server archives of a new timeline, its history
 * file or its first segment: the time to look for what nobody archived before. */
bool bk_archive_fill_is_due(const char *wal_dir, const char *name, const BkWalName *parsed);
