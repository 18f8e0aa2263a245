/* pack.h - packs: immutable objects of about 32 MiB that hold chunks of data.
 *
 * The raw bytes of a pack are one stream, cut into chunks of up to 256 KiB; each chunk is one frame
 * of the sealed object, and its last frame is the table of its chunks: for each the size of its
 * frame, its raw size, and the XXH3-128 of its raw bytes. A place in a pack is an offset in that
 * raw stream, so that an extent may run over many chunks. A pack's name is the SHA-256 of the
 * object: "SOURCE/packs/2 HEX/64 HEX". Threads: a writer or reader belongs to one thread. */
#pragma once
#include "repo/repository.h"

#define BK_PACK_CHUNK_SIZE  ((size_t)256 * 1024)
#define BK_PACK_TARGET_SIZE ((size_t)32 * 1024 * 1024)
/* A pack is closed at its target, so what passes it is one chunk, the table and the trailer. */
#define BK_PACK_MAX_SIZE ((size_t)64 * 1024 * 1024)

/* What a manifest says of a pack. */
typedef struct BkPackRef {
    uint8_t name[BK_SHA256_SIZE];
    uint8_t
        salt[BK_SEAL_SALT_SIZE]; /* proves, without reading it all, that an object is this pack */
    uint64_t size;               /* of the object */
    uint64_t raw_size;           /* of the raw stream */
    uint32_t tail_size;          /* table frame and trailer */
    uint32_t chunk_count;
    int64_t created_us; /* since 1970 */
} BkPackRef;

/* "SOURCE/packs/…": a new string. */
char *bk_pack_object_name(const BkSourceRepo *source_repo, const uint8_t name[BK_SHA256_SIZE]);

/* What every pack of a source repository is sealed as: `directory`, "SOURCE/packs", stands for its
 * name, which is made of the finished object. The salt in the manifest distinguishes packs. */
#define BK_PACK_DIRECTORY "packs"
BkSealAs bk_pack_seal_as(const BkSourceRepo *source_repo, const char *directory);

/* Puts a whole pack. One whose name is taken is there already: the name is its content's digest. */
bool bk_pack_put(const BkSourceRepo *source_repo, const uint8_t name[BK_SHA256_SIZE],
                 const BkBuf *object, BkOp *op, GError **error) BK_MUST_USE;

/* The packs that a source repository has, from one listing: name of the object (owned) -> its size
 * (GPOINTER_TO_SIZE). NULL with `error` when it cannot be asked. */
GHashTable *bk_pack_list(const BkSourceRepo *source_repo, BkOp *op, GError **error) BK_MUST_USE;

/* Writing. */
typedef struct BkPackWriter BkPackWriter;

/* `source_repo` gives the keys and must outlive it. */
BkPackWriter *bk_pack_writer_new(const BkSourceRepo *source_repo, BkCodec codec, int level);
void bk_pack_writer_free(BkPackWriter *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkPackWriter, bk_pack_writer_free)

/* Starts a pack in `object`, borrowed until finish; its memory is reused. */
bool bk_pack_writer_begin(BkPackWriter *self, BkBuf *object, GError **error) BK_MUST_USE;
bool bk_pack_writer_is_open(const BkPackWriter *self);

/* The current chunk: where the next bytes go, and how many still fit (at least one). The caller
 * fills some and commits them; nothing is copied. */
uint8_t *bk_pack_writer_room(BkPackWriter *self, size_t *available);

/* Takes `size` bytes that were put in the room; a full chunk is compressed and sealed. */
bool bk_pack_writer_commit(BkPackWriter *self, size_t size, GError **error) BK_MUST_USE;

/* Ends the current chunk early, if it has anything. */
bool bk_pack_writer_end_chunk(BkPackWriter *self, GError **error) BK_MUST_USE;

/* Offset in the raw stream of the next byte. */
uint64_t bk_pack_writer_position(const BkPackWriter *self);

/* Returns true if the pack is large enough to be closed. */
bool bk_pack_writer_is_full(const BkPackWriter *self);

/* Closes the pack: `object` is complete, `ref` describes it. */
bool bk_pack_writer_finish(BkPackWriter *self, BkPackRef *ref, GError **error) BK_MUST_USE;

/* Reading. */
typedef struct BkPackReader BkPackReader;

BkPackReader *bk_pack_reader_new(void);
void bk_pack_reader_free(BkPackReader *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkPackReader, bk_pack_reader_free)

typedef struct BkPackChunk {
    uint64_t raw_start; /* offset in the raw stream */
    uint32_t raw_size;
    uint32_t frame_size;
    uint64_t frame_start; /* offset in the object */
    uint8_t hash[BK_XXH3_SIZE];
} BkPackChunk;

/* Decodes the table that the last frame of a pack holds: its chunks (of BkPackChunk) replace the
 * content of `chunks`. Fails with BK_ERROR_CORRUPT or BK_ERROR_UNSUPPORTED. */
bool bk_pack_table_decode(const BkBuf *raw, GArray *chunks, GError **error) BK_MUST_USE;

/* Opens a pack and reads its table. With `whole` the object is fetched in one piece now, otherwise
 * the header and the table now and the wanted chunks by bk_pack_reader_read; a small one that is
 * far away is always fetched in one piece. Errors name the object; BK_ERROR_ABSENT becomes
 * BK_ERROR_CORRUPT, since a manifest says that it is there. */
bool bk_pack_reader_open(BkPackReader *self, const BkSourceRepo *source_repo, const BkPackRef *ref,
                         bool whole, BkOp *op, GError **error) BK_MUST_USE;

/* The table: `*count` chunks in order of their places. Holds until the next open. */
const BkPackChunk *bk_pack_reader_chunks(const BkPackReader *self, size_t *count);

/* Index of the chunk that holds `raw_offset`, which must be below the pack's raw size. */
size_t bk_pack_reader_find(const BkPackReader *self, uint64_t raw_offset);

/* Opens chunk `index`, fetching it when it is not here: with `read_ahead` more chunks after it
 * (those of a whole pack are here already). Its raw bytes replace the content of `raw`. */
bool bk_pack_reader_read(BkPackReader *self, size_t index, size_t read_ahead, BkBuf *raw, BkOp *op,
                         GError **error) BK_MUST_USE;

/* Returns true if `data`, of the chunk's raw size, equals chunk `index` (by hash). */
bool bk_pack_reader_matches(const BkPackReader *self, size_t index, const uint8_t *data);

/* Bytes fetched from the store since the reader was made. */
uint64_t bk_pack_reader_fetched(const BkPackReader *self);
