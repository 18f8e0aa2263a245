/* clock-check.c - dates that cannot be right: clocks that differ, and what is dated in the future.
 */
#include "source/pg/history/clock-check.h"
#include "repo/snapshot/snapshot-manifest.h"

#define ID_STAMP_SIZE 16 /* "20261121T003905Z" */

char *
bk_clock_describe(int64_t ahead_us)
{
    static const struct {
        int64_t seconds;
        const char *name;
    } units[] = {{86400, "days"}, {3600, "hours"}, {60, "minutes"}, {1, "s"}};
    int64_t seconds = (ABS(ahead_us) + BK_USEC_PER_SEC / 2) / BK_USEC_PER_SEC;
    size_t unit = 0;

    /* To the nearest unit of which there are two at least. */
    while (unit + 1 < G_N_ELEMENTS(units) && seconds < 2 * units[unit].seconds)
        unit++;
    return g_strdup_printf("%" G_GINT64_FORMAT " %s %s",
                           (seconds + units[unit].seconds / 2) / units[unit].seconds,
                           units[unit].name, ahead_us < 0 ? "behind" : "ahead of");
}

void
bk_clock_check_server(const char *source, int64_t ahead_us, GPtrArray *problems)
{
    g_autofree char *offset = bk_clock_describe(ahead_us);

    if (ABS(ahead_us) > BK_CLOCK_SLACK_US)
        bk_problem_add(problems, BK_PROBLEM_SERVER_CLOCK, .source = source, .offset = offset);
}

static void
check_snapshot(const char *id, int64_t ahead_us, GPtrArray *problems)
{
    g_autofree char *offset = bk_clock_describe(ahead_us);

    if (ahead_us > BK_CLOCK_SLACK_US)
        bk_problem_add(problems, BK_PROBLEM_SNAPSHOT_IN_FUTURE, .snapshot = id, .offset = offset);
}

static void
check_archive(const BkRecoveryIndex *past, int64_t now_us, GPtrArray *problems)
{
    int64_t newest_us = 0;
    g_autofree char *offset = NULL;

    for (guint i = 0; i < past->archive->len; i++) {
        const BkArchiveTimeline *timeline = g_ptr_array_index(past->archive, i);

        newest_us = MAX(newest_us, timeline->modified_us);
    }
    offset = bk_clock_describe(newest_us - now_us);
    if (newest_us - now_us > BK_CLOCK_SLACK_US)
        bk_problem_add(problems, BK_PROBLEM_WAL_IN_FUTURE, .offset = offset,
                       .repository =
                           bk_repository_name(bk_source_repo_repository(past->source_repo)));
}

void
bk_clock_check_listing(const BkListing *listing, int64_t now_us, GPtrArray *problems)
{
    for (guint i = 0; i < listing->snapshots->len; i++) {
        const BkListedSnapshot *listed = g_ptr_array_index(listing->snapshots, i);
        const BkRecoveryIndexSnapshot *snapshot = listed->snapshot;

        check_snapshot(snapshot->head.id,
                       MAX(snapshot->head.finished_us, snapshot->meta.stop_us) - now_us, problems);
    }
    for (guint i = 0; i < listing->pasts->len; i++)
        check_archive(g_ptr_array_index(listing->pasts, i), now_us, problems);
}

/* When the id was made, to the second; 0 when it is none. */
static int64_t
time_of_id(const char *id)
{
    g_autofree char *stamp = bk_snapshot_is_id(id) ? g_strndup(id, ID_STAMP_SIZE) : NULL;
    g_autoptr(GDateTime) time = stamp != NULL ? g_date_time_new_from_iso8601(stamp, NULL) : NULL;

    return time != NULL ? g_date_time_to_unix(time) * BK_USEC_PER_SEC : 0;
}

void
bk_clock_check_ids(const GPtrArray *entries, int64_t now_us, GPtrArray *problems)
{
    const char *worst = NULL;
    int64_t ahead_us = BK_CLOCK_SLACK_US;

    for (guint i = 0; i < entries->len; i++) {
        const BkSnapshotEntry *entry = g_ptr_array_index(entries, i);
        int64_t this_us = time_of_id(entry->id) - now_us;

        if (this_us > ahead_us) {
            ahead_us = this_us;
            worst = entry->id;
        }
    }
    if (worst != NULL)
        check_snapshot(worst, ahead_us, problems);
}
