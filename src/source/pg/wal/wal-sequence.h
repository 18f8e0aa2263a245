/* wal-sequence.h - the records of segments that are scanned one after another, in the order of the
 * path of recovery.
 *
 * A record that goes over from one segment into the next comes as the first of the next one, unless
 * the two do not fit together, or a segment between them was passed by.
 * Threads: belongs to one thread. */
#pragma once
#include "source/pg/wal/wal-info.h"

typedef struct BkWalSequence {
    BkWalRecordFn on_record; /* called for each record */
    void *user;              /* passed to it */
    BkWalScan scan;          /* of the segment that was given last; its magic number is known to
                                `on_record` */

    BkWalInfo before;
    bool has_before;
    bool is_first; /* no record of the segment has been seen */
} BkWalSequence;

void bk_wal_sequence_clear(BkWalSequence *self);

/* Goes on with the next segment. Fails as bk_wal_scan. */
bool bk_wal_sequence_scan(BkWalSequence *self, const uint8_t *data, size_t size,
                          GError **error) BK_MUST_USE;
