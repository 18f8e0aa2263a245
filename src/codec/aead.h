/* aead.h - AES-256-GCM (NIST SP 800-38D) of numbered frames under one key.
 *
 * The nonce of a frame is its ordinal, so a key must be new for each object and an ordinal is used
 * once. Threads: a BkAead belongs to one thread. */
#pragma once
#include "base/secret.h"

#define BK_AEAD_TAG_SIZE 16

typedef struct BkAead BkAead;

BkAead *bk_aead_new(void);
void bk_aead_free(BkAead *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkAead, bk_aead_free)

/* Sets the key for the frames to come. `for_sealing`: it will seal; otherwise it will open. */
void bk_aead_set_key(BkAead *self, const BkSecret *key, bool for_sealing);

typedef struct BkAeadFrame {
    uint64_t ordinal;
    const void *associated; /* authenticated with the frame, borrowed */
    size_t associated_size;
} BkAeadFrame;

/* Encrypts `size` bytes in place and writes the tag behind them: `data` has room for both. */
void bk_aead_seal(BkAead *self, const BkAeadFrame *frame, uint8_t *data, size_t size);

/* Decrypts `size` bytes (without the tag that follows them) from `sealed` to `plain`, which has
 * room for `size` bytes. False when they are not what was sealed; `plain` is then not to be used.
 */
bool bk_aead_open(BkAead *self, const BkAeadFrame *frame, const uint8_t *sealed, size_t size,
                  uint8_t *plain) BK_MUST_USE;
