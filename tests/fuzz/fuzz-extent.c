/* fuzz-extent.c - encoded extents: in order, within the file, and what is whole encodes to what
 * decodes alike. */
#include "repo/pack/extent.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
encode_again(const GArray *extents, uint64_t size)
{
    g_auto(BkBuf) encoded = BK_BUF_INIT;
    BkExtentIter iter;
    BkExtent extent;

    bk_extents_encode((const BkExtent *)(const void *)extents->data, extents->len, size, &encoded);
    bk_extent_iter_init(&iter, encoded.data, encoded.size, size);
    while (bk_extent_iter_next(&iter, &extent))
        continue;
    g_assert(bk_extent_iter_is_complete(&iter));
}

/* The first eight bytes are the size of the file. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GArray) extents = g_array_new(FALSE, FALSE, sizeof(BkExtent));
    BkExtentIter iter;
    BkExtent extent;
    uint64_t file_size = 0;
    uint64_t at = 0;

    if (size < 8)
        return 0;
    memcpy(&file_size, data, 8);
    file_size &= INT64_MAX;
    bk_extent_iter_init(&iter, data + 8, size - 8, file_size);
    while (bk_extent_iter_next(&iter, &extent)) {
        g_assert(extent.file_offset == at && extent.length > 0 && extent.length <= file_size - at);
        at += extent.length;
        g_array_append_val(extents, extent);
    }
    g_assert(!bk_extent_iter_is_complete(&iter) || at == file_size);
    if (bk_extent_iter_is_complete(&iter))
        encode_again(extents, file_size);
    return 0;
}
