/* test-aead.c - frames: sealed and opened, and no flipped bit goes unnoticed. */
#include "codec/aead.h"
#include "expect.h"

#include <string.h>

static const char head[] = "header";

static void
seal(const BkSecret *key, uint64_t ordinal, uint8_t *data, size_t size)
{
    g_autoptr(BkAead) aead = bk_aead_new();

    bk_aead_set_key(aead, key, true);
    bk_aead_seal(aead, &(BkAeadFrame){ordinal, head, sizeof head}, data, size);
}

static bool
can_open(const BkSecret *key, const BkAeadFrame *frame, const uint8_t *sealed, size_t size)
{
    g_autoptr(BkAead) aead = bk_aead_new();
    g_autofree uint8_t *plain = g_malloc(size + 1);

    bk_aead_set_key(aead, key, false);
    return bk_aead_open(aead, frame, sealed, size, plain);
}

/* The test case of the GCM specification with a key of 256 zero bits, a nonce of zeros (ordinal 0)
 * and one block of zeros. */
static void
test_vector(void)
{
    static const uint8_t expected[32] = {0xce, 0xa7, 0x40, 0x3d, 0x4d, 0x60, 0x6b, 0x6e,
                                         0x07, 0x4e, 0xc5, 0xd3, 0xba, 0xf3, 0x9d, 0x18,
                                         0xd0, 0xd1, 0xc8, 0xa7, 0x99, 0x99, 0x6b, 0xf0,
                                         0x26, 0x5b, 0x98, 0xb5, 0xd4, 0x8a, 0xb9, 0x19};
    g_autoptr(BkAead) aead = bk_aead_new();
    BkSecret key = {{0}};
    uint8_t data[32] = {0};

    bk_aead_set_key(aead, &key, true);
    bk_aead_seal(aead, &(BkAeadFrame){0, NULL, 0}, data, 16);
    EXPECT_BYTES(data, sizeof data, expected, sizeof expected);
}

static void
test_round_trip(void)
{
    static const size_t sizes[] = {0, 1, 15, 16, 17, 1000};
    g_autoptr(BkAead) aead = bk_aead_new();
    BkSecret key = {{7}};

    bk_aead_set_key(aead, &key, false);
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        BkAeadFrame frame = {UINT64_MAX - i, head, sizeof head};
        uint8_t data[1000 + BK_AEAD_TAG_SIZE];
        uint8_t plain[1000];

        memset(data, 0x5a, sizeof data);
        seal(&key, frame.ordinal, data, sizes[i]);
        g_assert_true(bk_aead_open(aead, &frame, data, sizes[i], plain));
        for (size_t j = 0; j < sizes[i]; j++)
            g_assert_cmpuint(plain[j], ==, 0x5a);
    }
}

static void
test_every_bit_counts(void)
{
    BkSecret key = {{7}};
    BkAeadFrame frame = {3, head, sizeof head};
    uint8_t data[40 + BK_AEAD_TAG_SIZE] = {0};

    seal(&key, 3, data, 40);
    g_assert_true(can_open(&key, &frame, data, 40));
    for (size_t bit = 0; bit < 8 * sizeof data; bit++) {
        data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        g_assert_false(can_open(&key, &frame, data, 40));
        data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    g_assert_true(can_open(&key, &frame, data, 40));
}

static void
test_wrong_key_place_or_header(void)
{
    BkSecret key = {{7}};
    BkSecret other = {{8}};
    uint8_t data[40 + BK_AEAD_TAG_SIZE] = {0};

    seal(&key, 3, data, 40);
    g_assert_false(can_open(&other, &(BkAeadFrame){3, head, sizeof head}, data, 40));
    g_assert_false(can_open(&key, &(BkAeadFrame){4, head, sizeof head}, data, 40));
    g_assert_false(can_open(&key, &(BkAeadFrame){3, "Header", sizeof head}, data, 40));
    g_assert_false(can_open(&key, &(BkAeadFrame){3, head, sizeof head - 1}, data, 40));
    g_assert_false(can_open(&key, &(BkAeadFrame){3, head, sizeof head}, data, 39));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/aead/vector", test_vector);
    g_test_add_func("/aead/round-trip", test_round_trip);
    g_test_add_func("/aead/every-bit-counts", test_every_bit_counts);
    g_test_add_func("/aead/wrong-key-place-or-header", test_wrong_key_place_or_header);
    return g_test_run();
}
