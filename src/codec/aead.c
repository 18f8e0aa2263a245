/* aead.c - AES-256-GCM (NIST SP 800-38D) of numbered frames under one key. */
#include "codec/aead.h"

#include <limits.h>
#include <openssl/evp.h>
#include <string.h>

#define NONCE_SIZE 12

struct BkAead {
    EVP_CIPHER *cipher;
    EVP_CIPHER_CTX *context;
    bool is_sealing;
};

/* See digest.c: these fail only when the library is unusable. */
static void
require_aead_call(int ok)
{
    if (ok != 1)
        g_error("the cryptographic library failed");
}

BkAead *
bk_aead_new(void)
{
    BkAead *self = g_new0(BkAead, 1);

    self->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    self->context = EVP_CIPHER_CTX_new();
    require_aead_call(self->cipher != NULL && self->context != NULL);
    return self;
}

void
bk_aead_free(BkAead *self)
{
    if (self == NULL)
        return;
    EVP_CIPHER_CTX_free(self->context);
    EVP_CIPHER_free(self->cipher);
    g_free(self);
}

void
bk_aead_set_key(BkAead *self, const BkSecret *key, bool for_sealing)
{
    self->is_sealing = for_sealing;
    require_aead_call(
        EVP_CipherInit_ex2(self->context, self->cipher, key->bytes, NULL, for_sealing, NULL));
}

static void
begin_frame(BkAead *self, const BkAeadFrame *frame)
{
    uint8_t nonce[NONCE_SIZE] = {0};
    int size;

    for (size_t i = 0; i < 8; i++)
        nonce[i] = (uint8_t)(frame->ordinal >> (8 * i));
    g_assert(frame->associated_size <= INT_MAX);
    require_aead_call(EVP_CipherInit_ex2(self->context, NULL, NULL, nonce, self->is_sealing, NULL));
    require_aead_call(EVP_CipherUpdate(self->context, NULL, &size, frame->associated,
                                       (int)frame->associated_size));
}

void
bk_aead_seal(BkAead *self, const BkAeadFrame *frame, uint8_t *data, size_t size)
{
    int done;

    g_assert(self->is_sealing && size <= INT_MAX);
    begin_frame(self, frame);
    require_aead_call(EVP_CipherUpdate(self->context, data, &done, data, (int)size));
    require_aead_call(EVP_CipherFinal_ex(self->context, data + done, &done));
    require_aead_call(
        EVP_CIPHER_CTX_ctrl(self->context, EVP_CTRL_AEAD_GET_TAG, BK_AEAD_TAG_SIZE, data + size));
}

bool
bk_aead_open(BkAead *self, const BkAeadFrame *frame, const uint8_t *sealed, size_t size,
             uint8_t *plain)
{
    uint8_t tag[BK_AEAD_TAG_SIZE];
    int done;

    g_assert(!self->is_sealing && size <= INT_MAX);
    memcpy(tag, sealed + size, sizeof tag);
    begin_frame(self, frame);
    require_aead_call(EVP_CipherUpdate(self->context, plain, &done, sealed, (int)size));
    require_aead_call(
        EVP_CIPHER_CTX_ctrl(self->context, EVP_CTRL_AEAD_SET_TAG, BK_AEAD_TAG_SIZE, tag));
    return EVP_CipherFinal_ex(self->context, plain + done, &done) == 1;
}
