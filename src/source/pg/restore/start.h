/* start.h - starts the server on a restored data directory and waits for the end of recovery.
 *
 * The server is a child in a session of its own that outlives this process. Run by root, it is
 * started as the owner of the data directory. When the call fails no server of it is left running.
 * Threads: one call at a time; while root connects, the whole process has the effective user of the
 * owner for a moment. The caller must not reap children that are not his. */
#pragma once
#include "base/op.h"
#include "source/pg/restore/recovery.h"

/* How far replay has come: `lsn` (0: not known yet), and the time of the last transaction replayed
 * (since 1970; 0: none yet). Called in the calling thread when one of them has changed. */
typedef void (*BkStartProgress)(BkLsn lsn, int64_t time_us, void *data);

typedef struct BkStartOptions {
    const char *data_dir;    /* absolute */
    unsigned major;          /* of the server */
    const char *bin_dir;     /* directory with "postgres"; NULL: found by version in PATH and in the
                                places where distributions put it */
    uint16_t port;           /* 0: as configured */
    const char *config_file; /* NULL: postgresql.conf in data_dir */
    const char *const *settings; /* further "name=value", NULL at the end; may be NULL */
    const char *log_path;        /* what the server writes is appended here; absolute */
    const char *user;            /* to connect as; NULL: named as the owner of data_dir */
    const char *database;        /* NULL: "postgres" */
    BkRecoveryAction action;     /* what bk_recovery_write was told */
    BkStartProgress progress;    /* may be NULL */
    void *progress_data;
} BkStartOptions;

typedef struct BkStartResult {
    BkLsn lsn;         /* end of the last record replayed; 0: not known */
    int64_t time_us;   /* of the last transaction replayed, since 1970; 0: none, or not known */
    uint32_t timeline; /* the server's now */
    int64_t pid;       /* of the postmaster; 0 when it has shut down at the target */
    bool in_recovery;  /* it is paused at the target */
    bool wrote;        /* a transaction that writes has been committed. False while in_recovery or
                          shut down, and when the server lets nobody in without a password */
    uint16_t port;
    char *socket_dir; /* where it listens: a directory or a host name; owned */
} BkStartResult;

void bk_start_result_clear(BkStartResult *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkStartResult, bk_start_result_clear)

/* Starts the server and waits until it has reached the target and done `action`: for PROMOTE, until
 * it is out of recovery and a transaction that writes works; for PAUSE, until it is paused; for
 * SHUTDOWN, until it has stopped, which is also what PAUSE comes to where hot_standby is off. (A
 * recovery without a target ends in promotion whatever the action.) `result` is overwritten and
 * left empty on failure. Fails with BK_ERROR_UNFIT (no server programs of that version, no
 * configuration, a directory of root's), BK_ERROR_SERVER (it stopped; the message has the last
 * errors of its log and how far replay had come), BK_ERROR_CANCELLED or BK_ERROR_TIMEOUT (the
 * server is shut down). */
bool bk_start_server(const BkStartOptions *options, BkStartResult *result, BkOp *op,
                     GError **error) BK_MUST_USE;
