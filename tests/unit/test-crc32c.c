#include "codec/crc32c.h"

#include <string.h>

/* The definition, a bit at a time. */
static uint32_t
naive(uint32_t crc, const uint8_t *data, size_t size)
{
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82F63B78u : 0);
    }
    return ~crc;
}

/* Check value of the catalogue, and those of RFC 3720 B.4. */
static void
test_vectors(void)
{
    uint8_t bytes[32];

    g_assert_cmphex(bk_crc32c(0, "123456789", 9), ==, 0xE3069283);
    g_assert_cmphex(bk_crc32c(0, NULL, 0), ==, 0);
    memset(bytes, 0, sizeof bytes);
    g_assert_cmphex(bk_crc32c(0, bytes, sizeof bytes), ==, 0x8A9136AA);
    g_assert_cmphex(bk_crc32c_zeros(0, sizeof bytes), ==, 0x8A9136AA);
    memset(bytes, 0xFF, sizeof bytes);
    g_assert_cmphex(bk_crc32c(0, bytes, sizeof bytes), ==, 0x62A8AB43);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    g_assert_cmphex(bk_crc32c(0, bytes, sizeof bytes), ==, 0x46DD794E);
}

static void
test_random(void)
{
    g_autofree uint8_t *bytes = g_malloc(10000);

    for (int i = 0; i < 10000; i++)
        bytes[i] = (uint8_t)g_test_rand_int();
    for (int i = 0; i < 300; i++) {
        size_t size = (size_t)g_test_rand_int_range(0, 10000);
        size_t cut = (size_t)g_test_rand_int_range(0, (gint32)size + 1);
        uint32_t whole = naive(0, bytes, size);
        uint32_t a = bk_crc32c(0, bytes, cut);
        uint32_t b = bk_crc32c(0, bytes + cut, size - cut);

        g_assert_cmphex(bk_crc32c(0, bytes, size), ==, whole);
        g_assert_cmphex(bk_crc32c(a, bytes + cut, size - cut), ==, whole);
        g_assert_cmphex(bk_crc32c_combine(a, b, size - cut), ==, whole);
    }
}

static void
test_zeros(void)
{
    g_autofree uint8_t *zeros = g_malloc0(100000);
    uint32_t crc = bk_crc32c(0, "backstay", 8);

    for (size_t count = 0; count < 100000; count = count * 3 + 1) {
        g_assert_cmphex(bk_crc32c_zeros(crc, count), ==, naive(crc, zeros, count));
        g_assert_cmphex(bk_crc32c_zeros(bk_crc32c_zeros(crc, count), UINT64_MAX - count), ==,
                        bk_crc32c_zeros(crc, UINT64_MAX));
    }
    /* 2^40 zeros in two ways. */
    for (int i = 0; i < 256; i++)
        crc = bk_crc32c_zeros(crc, UINT64_C(1) << 32);
    g_assert_cmphex(crc, ==, bk_crc32c_zeros(bk_crc32c(0, "backstay", 8), UINT64_C(1) << 40));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/crc32c/vectors", test_vectors);
    g_test_add_func("/crc32c/random", test_random);
    g_test_add_func("/crc32c/zeros", test_zeros);
    return g_test_run();
}
