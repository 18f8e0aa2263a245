/* clock-check.h - dates that cannot be right: clocks that differ, and what is dated in the future.
 *
 * Nothing is ordered by these dates, but people read them, objectives are measured by them, and
 * targets are given as times.
 * Threads: safe; nothing here has state. */
#pragma once
#include "source/pg/history/snapshot-list.h"

/* What differs by less is not worth a word. */
#define BK_CLOCK_SLACK_US (60 * BK_USEC_PER_SEC)

/* "2 days ahead of", "90 s behind": how a clock stands against another. A new string. */
char *bk_clock_describe(int64_t ahead_us);

/* The following add what is wrong to `problems` (of BkProblem). */

/* A clock of the server of `source` that is `ahead_us` ahead of this host's; negative: behind. */
void bk_clock_check_server(const char *source, int64_t ahead_us, GPtrArray *problems);

/* What of `listing` is dated after `now_us`. */
void bk_clock_check_listing(const BkListing *listing, int64_t now_us, GPtrArray *problems);

/* The date in an id of `entries` (of BkSnapshotEntry *) that is furthest after `now_us`. */
void bk_clock_check_ids(const GPtrArray *entries, int64_t now_us, GPtrArray *problems);
