/* compress.h - blocks of bytes, each compressed on its own: zstd (RFC 8878), lz4 block, or stored.
 *
 * Threads: a compressor belongs to one thread. */
#pragma once
#include "base/error.h"

typedef enum {
    BK_CODEC_STORED = 0,
    BK_CODEC_ZSTD = 1,
    BK_CODEC_LZ4 = 2,
} BkCodec; /* the numbers are on disk */

typedef struct BkCompressor BkCompressor;

/* Compresses with `codec` at `level` (zstd: 1 to 19; others ignore it), and decompresses any. */
BkCompressor *bk_compressor_new(BkCodec codec, int level);
void bk_compressor_free(BkCompressor *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkCompressor, bk_compressor_free)

/* Compresses `size` bytes to `to`, which has room for at least `size` bytes. Returns the compressed
 * size and sets `*codec`; where compression does not pay (or size is 0) the bytes are copied and
 * `*codec` is BK_CODEC_STORED. */
size_t bk_compress(BkCompressor *self, const void *from, size_t size, void *to, BkCodec *codec);

/* Decompresses to exactly `to_size` bytes. Fails with BK_ERROR_CORRUPT. */
bool bk_decompress(BkCompressor *self, uint8_t codec, const void *from, size_t from_size, void *to,
                   size_t to_size, GError **error) BK_MUST_USE;
