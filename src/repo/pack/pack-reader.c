/* pack-reader.c - opens a pack and reads chunks of it, all at once or in ranges. */
#include "codec/extension.h"
#include "repo/pack/pack.h"
#include "repo/reread.h"

#include <string.h>

/* A pack of a store that is far away is fetched whole up to this size: a request takes as long as
 * some hundred kilobytes, and the parts would be three of them. */
#define FAR_WHOLE ((size_t)1024 * 1024)

struct BkPackReader {
    const BkSourceRepo *source_repo;
    const BkXxh3Secret *hash_secret;
    const BkPackRef *ref;
    char *name;
    BkOpener *opener;
    GArray *chunks; /* BkPackChunk */
    BkBuf window;   /* bytes of the object from window_start on */
    uint64_t window_start;
    uint64_t fetched;
};

BkPackReader *
bk_pack_reader_new(void)
{
    BkPackReader *self = g_new0(BkPackReader, 1);

    self->opener = bk_opener_new();
    self->chunks = g_array_new(FALSE, FALSE, sizeof(BkPackChunk));
    return self;
}

void
bk_pack_reader_free(BkPackReader *self)
{
    if (self == NULL)
        return;
    g_free(self->name);
    bk_opener_free(self->opener);
    g_array_unref(self->chunks);
    bk_buf_clear(&self->window);
    g_free(self);
}

/* Makes [start, start + size) of the object the window. At the end of the object one byte more is
 * asked for, so that one that is too long is noticed. */
static bool
fetch_pack_window(BkPackReader *self, uint64_t start, size_t size, BkOp *op, GError **error)
{
    g_autoptr(GError) cause = NULL;
    size_t asked = start + size == self->ref->size ? size + 1 : size;

    if (bk_store_get(bk_source_repo_store(self->source_repo), self->name, start, asked,
                     BK_PACK_MAX_SIZE + 1, &self->window, op, &cause)) {
        self->window_start = start;
        self->fetched += self->window.size;
        if (self->window.size == size)
            return true;
        return bk_throw(error, BK_ERROR_CORRUPT,
                        "object is cut off or too long: %zu bytes instead of %zu",
                        self->window.size, size);
    }
    if (bk_error_is(cause, BK_ERROR_ABSENT))
        return bk_throw(error, BK_ERROR_CORRUPT, "object is missing");
    return bk_propagate(error, &cause);
}

bool
bk_pack_table_decode(const BkBuf *raw, GArray *chunks, GError **error)
{
    BkWireReader reader;
    BkPackChunk chunk = {.frame_start = BK_SEAL_HEADER_SIZE};
    uint64_t count;

    bk_wire_reader_init(&reader, raw->data, raw->size);
    count = bk_wire_get_bounded(&reader, raw->size);
    g_array_set_size(chunks, 0);
    for (uint64_t i = 0; i < count && bk_wire_is_ok(&reader); i++) {
        const uint8_t *hash;

        chunk.frame_size = (uint32_t)bk_wire_get_bounded(&reader, BK_PACK_MAX_SIZE);
        chunk.raw_size = (uint32_t)bk_wire_get_bounded(&reader, BK_SEAL_MAX_RAW);
        hash = bk_wire_get_raw(&reader, BK_XXH3_SIZE);
        if (hash != NULL)
            memcpy(chunk.hash, hash, BK_XXH3_SIZE);
        g_array_append_val(chunks, chunk);
        chunk.frame_start += chunk.frame_size;
        chunk.raw_start += chunk.raw_size;
    }
    return bk_extensions_end(&reader, "chunk table", error);
}

/* The chunks lie one behind the other from the header to the table; anything else is damage. */
static bool
decode_table(BkPackReader *self, const BkBuf *raw, GError **error)
{
    const BkPackChunk *last;

    if (!bk_pack_table_decode(raw, self->chunks, error))
        return false;
    last = self->chunks->len > 0 ? &g_array_index(self->chunks, BkPackChunk, self->chunks->len - 1)
                                 : &(const BkPackChunk){.frame_start = BK_SEAL_HEADER_SIZE};
    return (last->raw_start + last->raw_size == self->ref->raw_size &&
            last->frame_start + last->frame_size == self->ref->size - self->ref->tail_size) ||
           bk_throw(error, BK_ERROR_CORRUPT, "chunk table does not match the pack");
}

static bool
read_pack_header(BkPackReader *self, const uint8_t *header, size_t size, GError **error)
{
    g_autofree char *directory = bk_source_repo_object_name(self->source_repo, BK_PACK_DIRECTORY);
    const BkSealAs as = bk_pack_seal_as(self->source_repo, directory);

    if (!bk_opener_begin(self->opener, &as, header, size, error))
        return false;
    if (memcmp(bk_opener_salt(self->opener), self->ref->salt, BK_SEAL_SALT_SIZE) != 0)
        return bk_throw(error, BK_ERROR_CORRUPT,
                        "the content of the object is that of another pack");
    return true;
}

/* The table comes behind the chunks, so that its ordinal is their count. */
static bool
read_table(BkPackReader *self, GError **error)
{
    g_auto(BkBuf) raw = BK_BUF_INIT;
    uint64_t table_start = self->ref->size - self->ref->tail_size;
    BkFrame frame = {
        .ordinal = self->ref->chunk_count,
        .data = self->window.data + (table_start - self->window_start),
        .size = self->ref->tail_size - BK_SEAL_TRAILER_SIZE,
    };

    if (!bk_opener_frame(self->opener, &frame, &raw, error))
        return false;
    if (!bk_opener_trailer(self->opener, frame.data + self->ref->tail_size - BK_SEAL_TRAILER_SIZE,
                           self->ref->size, error))
        return false;
    if (!frame.is_last || frame.size != self->ref->tail_size - BK_SEAL_TRAILER_SIZE)
        return bk_throw(error, BK_ERROR_CORRUPT, "chunk table is not the last frame");
    return decode_table(self, &raw, error);
}

static bool
open_whole(BkPackReader *self, BkOp *op, GError **error)
{
    return fetch_pack_window(self, 0, self->ref->size, op, error) &&
           read_pack_header(self, self->window.data, self->window.size, error) &&
           read_table(self, error);
}

static bool
open_parts(BkPackReader *self, BkOp *op, GError **error)
{
    return fetch_pack_window(self, 0, BK_SEAL_HEADER_SIZE, op, error) &&
           read_pack_header(self, self->window.data, self->window.size, error) &&
           fetch_pack_window(self, self->ref->size - self->ref->tail_size, self->ref->tail_size, op,
                             error) &&
           read_table(self, error);
}

bool
bk_pack_reader_open(BkPackReader *self, const BkSourceRepo *source_repo, const BkPackRef *ref,
                    bool whole, BkOp *op, GError **error)
{
    g_autoptr(GError) cause = NULL;
    unsigned tries = 0;
    bool ok;

    whole =
        whole || (ref->size <= FAR_WHOLE && bk_store_is_remote(bk_source_repo_store(source_repo)));
    self->source_repo = source_repo;
    self->ref = ref;
    g_free(self->name);
    self->name = bk_pack_object_name(source_repo, ref->name);
    do
        ok = whole ? open_whole(self, op, &cause) : open_parts(self, op, &cause);
    while (!ok &&
           bk_reread_is_worth(bk_source_repo_store(source_repo), self->name, &tries, &cause, op));
    if (!bk_propagate(error, &cause))
        return bk_prefix(error, "object \"%s\" of repository \"%s\"", self->name,
                         bk_repository_name(bk_source_repo_repository(source_repo)));
    self->hash_secret = bk_source_repo_hash_secret(source_repo, bk_opener_generation(self->opener));
    return true;
}

const BkPackChunk *
bk_pack_reader_chunks(const BkPackReader *self, size_t *count)
{
    *count = self->chunks->len;
    return (const BkPackChunk *)(const void *)self->chunks->data;
}

size_t
bk_pack_reader_find(const BkPackReader *self, uint64_t raw_offset)
{
    size_t count;
    const BkPackChunk *chunks = bk_pack_reader_chunks(self, &count);
    size_t low = 0;

    g_assert(raw_offset < self->ref->raw_size);
    while (count - low > 1) {
        size_t middle = low + (count - low) / 2;

        if (chunks[middle].raw_start <= raw_offset)
            low = middle;
        else
            count = middle;
    }
    return low;
}

static bool
is_here(const BkPackReader *self, const BkPackChunk *chunk)
{
    return chunk->frame_start >= self->window_start &&
           chunk->frame_start + chunk->frame_size <= self->window_start + self->window.size;
}

static bool
read_chunk_once(BkPackReader *self, size_t index, size_t read_ahead, BkBuf *raw, BkOp *op,
                GError **error)
{
    size_t count;
    const BkPackChunk *chunks = bk_pack_reader_chunks(self, &count);
    const BkPackChunk *chunk = &chunks[index];
    const BkPackChunk *last = &chunks[MIN(index + read_ahead, count - 1)];
    BkFrame frame = {.ordinal = index, .size = chunk->frame_size};

    if (!is_here(self, chunk) &&
        !fetch_pack_window(self, chunk->frame_start,
                           last->frame_start + last->frame_size - chunk->frame_start, op, error))
        return false;
    frame.data = self->window.data + (chunk->frame_start - self->window_start);
    if (!bk_opener_frame(self->opener, &frame, raw, error))
        return false;
    return (raw->size == chunk->raw_size && !frame.is_last) ||
           bk_throw(error, BK_ERROR_CORRUPT, "chunk %zu differs from the table", index);
}

bool
bk_pack_reader_read(BkPackReader *self, size_t index, size_t read_ahead, BkBuf *raw, BkOp *op,
                    GError **error)
{
    g_autoptr(GError) cause = NULL;
    unsigned tries = 0;

    while (!read_chunk_once(self, index, read_ahead, raw, op, &cause)) {
        if (!bk_reread_is_worth(bk_source_repo_store(self->source_repo), self->name, &tries, &cause,
                                op))
            return bk_propagate(error, &cause) ||
                   bk_prefix(error, "object \"%s\" of repository \"%s\"", self->name,
                             bk_repository_name(bk_source_repo_repository(self->source_repo)));
        self->window.size = 0; /* is of the wrong one */
    }
    return true;
}

bool
bk_pack_reader_matches(const BkPackReader *self, size_t index, const uint8_t *data)
{
    const BkPackChunk *chunk = &g_array_index(self->chunks, BkPackChunk, index);
    uint8_t hash[BK_XXH3_SIZE];

    bk_xxh3(self->hash_secret, data, chunk->raw_size, hash);
    return memcmp(hash, chunk->hash, sizeof hash) == 0;
}

uint64_t
bk_pack_reader_fetched(const BkPackReader *self)
{
    return self->fetched;
}
