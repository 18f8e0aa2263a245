/* timeline-history.h - timeline history files: where a timeline forked from its ancestors.
 *
 * Memory is bounded: a file of more than BK_HISTORY_MAX_SIZE bytes or BK_HISTORY_MAX_ENTRIES
 * ancestors is refused.
 * Threads: a history belongs to one thread, or is read only. */
#pragma once
#include "base/buf.h"
#include "source/pg/format/lsn.h"

#define BK_HISTORY_MAX_SIZE    BK_MIB
#define BK_HISTORY_MAX_ENTRIES 16384

typedef struct BkTimelineHistoryEntry {
    uint32_t timeline; /* an ancestor */
    BkLsn switch_lsn;  /* where the next one (or the timeline itself) left it */
} BkTimelineHistoryEntry;

typedef struct BkTimelineHistory {
    uint32_t timeline; /* whose history this is */
    size_t count;      /* ancestors; 0 for a timeline without a history file, such as 1 */
    BkTimelineHistoryEntry *entries; /* owned; oldest first, timelines rise, positions never fall */
} BkTimelineHistory;

void bk_timeline_history_clear(BkTimelineHistory *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkTimelineHistory, bk_timeline_history_clear)

/* Parses the content of "<timeline>.history" into `history` (overwritten; left empty on failure).
 * Fails with BK_ERROR_CORRUPT or, when it is larger than the bounds, BK_ERROR_UNSUPPORTED. */
bool bk_timeline_history_parse(uint32_t timeline, const void *text, size_t size,
                               BkTimelineHistory *history, GError **error) BK_MUST_USE;

/* Appends the text of a history file (without the reasons, which parsing does not keep). */
void bk_timeline_history_format(const BkTimelineHistory *self, BkBuf *text);

/* Where this history left the ancestor `timeline`. False when it is no ancestor. */
bool bk_timeline_history_switch_lsn(const BkTimelineHistory *self, uint32_t timeline,
                                    BkLsn *lsn) BK_MUST_USE;

/* The timeline to which the byte at `lsn` belongs in this history. */
uint32_t bk_timeline_history_timeline_at(const BkTimelineHistory *self, BkLsn lsn);
