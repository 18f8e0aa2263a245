/* seal.c - the envelope of every object in a repository: sealing and opening. */
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
    bool skips_first; /* the first frame is missing as yet */
    size_t hashed;    /* bytes of the object that the digest has */
    BkSealAssociated associated;
};

static void
derive(const BkSecret *key, const uint8_t salt[BK_SEAL_SALT_SIZE], const char *purpose,
       BkSealKind kind, BkSecret *derived)
{
    char info[32];

    (void)g_snprintf(info, sizeof info, "backstay %s %d", purpose, (int)kind);
    bk_hkdf(key, salt, BK_SEAL_SALT_SIZE, info, strlen(info), derived);
}

void
bk_seal_derive_key(const BkSecret *key, const uint8_t salt[BK_SEAL_SALT_SIZE], BkSealKind kind,
                   BkSecret *derived)
{
    derive(key, salt, "object", kind, derived);
}

void
bk_seal_commit(const BkSecret *key, const uint8_t salt[BK_SEAL_SALT_SIZE], BkSealKind kind,
               uint8_t commitment[BK_SEAL_COMMIT_SIZE])
{
    BkSecret derived; /* none: it is written into the header */

    derive(key, salt, "commitment", kind, &derived);
    memcpy(commitment, derived.bytes, BK_SEAL_COMMIT_SIZE);
}

void
bk_seal_associate(BkSealAssociated *self, const uint8_t header[BK_SEAL_HEADER_SIZE],
                  const char *name)
{
    size_t size = strlen(name);

    g_assert(size > 0 && size <= BK_SEAL_MAX_NAME);
    memcpy(self->bytes, header, BK_SEAL_HEADER_SIZE);
    memcpy(self->bytes + BK_SEAL_HEADER_SIZE + 1, name, size);
    self->size = BK_SEAL_HEADER_SIZE + 1 + size;
}

BkAeadFrame
bk_seal_frame(BkSealAssociated *self, uint64_t ordinal, bool is_last)
{
    self->bytes[BK_SEAL_HEADER_SIZE] = is_last;
    return (BkAeadFrame){ordinal, self->bytes, self->size};
}

BkAeadFrame
bk_seal_trailer(BkSealAssociated *self, const uint8_t open[BK_SEAL_OPEN_TRAILER])
{
    self->bytes[BK_SEAL_HEADER_SIZE] = BK_SEAL_TRAILER_MARK;
    memcpy(self->bytes + self->size, open, BK_SEAL_OPEN_TRAILER);
    return (BkAeadFrame){UINT64_MAX, self->bytes, self->size + BK_SEAL_OPEN_TRAILER};
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
bk_sealer_begin(BkSealer *self, const BkSealAs *as, BkBuf *object, GError **error)
{
    g_auto(BkSecret) object_key = {{0}};
    uint8_t salt[BK_SEAL_SALT_SIZE];
    uint8_t commitment[BK_SEAL_COMMIT_SIZE];
    uint32_t generation;
    const BkSecret *key = bk_keyring_newest(as->keys, &generation);

    if (!bk_random_fill(salt, sizeof salt, error))
        return false;
    object->size = 0;
    bk_buf_append(object, BK_SEAL_MAGIC, strlen(BK_SEAL_MAGIC));
    bk_wire_put_u16(object, BK_SEAL_VERSION);
    bk_wire_put_u16(object, (uint16_t)as->kind);
    bk_wire_put_u32(object, generation);
    bk_buf_append(object, salt, sizeof salt);
    bk_seal_commit(key, salt, as->kind, commitment);
    bk_buf_append(object, commitment, sizeof commitment);
    g_assert(object->size == BK_SEAL_HEADER_SIZE);

    bk_seal_derive_key(key, salt, as->kind, &object_key);
    bk_aead_set_key(self->aead, &object_key, true);
    bk_seal_associate(&self->associated, object->data, as->name);
    bk_sha256_reset(self->sha);
    self->hashed = 0;
    self->object = object;
    self->ordinal = 0;
    self->has_last = self->skips_first = false;
    return true;
}

const uint8_t *
bk_sealer_salt(const BkSealer *self)
{
    return self->associated.bytes + BK_SEAL_SALT_AT;
}

void
bk_sealer_skip_first(BkSealer *self)
{
    g_assert(self->object != NULL && self->ordinal == 0);
    self->skips_first = true;
    self->ordinal = 1;
}

static void
put_u32_at(uint8_t *to, uint32_t value)
{
    for (size_t i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

/* Frames are hashed while they are in the processor's cache. */
static void
hash_frames(BkSealer *self)
{
    bk_sha256_update(self->sha, self->object->data + self->hashed,
                     self->object->size - self->hashed);
    self->hashed = self->object->size;
}

/* Compresses straight into `object` and encrypts there: no byte is copied meanwhile. */
static bool
append_frame(BkSealer *self, BkBuf *object, const BkFrame *shape, const void *data, GError **error)
{
    const size_t size = shape->size;
    uint8_t *frame;
    uint8_t *body;
    size_t body_size;
    BkAeadFrame sealed;
    BkCodec codec;

    g_assert(size <= BK_SEAL_MAX_RAW);
    if (!bk_buf_reserve(object, size + BK_SEAL_FRAME_COST, error))
        return false;
    frame = object->data + object->size;
    body = frame + 4;
    body_size = BK_SEAL_BODY_HEAD +
                bk_compress(self->compressor, data, size, body + BK_SEAL_BODY_HEAD, &codec);
    body[0] = (uint8_t)codec;
    put_u32_at(body + 1, (uint32_t)size);
    put_u32_at(frame, (uint32_t)body_size | (shape->is_last ? BK_SEAL_LAST_FRAME : 0));
    sealed = bk_seal_frame(&self->associated, shape->ordinal, shape->is_last);
    bk_aead_seal(self->aead, &sealed, body, body_size);
    object->size += 4 + body_size + BK_AEAD_TAG_SIZE;
    return true;
}

bool
bk_sealer_add(BkSealer *self, const void *data, size_t size, bool is_last, GError **error)
{
    const BkFrame shape = {.ordinal = self->ordinal, .size = size, .is_last = is_last};

    g_assert(self->object != NULL && !self->has_last);
    self->last_frame = self->object->size;
    if (!append_frame(self, self->object, &shape, data, error))
        return false;
    self->ordinal++;
    self->has_last = is_last;
    if (!self->skips_first)
        hash_frames(self);
    return true;
}

/* The other frames are moved behind it: once, and a manifest is no pack. */
bool
bk_sealer_add_first(BkSealer *self, const void *data, size_t size, GError **error)
{
    BkBuf *object = self->object;
    g_auto(BkBuf) first = BK_BUF_INIT;

    g_assert(self->has_last && self->skips_first);
    if (!append_frame(self, &first, &(BkFrame){.size = size}, data, error) ||
        !bk_buf_reserve(object, first.size, error))
        return false;
    memmove(object->data + BK_SEAL_HEADER_SIZE + first.size, object->data + BK_SEAL_HEADER_SIZE,
            object->size - BK_SEAL_HEADER_SIZE);
    memcpy(object->data + BK_SEAL_HEADER_SIZE, first.data, first.size);
    object->size += first.size;
    self->last_frame += first.size;
    self->skips_first = false;
    return true;
}

bool
bk_sealer_finish(BkSealer *self, uint8_t digest[BK_SHA256_SIZE], GError **error)
{
    BkBuf *object = self->object;
    uint8_t before[BK_SHA256_SIZE];
    size_t size = object->size;
    BkAeadFrame sealed;
    uint8_t *tag;

    g_assert(self->has_last && !self->skips_first);
    if (!bk_buf_reserve(object, BK_SEAL_TRAILER_SIZE, error))
        return false;
    bk_wire_put_u64(object, size);
    bk_wire_put_u64(object, self->last_frame);
    hash_frames(self);
    self->object = NULL;
    bk_sha256_get(self->sha, before);
    bk_buf_append(object, before, sizeof before);
    sealed = bk_seal_trailer(&self->associated, object->data + size);
    tag = bk_buf_extend(object, BK_AEAD_TAG_SIZE);
    bk_aead_seal(self->aead, &sealed, tag, 0);
    if (digest != NULL) {
        bk_sha256_update(self->sha, before, sizeof before);
        bk_sha256_update(self->sha, tag, BK_AEAD_TAG_SIZE);
        bk_sha256_get(self->sha, digest);
    }
    return true;
}

bool
bk_seal(BkSealer *self, const BkSealAs *as, const void *data, size_t size, BkBuf *object,
        GError **error)
{
    const uint8_t *next = data;
    bool is_last;

    if (!bk_sealer_begin(self, as, object, error))
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
