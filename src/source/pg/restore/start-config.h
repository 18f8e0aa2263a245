/* start-config.h - the configuration with which a restored server will start, read before it is
 * restored.
 *
 * The files of the snapshot that belong to it are brought into a temporary directory, and the
 * server's own program is asked for the values: only it knows what its files mean.
 * Threads: belongs to one thread. */
#pragma once
#include "repo/snapshot/snapshot.h"
#include "source/pg/restore/start-priv.h"

typedef struct BkStartConfig {
    char *directory; /* temporary; NULL: none is there */
    char *file;      /* that is outside of the data directory; NULL: it is in there */
    bool is_found;   /* nobody named it */
} BkStartConfig;

void bk_start_config_clear(BkStartConfig *self); /* removes the directory */
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkStartConfig, bk_start_config_clear)

typedef struct BkStartConfigRequest {
    GPtrArray *source_repos; /* of BkSourceRepo, to read from */
    const BkSnapshot *snapshot;
    const BkServerProcess *process; /* its program and its owner */
    unsigned major;
    const char *file;         /* as the user named it, or NULL */
    const char *to;           /* the destination: what is there does not count */
    const char *old_data_dir; /* of the source */
} BkStartConfigRequest;

/* Finds the configuration: the file that was named; or that of the snapshot; or, where it has none,
 * the only one in the places where distributions put it (or the only one of them that was written
 * for the source's directory or the destination). Fails with BK_ERROR_UNFIT. */
bool bk_start_config_find(const BkStartConfigRequest *request, BkStartConfig *self, BkOp *op,
                          GError **error) BK_MUST_USE;

/* The value of the setting `name`: a new string. Fails with BK_ERROR_UNFIT and what the program
 * says. */
char *bk_start_config_get(const BkStartConfig *self, const BkServerProcess *process,
                          const char *name, GError **error) BK_MUST_USE;

/* The configuration files of clusters of version `major` below `root` ("" for the system's): a new
 * array of paths, sorted. What is in the directory `but` is left out. */
GPtrArray *bk_start_config_candidates(const char *root, unsigned major, const char *but);
