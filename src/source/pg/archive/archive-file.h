/* archive-file.h - a file of pg_wal that is to be archived.
 *
 * Threads: plain data. */
#pragma once
#include "base/buf.h"
#include "source/pg/format/lsn.h"

typedef struct BkArchiveFile {
    const char *name;
    BkWalName parsed;
    const BkBuf *content;
    bool is_ready;        /* the server has marked the segment as complete */
    const char *identity; /* of the file that the content was read from, or NULL */
} BkArchiveFile;
