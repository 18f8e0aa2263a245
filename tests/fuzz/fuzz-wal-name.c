/* fuzz-wal-name.c - names of WAL files and positions as text: what is accepted is exactly what is
 * written for it. */
#include "source/pg/format/lsn.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_name(const char *text)
{
    char formatted[BK_WAL_NAME_SIZE];
    char history[BK_WAL_HISTORY_NAME_SIZE];
    BkWalName name;
    uint64_t segno;

    if (!bk_wal_name_parse(text, &name))
        return;
    g_assert(name.timeline != 0 && strchr(text, '/') == NULL);
    if (name.kind == BK_WAL_HISTORY)
        g_assert(strcmp(bk_wal_history_name(name.timeline, history), text) == 0);
    else if (bk_wal_name_segno(&name, 16 * (uint32_t)BK_MIB, &segno))
        g_assert(
            strncmp(bk_wal_segment_name(name.timeline, segno, 16 * (uint32_t)BK_MIB, formatted),
                    text, 24) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    char formatted[BK_LSN_TEXT_SIZE];
    BkLsn lsn, again;

    check_name(text);
    if (bk_lsn_parse(text, &lsn)) {
        g_assert(bk_lsn_parse(bk_lsn_format(lsn, formatted), &again));
        g_assert(lsn == again);
    }
    return 0;
}
