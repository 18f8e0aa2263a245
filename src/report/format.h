/* format.h - times, durations and sizes as reports show them.
 *
 * Threads: safe. */
#pragma once
#include "base/macros.h"

/* "2026-11-21T10:15:00Z", or with microseconds where there are any: a new string; NULL for 0. */
char *bk_format_time(int64_t time_us);

/* "3 min", "2 days": a new string. */
char *bk_format_age(int64_t age_us);

/* "1.5 GiB": a new string. */
char *bk_format_size(uint64_t bytes);

/* "1 pack", "3 packs", "3 repositories": a new string. `what` is one of them. */
char *bk_format_count(uint64_t count, const char *what);

/* Seconds with milliseconds. */
double bk_format_seconds(int64_t duration_us);

/* Of a share from 0 to 1, "99.9 %", cut to a tenth, so that 100.0 means all: a new string. */
char *bk_format_per_cent(double share);
