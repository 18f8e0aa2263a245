/* source-spec.h - a source as the engine needs to know it, and its opened repositories.
 *
 * The configuration is not known here: cli/ fills a BkSourceSpec from it.
 * Threads: a BkSourceSpec is read only; opened parts may be used by many threads. */
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

/* The parts of one source in its repositories. */
typedef struct BkTargets {
    GPtrArray *repositories; /* of BkRepository, owned */
    GPtrArray *source_repos; /* of BkSourceRepo, owned; may be fewer than repositories */
    GPtrArray *failed;       /* of char *: why a repository could not be asked */
    GPtrArray *failed_names; /* of char *: for each of `failed`, which one it was */
} BkTargets;

/* Notes that the repository `name` could not be asked. */
void bk_targets_add_failed(BkTargets *self, const char *name, const GError *cause);

/* Adds to `problems` (of BkProblem) each repository that could not be asked. */
void bk_targets_add_problems(const BkTargets *self, const BkSourceSpec *source,
                             GPtrArray *problems);

void bk_targets_clear(BkTargets *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkTargets, bk_targets_clear)

/* Opens one repository with its key file; `source` as bk_repository_open_at. */
BkRepository *bk_repository_spec_open(const BkRepositorySpec *spec, const char *source, BkOp *op,
                                      GError **error) BK_MUST_USE;

/* The same for a source that is written again and again: as bk_repository_open_kept. */
BkRepository *bk_repository_spec_open_kept(const BkRepositorySpec *spec, const char *source,
                                           BkOp *op, GError **error) BK_MUST_USE;

/* Opens the source's parts of all required repositories without a request (bk_repository_recall).
 * Returns false if one of them is not in a bucket, or nothing usable is kept of it. */
bool bk_targets_recall(const BkSourceSpec *spec, BkTargets *targets, BkOp *op) BK_MUST_USE;

/* Opens the part of `source`, which is created when it is missing, with the keys of `model` (may be
 * NULL). Fails with BK_ERROR_CONFLICT when it has others. */
BkSourceRepo *bk_source_repo_create_alike(BkRepository *repository, const char *source,
                                          const BkSourceRepo *model, BkOp *op,
                                          GError **error) BK_MUST_USE;

/* The same for a source that this host knows: a part that it remembers is not created anew, which
 * fails with BK_ERROR_UNFIT (remembered.h). */
BkSourceRepo *bk_source_repo_open_or_create(const BkSourceSpec *spec, BkRepository *repository,
                                            const BkSourceRepo *model, BkOp *op,
                                            GError **error) BK_MUST_USE;

/* Opens every required repository of the source by what is kept, and no parts yet. Fails when any
 * cannot be opened. */
bool bk_targets_open_repositories(const BkSourceSpec *spec, BkTargets *targets, BkOp *op,
                                  GError **error) BK_MUST_USE;

/* Opens the source's parts of the open repositories; missing ones are created, all with one key,
 * unless this host remembers them (remembered.h), which fails with BK_ERROR_UNFIT.
 * Those of best effort are served by best-effort.h. */
bool bk_targets_create(const BkSourceSpec *spec, BkTargets *targets, BkOp *op,
                       GError **error) BK_MUST_USE;

/* Both. */
bool bk_targets_open_for_writing(const BkSourceSpec *spec, BkTargets *targets, BkOp *op,
                                 GError **error) BK_MUST_USE;

/* Opens what can be read. A repository that cannot be asked is reported in `failed`, one that holds
 * nothing of the source is left out. `only` (NULL: all) names the one repository to open. Fails
 * when none could be asked. */
bool bk_targets_open_for_reading(const BkSourceSpec *spec, const char *only, BkTargets *targets,
                                 BkOp *op, GError **error) BK_MUST_USE;

/* May `error` be the fault of one repository, so that another one may do? It cannot be reached,
 * written or opened, or what it holds is damaged or of a newer format. Not what another repository
 * would say as well: that something is absent, or contradicts what is known. The source and the
 * destination can fail with the same codes (NO_SPACE, DENIED, CORRUPT): who works with them too
 * must tell those apart where a vain second attempt matters. */
bool bk_targets_is_at_fault(const GError *error);

/* Keeps in `*worst` what one repository after the other failed with, and takes over `*cause`: "not
 * there" is the answer only when none failed otherwise, then the first other failure is. */
void bk_targets_keep_worst(GError **worst, GError **cause);
