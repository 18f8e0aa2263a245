/* fuzz-timeline-history.c - timeline history files: ordered ancestors or an error; formatting what
 * was parsed and parsing it again gives the same. */
#include "source/pg/format/timeline-history.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_auto(BkTimelineHistory) history = {0};
    g_auto(BkTimelineHistory) again = {0};
    g_auto(BkBuf) text = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    if (!bk_timeline_history_parse(1000, data, size, &history, &error)) {
        g_assert(error != NULL && history.entries == NULL);
        return 0;
    }
    bk_timeline_history_format(&history, &text);
    g_assert(bk_timeline_history_parse(1000, text.data, text.size, &again, &error));
    g_assert(again.count == history.count);
    for (size_t i = 0; i < history.count; i++) {
        BkLsn lsn;

        g_assert(again.entries[i].timeline == history.entries[i].timeline);
        g_assert(bk_timeline_history_switch_lsn(&again, history.entries[i].timeline, &lsn));
        g_assert(lsn == history.entries[i].switch_lsn);
        g_assert(bk_timeline_history_timeline_at(&again, lsn) > history.entries[i].timeline);
    }
    return 0;
}
