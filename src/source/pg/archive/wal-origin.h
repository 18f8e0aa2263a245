/* wal-origin.h - of which cluster a WAL file is, or is asked for: told by the server's own files.
 *
 * Threads: safe. */
#pragma once
#include "source/pg/format/lsn.h"

/* The system identifier of the data directory of which `wal_dir` is pg_wal: in pg_control beside
 * it, or in that of the present directory where its pg_wal is this one, which may be a link. 0:
 * there is no such file, or it cannot be read. */
uint64_t bk_wal_origin_of_directory(const char *wal_dir);

/* The system identifier in the segments of the directory. 0: there are none, or those of two
 * clusters lie side by side. */
uint64_t bk_wal_origin_of_segments(const char *wal_dir);

/* The system identifier of the cluster that a WAL file is of: a segment says so itself, others are
 * those of their directory, or of the segments in it. 0: nothing tells. */
uint64_t bk_wal_origin_of_file(const char *path, const BkWalName *parsed);
