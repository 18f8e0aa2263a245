/* start-priv.h - the server as a process: finding its program, spawning, log, end.
 *
 * Threads: a process belongs to one thread. */
#pragma once
#include "base/fd.h"
#include "base/identity.h"
#include "source/pg/restore/start.h"

typedef struct BkServerProcess {
    char *program; /* path of "postgres" */
    char *user;    /* name of the owner of the data directory */
    char *data_dir;
    char *log_path;
    uint64_t log_start; /* what this server writes begins there */
    int64_t start_us;   /* when it was spawned, since 1970 */
    uid_t uid;
    gid_t gid;
    GArray *groups;       /* of gid_t; NULL: nothing is to be dropped */
    BkIdentity *identity; /* the owner, as whom its files are opened */
    mode_t log_mode;
    GPid pid;   /* 0: not running */
    int status; /* of waitpid, once it is not running any more */
} BkServerProcess;

void bk_server_process_clear(BkServerProcess *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkServerProcess, bk_server_process_clear)

/* Finds program and owner, opens the log, and spawns. */
bool bk_server_process_spawn(BkServerProcess *self, const BkStartOptions *options,
                             GError **error) BK_MUST_USE;

/* Sets whom the server will belong to before its directory is there: the user of that name or, when
 * this host does not know it or it is NULL, of that number. Anyone but root can be nobody else. */
void bk_server_process_set_owner(BkServerProcess *self, uid_t uid, const char *user);

/* Finds the program alone, as the owner that was set. Fails with BK_ERROR_UNFIT. */
bool bk_server_process_find_program(BkServerProcess *self, const BkStartOptions *options,
                                    GError **error) BK_MUST_USE;

/* Runs `argv` (its first word a path) as the owner and returns its output, without line feeds at
 * the end, as a new string. Fails with BK_ERROR_UNFIT and what it complains of. */
bool bk_server_process_ask(const BkServerProcess *self, const char *const *argv, char **answer,
                           GError **error) BK_MUST_USE;

/* False once it has ended (and is reaped). */
bool bk_server_process_is_running(BkServerProcess *self);

/* Fast shutdown, and an immediate one if that takes too long. */
void bk_server_process_stop(BkServerProcess *self);

/* What the server wrote last, at most some 64 KiB: text for bk_server_log_*. Owned by the caller.
 */
char *bk_server_process_log(const BkServerProcess *self);

/* The last few errors in it, in one line; otherwise its last line; "" for nothing. Owned. */
char *bk_server_log_errors(const char *log);

/* The rest of the last line with `words` in it; NULL when there is none. Owned. */
char *bk_server_log_find(const char *log, const char *words);
