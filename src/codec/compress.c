/* compress.c - blocks of bytes, each compressed on its own: zstd (RFC 8878), lz4 block, or stored.
 */
#include "codec/compress.h"

#include <limits.h>
#include <lz4.h>
#include <string.h>
#include <zstd.h>

struct BkCompressor {
    BkCodec codec;
    int level;
    ZSTD_CCtx *zstd_compress;   /* made when first needed */
    ZSTD_DCtx *zstd_decompress; /* made when first needed */
};

BkCompressor *
bk_compressor_new(BkCodec codec, int level)
{
    BkCompressor *self = g_new0(BkCompressor, 1);

    self->codec = codec;
    self->level = level;
    return self;
}

void
bk_compressor_free(BkCompressor *self)
{
    if (self == NULL)
        return;
    (void)ZSTD_freeCCtx(self->zstd_compress);
    (void)ZSTD_freeDCtx(self->zstd_decompress);
    g_free(self);
}

static size_t
compress_zstd(BkCompressor *self, const void *from, size_t size, void *to)
{
    size_t result;

    if (self->zstd_compress == NULL)
        self->zstd_compress = ZSTD_createCCtx();
    if (self->zstd_compress == NULL)
        g_error("not enough memory for zstd");
    result = ZSTD_compressCCtx(self->zstd_compress, to, size, from, size, self->level);
    return ZSTD_isError(result) ? 0 : result;
}

static size_t
compress_lz4(const void *from, size_t size, void *to)
{
    int result;

    if (size > LZ4_MAX_INPUT_SIZE)
        return 0;
    result = LZ4_compress_default(from, to, (int)size, (int)size);
    return result > 0 ? (size_t)result : 0;
}

size_t
bk_compress(BkCompressor *self, const void *from, size_t size, void *to, BkCodec *codec)
{
    size_t result = 0;

    switch (self->codec) {
    case BK_CODEC_ZSTD:
        result = compress_zstd(self, from, size, to);
        break;
    case BK_CODEC_LZ4:
        result = compress_lz4(from, size, to);
        break;
    case BK_CODEC_STORED:
        break;
    }
    if (result > 0 && result < size) {
        *codec = self->codec;
        return result;
    }
    *codec = BK_CODEC_STORED;
    if (size > 0)
        memcpy(to, from, size);
    return size;
}

static bool
decompress_zstd(BkCompressor *self, const void *from, size_t from_size, void *to, size_t to_size)
{
    size_t result;

    if (self->zstd_decompress == NULL)
        self->zstd_decompress = ZSTD_createDCtx();
    if (self->zstd_decompress == NULL)
        g_error("not enough memory for zstd");
    result = ZSTD_decompressDCtx(self->zstd_decompress, to, to_size, from, from_size);
    return !ZSTD_isError(result) && result == to_size;
}

static bool
decompress_lz4(const void *from, size_t from_size, void *to, size_t to_size)
{
    if (from_size > INT_MAX || to_size > INT_MAX)
        return false;
    return LZ4_decompress_safe(from, to, (int)from_size, (int)to_size) == (int)to_size;
}

bool
bk_decompress(BkCompressor *self, uint8_t codec, const void *from, size_t from_size, void *to,
              size_t to_size, GError **error)
{
    bool ok = false;

    switch (codec) {
    case BK_CODEC_STORED:
        ok = from_size == to_size;
        if (ok && to_size > 0)
            memcpy(to, from, to_size);
        break;
    case BK_CODEC_ZSTD:
        ok = decompress_zstd(self, from, from_size, to, to_size);
        break;
    case BK_CODEC_LZ4:
        ok = decompress_lz4(from, from_size, to, to_size);
        break;
    default:
        return bk_throw(error, BK_ERROR_UNSUPPORTED, "unknown compression method %u", codec);
    }
    return ok || bk_throw(error, BK_ERROR_CORRUPT, "compressed data is malformed");
}
