/* wal-info-priv.h - how the info of a segment is counted, and what joins it with the next one.
 *
 * Threads: as wal-info.h. */
#pragma once
#include "source/pg/wal/wal-info.h"

/* Returns true if bk_wal_info_note makes anything of such a record. */
bool bk_wal_info_wants(const BkWalRecord *record);

/* Counts a record for `info`, whose magic is set. */
void bk_wal_info_note(BkWalInfo *info, const BkWalRecord *record);

/* Sets what a scan tells as a whole, and takes over its edges. */
void bk_wal_info_take(BkWalInfo *info, BkWalScan *scan);

/* Do the segments follow each other, and does the second continue what the first began? */
bool bk_wal_info_fits(const BkWalInfo *left, const BkWalInfo *right);

/* The start of the record that goes from `left` to `right`, which fit, as much as was kept of it:
 * `bytes` holds it. False when no record ends in `right` that began before it. */
bool bk_wal_info_border(const BkWalInfo *left, const BkWalInfo *right, BkBuf *bytes,
                        BkWalRecord *record);
