/* pg-time.h - points in time as people write them: a short list of forms, and no guesses.
 *
 *   2026-11-21 10:15[:00[.5]][ ZONE]     ISO 8601 and RFC 3339, with a blank or a T between
 *   20261121T101500Z                     the same without separators
 *   2026-11-21                           the beginning of that day, local time
 *   N minutes|hours|days ago             a day is 24 hours
 *
 * ZONE is Z, UTC, GMT, +HH, +HHMM, +HH:MM or the name of a zone such as Europe/Berlin; without one
 * a time is local (TZ, or /etc/localtime). A time that the clocks of its zone showed twice or never
 * is refused with both instants in a form that is accepted, and so is a TZ that is not known. Years
 * are from 1970 to 9999. The server is always given UTC. Threads: safe, as long as no one changes
 * TZ. */
#pragma once
#include "base/error.h"

/* Parses `text`; `now_us` (since 1970) is what "ago" refers to. Fails with
 * BK_ERROR_USAGE; the message is the reason alone, such as "month 11 of 2026 has 30 days". */
bool bk_pg_time_parse(const char *text, int64_t now_us, int64_t *time_us,
                      GError **error) BK_MUST_USE;

#define BK_PG_TIME_TEXT_SIZE 40

/* "2026-11-21 10:15:00.000000", UTC, without a zone. Returns `text`. */
const char *bk_pg_time_format(int64_t time_us, char text[BK_PG_TIME_TEXT_SIZE]);
