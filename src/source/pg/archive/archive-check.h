/* archive-check.h - refuses files that are not what their name says.
 *
 * The messages are for the log of the server's archiver: they say what the file holds and where to
 * look. Threads: safe; nothing here has state. */
#pragma once
#include "source/pg/archive/archive-file.h"
#include "source/pg/wal/wal-blocks.h"

/* Checks a segment and collects what is in it. Fails with BK_ERROR_UNFIT when its content is not
 * that of the segment that it is named after, when it is still being written, or when it is of a
 * system other than `system_id` (0: not known yet); BK_ERROR_UNSUPPORTED for a version that is not
 * known. Both outputs are overwritten, and empty on failure. */
bool bk_archive_check_segment(const BkArchiveFile *file, uint64_t system_id, BkWalInfo *info,
                              BkWalBlocks *blocks, GError **error) BK_MUST_USE;

/* Checks a history, backup history or partial file; a segment passes. Fails likewise. */
bool bk_archive_check_other(const BkArchiveFile *file, uint64_t system_id,
                            GError **error) BK_MUST_USE;
