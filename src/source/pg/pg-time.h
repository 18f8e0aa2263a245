/* pg-time.h - points in time as people write them, read the way PostgreSQL reads them.
 *
 * What the server's timestamptz input (DateStyle ISO, MDY) understands and what is not likely to be
 * a mistake: ISO 8601 ("2026-11-21T10:15:00.5+01:00", "20261121T101500Z", a date alone), names of
 * months in any order ("Nov 21 2026 10:15 am", "Sat Nov 21 10:15:00 2026 UTC"), 11/21/2026,
 * now, today, yesterday, tomorrow, epoch; and besides "90 minutes ago", "1 day 2 hours ago" (a day
 * being 24 hours). Where both accept a text, they mean the same microsecond (up to 2037). Refused
 * although the server takes it: years of other than two or four digits or outside 1970 to 9999, a
 * name of a day that is not the date's, day numbers of the year, zones such as UTC+3 whose sign
 * means the opposite of what it says. Without a zone a time is one of the local zone (TZ); one that
 * daylight saving skips is counted from before the change, one that it repeats is the second.
 * Threads: safe, as long as no one changes TZ. */
#pragma once
#include "base/error.h"

/* Parses `text`; `now_us` (since 1970) is what "now" and its relatives refer to. Fails with
 * BK_ERROR_USAGE; the message is the reason alone, such as "November 2026 has 30 days". */
bool bk_pg_time_parse(const char *text, int64_t now_us, int64_t *time_us,
                      GError **error) BK_MUST_USE;

#define BK_PG_TIME_TEXT_SIZE 40

/* "2026-11-21 10:15:00.000000", UTC, without a zone. Returns `text`. */
const char *bk_pg_time_format(int64_t time_us, char text[BK_PG_TIME_TEXT_SIZE]);
