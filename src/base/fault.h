/* fault.h - named points at which tests make the program die or fail.
 *
 * BACKSTAY_FAULT="NAME:ACTION[:NTH]" arms one point: at its NTH passage (1 when omitted) ACTION
 * happens: `kill` (SIGKILL to this process), `eio` or `enospc` (the call fails so), `hang` (sleeps
 * until killed), `stop` (the process stops itself, as by SIGSTOP, and goes on when it is
 * continued). In production builds (meson option faults=false) points are compiled away. Threads:
 * any; the passages of all threads are counted together. */
#pragma once
#include "base/error.h"

typedef enum {
#define BK_FAULT_POINT(id, name, where) BK_FAULT_##id,
#include "base/fault.def"
#undef BK_FAULT_POINT
    BK_FAULT_COUNT
} BkFaultPoint;

/* Name of a point and where it is: static strings. */
const char *bk_fault_name(BkFaultPoint point);
const char *bk_fault_where(BkFaultPoint point);

#ifdef BK_FAULTS
/* Passes `point`: true, or false with the armed failure in `error`. */
bool bk_fault(BkFaultPoint point, GError **error) BK_MUST_USE;

/* `period_us`, or the milliseconds in the environment's `variable`: tests need not wait for long.
 */
int64_t bk_fault_period_us(const char *variable, int64_t period_us);
#else
static inline BK_MUST_USE bool
bk_fault(BkFaultPoint point, GError **error)
{
    (void)point;
    (void)error;
    return true;
}

static inline int64_t
bk_fault_period_us(const char *variable, int64_t period_us)
{
    (void)variable;
    return period_us;
}
#endif
