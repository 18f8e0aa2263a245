/* log.c - the log: lines on standard error, "2026-11-20T10:15:00Z warning: text". */
#include "base/log.h"

#include "base/escape.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_SIZE ((size_t)16 * 1024)

static atomic_int max_level = BK_LOG_WARNING;

void
bk_log_set_level(BkLogLevel level)
{
    atomic_store(&max_level, (int)level);
}

void
bk_log(BkLogLevel level, const char *format, ...)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    g_autofree char *text = NULL;
    g_autofree char *escaped = NULL;
    g_autofree char *line = NULL;
    char stamp[32] = "";
    time_t now = time(NULL);
    struct tm utc;
    va_list args;

    if ((int)level > atomic_load(&max_level))
        return;
    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    escaped = bk_escape(text, LINE_MAX_SIZE, BK_ESCAPE_ALL);
    if (gmtime_r(&now, &utc) != NULL)
        (void)strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &utc);
    line = g_strdup_printf("%s %s: %s\n", stamp, names[level], escaped);
    if (write(STDERR_FILENO, line, strlen(line)) < 0)
        return; /* nowhere left to say it */
}
