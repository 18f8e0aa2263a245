/* own-wal.h - the WAL that a standalone snapshot contains.
 *
 * Threads: belongs to one thread. */
#pragma once
#include "engine/backup/pipeline.h"
#include "source/pg/cluster/pg-meta.h"

/* The segments from start to stop in the data directory: an array of BkSourceFile. Fails when one
 * is not there. */
GPtrArray *bk_own_wal_list(const char *data_dir, const BkPgMeta *meta, GError **error) BK_MUST_USE;

/* Checks that what was copied of `files` are these segments. Without a slot the server may have
 * removed a segment meanwhile, or made it a later one, whose content was read then; one that still
 * has its name was neither. Fails with BK_ERROR_UNFIT. */
bool bk_own_wal_check(BkPipeline *copy, const GPtrArray *files, const char *data_dir,
                      const BkPgMeta *meta, GError **error) BK_MUST_USE;
