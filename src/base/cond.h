/* cond.h - a condition whose timed waits follow the monotonic clock: setting the wall clock
 * neither wakes nor delays a waiter.
 *
 * Threads: as pthread_cond_init. */
#pragma once
#include <pthread.h>

/* pthread_cond_destroy undoes it. */
void bk_cond_init(pthread_cond_t *cond);
