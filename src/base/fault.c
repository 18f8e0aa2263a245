/* fault.c - named points at which tests make the program die or fail. */
#include "base/fault.h"

#ifdef BK_FAULTS
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#endif

static const struct {
    const char *name;
    const char *where;
} points[] = {
#define BK_FAULT_POINT(id, name, where) {name, where},
#include "base/fault.def"
#undef BK_FAULT_POINT
    {NULL, NULL},
};

const char *
bk_fault_name(BkFaultPoint point)
{
    g_assert(point < BK_FAULT_COUNT);
    return points[point].name;
}

const char *
bk_fault_where(BkFaultPoint point)
{
    g_assert(point < BK_FAULT_COUNT);
    return points[point].where;
}

#ifdef BK_FAULTS
static atomic_long passages;

/* Does BACKSTAY_FAULT name this point, and is this the passage it means? The action is then what
 * follows the name. */
static bool
is_armed(BkFaultPoint point, char *action, size_t action_size)
{
    const char *armed = getenv("BACKSTAY_FAULT");
    g_auto(GStrv) parts = armed != NULL ? g_strsplit(armed, ":", 3) : NULL;
    long nth = 1;

    if (parts == NULL || parts[0] == NULL || parts[1] == NULL)
        return false;
    if (strcmp(parts[0], points[point].name) != 0)
        return false;
    if (parts[2] != NULL)
        nth = strtol(parts[2], NULL, 10);
    (void)g_strlcpy(action, parts[1], action_size);
    return atomic_fetch_add(&passages, 1) + 1 == nth;
}

bool
bk_fault(BkFaultPoint point, GError **error)
{
    char action[16];

    if (!is_armed(point, action, sizeof action))
        return true;
    if (strcmp(action, "kill") == 0)
        (void)kill(getpid(), SIGKILL);
    if (strcmp(action, "kill") == 0 || strcmp(action, "hang") == 0)
        for (;;)
            (void)pause();
    if (strcmp(action, "stop") == 0)
        return kill(getpid(), SIGSTOP) == 0 || bk_throw_errno(error, "stop");
    errno = strcmp(action, "enospc") == 0 ? ENOSPC : EIO;
    return bk_throw_errno(error, "fault point \"%s\"", points[point].name);
}

int64_t
bk_fault_period_us(const char *variable, int64_t period_us)
{
    const char *text = getenv(variable);
    gint64 period_ms = text != NULL ? g_ascii_strtoll(text, NULL, 10) : 0;

    return period_ms > 0 && period_ms < INT32_MAX ? period_ms * 1000 : period_us;
}
#endif
