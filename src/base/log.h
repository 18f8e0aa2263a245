/* log.h - the log: lines on standard error, "2026-11-20T10:15:00Z warning: text".
 *
 * Nothing secret is ever logged, and no control characters (base/escape.h). Threads: safe; a line
 * is written by one write(2). */
#pragma once
#include "base/macros.h"

typedef enum {
    BK_LOG_ERROR,
    BK_LOG_WARNING,
    BK_LOG_INFO,
    BK_LOG_DEBUG,
} BkLogLevel;

/* Lines above `level` are dropped; BK_LOG_WARNING at the start. */
void bk_log_set_level(BkLogLevel level);

void bk_log(BkLogLevel level, const char *format, ...) BK_PRINTF(2, 3);
