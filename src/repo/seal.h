/* seal.h - the envelope of every object in a repository: sealing and opening.
 *
 * Layout (docs/format.md has every byte; numbers are little-endian):
 *   header   80 bytes: magic "BKSEALED", format version u16, kind u16, key generation u32,
 *            salt (32 random bytes), commitment (32 bytes)
 *   frames   u32 (size of the body; its highest bit marks the last frame), body, tag (16 bytes).
 *            A body is AES-256-GCM of: codec u8, raw size u32, compressed bytes. The key is
 *            HKDF-SHA-256 of the generation's key with the salt and the kind; the nonce is the
 *            frame's ordinal; associated are the header, the last-frame mark and the object's name.
 *   trailer  64 bytes: u64 size of header and frames, u64 offset of the last frame, SHA-256 of all
 *            that came before it, and the tag of an empty frame (ordinal 2^64 - 1) with which the
 *            trailer and the name are associated.
 * So frames cannot be reordered, dropped, cut off or moved to another object, an object opens under
 * its own name only, anyone can check an object without a key, and nobody can read or forge one
 * without it. With the key the tags prove every byte, so that reading needs no SHA-256 of it all.
 * The commitment is HKDF-SHA-256 of the same key and salt with another info: AES-GCM alone would
 * let one who chooses the keys make an object that opens to different content under each of two.
 * Threads: a sealer or opener belongs to one thread. */
#pragma once
#include "base/buf.h"
#include "base/secret.h"
#include "codec/compress.h"
#include "codec/digest.h"

#define BK_SEAL_HEADER_SIZE  80
#define BK_SEAL_TRAILER_SIZE 64
#define BK_SEAL_SALT_SIZE    32
#define BK_SEAL_COMMIT_SIZE  32
#define BK_SEAL_FRAME_COST   25 /* bytes that a frame adds to its compressed content */
#define BK_SEAL_MAX_RAW      ((size_t)4 * 1024 * 1024) /* raw bytes of one frame, at most */
#define BK_SEAL_VERSION      1

typedef enum {
    BK_SEAL_KEY_SLOT = 1,
    BK_SEAL_SOURCE_KEY = 2,
    BK_SEAL_PACK = 3,
    BK_SEAL_SNAPSHOT = 4,
    BK_SEAL_WAL_SEGMENT = 5,
    BK_SEAL_WAL_FILE = 6,
    BK_SEAL_LEASE = 7,
    BK_SEAL_DECISION = 8,
    BK_SEAL_NOTE = 9, /* never in a repository: what a host keeps for itself */
    /* Reserved: nothing writes them yet, and who meets one refuses it. */
    BK_SEAL_WAL_STREAM = 10,   /* a part of a WAL segment that was received by streaming */
    BK_SEAL_REDIS_STREAM = 11, /* a part of a replication stream */
    BK_SEAL_RUN = 12,          /* who ran what, when, with which outcome */
    BK_SEAL_HOLD = 13,         /* keeps snapshots whatever retention says */
    BK_SEAL_AUDIT = 14,        /* an entry of the audit trail */
    BK_SEAL_RETENTION = 15,    /* what expired or was erased, and why */
    BK_SEAL_KEY_RECORD = 16,   /* when a generation of a key began, and was retired */
    BK_SEAL_PROOF = 17,        /* what was verified, when */
} BkSealKind;                  /* the numbers are on disk */

/* What an object of this kind is called. Returns NULL if there is no such number. */
const char *bk_seal_kind_name(unsigned kind);

/* Returns true if the kind is reserved for later programs, which alone can read it. */
bool bk_seal_kind_is_reserved(unsigned kind);

/* The generations of one key. New objects are sealed with the newest. */
typedef struct BkKeyring BkKeyring;

BkKeyring *bk_keyring_new(void);
void bk_keyring_free(BkKeyring *self); /* wipes; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkKeyring, bk_keyring_free)

/* Adds generation `number`, higher than those before; copies `secret`. */
void bk_keyring_add(BkKeyring *self, uint32_t number, const BkSecret *secret);
const BkSecret *bk_keyring_find(const BkKeyring *self, uint32_t number); /* may be NULL */
const BkSecret *bk_keyring_newest(const BkKeyring *self, uint32_t *number);
bool bk_keyring_is_empty(const BkKeyring *self);

/* What an object is sealed as, and opens as; all of it is borrowed for a call only. */
typedef struct BkSealAs {
    const BkKeyring *keys;
    BkSealKind kind;
    const char *name; /* of the object; for a pack, whose name ends in its own digest, without that
                         (bk_pack_seal_as) */
} BkSealAs;

/* Sealing. */
typedef struct BkSealer BkSealer;

BkSealer *bk_sealer_new(BkCodec codec, int level);
void bk_sealer_free(BkSealer *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkSealer, bk_sealer_free)

/* Starts an object in `object`, which the sealer borrows until finish and whose content is
 * replaced. Fails when randomness or memory is short. */
bool bk_sealer_begin(BkSealer *self, const BkSealAs *as, BkBuf *object, GError **error) BK_MUST_USE;

/* For an object whose first frame says something of the others: called before the first frame is
 * added, it leaves its place open, and bk_sealer_add_first fills it after the last one. */
void bk_sealer_skip_first(BkSealer *self);
bool bk_sealer_add_first(BkSealer *self, const void *data, size_t size, GError **error) BK_MUST_USE;

/* Adds one frame of `size` raw bytes (at most BK_SEAL_MAX_RAW); `is_last` ends the frames. */
bool bk_sealer_add(BkSealer *self, const void *data, size_t size, bool is_last,
                   GError **error) BK_MUST_USE;

/* Writes the trailer. `digest` (may be NULL) is the SHA-256 of the whole object. */
bool bk_sealer_finish(BkSealer *self, uint8_t digest[BK_SHA256_SIZE], GError **error) BK_MUST_USE;

/* The salt of the current object. */
const uint8_t *bk_sealer_salt(const BkSealer *self);

/* Seals `size` bytes as a whole object of as many frames as it takes. */
bool bk_seal(BkSealer *self, const BkSealAs *as, const void *data, size_t size, BkBuf *object,
             GError **error) BK_MUST_USE;

/* Opening. */
typedef struct BkOpener BkOpener;

BkOpener *bk_opener_new(void);
void bk_opener_free(BkOpener *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkOpener, bk_opener_free)

/* Takes the header of an object (at least BK_SEAL_HEADER_SIZE bytes, else BK_ERROR_CORRUPT) that
 * must be of the kind that `as` says. Fails with BK_ERROR_CORRUPT (also when the keyring does not
 * have its generation, or another key) or BK_ERROR_UNSUPPORTED (newer version, reserved kind). */
bool bk_opener_begin(BkOpener *self, const BkSealAs *as, const uint8_t *header, size_t size,
                     GError **error) BK_MUST_USE;

/* The salt, and the key generation, in the header that was taken. */
const uint8_t *bk_opener_salt(const BkOpener *self);
uint32_t bk_opener_generation(const BkOpener *self);

/* How the frame that was opened last is compressed. */
uint8_t bk_opener_codec(const BkOpener *self);

typedef struct BkFrame {
    uint64_t ordinal;    /* in: which frame this is, from 0 */
    const uint8_t *data; /* in: where it starts */
    size_t size;         /* in: bytes there are; out: bytes it takes */
    bool is_last;        /* out */
} BkFrame;

/* Sets what the frame's own first bytes say, which nothing proves until it, or the one behind it,
 * is opened. Fails with BK_ERROR_CORRUPT. */
bool bk_frame_measure(BkFrame *frame, GError **error) BK_MUST_USE;

/* Opens one frame; its raw bytes replace the content of `raw`. Fails with BK_ERROR_CORRUPT. */
bool bk_opener_frame(BkOpener *self, BkFrame *frame, BkBuf *raw, GError **error) BK_MUST_USE;

/* Checks the trailer of an object of `object_size` bytes; `trailer` is its last
 * BK_SEAL_TRAILER_SIZE bytes. Fails with BK_ERROR_CORRUPT. */
bool bk_opener_trailer(BkOpener *self, const uint8_t *trailer, uint64_t object_size,
                       GError **error) BK_MUST_USE;

/* Called for each frame of an object in order; `raw` holds its raw bytes during the call. */
typedef bool (*BkFrameVisit)(const BkFrame *frame, const BkBuf *raw, void *data, GError **error);

/* Opens a whole object: header, trailer, every frame in order. Nothing may be left over. Fails as
 * the functions above, or with what `visit` throws. */
bool bk_unseal_frames(BkOpener *self, const BkSealAs *as, const BkBuf *object, BkFrameVisit visit,
                      void *data, GError **error) BK_MUST_USE;

/* The same, with the raw bytes of all frames, at most `limit`, replacing the content of `raw`. */
bool bk_unseal(BkOpener *self, const BkSealAs *as, const BkBuf *object, size_t limit, BkBuf *raw,
               GError **error) BK_MUST_USE;

/* Checks a whole object without a key: magic, version, trailer, SHA-256. BK_ERROR_CORRUPT or
 * BK_ERROR_UNSUPPORTED. */
bool bk_seal_check(const BkBuf *object, GError **error) BK_MUST_USE;
