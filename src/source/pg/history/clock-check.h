/* clock-check.h - dates that cannot be: clocks that differ, and what is dated in the future.
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

/* What is wrong with a server's clock that is `ahead_us` ahead of this host's (negative: behind): a
 * new string, or NULL. */
char *bk_clock_check_server(int64_t ahead_us);

/* Adds to `problems` (of char *) what of `listing` is dated after `now_us`. */
void bk_clock_check_listing(const BkListing *listing, int64_t now_us, GPtrArray *problems);

/* What is wrong with the dates in the ids of `entries` (of BkSnapshotEntry *) at `now_us`: a new
 * string, or NULL. */
char *bk_clock_check_ids(const GPtrArray *entries, int64_t now_us);
