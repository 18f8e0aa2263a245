/* copy-choice.c - chooses the snapshots that a copy transfers. */
#include "engine/copy/copy-choice.h"

#include <string.h>

#define USEC_PER_DAY (86400 * BK_USEC_PER_SEC)
#define EPOCH_JULIAN 719163 /* 1970-01-01, as GDate counts days */
#define EPOCH_MONDAY 3      /* 1970-01-01 was a Thursday: days since Monday */

static int64_t
floor_divide(int64_t dividend, int64_t divisor)
{
    return dividend / divisor - (dividend % divisor < 0 ? 1 : 0);
}

/* The number of the period that a moment belongs to; moments of one period have the same. */
static int64_t
period_of(int64_t time_us, BkCopyPeriod period)
{
    int64_t day = floor_divide(time_us, USEC_PER_DAY);
    GDate date;

    if (period == BK_REPLICATE_DAY)
        return day;
    if (period == BK_REPLICATE_WEEK)
        return floor_divide(day + EPOCH_MONDAY, 7);
    g_date_clear(&date, 1);
    g_date_set_julian(&date, (guint32)CLAMP(day + EPOCH_JULIAN, 1, INT32_MAX / 2));
    return period == BK_REPLICATE_YEAR
               ? g_date_get_year(&date)
               : (int64_t)g_date_get_year(&date) * 12 + (int64_t)g_date_get_month(&date);
}

int
bk_copy_compare(const void *left, const void *right)
{
    const BkCopyCandidate *a = left;
    const BkCopyCandidate *b = right;

    if (a->started_us != b->started_us)
        return a->started_us < b->started_us ? -1 : 1;
    return strcmp(a->id, b->id);
}

static bool
is_same_period(const BkCopyCandidate *a, const BkCopyCandidate *b, BkCopyPeriod period)
{
    return period != BK_REPLICATE_ALL &&
           period_of(a->started_us, period) == period_of(b->started_us, period);
}

size_t
bk_copy_choose(const BkCopyCandidate *candidates, size_t count, const BkCopyOptions *options,
               bool *is_chosen)
{
    const BkCopyCandidate *last = NULL; /* chosen */
    size_t chosen = 0;

    for (size_t i = 0; i < count; i++) {
        const BkCopyCandidate *candidate = &candidates[i];

        is_chosen[i] = false;
        if (candidate->state == BK_SNAPSHOT_UNFINISHED ||
            (options->since_us != 0 && candidate->started_us < options->since_us))
            continue;
        if (last != NULL && is_same_period(candidate, last, options->last_of)) {
            /* A damaged one does not displace a complete one. */
            if (candidate->state == BK_SNAPSHOT_DAMAGED && last->state == BK_SNAPSHOT_COMPLETE)
                continue;
            is_chosen[last - candidates] = false;
            chosen--;
        }
        is_chosen[i] = true;
        chosen++;
        last = candidate;
    }
    return chosen;
}
