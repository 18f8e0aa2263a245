/* workers.c - a team of threads for one task, all of which end before the call returns. */
#include "base/workers.h"

#include "base/identity.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

typedef struct Team {
    BkWork work;
    void *data;
    BkOp *op;
    pthread_mutex_t mutex; /* guards first_error */
    GError *first_error;
} Team;

typedef struct Worker {
    Team *team;
    unsigned index;
    pthread_t thread;
    bool is_started;
} Worker;

static void
report_worker_error(Team *team, GError *error)
{
    (void)pthread_mutex_lock(&team->mutex);
    if (team->first_error == NULL)
        team->first_error = g_steal_pointer(&error);
    (void)pthread_mutex_unlock(&team->mutex);
    /* Only now: what others report because of it must not come first. */
    bk_op_cancel(team->op);
    g_clear_error(&error);
}

static void *
run_team_worker(void *data)
{
    Worker *worker = data;
    Team *team = worker->team;
    GError *error = NULL;

    if (!team->work(worker->index, team->data, team->op, &error))
        report_worker_error(team, error);
    return NULL;
}

static void
start_worker(Worker *worker)
{
    int number = pthread_create(&worker->thread, NULL, run_team_worker, worker);

    worker->is_started = number == 0;
    if (number != 0) {
        GError *error = NULL;

        bk_throw(&error, BK_ERROR_SYSTEM, "start a thread: %s", g_strerror(number));
        report_worker_error(worker->team, error);
    }
}

bool
bk_workers_run(unsigned count, BkWork work, void *data, BkOp *op, GError **error)
{
    g_autoptr(BkOp) team_op = bk_op_new(op);
    Team team = {.work = work, .data = data, .op = team_op};
    g_autofree Worker *workers = g_new0(Worker, count);
    sigset_t all;
    sigset_t before;

    g_assert(count >= 1 && !bk_identity_is_entered());
    (void)pthread_mutex_init(&team.mutex, NULL);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    for (unsigned i = 0; i < count; i++) {
        workers[i].team = &team;
        workers[i].index = i;
        start_worker(&workers[i]);
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    for (unsigned i = 0; i < count; i++)
        if (workers[i].is_started)
            (void)pthread_join(workers[i].thread, NULL);
    (void)pthread_mutex_destroy(&team.mutex);
    return bk_propagate(error, &team.first_error);
}
