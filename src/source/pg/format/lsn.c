/* lsn.c - positions in the WAL, and the names of its files. */
#include "source/pg/format/lsn.h"

#include <stdio.h>
#include <string.h>

#define LOG_SIZE (UINT64_C(1) << 32) /* bytes of WAL that share the middle part of a name */

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Exactly 8 upper-case digits. */
static bool
parse_hex8(const char *text, uint32_t *value)
{
    *value = 0;
    for (size_t i = 0; i < 8; i++) {
        int digit = hex_digit(text[i]);

        if (digit < 0)
            return false;
        *value = *value << 4 | (uint32_t)digit;
    }
    return true;
}

/* 1 to 8 digits of either case; returns what follows them, NULL for none. */
static const char *
parse_half(const char *text, uint64_t *value)
{
    size_t count = 0;

    *value = 0;
    for (; g_ascii_isxdigit(text[count]); count++)
        *value = *value << 4 | (uint64_t)g_ascii_xdigit_value(text[count]);
    return count >= 1 && count <= 8 ? text + count : NULL;
}

bool
bk_lsn_parse(const char *text, BkLsn *lsn)
{
    uint64_t high, low;
    const char *next = parse_half(text, &high);

    if (next == NULL || *next != '/')
        return false;
    next = parse_half(next + 1, &low);
    if (next == NULL || *next != 0)
        return false;
    *lsn = high << 32 | low;
    return true;
}

const char *
bk_lsn_format(BkLsn lsn, char text[BK_LSN_TEXT_SIZE])
{
    (void)snprintf(text, BK_LSN_TEXT_SIZE, "%X/%X", (unsigned)(lsn >> 32), (unsigned)lsn);
    return text;
}

bool
bk_wal_segment_size_is_valid(uint64_t segment_size)
{
    return segment_size >= BK_MIB && segment_size <= BK_GIB &&
           (segment_size & (segment_size - 1)) == 0;
}

uint64_t
bk_wal_segment_of(BkLsn lsn, uint32_t segment_size)
{
    return lsn / segment_size;
}

const char *
bk_wal_segment_name(uint32_t timeline, uint64_t segno, uint32_t segment_size,
                    char name[BK_WAL_NAME_SIZE])
{
    uint64_t per_log = LOG_SIZE / segment_size;

    (void)snprintf(name, BK_WAL_NAME_SIZE, "%08X%08X%08X", timeline, (uint32_t)(segno / per_log),
                   (uint32_t)(segno % per_log));
    return name;
}

const char *
bk_wal_history_name(uint32_t timeline, char name[BK_WAL_HISTORY_NAME_SIZE])
{
    (void)snprintf(name, BK_WAL_HISTORY_NAME_SIZE, "%08X.history", timeline);
    return name;
}

bool
bk_wal_name_parse(const char *name, BkWalName *out)
{
    size_t length = strlen(name);

    *out = (BkWalName){0};
    if (length < 16 || !parse_hex8(name, &out->timeline) || out->timeline == 0)
        return false;
    if (strcmp(name + 8, ".history") == 0) {
        out->kind = BK_WAL_HISTORY;
        return true;
    }
    if (length < 24 || !parse_hex8(name + 8, &out->log) || !parse_hex8(name + 16, &out->seg))
        return false;
    if (length == 24) {
        out->kind = BK_WAL_SEGMENT;
        return true;
    }
    if (strcmp(name + 24, ".partial") == 0) {
        out->kind = BK_WAL_PARTIAL;
        return true;
    }
    out->kind = BK_WAL_BACKUP;
    return length == 40 && name[24] == '.' && parse_hex8(name + 25, &out->backup_offset) &&
           strcmp(name + 33, ".backup") == 0;
}

BkWalName
bk_wal_name_of_segment(uint32_t timeline, uint64_t segno, uint32_t segment_size,
                       char name[BK_WAL_NAME_SIZE])
{
    BkWalName parsed;

    if (!bk_wal_name_parse(bk_wal_segment_name(timeline, segno, segment_size, name), &parsed))
        g_assert_not_reached();
    return parsed;
}

bool
bk_wal_name_segno(const BkWalName *name, uint32_t segment_size, uint64_t *segno)
{
    uint64_t per_log = LOG_SIZE / segment_size;

    if (name->kind == BK_WAL_HISTORY || name->seg >= per_log)
        return false;
    *segno = name->log * per_log + name->seg;
    return true;
}
