/* fuzz-wal-blocks.c - an encoded summary, or a WAL segment: a summary or an error; a summary
 * encodes and decodes to itself; no encoding makes a map that is out of proportion to it; a segment
 * joined with a neighbour made of itself stays within bounds. */
#include "source/pg/wal/wal-blocks.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_encoding(const BkWalBlocks *blocks)
{
    g_auto(BkWalBlocks) again = {0};
    g_auto(BkBuf) once = BK_BUF_INIT;
    g_auto(BkBuf) twice = BK_BUF_INIT;

    bk_wal_blocks_encode(blocks, &once);
    g_assert(bk_wal_blocks_decode(once.data, once.size, &again, NULL));
    bk_wal_blocks_encode(&again, &twice);
    g_assert(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0);
    g_assert(bk_block_map_count(blocks->map) == bk_block_map_count(again.map));
    bk_wal_blocks_merge(&again, blocks);
    g_assert(bk_block_map_count(blocks->map) == bk_block_map_count(again.map));
}

static void
check_decoding(const uint8_t *data, size_t size)
{
    g_auto(BkWalBlocks) blocks = {0};
    g_auto(BkBuf) bytes = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    if (!bk_wal_blocks_decode(data, size, &blocks, &error)) {
        g_assert(bk_error_is(error, BK_ERROR_CORRUPT) || bk_error_is(error, BK_ERROR_UNSUPPORTED));
        return;
    }
    check_encoding(&blocks);
    bk_wal_blocks_encode(&blocks, &bytes);
    /* Numbers may have been written longer than they need be; the first version had no copies. */
    g_assert(bytes.size <= size + 1);
    g_assert(bk_block_map_count(blocks.map) <= size * (UINT64_C(65536) / 4));
}

static void
check_collecting(const uint8_t *data, size_t size)
{
    g_auto(BkWalInfo) left = {0};
    g_auto(BkWalInfo) right = {0};
    g_auto(BkWalInfo) plain = {0};
    g_auto(BkWalBlocks) blocks = {0};
    g_auto(BkWalBlocks) same = {0};
    g_autoptr(GError) error = NULL;

    if (!bk_wal_blocks_collect(data, size, NULL, &left, &blocks, &error))
        return;
    g_assert(bk_wal_info_collect(data, size, NULL, &plain, NULL));
    g_assert(plain.records == left.records && plain.xacts == left.xacts);
    g_assert((left.records == 0) == (blocks.last == 0));
    check_encoding(&blocks);
    g_assert(bk_wal_blocks_collect(data, size, NULL, &right, &same, NULL));
    left.start_lsn = right.start_lsn - left.segment_size;
    right.lead.rest = right.lead.available = (uint32_t)right.lead.bytes.size;
    left.tail.available = left.tail.total - MIN(left.tail.total, right.lead.rest);
    left.tail.bytes.size = MIN(left.tail.bytes.size, left.tail.available);
    bk_wal_blocks_join(&blocks, &left, &right);
    bk_wal_blocks_merge(&blocks, &same);
    check_encoding(&blocks);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_decoding(data, size);
    check_collecting(data, size);
    return 0;
}
