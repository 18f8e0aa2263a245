/* pack-writer.c - fills a pack chunk by chunk: compress, encrypt, and the table at the end. */
#include "codec/extension.h"
#include "repo/pack/pack.h"

#include <string.h>

struct BkPackWriter {
    const BkSourceRepo *source_repo;
    const BkXxh3Secret *hash_secret;
    BkSealer *sealer;
    BkBuf *object; /* borrowed from begin to finish */
    BkBuf table;   /* rows of the chunks written */
    uint64_t raw_size;
    uint32_t chunk_count;
    uint8_t *chunk;
    size_t chunk_size;
};

BkPackWriter *
bk_pack_writer_new(const BkSourceRepo *source_repo, BkCodec codec, int level)
{
    BkPackWriter *self = g_new0(BkPackWriter, 1);
    uint32_t generation;

    self->source_repo = source_repo;
    (void)bk_keyring_newest(bk_source_repo_keys(source_repo), &generation);
    self->hash_secret = bk_source_repo_hash_secret(source_repo, generation);
    self->sealer = bk_sealer_new(codec, level);
    self->chunk = g_malloc(BK_PACK_CHUNK_SIZE);
    return self;
}

void
bk_pack_writer_free(BkPackWriter *self)
{
    if (self == NULL)
        return;
    bk_sealer_free(self->sealer);
    bk_buf_clear(&self->table);
    g_free(self->chunk);
    g_free(self);
}

bool
bk_pack_writer_begin(BkPackWriter *self, BkBuf *object, GError **error)
{
    g_autofree char *directory = bk_source_repo_object_name(self->source_repo, BK_PACK_DIRECTORY);
    const BkSealAs as = bk_pack_seal_as(self->source_repo, directory);

    g_assert(self->object == NULL);
    object->size = 0;
    /* All at once, so that the growing pack is never copied. */
    if (!bk_buf_reserve(object, BK_PACK_TARGET_SIZE + 2 * BK_PACK_CHUNK_SIZE, error))
        return false;
    if (!bk_sealer_begin(self->sealer, &as, object, error))
        return false;
    self->object = object;
    self->table.size = 0;
    self->raw_size = 0;
    self->chunk_count = 0;
    self->chunk_size = 0;
    return true;
}

bool
bk_pack_writer_is_open(const BkPackWriter *self)
{
    return self->object != NULL;
}

uint8_t *
bk_pack_writer_room(BkPackWriter *self, size_t *available)
{
    *available = BK_PACK_CHUNK_SIZE - self->chunk_size;
    return self->chunk + self->chunk_size;
}

bool
bk_pack_writer_end_chunk(BkPackWriter *self, GError **error)
{
    uint8_t hash[BK_XXH3_SIZE];
    size_t frame_start = self->object->size;

    if (self->chunk_size == 0)
        return true;
    bk_xxh3(self->hash_secret, self->chunk, self->chunk_size, hash);
    if (!bk_sealer_add(self->sealer, self->chunk, self->chunk_size, false, error))
        return false;
    bk_wire_put_varint(&self->table, self->object->size - frame_start);
    bk_wire_put_varint(&self->table, self->chunk_size);
    bk_buf_append(&self->table, hash, sizeof hash);
    self->raw_size += self->chunk_size;
    self->chunk_count++;
    self->chunk_size = 0;
    return true;
}

bool
bk_pack_writer_commit(BkPackWriter *self, size_t size, GError **error)
{
    g_assert(size <= BK_PACK_CHUNK_SIZE - self->chunk_size);
    self->chunk_size += size;
    return self->chunk_size < BK_PACK_CHUNK_SIZE || bk_pack_writer_end_chunk(self, error);
}

uint64_t
bk_pack_writer_position(const BkPackWriter *self)
{
    return self->raw_size + self->chunk_size;
}

bool
bk_pack_writer_is_full(const BkPackWriter *self)
{
    /* The raw size is bounded too: well compressed chunks would make a table without end. */
    return self->object->size >= BK_PACK_TARGET_SIZE ||
           self->chunk_count >= 8 * (BK_PACK_TARGET_SIZE / BK_PACK_CHUNK_SIZE);
}

bool
bk_pack_writer_finish(BkPackWriter *self, BkPackRef *ref, GError **error)
{
    g_auto(BkBuf) table = BK_BUF_INIT;
    size_t table_start;

    if (!bk_pack_writer_end_chunk(self, error))
        return false;
    bk_wire_put_varint(&table, self->chunk_count);
    bk_buf_append(&table, self->table.data, self->table.size);
    bk_extensions_put_none(&table);
    table_start = self->object->size;
    if (!bk_sealer_add(self->sealer, table.data, table.size, true, error) ||
        !bk_sealer_finish(self->sealer, ref->name, error))
        return false;
    memcpy(ref->salt, bk_sealer_salt(self->sealer), sizeof ref->salt);
    ref->size = self->object->size;
    ref->raw_size = self->raw_size;
    ref->tail_size = (uint32_t)(self->object->size - table_start);
    ref->chunk_count = self->chunk_count;
    ref->created_us = g_get_real_time();
    self->object = NULL;
    return true;
}
