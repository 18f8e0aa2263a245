/* start-check.h - checks that a server will start on what is going to be restored.
 *
 * A restore of hours that ends in "could not start" is found out before anything is touched: the
 * programs, the configuration and what recovery demands of it, the port.
 * Threads: belongs to one thread. */
#pragma once
#include "repo/snapshot/snapshot.h"
#include "source/pg/restore/start.h"

typedef struct BkStartCheckRequest {
    GPtrArray *source_repos; /* of BkSourceRepo: where the snapshot's packs are */
    const BkSnapshot *snapshot;
    const char *to;           /* the destination; absolute */
    const char *old_data_dir; /* of the source */
    unsigned major;           /* of the server */
    const char *bin_dir;      /* as in BkStartOptions */
    const char *config_file;  /* as in BkStartOptions */
    uint16_t port;            /* as in BkStartOptions */
} BkStartCheckRequest;

/* With what it will start. */
typedef struct BkStartCheck {
    char *program;
    char *config_file; /* NULL: postgresql.conf in the data directory */
    bool is_found;     /* nobody named config_file */
    char *pid_file;    /* external_pid_file for a server that must not write that of another one;
                          NULL: as configured */
    uint16_t port;
} BkStartCheck;

void bk_start_check_clear(BkStartCheck *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkStartCheck, bk_start_check_clear)

/* Checks all that can be known beforehand. Fails with BK_ERROR_UNFIT and names the option or the
 * setting with the value that it must have, or as reading the snapshot does. */
bool bk_start_check(const BkStartCheckRequest *request, BkStartCheck *check, BkOp *op,
                    GError **error) BK_MUST_USE;
