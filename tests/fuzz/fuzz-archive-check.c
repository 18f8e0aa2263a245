/* fuzz-archive-check.c - a file that wal push is to archive, with its name: accepted or refused,
 * and of a segment that is accepted the header agrees with the name. The name stands before the
 * first line break, the content behind it. */
#include "source/pg/archive/archive-check.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_segment(const BkArchiveFile *file)
{
    g_auto(BkWalInfo) info = {0};
    g_auto(BkWalBlocks) blocks = {0};
    g_autoptr(GError) error = NULL;
    bool ok = bk_archive_check_segment(file, 0, &info, &blocks, &error);
    uint64_t segno;

    g_assert(ok == (error == NULL));
    if (!ok) {
        g_assert(bk_error_is(error, BK_ERROR_UNFIT) || bk_error_is(error, BK_ERROR_UNSUPPORTED));
        g_assert(info.points == NULL && blocks.map == NULL);
        return;
    }
    g_assert(info.segment_size == file->content->size);
    g_assert(bk_wal_name_segno(&file->parsed, info.segment_size, &segno));
    g_assert(segno * info.segment_size == info.start_lsn);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *newline = size > 0 ? memchr(data, '\n', size) : NULL;
    g_autofree char *name = NULL;
    g_autoptr(GError) error = NULL;
    BkArchiveFile file = {.is_ready = size % 2 == 0};
    BkBuf content;
    bool ok;

    if (newline == NULL)
        return 0;
    name = g_strndup((const char *)data, (size_t)(newline - data));
    if (!bk_wal_name_parse(name, &file.parsed))
        return 0;
    content.size = content.capacity = size - (size_t)(newline + 1 - data);
    content.data = (uint8_t *)(uintptr_t)(newline + 1);
    file.name = name;
    file.content = &content;
    if (file.parsed.kind == BK_WAL_SEGMENT)
        check_segment(&file);
    ok = bk_archive_check_other(&file, 0, &error);
    g_assert(ok == (error == NULL));
    return 0;
}
