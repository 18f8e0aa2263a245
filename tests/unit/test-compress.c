/* test-compress.c - blocks of bytes, compressed by each method. */
#include "codec/compress.h"
#include "expect.h"

#include <string.h>

static const BkCodec codecs[] = {BK_CODEC_STORED, BK_CODEC_ZSTD, BK_CODEC_LZ4};

#define SIZE ((size_t)70000)

static void
fill_text(uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t) "all work and no play "[i % 21];
}

static void
fill_random(uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)g_test_rand_int();
}

/* Buffers of just the promised sizes, so that a sanitizer sees what goes past them. */
static void
check_round_trip(BkCodec codec, const uint8_t *data, size_t size, BkCodec expected)
{
    g_autoptr(BkCompressor) compressor = bk_compressor_new(codec, 3);
    g_autofree uint8_t *packed = g_malloc(MAX(size, 1));
    g_autofree uint8_t *exact = NULL;
    g_autofree uint8_t *plain = g_malloc(MAX(size, 1));
    g_autoptr(GError) error = NULL;
    BkCodec used = 99;
    size_t packed_size = bk_compress(compressor, data, size, packed, &used);

    g_assert_cmpint(used, ==, expected);
    g_assert_cmpuint(packed_size, <=, size);
    exact = g_malloc(MAX(packed_size, 1));
    memcpy(exact, packed, packed_size);
    EXPECT_DONE(bk_decompress(compressor, (uint8_t)used, exact, packed_size, plain, size, &error));
    EXPECT_BYTES(plain, size, data, size);
}

static void
test_round_trip(void)
{
    g_autofree uint8_t *data = g_malloc(SIZE);

    fill_text(data, SIZE);
    for (size_t i = 0; i < G_N_ELEMENTS(codecs); i++) {
        check_round_trip(codecs[i], data, SIZE, codecs[i]);
        check_round_trip(codecs[i], data, 1000, codecs[i]);
    }
}

static void
test_incompressible_is_stored(void)
{
    g_autofree uint8_t *data = g_malloc(SIZE);

    fill_random(data, SIZE);
    for (size_t i = 0; i < G_N_ELEMENTS(codecs); i++) {
        check_round_trip(codecs[i], data, SIZE, BK_CODEC_STORED);
        check_round_trip(codecs[i], data, 1, BK_CODEC_STORED);
    }
}

static void
test_empty_is_stored(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(codecs); i++)
        check_round_trip(codecs[i], (const uint8_t *)"", 0, BK_CODEC_STORED);
}

static void
test_wrong_size(void)
{
    g_autofree uint8_t *data = g_malloc(SIZE);
    g_autofree uint8_t *packed = g_malloc(SIZE);
    g_autofree uint8_t *plain = g_malloc(SIZE + 1);
    g_autoptr(GError) error = NULL;

    fill_text(data, SIZE);
    for (size_t i = 0; i < G_N_ELEMENTS(codecs); i++) {
        g_autoptr(BkCompressor) compressor = bk_compressor_new(codecs[i], 1);
        BkCodec used;
        size_t size = bk_compress(compressor, data, SIZE, packed, &used);
        uint8_t number = (uint8_t)used;

        EXPECT_ERROR(bk_decompress(compressor, number, packed, size, plain, SIZE + 1, &error),
                     BK_ERROR_CORRUPT);
        EXPECT_ERROR(bk_decompress(compressor, number, packed, size, plain, SIZE - 1, &error),
                     BK_ERROR_CORRUPT);
        EXPECT_ERROR(bk_decompress(compressor, number, packed, size - 1, plain, SIZE, &error),
                     BK_ERROR_CORRUPT);
        EXPECT_DONE(bk_decompress(compressor, number, packed, size, plain, SIZE, &error));
    }
}

static void
test_malformed(void)
{
    g_autoptr(BkCompressor) compressor = bk_compressor_new(BK_CODEC_STORED, 0);
    g_autoptr(GError) error = NULL;
    uint8_t noise[200];
    uint8_t plain[1000];

    for (unsigned round = 0; round < 500; round++) {
        fill_random(noise, sizeof noise);
        noise[0] |= 0x80; /* no zstd frame, and no short lz4 literal run that happens to fit */
        EXPECT_ERROR(bk_decompress(compressor, BK_CODEC_ZSTD, noise, sizeof noise, plain,
                                   sizeof plain, &error),
                     BK_ERROR_CORRUPT);
        if (!bk_decompress(compressor, BK_CODEC_LZ4, noise, sizeof noise, plain, sizeof plain,
                           &error))
            g_assert_error(error, BK_ERROR, (int)BK_ERROR_CORRUPT);
        g_clear_error(&error);
    }
    EXPECT_ERROR(bk_decompress(compressor, 3, noise, 10, plain, 10, &error), BK_ERROR_UNSUPPORTED);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/compress/round-trip", test_round_trip);
    g_test_add_func("/compress/incompressible-is-stored", test_incompressible_is_stored);
    g_test_add_func("/compress/empty-is-stored", test_empty_is_stored);
    g_test_add_func("/compress/wrong-size", test_wrong_size);
    g_test_add_func("/compress/malformed", test_malformed);
    return g_test_run();
}
