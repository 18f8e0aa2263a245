#include "source/pg/history/clock-check.h"

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

char *
bk_clock_check_server(int64_t ahead_us)
{
    g_autofree char *text = NULL;

    if (ABS(ahead_us) <= BK_CLOCK_SLACK_US)
        return NULL;
    text = bk_clock_describe(ahead_us);
    return g_strdup_printf("the server's clock is %s this host's: commits get their time from the "
                           "one, snapshots and reports from the other",
                           text);
}

static char *
describe_snapshot(const char *id, int64_t ahead_us)
{
    g_autofree char *text = bk_clock_describe(ahead_us);

    return g_strdup_printf("snapshot %s is dated %s this host's clock: either that clock is wrong, "
                           "or one was when it was taken",
                           id, text);
}

void
bk_clock_check_listing(const BkListing *listing, int64_t now_us, GPtrArray *problems)
{
    for (guint i = 0; i < listing->snapshots->len; i++) {
        const BkListedSnapshot *listed = g_ptr_array_index(listing->snapshots, i);
        int64_t ahead_us =
            MAX(listed->snapshot->head.finished_us, listed->snapshot->meta.stop_us) - now_us;

        if (ahead_us > BK_CLOCK_SLACK_US)
            g_ptr_array_add(problems, describe_snapshot(listed->snapshot->head.id, ahead_us));
    }
    for (guint i = 0; i < listing->pasts->len; i++) {
        const BkRecoveryIndex *past = g_ptr_array_index(listing->pasts, i);
        int64_t newest_us = 0;

        for (guint j = 0; j < past->archive->len; j++)
            newest_us =
                MAX(newest_us,
                    ((const BkArchiveTimeline *)g_ptr_array_index(past->archive, j))->modified_us);
        if (newest_us - now_us > BK_CLOCK_SLACK_US) {
            g_autofree char *text = bk_clock_describe(newest_us - now_us);

            g_ptr_array_add(
                problems,
                g_strdup_printf("the newest WAL in repository \"%s\" is dated %s this host's "
                                "clock: either that clock is wrong, or the store's was",
                                bk_repository_name(bk_source_repo_repository(past->source_repo)),
                                text));
        }
    }
}

/* When the id was made, to the second; 0 when it is none. */
static int64_t
time_of_id(const char *id)
{
    g_autofree char *stamp = bk_snapshot_is_id(id) ? g_strndup(id, ID_STAMP_SIZE) : NULL;
    g_autoptr(GDateTime) time = stamp != NULL ? g_date_time_new_from_iso8601(stamp, NULL) : NULL;

    return time != NULL ? g_date_time_to_unix(time) * BK_USEC_PER_SEC : 0;
}

char *
bk_clock_check_ids(const GPtrArray *entries, int64_t now_us)
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
    return worst != NULL ? describe_snapshot(worst, ahead_us) : NULL;
}
