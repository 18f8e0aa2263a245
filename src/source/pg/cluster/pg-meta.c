/* pg-meta.c - the PostgreSQL section of a snapshot's head in bytes. */
#include "source/pg/cluster/pg-meta.h"

#include "codec/extension.h"

#define META_VERSION    1
#define MAX_TEXT        4096
#define MAX_LABEL       (256 * BK_KIB)
#define MAX_TABLESPACES 65536

static void
free_tablespace(void *data)
{
    BkPgTablespace *tablespace = data;

    g_free(tablespace->name);
    g_free(tablespace->location);
    g_free(tablespace);
}

static void
free_damage(void *data)
{
    BkPgDamage *damage = data;

    g_free(damage->file);
    g_free(damage);
}

static void
free_left_out(void *data)
{
    BkPgLeftOut *left_out = data;

    g_free(left_out->path);
    g_free(left_out->target);
    g_free(left_out);
}

void
bk_pg_meta_init(BkPgMeta *self)
{
    *self = (BkPgMeta){
        .tablespaces = g_ptr_array_new_with_free_func(free_tablespace),
        .damage = g_ptr_array_new_with_free_func(free_damage),
        .left_out = g_ptr_array_new_with_free_func(free_left_out),
    };
}

void
bk_pg_meta_clear(BkPgMeta *self)
{
    g_free(self->data_directory);
    g_free(self->wal_directory);
    g_free(self->backup_label);
    g_free(self->tablespace_map);
    g_clear_pointer(&self->tablespaces, g_ptr_array_unref);
    g_clear_pointer(&self->damage, g_ptr_array_unref);
    g_clear_pointer(&self->left_out, g_ptr_array_unref);
    *self = (BkPgMeta){0};
}

void
bk_pg_meta_add_tablespace(BkPgMeta *self, uint32_t oid, const char *name, const char *location)
{
    BkPgTablespace *tablespace = g_new0(BkPgTablespace, 1);

    *tablespace = (BkPgTablespace){oid, g_strdup(name), g_strdup(location)};
    g_ptr_array_add(self->tablespaces, tablespace);
}

void
bk_pg_meta_add_left_out(BkPgMeta *self, const char *path, const char *target)
{
    BkPgLeftOut *left_out;

    if (self->left_out->len >= BK_PG_LEFT_OUT_LISTED)
        return;
    left_out = g_new0(BkPgLeftOut, 1);
    *left_out = (BkPgLeftOut){g_strdup(path), g_strdup(target)};
    g_ptr_array_add(self->left_out, left_out);
}

void
bk_pg_meta_add_damage(BkPgMeta *self, const char *file, uint32_t block)
{
    BkPgDamage *damage;

    self->damaged_pages++;
    if (self->damage->len >= BK_PG_DAMAGE_LISTED)
        return;
    damage = g_new0(BkPgDamage, 1);
    *damage = (BkPgDamage){g_strdup(file), block};
    g_ptr_array_add(self->damage, damage);
}

void
bk_pg_meta_encode(const BkPgMeta *self, BkBuf *out)
{
    bk_wire_put_u8(out, META_VERSION);
    bk_wire_put_u64(out, self->system_id);
    bk_wire_put_varint(out, self->version);
    bk_wire_put_varint(out, self->control_version);
    bk_wire_put_varint(out, self->catalog_version);
    bk_wire_put_varint(out, self->block_size);
    bk_wire_put_varint(out, self->segment_size);
    bk_wire_put_u8(out, self->has_checksums);
    bk_wire_put_u8(out, self->is_standalone);
    bk_wire_put_varint(out, self->timeline);
    bk_wire_put_varint(out, self->start_lsn);
    bk_wire_put_varint(out, self->redo_lsn);
    bk_wire_put_varint(out, self->stop_lsn);
    bk_wire_put_varint(out, self->mark.lsn);
    bk_wire_put_u32(out, self->mark.crc);
    bk_wire_put_zigzag(out, self->stop_us);
    bk_wire_put_string(out, self->data_directory);
    bk_wire_put_varint(out, self->data_mode);
    bk_wire_put_string(out, self->wal_directory != NULL ? self->wal_directory : "");
    bk_wire_put_string(out, self->backup_label);
    bk_wire_put_string(out, self->tablespace_map);
    bk_wire_put_varint(out, self->tablespaces->len);
    for (guint i = 0; i < self->tablespaces->len; i++) {
        const BkPgTablespace *tablespace = g_ptr_array_index(self->tablespaces, i);

        bk_wire_put_varint(out, tablespace->oid);
        bk_wire_put_string(out, tablespace->name);
        bk_wire_put_string(out, tablespace->location);
    }
    bk_wire_put_varint(out, self->damaged_pages);
    bk_wire_put_varint(out, self->damage->len);
    for (guint i = 0; i < self->damage->len; i++) {
        const BkPgDamage *damage = g_ptr_array_index(self->damage, i);

        bk_wire_put_string(out, damage->file);
        bk_wire_put_varint(out, damage->block);
    }
    bk_wire_put_varint(out, self->left_out->len);
    for (guint i = 0; i < self->left_out->len; i++) {
        const BkPgLeftOut *left_out = g_ptr_array_index(self->left_out, i);

        bk_wire_put_string(out, left_out->path);
        bk_wire_put_string(out, left_out->target);
    }
    bk_extensions_put_none(out);
}

static uint32_t
get_u32(BkWireReader *reader)
{
    return (uint32_t)bk_wire_get_bounded(reader, UINT32_MAX);
}

static void
decode_tablespaces(BkPgMeta *self, BkWireReader *reader)
{
    uint64_t count = bk_wire_get_bounded(reader, MAX_TABLESPACES);

    for (uint64_t i = 0; i < count && bk_wire_is_ok(reader); i++) {
        uint32_t oid = get_u32(reader);
        g_autofree char *name = bk_wire_get_string(reader, MAX_TEXT);
        g_autofree char *location = bk_wire_get_string(reader, MAX_TEXT);

        bk_pg_meta_add_tablespace(self, oid, name, location);
    }
}

static void
decode_damage(BkPgMeta *self, BkWireReader *reader)
{
    uint64_t total = bk_wire_get_varint(reader);
    uint64_t count = bk_wire_get_bounded(reader, BK_PG_DAMAGE_LISTED);

    for (uint64_t i = 0; i < count && bk_wire_is_ok(reader); i++) {
        g_autofree char *file = bk_wire_get_string(reader, MAX_TEXT);

        bk_pg_meta_add_damage(self, file, get_u32(reader));
    }
    self->damaged_pages = total;
}

static void
decode_left_out(BkPgMeta *self, BkWireReader *reader)
{
    uint64_t count = bk_wire_get_bounded(reader, BK_PG_LEFT_OUT_LISTED);

    for (uint64_t i = 0; i < count && bk_wire_is_ok(reader); i++) {
        g_autofree char *path = bk_wire_get_string(reader, MAX_TEXT);
        g_autofree char *target = bk_wire_get_string(reader, MAX_TEXT);

        bk_pg_meta_add_left_out(self, path, target);
    }
}

bool
bk_pg_meta_decode(BkPgMeta *self, const BkBuf *meta, GError **error)
{
    BkWireReader reader;

    bk_pg_meta_init(self);
    bk_wire_reader_init(&reader, meta->data, meta->size);
    if (bk_wire_get_u8(&reader) != META_VERSION)
        reader.failed = true;
    self->system_id = bk_wire_get_u64(&reader);
    self->version = get_u32(&reader);
    self->control_version = get_u32(&reader);
    self->catalog_version = get_u32(&reader);
    self->block_size = get_u32(&reader);
    self->segment_size = get_u32(&reader);
    self->has_checksums = bk_wire_get_u8(&reader) != 0;
    self->is_standalone = bk_wire_get_u8(&reader) != 0;
    self->timeline = get_u32(&reader);
    self->start_lsn = bk_wire_get_varint(&reader);
    self->redo_lsn = bk_wire_get_varint(&reader);
    self->stop_lsn = bk_wire_get_varint(&reader);
    self->mark.lsn = bk_wire_get_varint(&reader);
    self->mark.crc = bk_wire_get_u32(&reader);
    self->stop_us = bk_wire_get_zigzag(&reader);
    self->data_directory = bk_wire_get_string(&reader, MAX_TEXT);
    self->data_mode = (uint32_t)bk_wire_get_bounded(&reader, 0777);
    self->wal_directory = bk_wire_get_string(&reader, MAX_TEXT);
    self->backup_label = bk_wire_get_string(&reader, MAX_LABEL);
    self->tablespace_map = bk_wire_get_string(&reader, MAX_LABEL);
    decode_tablespaces(self, &reader);
    decode_damage(self, &reader);
    decode_left_out(self, &reader);
    if (!bk_wal_segment_size_is_valid(self->segment_size))
        reader.failed = true;
    if (bk_extensions_end(&reader, "PostgreSQL section of a snapshot", error))
        return true;
    bk_pg_meta_clear(self);
    bk_pg_meta_init(self);
    return false;
}
