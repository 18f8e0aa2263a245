/* timeline-history.c - timeline history files: where a timeline forked from its ancestors. */
#include "source/pg/format/timeline-history.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_SIZE 64 /* of what comes before the reason, which is not looked at */

void
bk_timeline_history_clear(BkTimelineHistory *self)
{
    g_free(self->entries);
    *self = (BkTimelineHistory){0};
}

static const char *
skip_history_blanks(const char *text)
{
    while (*text == ' ' || *text == '\t' || *text == '\r')
        text++;
    return text;
}

/* "1<tab>0/3000000<tab>reason": the server reads it by fields between any blanks, and so do we. */
static bool
parse_history_line(const char *line, BkTimelineHistoryEntry *entry)
{
    char *end;
    char position[BK_LSN_TEXT_SIZE];
    uint64_t timeline;
    size_t length;

    if (!g_ascii_isdigit(*line))
        return false;
    timeline = g_ascii_strtoull(line, &end, 10);
    if (timeline == 0 || timeline > UINT32_MAX || (*end != ' ' && *end != '\t'))
        return false;
    line = skip_history_blanks(end);
    length = strcspn(line, " \t\r");
    if (length >= sizeof position)
        return false;
    memcpy(position, line, length);
    position[length] = 0;
    entry->timeline = (uint32_t)timeline;
    return bk_lsn_parse(position, &entry->switch_lsn);
}

static bool
append_entry(GArray *entries, const BkTimelineHistoryEntry *entry, uint32_t timeline)
{
    if (entries->len > 0) {
        const BkTimelineHistoryEntry *last =
            &g_array_index(entries, BkTimelineHistoryEntry, entries->len - 1);

        if (entry->timeline <= last->timeline || entry->switch_lsn < last->switch_lsn)
            return false;
    }
    if (entry->timeline >= timeline)
        return false;
    g_array_append_vals(entries, entry, 1);
    return true;
}

static bool
parse_lines(uint32_t timeline, const char *text, size_t size, GArray *entries, GError **error)
{
    for (unsigned number = 1; size > 0; number++) {
        const char *newline = memchr(text, '\n', size);
        size_t whole = newline != NULL ? (size_t)(newline - text) + 1 : size;
        size_t length = newline != NULL ? whole - 1 : size;
        char line[LINE_MAX_SIZE];
        const char *start;
        BkTimelineHistoryEntry entry;

        length = MIN(length, sizeof line - 1);
        memcpy(line, text, length);
        line[length] = 0;
        text += whole;
        size -= whole;
        start = skip_history_blanks(line);
        if (*start == 0 || *start == '#')
            continue;
        if (entries->len == BK_HISTORY_MAX_ENTRIES)
            return bk_throw(error, BK_ERROR_UNSUPPORTED,
                            "history of timeline %" PRIu32 " has more than %d ancestors", timeline,
                            BK_HISTORY_MAX_ENTRIES);
        if (!parse_history_line(start, &entry))
            return bk_throw(error, BK_ERROR_CORRUPT,
                            "history of timeline %" PRIu32 ", line %u: not a timeline and position",
                            timeline, number);
        if (!append_entry(entries, &entry, timeline))
            return bk_throw(error, BK_ERROR_CORRUPT,
                            "history of timeline %" PRIu32 ", line %u: out of order", timeline,
                            number);
    }
    return true;
}

bool
bk_timeline_history_parse(uint32_t timeline, const void *text, size_t size,
                          BkTimelineHistory *history, GError **error)
{
    g_autoptr(GArray) entries = g_array_new(false, false, sizeof(BkTimelineHistoryEntry));

    *history = (BkTimelineHistory){0};
    if (size > BK_HISTORY_MAX_SIZE)
        return bk_throw(error, BK_ERROR_UNSUPPORTED,
                        "history of timeline %" PRIu32 " is larger than %zu bytes", timeline,
                        BK_HISTORY_MAX_SIZE);
    if (size > 0 && memchr(text, 0, size) != NULL)
        return bk_throw(error, BK_ERROR_CORRUPT, "history of timeline %" PRIu32 " is not text",
                        timeline);
    if (!parse_lines(timeline, text, size, entries, error))
        return false;
    history->timeline = timeline;
    history->count = entries->len;
    history->entries = (BkTimelineHistoryEntry *)g_array_free(g_steal_pointer(&entries), false);
    return true;
}

void
bk_timeline_history_format(const BkTimelineHistory *self, BkBuf *text)
{
    for (size_t i = 0; i < self->count; i++) {
        char position[BK_LSN_TEXT_SIZE];
        char line[LINE_MAX_SIZE];
        int length = snprintf(line, sizeof line, "%" PRIu32 "\t%s\t\n", self->entries[i].timeline,
                              bk_lsn_format(self->entries[i].switch_lsn, position));

        bk_buf_append(text, line, (size_t)length);
    }
}

bool
bk_timeline_history_switch_lsn(const BkTimelineHistory *self, uint32_t timeline, BkLsn *lsn)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->entries[i].timeline == timeline) {
            *lsn = self->entries[i].switch_lsn;
            return true;
        }
    return false;
}

uint32_t
bk_timeline_history_timeline_at(const BkTimelineHistory *self, BkLsn lsn)
{
    for (size_t i = 0; i < self->count; i++)
        if (lsn < self->entries[i].switch_lsn)
            return self->entries[i].timeline;
    return self->timeline;
}
