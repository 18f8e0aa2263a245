/* test-digest.c - SHA-256, HKDF, XXH3 with a secret: published vectors and properties. */
#include "codec/digest.h"
#include "expect.h"

#include <string.h>

/* FIPS 180-4 examples. */
static void
test_sha256(void)
{
    static const struct {
        const char *text;
        const char *digest;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint8_t digest[BK_SHA256_SIZE];
        char text[2 * BK_SHA256_SIZE + 1];

        bk_sha256(cases[i].text, strlen(cases[i].text), digest);
        bk_sha256_format(digest, text);
        g_assert_cmpstr(text, ==, cases[i].digest);
    }
}

/* In pieces, looked at in between, and used again. */
static void
test_sha256_in_progress(void)
{
    g_autoptr(BkSha256) sha = bk_sha256_new();
    uint8_t digest[BK_SHA256_SIZE];
    uint8_t expected[BK_SHA256_SIZE];

    for (int round = 0; round < 2; round++) {
        bk_sha256_update(sha, "a", 1);
        bk_sha256_get(sha, digest);
        bk_sha256("a", 1, expected);
        EXPECT_BYTES(digest, sizeof digest, expected, sizeof expected);
        bk_sha256_update(sha, NULL, 0);
        bk_sha256_update(sha, "bc", 2);
        bk_sha256_get(sha, digest);
        bk_sha256("abc", 3, expected);
        EXPECT_BYTES(digest, sizeof digest, expected, sizeof expected);
        bk_sha256_reset(sha);
    }
    bk_sha256_free(NULL);
}

/* The vectors of RFC 5869 have keys of other sizes than ours; this is test case 1's construction
 * (extract, then expand) computed by HMAC step by step for a key of 32 bytes. */
static void
hmac(const uint8_t key[32], const uint8_t *data, size_t size, uint8_t mac[32])
{
    g_autoptr(BkSha256) sha = bk_sha256_new();
    uint8_t pad[64] = {0};
    uint8_t inner[32];

    memcpy(pad, key, 32);
    for (size_t i = 0; i < sizeof pad; i++)
        pad[i] ^= 0x36;
    bk_sha256_update(sha, pad, sizeof pad);
    bk_sha256_update(sha, data, size);
    bk_sha256_get(sha, inner);
    for (size_t i = 0; i < sizeof pad; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    bk_sha256_reset(sha);
    bk_sha256_update(sha, pad, sizeof pad);
    bk_sha256_update(sha, inner, sizeof inner);
    bk_sha256_get(sha, mac);
}

static void
test_hkdf(void)
{
    static const uint8_t salt[32] = "salt";
    static const uint8_t info[] = "info\x01"; /* and the counter of the first block */
    BkSecret key;
    BkSecret derived;
    uint8_t extracted[32];
    uint8_t expected[32];

    memset(&key, 0x0b, sizeof key);
    bk_hkdf(&key, salt, 4, info, 4, &derived);
    hmac(salt, key.bytes, sizeof key.bytes, extracted);
    hmac(extracted, info, 5, expected);
    EXPECT_BYTES(derived.bytes, sizeof derived.bytes, expected, sizeof expected);
}

static void
test_hkdf_depends_on_all(void)
{
    BkSecret key = {{1}};
    BkSecret other = {{2}};
    BkSecret derived[4];

    bk_hkdf(&key, "s", 1, "i", 1, &derived[0]);
    bk_hkdf(&other, "s", 1, "i", 1, &derived[1]);
    bk_hkdf(&key, "t", 1, "i", 1, &derived[2]);
    bk_hkdf(&key, "s", 1, "j", 1, &derived[3]);
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < i; j++)
            g_assert_cmpint(memcmp(&derived[i], &derived[j], sizeof derived[i]), !=, 0);
}

static void
test_xxh3(void)
{
    BkSecret keys[2] = {{{1}}, {{2}}};
    BkXxh3Secret secrets[2];
    uint8_t data[1000] = {0};
    uint8_t hash[BK_XXH3_SIZE];
    uint8_t other[BK_XXH3_SIZE];

    bk_xxh3_secret_derive(&keys[0], &secrets[0]);
    bk_xxh3_secret_derive(&keys[1], &secrets[1]);
    g_assert_cmpint(memcmp(&secrets[0], &secrets[1], sizeof secrets[0]), !=, 0);
    bk_xxh3(&secrets[0], data, sizeof data, hash);
    bk_xxh3(&secrets[0], data, sizeof data, other);
    EXPECT_BYTES(hash, sizeof hash, other, sizeof other);
    bk_xxh3(&secrets[1], data, sizeof data, other);
    g_assert_cmpint(memcmp(hash, other, sizeof hash), !=, 0);
    for (size_t i = 0; i < sizeof data; i += 7) {
        data[i] ^= 1;
        bk_xxh3(&secrets[0], data, sizeof data, other);
        g_assert_cmpint(memcmp(hash, other, sizeof hash), !=, 0);
        data[i] ^= 1;
    }
    bk_xxh3(&secrets[0], NULL, 0, other);
    g_assert_cmpint(memcmp(hash, other, sizeof hash), !=, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/digest/sha256", test_sha256);
    g_test_add_func("/digest/sha256-in-progress", test_sha256_in_progress);
    g_test_add_func("/digest/hkdf", test_hkdf);
    g_test_add_func("/digest/hkdf-depends-on-all", test_hkdf_depends_on_all);
    g_test_add_func("/digest/xxh3", test_xxh3);
    return g_test_run();
}
