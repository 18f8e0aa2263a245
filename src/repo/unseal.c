/* unseal.c - opening sealed objects, and checking them without a key. */
#include "codec/aead.h"
#include "codec/wire.h"
#include "repo/seal-priv.h"

#include <string.h>

#define FRAME_HEAD 4 /* size of the body, last-frame mark */

struct BkOpener {
    BkCompressor *compressor;
    BkAead *aead;
    BkBuf plain; /* a decrypted body */
    BkSealAssociated associated;
    uint32_t generation;
    uint8_t codec; /* of the frame that was opened last */
};

BkOpener *
bk_opener_new(void)
{
    BkOpener *self = g_new0(BkOpener, 1);

    self->compressor = bk_compressor_new(BK_CODEC_STORED, 0);
    self->aead = bk_aead_new();
    return self;
}

void
bk_opener_free(BkOpener *self)
{
    if (self == NULL)
        return;
    bk_compressor_free(self->compressor);
    bk_aead_free(self->aead);
    if (self->plain.capacity > 0)
        bk_wipe(self->plain.data, self->plain.capacity);
    bk_buf_clear(&self->plain);
    g_free(self);
}

uint32_t
bk_opener_generation(const BkOpener *self)
{
    return self->generation;
}

uint8_t
bk_opener_codec(const BkOpener *self)
{
    return self->codec;
}

bool
bk_seal_header_decode(const uint8_t *data, size_t size, BkSealHeader *header, GError **error)
{
    BkWireReader reader;
    const uint8_t *magic;

    bk_wire_reader_init(&reader, data, size);
    magic = bk_wire_get_raw(&reader, strlen(BK_SEAL_MAGIC));
    header->version = bk_wire_get_u16(&reader);
    header->kind = bk_wire_get_u16(&reader);
    header->generation = bk_wire_get_u32(&reader);
    header->salt = bk_wire_get_raw(&reader, BK_SEAL_SALT_SIZE);
    header->commitment = bk_wire_get_raw(&reader, BK_SEAL_COMMIT_SIZE);
    if (!bk_wire_is_ok(&reader))
        return bk_throw(error, BK_ERROR_CORRUPT, "object is cut off in its header");
    if (magic == NULL || memcmp(magic, BK_SEAL_MAGIC, strlen(BK_SEAL_MAGIC)) != 0)
        return bk_throw(error, BK_ERROR_CORRUPT, "not a sealed object");
    if (header->version > BK_SEAL_VERSION)
        return bk_throw(error, BK_ERROR_UNSUPPORTED,
                        "object has format version %u, this program supports up to %d",
                        header->version, BK_SEAL_VERSION);
    if (header->version == 0)
        return bk_throw(error, BK_ERROR_CORRUPT, "object has format version 0");
    return true;
}

bool
bk_opener_begin(BkOpener *self, const BkSealAs *as, const uint8_t *header_data, size_t size,
                GError **error)
{
    g_auto(BkSecret) object_key = {{0}};
    uint8_t commitment[BK_SEAL_COMMIT_SIZE];
    BkSealHeader header;
    const BkSecret *key;

    if (!bk_seal_header_decode(header_data, size, &header, error))
        return false;
    if (header.kind != as->kind && bk_seal_kind_is_reserved(header.kind))
        return bk_throw(error, BK_ERROR_UNSUPPORTED,
                        "object is of kind %u (%s), which needs a newer version of this program",
                        header.kind, bk_seal_kind_name(header.kind));
    if (header.kind != as->kind)
        return bk_throw(error, BK_ERROR_CORRUPT, "object is of kind %u instead of %d", header.kind,
                        (int)as->kind);
    key = bk_keyring_find(as->keys, header.generation);
    if (key == NULL)
        return bk_throw(error, BK_ERROR_CORRUPT,
                        "object is sealed with key generation %u, which the source does not have",
                        header.generation);
    bk_seal_commit(key, header.salt, as->kind, commitment);
    if (memcmp(commitment, header.commitment, sizeof commitment) != 0)
        return bk_throw(error, BK_ERROR_CORRUPT, "the header is damaged, or the key is wrong");
    bk_seal_derive_key(key, header.salt, as->kind, &object_key);
    bk_aead_set_key(self->aead, &object_key, false);
    bk_seal_associate(&self->associated, header_data, as->name);
    self->generation = header.generation;
    return true;
}

const uint8_t *
bk_opener_salt(const BkOpener *self)
{
    return self->associated.bytes + BK_SEAL_SALT_AT;
}

static bool
decompress_body(BkOpener *self, size_t body_size, BkBuf *raw, GError **error)
{
    BkWireReader reader;
    uint8_t codec;
    uint32_t raw_size;

    bk_wire_reader_init(&reader, self->plain.data, body_size);
    codec = bk_wire_get_u8(&reader);
    self->codec = codec;
    raw_size = bk_wire_get_u32(&reader);
    if (raw_size > BK_SEAL_MAX_RAW)
        return bk_throw(error, BK_ERROR_CORRUPT, "frame of %u raw bytes is too large", raw_size);
    raw->size = 0;
    if (!bk_buf_reserve(raw, MAX(raw_size, 1), error))
        return false;
    if (!bk_decompress(self->compressor, codec, reader.next, bk_wire_left(&reader), raw->data,
                       raw_size, error))
        return false;
    raw->size = raw_size;
    return true;
}

bool
bk_frame_measure(BkFrame *frame, GError **error)
{
    BkWireReader reader;
    uint32_t head;
    size_t body_size;

    bk_wire_reader_init(&reader, frame->data, frame->size);
    head = bk_wire_get_u32(&reader);
    body_size = head & ~BK_SEAL_LAST_FRAME;
    frame->is_last = (head & BK_SEAL_LAST_FRAME) != 0;
    if (body_size > BK_SEAL_MAX_RAW + BK_SEAL_BODY_HEAD)
        return bk_throw(error, BK_ERROR_CORRUPT, "frame %" G_GUINT64_FORMAT " is malformed",
                        frame->ordinal);
    if (bk_wire_get_raw(&reader, body_size + BK_AEAD_TAG_SIZE) == NULL ||
        body_size < BK_SEAL_BODY_HEAD)
        return bk_throw(error, BK_ERROR_CORRUPT, "frame %" G_GUINT64_FORMAT " is cut off",
                        frame->ordinal);
    frame->size = FRAME_HEAD + body_size + BK_AEAD_TAG_SIZE;
    return true;
}

bool
bk_opener_frame(BkOpener *self, BkFrame *frame, BkBuf *raw, GError **error)
{
    const uint8_t *body = frame->data + FRAME_HEAD;
    BkAeadFrame sealed;
    size_t body_size;

    if (!bk_frame_measure(frame, error))
        return false;
    body_size = frame->size - FRAME_HEAD - BK_AEAD_TAG_SIZE;
    self->plain.size = 0;
    if (!bk_buf_reserve(&self->plain, body_size, error))
        return false;
    sealed = bk_seal_frame(&self->associated, frame->ordinal, frame->is_last);
    if (!bk_aead_open(self->aead, &sealed, body, body_size, self->plain.data))
        return bk_throw(error, BK_ERROR_CORRUPT,
                        "frame %" G_GUINT64_FORMAT " is damaged or belongs under another name",
                        frame->ordinal);
    return decompress_body(self, body_size, raw, error);
}

/* Do the trailer's own figures fit an object of that size? */
bool
bk_seal_check_sizes(const uint8_t *trailer, uint64_t object_size, GError **error)
{
    BkWireReader reader;
    uint64_t size;
    uint64_t last_frame;

    bk_wire_reader_init(&reader, trailer, BK_SEAL_TRAILER_SIZE);
    size = bk_wire_get_u64(&reader);
    last_frame = bk_wire_get_u64(&reader);
    if (size == object_size - BK_SEAL_TRAILER_SIZE && last_frame >= BK_SEAL_HEADER_SIZE &&
        last_frame < size)
        return true;
    return bk_throw(error, BK_ERROR_CORRUPT,
                    "object has %" G_GUINT64_FORMAT " bytes, which is not the size in its trailer",
                    object_size);
}

bool
bk_opener_trailer(BkOpener *self, const uint8_t *trailer, uint64_t object_size, GError **error)
{
    BkAeadFrame sealed;
    uint8_t nothing;

    if (!bk_seal_check_sizes(trailer, object_size, error))
        return false;
    sealed = bk_seal_trailer(&self->associated, trailer);
    if (bk_aead_open(self->aead, &sealed, trailer + BK_SEAL_OPEN_TRAILER, 0, &nothing))
        return true;
    return bk_throw(error, BK_ERROR_CORRUPT, "trailer is damaged or belongs under another name");
}

bool
bk_seal_check(const BkBuf *object, GError **error)
{
    uint8_t digest[BK_SHA256_SIZE];
    BkSealHeader header;
    size_t digest_at;

    if (!bk_seal_header_decode(object->data, object->size, &header, error))
        return false;
    if (object->size < BK_SEAL_HEADER_SIZE + BK_SEAL_TRAILER_SIZE)
        return bk_throw(error, BK_ERROR_CORRUPT, "object is cut off");
    if (!bk_seal_check_sizes(object->data + object->size - BK_SEAL_TRAILER_SIZE, object->size,
                             error))
        return false;
    digest_at = object->size - BK_AEAD_TAG_SIZE - BK_SHA256_SIZE;
    bk_sha256(object->data, digest_at, digest);
    if (memcmp(digest, object->data + digest_at, sizeof digest) != 0)
        return bk_throw(error, BK_ERROR_CORRUPT,
                        "the SHA-256 of the object does not match its trailer");
    return true;
}

bool
bk_unseal_frames(BkOpener *self, const BkSealAs *as, const BkBuf *object, BkFrameVisit visit,
                 void *data, GError **error)
{
    g_auto(BkBuf) raw = BK_BUF_INIT;
    BkFrame frame = {0};
    size_t next = BK_SEAL_HEADER_SIZE;
    size_t end;
    bool ok = true;

    if (!bk_opener_begin(self, as, object->data, object->size, error))
        return false;
    if (object->size < BK_SEAL_HEADER_SIZE + BK_SEAL_TRAILER_SIZE)
        return bk_throw(error, BK_ERROR_CORRUPT, "object is cut off");
    end = object->size - BK_SEAL_TRAILER_SIZE;
    if (!bk_opener_trailer(self, object->data + end, object->size, error))
        return false;
    for (; ok && !frame.is_last; frame.ordinal++) {
        frame.data = object->data + next;
        frame.size = end - next;
        ok = bk_opener_frame(self, &frame, &raw, error) && visit(&frame, &raw, data, error);
        next += frame.size;
    }
    if (raw.size > 0)
        bk_wipe(raw.data, raw.size); /* it may have been a key */
    if (!ok)
        return false;
    return next == end || bk_throw(error, BK_ERROR_CORRUPT, "object has data after its last frame");
}

typedef struct Collected {
    BkBuf *raw;
    size_t limit;
} Collected;

static bool
collect(const BkFrame *frame, const BkBuf *raw, void *data, GError **error)
{
    Collected *collected = data;

    (void)frame;
    if (raw->size > collected->limit - collected->raw->size)
        return bk_throw(error, BK_ERROR_CORRUPT, "object has more than %zu bytes",
                        collected->limit);
    if (!bk_buf_reserve(collected->raw, raw->size, error))
        return false;
    bk_buf_append(collected->raw, raw->data, raw->size);
    return true;
}

bool
bk_unseal(BkOpener *self, const BkSealAs *as, const BkBuf *object, size_t limit, BkBuf *raw,
          GError **error)
{
    raw->size = 0;
    return bk_unseal_frames(self, as, object, collect, &(Collected){raw, limit}, error);
}
