/* wal-mark.h - identifies a WAL history by one record of it.
 *
 * Two lives of a cluster that was set back by a copy of its disk have the same timeline and the
 * same positions, but not the same records there: the checksum of a record covers its content and
 * the place of the one before. Threads: safe. */
#pragma once
#include "source/pg/wal/wal-scan.h"

typedef struct BkWalMark {
    BkLsn lsn; /* of the record; 0: none */
    uint32_t crc;
} BkWalMark;

/* Looks in a segment for the record that begins at `lsn`. False when no whole record does, or the
 * segment is none. */
bool bk_wal_mark_find(const uint8_t *data, size_t size, BkLsn lsn, BkWalMark *mark) BK_MUST_USE;
