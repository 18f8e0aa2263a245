/* archive-gap.h - distinguishes a gap in archived WAL from its end.
 *
 * An absent segment is a hole when the archive shows that its timeline went on: it holds a later
 * segment of that timeline, or the history of a timeline that left it in a later segment. Recovery
 * that took a hole for the end of the WAL would promote in the middle.
 * Threads: the calls block. */
#pragma once
#include "repo/repository.h"
#include "source/pg/format/lsn.h"

typedef struct BkArchiveGap {
    char *evidence; /* file name of what comes later, owned; NULL: there is no hole */
    bool is_fresh;  /* that was archived a moment ago: the absent segment may be on its way */
} BkArchiveGap;

void bk_archive_gap_clear(BkArchiveGap *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkArchiveGap, bk_archive_gap_clear)

/* Looks in `source_repo` for what comes after `absent`, a segment of that cluster that is not
 * there. `now_us` is the time since 1970. Fails as the store, or when a history is damaged. */
bool bk_archive_gap_find(const BkSourceRepo *source_repo, uint64_t system_id,
                         const BkWalName *absent, int64_t now_us, BkArchiveGap *hole, BkOp *op,
                         GError **error) BK_MUST_USE;
