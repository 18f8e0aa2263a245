/* config.h - the configuration file, checked: what to back up, and where to.
 *
 * The file is refused when others than its owner can read it. Every mistake in it is reported with
 * file, line and the path of the key; a loaded BkConfig is valid in every part. Threads: a loaded
 * configuration is never changed, so any thread may read it. */
#pragma once
#include "base/error.h"
#include "config/config-files.h"
#include "config/config-s3.h"
#include "repo/repository.h"

typedef struct BkConfigRepository {
    char *name;
    char *path;          /* absolute; NULL if it is in a bucket */
    BkConfigS3 *s3;      /* NULL if it is in a directory */
    BkLocation location; /* of these two */
    char *key_file;
} BkConfigRepository;

typedef enum {
    BK_SOURCE_POSTGRES,
    BK_SOURCE_FILES,
} BkSourceKind;

/* How many snapshots to keep of each class; 0: none by that class. */
typedef struct BkConfigKeep {
    bool is_set; /* otherwise every snapshot is kept */
    int64_t last;
    int64_t daily;
    int64_t weekly;
    int64_t monthly;
    int64_t yearly;
    int64_t wal_us; /* how far back every point in time can be recovered; 0: as snapshots need */
} BkConfigKeep;

typedef struct BkConfigSource {
    char *name;
    BkSourceKind kind;
    struct {
        char *connection;
        char *data; /* absolute, or NULL: ask the server */
    } pg;
    BkConfigFiles *files;   /* of BK_SOURCE_FILES, otherwise NULL */
    GPtrArray *to;          /* of const BkConfigRepository, at least one */
    GPtrArray *best_effort; /* of const BkConfigRepository: of these, not all */
    char *schedule_backup;  /* five fields as in cron, or NULL */
    BkConfigKeep keep;
    struct {
        int64_t rpo_us; /* 0: none promised */
        int64_t rto_us;
    } objectives;
    unsigned workers; /* >= 1 */
    struct {
        int method; /* as on disk: 0 none, 1 zstd, 2 lz4 */
        int level;  /* of zstd */
    } compress;
    uint64_t max_rate;          /* bytes per second; 0: no limit */
    int64_t repack_after_us;    /* no pack in use gets older; 0: no bound */
    int64_t resume_interval_us; /* how often a backup puts down how far it has come */
    int64_t push_timeout_us;    /* wal push fails when nothing has moved for so long */
    const char *state_dir;      /* the configuration's */
} BkConfigSource;

typedef struct BkConfig {
    char *path;              /* of the file, absolute */
    char *state_dir;         /* absolute, or NULL: where the system keeps such things */
    GPtrArray *repositories; /* of BkConfigRepository, in the order of the file */
    GPtrArray *sources;      /* of BkConfigSource, in the order of the file */
} BkConfig;

/* Reads and checks a file. Fails with BK_ERROR_CONFIG. */
BkConfig *bk_config_load(const char *path, GError **error) BK_MUST_USE;

/* The same for content that was read already; `path` (absolute) names it in messages. */
BkConfig *bk_config_parse(const void *data, size_t size, const char *path,
                          GError **error) BK_MUST_USE;

void bk_config_free(BkConfig *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkConfig, bk_config_free)

/* Adds a source that the file does not have, but the repositories may: to be read only. Its
 * connection is NULL. */
const BkConfigSource *bk_config_add_source(BkConfig *self, const char *name);

/* NULL when there is none of that name. */
const BkConfigSource *bk_config_find_source(const BkConfig *self, const char *name);
const BkConfigRepository *bk_config_find_repository(const BkConfig *self, const char *name);
