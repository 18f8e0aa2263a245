/* digest.c - SHA-256 (FIPS 180-4), HMAC-SHA-256 (RFC 2104), HKDF-SHA-256 (RFC 5869), and XXH3-128
 * with a secret. */
#include "codec/digest.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>

#include <xxhash.h>
#ifdef __x86_64__
#include <xxh_x86dispatch.h> /* picks AVX2 or AVX-512 at run time: two to three times as fast */
#endif

static_assert(sizeof(XXH128_canonical_t) == BK_XXH3_SIZE, "size of XXH3-128");
static_assert(sizeof((BkXxh3Secret *)0)->bytes >= XXH3_SECRET_SIZE_MIN, "size of the secret");

/* OpenSSL fails in these calls only when memory runs out or the library is unusable: nothing that a
 * caller could mend, so both end the job like g_malloc does. */
static void
require_digest_call(int ok)
{
    if (ok != 1)
        g_error("the cryptographic library failed");
}

struct BkSha256 {
    EVP_MD_CTX *context;
    EVP_MD_CTX *copy; /* for bk_sha256_get */
    EVP_MD *algorithm;
};

BkSha256 *
bk_sha256_new(void)
{
    BkSha256 *self = g_new0(BkSha256, 1);

    self->context = EVP_MD_CTX_new();
    self->copy = EVP_MD_CTX_new();
    self->algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    require_digest_call(self->context != NULL && self->copy != NULL && self->algorithm != NULL);
    bk_sha256_reset(self);
    return self;
}

void
bk_sha256_free(BkSha256 *self)
{
    if (self == NULL)
        return;
    EVP_MD_CTX_free(self->context);
    EVP_MD_CTX_free(self->copy);
    EVP_MD_free(self->algorithm);
    g_free(self);
}

void
bk_sha256_reset(BkSha256 *self)
{
    require_digest_call(EVP_DigestInit_ex2(self->context, self->algorithm, NULL));
}

void
bk_sha256_update(BkSha256 *self, const void *data, size_t size)
{
    require_digest_call(EVP_DigestUpdate(self->context, data, size));
}

void
bk_sha256_get(const BkSha256 *self, uint8_t digest[BK_SHA256_SIZE])
{
    require_digest_call(EVP_MD_CTX_copy_ex(self->copy, self->context));
    require_digest_call(EVP_DigestFinal_ex(self->copy, digest, NULL));
}

void
bk_sha256(const void *data, size_t size, uint8_t digest[BK_SHA256_SIZE])
{
    g_autoptr(BkSha256) sha = bk_sha256_new();

    bk_sha256_update(sha, data, size);
    bk_sha256_get(sha, digest);
}

void
bk_sha256_format(const uint8_t digest[BK_SHA256_SIZE], char text[2 * BK_SHA256_SIZE + 1])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < BK_SHA256_SIZE; i++) {
        text[2 * i] = digits[digest[i] >> 4];
        text[2 * i + 1] = digits[digest[i] & 15];
    }
    text[(size_t)2 * BK_SHA256_SIZE] = 0;
}

void
bk_hmac_sha256(const void *key, size_t key_size, const void *data, size_t size,
               uint8_t mac[BK_SHA256_SIZE])
{
    g_assert(key_size <= INT_MAX);
    require_digest_call(HMAC(EVP_sha256(), key, (int)key_size, data, size, mac, NULL) != NULL);
}

/* OSSL_PARAM takes pointers to non-const although it only reads these. */
static OSSL_PARAM
make_octet_param(const char *name, const void *data, size_t size)
{
    union {
        const void *from;
        void *to;
    } pointer = {.from = data};

    return OSSL_PARAM_construct_octet_string(name, pointer.to, size);
}

static void
expand_hkdf(const BkSecret *key, const void *salt, size_t salt_size, const void *info,
            size_t info_size, uint8_t *derived, size_t derived_size)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_HKDF, NULL);
    EVP_KDF_CTX *context = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        make_octet_param(OSSL_KDF_PARAM_KEY, key->bytes, BK_SECRET_SIZE),
        make_octet_param(OSSL_KDF_PARAM_SALT, salt, salt_size),
        make_octet_param(OSSL_KDF_PARAM_INFO, info, info_size),
        OSSL_PARAM_construct_end(),
    };

    require_digest_call(context != NULL &&
                        EVP_KDF_derive(context, derived, derived_size, params) == 1);
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
}

void
bk_hkdf(const BkSecret *key, const void *salt, size_t salt_size, const void *info, size_t info_size,
        BkSecret *derived)
{
    expand_hkdf(key, salt, salt_size, info, info_size, derived->bytes, BK_SECRET_SIZE);
}

void
bk_xxh3_secret_derive(const BkSecret *key, BkXxh3Secret *secret)
{
    static const char info[] = "backstay chunk hash";

    expand_hkdf(key, "", 0, info, sizeof info - 1, secret->bytes, sizeof secret->bytes);
}

static void
encode_xxh3(XXH128_hash_t value, uint8_t hash[BK_XXH3_SIZE])
{
    XXH128_canonical_t bytes;

    XXH128_canonicalFromHash(&bytes, value);
    memcpy(hash, bytes.digest, BK_XXH3_SIZE);
}

void
bk_xxh3(const BkXxh3Secret *secret, const void *data, size_t size, uint8_t hash[BK_XXH3_SIZE])
{
    encode_xxh3(XXH3_128bits_withSecret(data, size, secret->bytes, sizeof secret->bytes), hash);
}

struct BkXxh3 {
    XXH3_state_t *state;
};

BkXxh3 *
bk_xxh3_new(const BkXxh3Secret *secret)
{
    BkXxh3 *self = g_new0(BkXxh3, 1);

    self->state = XXH3_createState();
    if (self->state == NULL ||
        XXH3_128bits_reset_withSecret(self->state, secret->bytes, sizeof secret->bytes) != XXH_OK)
        g_error("no memory for a hash");
    return self;
}

void
bk_xxh3_free(BkXxh3 *self)
{
    if (self == NULL)
        return;
    (void)XXH3_freeState(self->state);
    g_free(self);
}

void
bk_xxh3_update(BkXxh3 *self, const void *data, size_t size)
{
    if (XXH3_128bits_update(self->state, data, size) != XXH_OK)
        g_error("the hash library failed");
}

void
bk_xxh3_get(const BkXxh3 *self, uint8_t hash[BK_XXH3_SIZE])
{
    encode_xxh3(XXH3_128bits_digest(self->state), hash);
}
