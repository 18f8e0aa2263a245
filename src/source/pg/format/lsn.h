/* lsn.h - positions in the WAL, and the names of its files.
 *
 * Names are taken only in the exact form in which the server writes them: exact length, upper-case
 * hexadecimal, timeline not 0. A name that is accepted here is safe as a file name.
 * Threads: safe; nothing here has state. */
#pragma once
#include "base/error.h"

typedef uint64_t BkLsn; /* byte position; 0 is no position */

#define BK_LSN_TEXT_SIZE 18 /* "FFFFFFFF/FFFFFFFF" and the zero byte */

/* Parses "X/Y" (1 to 8 hexadecimal digits each, either case, nothing else). */
bool bk_lsn_parse(const char *text, BkLsn *lsn) BK_MUST_USE;

/* Writes `lsn` as PostgreSQL prints it, "0/3000028", and returns `text`. */
const char *bk_lsn_format(BkLsn lsn, char text[BK_LSN_TEXT_SIZE]);

#define BK_WAL_NAME_SIZE         25 /* a segment's name and the zero byte */
#define BK_WAL_HISTORY_NAME_SIZE 17 /* "00000002.history" and the zero byte */

/* A power of two from 1 MiB to 1 GiB? */
bool bk_wal_segment_size_is_valid(uint64_t segment_size);

/* Number of the segment that holds `lsn`. */
uint64_t bk_wal_segment_of(BkLsn lsn, uint32_t segment_size);

/* File name of segment `segno`; segment_size is valid. Returns `name`. */
const char *bk_wal_segment_name(uint32_t timeline, uint64_t segno, uint32_t segment_size,
                                char name[BK_WAL_NAME_SIZE]);

/* "00000002.history". Returns `name`. */
const char *bk_wal_history_name(uint32_t timeline, char name[BK_WAL_HISTORY_NAME_SIZE]);

typedef enum {
    BK_WAL_SEGMENT, /* 000000010000000000000003 */
    BK_WAL_PARTIAL, /* 000000010000000000000003.partial */
    BK_WAL_HISTORY, /* 00000002.history */
    BK_WAL_BACKUP,  /* 000000010000000000000003.00000028.backup */
} BkWalKind;

typedef struct BkWalName {
    BkWalKind kind;
    uint32_t timeline;
    uint32_t log;           /* upper half of the segment's position; 0 for a history file */
    uint32_t seg;           /* segment within it; 0 for a history file */
    uint32_t backup_offset; /* of a backup history file: where in the segment the backup started */
} BkWalName;

/* Classifies a file name (no directory). False when it is none of the four forms. */
bool bk_wal_name_parse(const char *name, BkWalName *out) BK_MUST_USE;

/* What parsing the name of segment `segno` gives; its text goes to `name`. */
BkWalName bk_wal_name_of_segment(uint32_t timeline, uint64_t segno, uint32_t segment_size,
                                 char name[BK_WAL_NAME_SIZE]);

/* Segment number of a parsed name (not of a history file). False when no segment of that size can
 * have the name. */
bool bk_wal_name_segno(const BkWalName *name, uint32_t segment_size, uint64_t *segno) BK_MUST_USE;
