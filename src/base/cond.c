/* cond.c - a condition whose timed waits follow the monotonic clock: setting the wall clock
 * neither wakes nor delays a waiter. */
#include "base/cond.h"

#include <time.h>

void
bk_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;

    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(cond, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}
