/* digest.h - SHA-256 (FIPS 180-4), HMAC-SHA-256 (RFC 2104), HKDF-SHA-256 (RFC 5869), and XXH3-128
 * with a secret.
 *
 * Threads: a digest in progress belongs to one thread; the one-call functions are safe. */
#pragma once
#include "base/secret.h"

#define BK_SHA256_SIZE 32
#define BK_XXH3_SIZE   16

typedef struct BkSha256 BkSha256;

BkSha256 *bk_sha256_new(void);
void bk_sha256_free(BkSha256 *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkSha256, bk_sha256_free)

/* Starts over. new has done it once. */
void bk_sha256_reset(BkSha256 *self);
void bk_sha256_update(BkSha256 *self, const void *data, size_t size);

/* The digest of all that was added until now; more may be added after it. */
void bk_sha256_get(const BkSha256 *self, uint8_t digest[BK_SHA256_SIZE]);

void bk_sha256(const void *data, size_t size, uint8_t digest[BK_SHA256_SIZE]);

/* 64 lower-case hex digits. */
void bk_sha256_format(const uint8_t digest[BK_SHA256_SIZE], char text[2 * BK_SHA256_SIZE + 1]);

/* HMAC-SHA-256 (RFC 2104). */
void bk_hmac_sha256(const void *key, size_t key_size, const void *data, size_t size,
                    uint8_t mac[BK_SHA256_SIZE]);

/* Derives a key: extract with `salt`, expand with `info`. */
void bk_hkdf(const BkSecret *key, const void *salt, size_t salt_size, const void *info,
             size_t info_size, BkSecret *derived);

/* A secret for bk_xxh3, derived from a key. No security rests on the hash: it only tells, fast,
 * which bytes a destination holds already. */
typedef struct BkXxh3Secret {
    uint8_t bytes[192];
} BkXxh3Secret;
void bk_xxh3_secret_derive(const BkSecret *key, BkXxh3Secret *secret);

void bk_xxh3(const BkXxh3Secret *secret, const void *data, size_t size, uint8_t hash[BK_XXH3_SIZE]);

/* The same of bytes that come in parts. `secret` must outlive it. */
typedef struct BkXxh3 BkXxh3;
BkXxh3 *bk_xxh3_new(const BkXxh3Secret *secret);
void bk_xxh3_free(BkXxh3 *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkXxh3, bk_xxh3_free)
void bk_xxh3_update(BkXxh3 *self, const void *data, size_t size);
void bk_xxh3_get(const BkXxh3 *self, uint8_t hash[BK_XXH3_SIZE]);
