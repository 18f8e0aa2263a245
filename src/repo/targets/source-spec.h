/* source-spec.h - a source as all that works with its repositories needs to know it.
 *
 * The configuration is not known here: cli/ fills a BkSourceSpec from it.
 * Threads: a BkSourceSpec is read only. */
#pragma once
#include "codec/compress.h"
#include "repo/repository.h"

typedef struct BkRepositorySpec {
    const char *name;
    BkLocation place;
    const char *key_file;
    bool is_required; /* its failure fails the backup; of at least one */
} BkRepositorySpec;

typedef struct BkSourceSpec {
    const char *name;
    const char *connection; /* NULL: it can be read from only */
    const char *data;       /* data directory, or NULL: ask the server */
    const BkRepositorySpec *repositories;
    size_t repository_count; /* at least 1 */
    unsigned workers;        /* at least 1 */
    BkCodec codec;
    int level;
    uint64_t max_rate;          /* bytes read a second, 0: no bound */
    int64_t repack_after_us;    /* no pack in use gets older, 0: no bound */
    int64_t resume_interval_us; /* how often a backup puts down how far it has come */
    int64_t push_timeout_us;    /* wal push fails when nothing has moved for so long */
    const char *state_dir;      /* where the host keeps what it remembers, or NULL: nowhere */
    bool is_new;                /* the source may begin anew where it is not there any more */
} BkSourceSpec;

/* Opens one repository with its key file; `source` as bk_repository_open_at. */
BkRepository *bk_repository_spec_open(const BkRepositorySpec *spec, const char *source, BkOp *op,
                                      GError **error) BK_MUST_USE;

/* The same for a source that is written again and again: as bk_repository_open_kept. */
BkRepository *bk_repository_spec_open_kept(const BkRepositorySpec *spec, const char *source,
                                           BkOp *op, GError **error) BK_MUST_USE;
