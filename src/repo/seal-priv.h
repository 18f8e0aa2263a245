/* seal-priv.h - the bytes of the envelope, shared by sealing and opening.
 *
 * Threads: safe. */
#pragma once
#include "codec/aead.h"
#include "repo/seal.h"

#define BK_SEAL_MAGIC        "BKSEALED"
#define BK_SEAL_LAST_FRAME   UINT32_C(0x80000000)
#define BK_SEAL_BODY_HEAD    5  /* codec u8, raw size u32 */
#define BK_SEAL_SALT_AT      16 /* in the header */
#define BK_SEAL_COMMIT_AT    (BK_SEAL_SALT_AT + BK_SEAL_SALT_SIZE)
#define BK_SEAL_OPEN_TRAILER 48 /* the trailer without its tag */
#define BK_SEAL_TRAILER_MARK 2  /* stands where a frame has its last-frame mark */
#define BK_SEAL_MAX_NAME     512

/* What a header says; nothing proves it yet. */
typedef struct BkSealHeader {
    uint16_t version;
    uint16_t kind;
    uint32_t generation;
    const uint8_t *salt; /* in the header */
    const uint8_t *commitment;
} BkSealHeader;

/* Fails with BK_ERROR_CORRUPT or BK_ERROR_UNSUPPORTED (newer version); then the fields are set as
 * far as they were read. */
bool bk_seal_header_decode(const uint8_t *data, size_t size, BkSealHeader *header,
                           GError **error) BK_MUST_USE;

/* Checks what a trailer says of the object's size; nothing proves it yet. BK_ERROR_CORRUPT. */
bool bk_seal_check_sizes(const uint8_t *trailer, uint64_t object_size, GError **error) BK_MUST_USE;

/* What is authenticated with a frame: the header, one byte that marks the last frame, the object's
 * name; and with the trailer: the same with another mark, then the trailer's own open bytes. */
typedef struct BkSealAssociated {
    uint8_t bytes[BK_SEAL_HEADER_SIZE + 1 + BK_SEAL_MAX_NAME + BK_SEAL_OPEN_TRAILER];
    size_t size; /* without those of a trailer */
} BkSealAssociated;

void bk_seal_associate(BkSealAssociated *self, const uint8_t header[BK_SEAL_HEADER_SIZE],
                       const char *name);

/* The frame `ordinal`, for the cipher. Borrows `self`. */
BkAeadFrame bk_seal_frame(BkSealAssociated *self, uint64_t ordinal, bool is_last);

/* The same for the trailer, of which `open` are the first bytes. */
BkAeadFrame bk_seal_trailer(BkSealAssociated *self, const uint8_t open[BK_SEAL_OPEN_TRAILER]);

/* Derives the key of one object from that of its generation, and the value that commits the object
 * to that key. */
void bk_seal_derive_key(const BkSecret *key, const uint8_t salt[BK_SEAL_SALT_SIZE], BkSealKind kind,
                        BkSecret *derived);
void bk_seal_commit(const BkSecret *key, const uint8_t salt[BK_SEAL_SALT_SIZE], BkSealKind kind,
                    uint8_t commitment[BK_SEAL_COMMIT_SIZE]);
