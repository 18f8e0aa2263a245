/* wal-origin.h - which cluster a WAL file belongs to, according to the server's own files.
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

/* The system identifier of the cluster that a WAL file belongs to: a segment has it, other files
 * have that of their directory, or of the segments in it. 0: unknown. */
uint64_t bk_wal_origin_of_file(const char *path, const BkWalName *parsed);
