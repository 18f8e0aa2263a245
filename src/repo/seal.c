#include "repo/seal.h"

#include "codec/aead.h"
#include "codec/wire.h"
#include "repo/seal-priv.h"

#include <string.h>

struct BkSealer {
    BkCompressor *compressor;
    BkAead *aead;
    BkSha256 *sha;
    BkBuf *object; /* borrowed from begin to finish */
    uint64_t ordinal;
    size_t last_frame;
    bool has_last;
    uint8_t associated[BK_SEAL_AAD_SIZE]; /* header, last-frame mark */
};

void
bk_seal_derive_key(const BkSecret *key, const uint8_t salt[BK_SEAL_SALT_SIZE], BkSealKind kind,
                   BkSecret *derived)
{
    char info[32];

    (void)g_snprintf(info, sizeof info, "backstay object %d", (int)kind);
    bk_hkdf(key, salt, BK_SEAL_SALT_SIZE, info, strlen(info), derived);
}

BkSealer *
bk_sealer_new(BkCodec codec, int level)
{
    BkSealer *self = g_new0(BkSealer, 1);

    self->compressor = bk_compressor_new(codec, level);
    self->aead = bk_aead_new();
    self->sha = bk_sha256_new();
    return self;
}

void
bk_sealer_free(BkSealer *self)
{
    if (self == NULL)
        return;
    bk_compressor_free(self->compressor);
    bk_aead_free(self->aead);
    bk_sha256_free(self->sha);
    g_free(self);
}

bool
bk_sealer_begin(BkSealer *self, const BkKeyring *keys, BkSealKind kind, BkBuf *object,
                GError **error)
{
    g_auto(BkSecret) object_key = {{0}};
    uint8_t salt[BK_SEAL_SALT_SIZE];
    uint32_t generation;
    const BkSecret *key = bk_keyring_newest(keys, &generation);

    if (!bk_random_fill(salt, sizeof salt, error))
        return false;
    object->size = 0;
    bk_buf_append(object, BK_SEAL_MAGIC, strlen(BK_SEAL_MAGIC));
    bk_wire_put_u16(object, BK_SEAL_VERSION);
    bk_wire_put_u16(object, (uint16_t)kind);
    bk_wire_put_u32(object, generation);
    (void)bk_buf_extend(object, 16);
    bk_buf_append(object, salt, sizeof salt);
    g_assert(object->size == BK_SEAL_HEADER_SIZE);

    bk_seal_derive_key(key, salt, kind, &object_key);
    bk_aead_set_key(self->aead, &object_key, true);
    memcpy(self->associated, object->data, BK_SEAL_HEADER_SIZE);
    bk_sha256_reset(self->sha);
    bk_sha256_update(self->sha, object->data, object->size);
    self->object = object;
    self->ordinal = 0;
    self->has_last = false;
    return true;
}

const uint8_t *
bk_sealer_salt(const BkSealer *self)
{
    return self->associated + BK_SEAL_HEADER_SIZE - BK_SEAL_SALT_SIZE;
}

static void
put_u32_at(uint8_t *to, uint32_t value)
{
    for (size_t i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

/* Compresses straight into the object and encrypts there: no byte is copied in between. */
bool
bk_sealer_add(BkSealer *self, const void *data, size_t size, bool is_last, GError **error)
{
    BkBuf *object = self->object;
    uint8_t *frame;
    uint8_t *body;
    size_t body_size;
    BkCodec codec;

    g_assert(object != NULL && !self->has_last && size <= BK_SEAL_MAX_RAW);
    if (!bk_buf_reserve(object, size + BK_SEAL_FRAME_COST, error))
        return false;
    frame = object->data + object->size;
    body = frame + 4;
    body_size = BK_SEAL_BODY_HEAD +
                bk_compress(self->compressor, data, size, body + BK_SEAL_BODY_HEAD, &codec);
    body[0] = (uint8_t)codec;
    put_u32_at(body + 1, (uint32_t)size);
    put_u32_at(frame, (uint32_t)body_size | (is_last ? BK_SEAL_LAST_FRAME : 0));

    self->associated[BK_SEAL_HEADER_SIZE] = is_last;
    bk_aead_seal(self->aead,
                 &(BkAeadFrame){self->ordinal++, self->associated, sizeof self->associated}, body,
                 body_size);
    self->last_frame = object->size;
    self->has_last = is_last;
    object->size += 4 + body_size + BK_AEAD_TAG_SIZE;
    bk_sha256_update(self->sha, frame, object->size - self->last_frame);
    return true;
}

bool
bk_sealer_finish(BkSealer *self, uint8_t digest[BK_SHA256_SIZE], GError **error)
{
    BkBuf *object = g_steal_pointer(&self->object);
    uint8_t associated[BK_SEAL_TRAILER_AAD];
    uint8_t before[BK_SHA256_SIZE];
    size_t size = object->size;
    uint8_t *tag;

    g_assert(self->has_last);
    if (!bk_buf_reserve(object, BK_SEAL_TRAILER_SIZE, error))
        return false;
    bk_wire_put_u64(object, size);
    bk_wire_put_u64(object, self->last_frame);
    bk_sha256_update(self->sha, object->data + size, object->size - size);
    bk_sha256_get(self->sha, before);
    bk_buf_append(object, before, sizeof before);
    memcpy(associated, self->associated, BK_SEAL_HEADER_SIZE);
    associated[BK_SEAL_HEADER_SIZE] = BK_SEAL_TRAILER_MARK;
    memcpy(associated + BK_SEAL_AAD_SIZE, object->data + size, BK_SEAL_OPEN_TRAILER);
    tag = bk_buf_extend(object, BK_AEAD_TAG_SIZE);
    bk_aead_seal(self->aead, &(BkAeadFrame){UINT64_MAX, associated, sizeof associated}, tag, 0);
    if (digest != NULL) {
        bk_sha256_update(self->sha, before, sizeof before);
        bk_sha256_update(self->sha, tag, BK_AEAD_TAG_SIZE);
        bk_sha256_get(self->sha, digest);
    }
    return true;
}

bool
bk_seal(BkSealer *self, const BkKeyring *keys, BkSealKind kind, const void *data, size_t size,
        BkBuf *object, GError **error)
{
    const uint8_t *next = data;
    bool is_last;

    if (!bk_sealer_begin(self, keys, kind, object, error))
        return false;
    do {
        size_t step = MIN(size, BK_MIB);

        is_last = step == size;
        if (!bk_sealer_add(self, next, step, is_last, error))
            return false;
        next += step;
        size -= step;
    } while (!is_last);
    return bk_sealer_finish(self, NULL, error);
}
