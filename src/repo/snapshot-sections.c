#include "repo/snapshot-priv.h"

#include <string.h>

#define HEAD_VERSION  1
#define MAX_TEXT      4096
#define MAX_META      ((size_t)1 << 20)
#define MAX_PACK_TAIL ((uint32_t)1 << 20)

void
bk_snapshot_head_encode(const BkSnapshotHead *head, BkBuf *out)
{
    bk_wire_put_u8(out, BK_SECTION_HEAD);
    bk_wire_put_u8(out, HEAD_VERSION);
    bk_wire_put_string(out, head->id);
    bk_wire_put_string(out, head->source);
    bk_wire_put_string(out, head->kind);
    bk_wire_put_string(out, head->parent);
    bk_wire_put_u8(out, (uint8_t)head->mode);
    bk_wire_put_string(out, head->why);
    bk_wire_put_varint(out, head->work.read);
    bk_wire_put_varint(out, head->work.changed);
    bk_wire_put_varint(out, head->work.refreshed);
    bk_wire_put_varint(out, head->work.taken);
    bk_wire_put_string(out, head->label);
    bk_wire_put_string(out, head->host);
    bk_wire_put_string(out, head->program);
    bk_wire_put_u8(out, (uint8_t)head->state);
    bk_wire_put_zigzag(out, head->started_us);
    bk_wire_put_zigzag(out, head->finished_us);
    bk_wire_put_varint(out, head->lease_epoch);
    bk_wire_put_varint(out, head->file_count);
    bk_wire_put_varint(out, head->bytes);
    bk_wire_put_varint(out, head->stored_bytes);
    bk_wire_put_varint(out, head->new_bytes);
    bk_wire_put_varint(out, head->pack_count);
    bk_wire_put_varint(out, head->rest_size);
    bk_wire_put_bytes(out, head->meta.data, head->meta.size);
}

static void
decode_texts(BkSnapshotHead *head, BkWireReader *reader)
{
    g_autofree char *id = bk_wire_get_string(reader, BK_SNAPSHOT_ID_SIZE);
    uint8_t mode;

    if (!bk_snapshot_is_id(id))
        reader->failed = true;
    (void)g_strlcpy(head->id, id, sizeof head->id);
    head->source = bk_wire_get_string(reader, MAX_TEXT);
    head->kind = bk_wire_get_string(reader, MAX_TEXT);
    head->parent = bk_wire_get_string(reader, MAX_TEXT);
    mode = bk_wire_get_u8(reader);
    if (mode < BK_SNAPSHOT_FULL || mode > BK_SNAPSHOT_COMPARED)
        reader->failed = true;
    head->mode = (BkSnapshotMode)mode;
    head->why = bk_wire_get_string(reader, MAX_TEXT);
    head->work.read = bk_wire_get_varint(reader);
    head->work.changed = bk_wire_get_varint(reader);
    head->work.refreshed = bk_wire_get_varint(reader);
    head->work.taken = bk_wire_get_varint(reader);
    head->label = bk_wire_get_string(reader, MAX_TEXT);
    head->host = bk_wire_get_string(reader, MAX_TEXT);
    head->program = bk_wire_get_string(reader, MAX_TEXT);
}

bool
bk_snapshot_head_decode(BkSnapshotHead *head, const BkBuf *frame, GError **error)
{
    BkWireReader reader;
    const uint8_t *meta;
    size_t meta_size;
    uint8_t state;

    *head = (BkSnapshotHead){0};
    bk_wire_reader_init(&reader, frame->data, frame->size);
    if (bk_wire_get_u8(&reader) != BK_SECTION_HEAD || bk_wire_get_u8(&reader) != HEAD_VERSION)
        reader.failed = true;
    decode_texts(head, &reader);
    state = bk_wire_get_u8(&reader);
    if (state < BK_SNAPSHOT_COMPLETE || state > BK_SNAPSHOT_UNFINISHED)
        reader.failed = true;
    head->state = (BkSnapshotState)state;
    head->started_us = bk_wire_get_zigzag(&reader);
    head->finished_us = bk_wire_get_zigzag(&reader);
    head->lease_epoch = bk_wire_get_varint(&reader);
    head->file_count = bk_wire_get_varint(&reader);
    head->bytes = bk_wire_get_varint(&reader);
    head->stored_bytes = bk_wire_get_varint(&reader);
    head->new_bytes = bk_wire_get_varint(&reader);
    head->pack_count = bk_wire_get_varint(&reader);
    head->rest_size = bk_wire_get_bounded(&reader, (uint64_t)4 << 30);
    meta = bk_wire_get_bytes(&reader, MAX_META, &meta_size);
    if (meta != NULL)
        bk_buf_append(&head->meta, meta, meta_size);
    if (bk_wire_end(&reader, "head of a snapshot", error))
        return true;
    bk_snapshot_head_clear(head);
    return false;
}

void
bk_pack_ref_encode(const BkPackRef *ref, BkBuf *out)
{
    bk_buf_append(out, ref->name, sizeof ref->name);
    bk_buf_append(out, ref->salt, sizeof ref->salt);
    bk_wire_put_varint(out, ref->size);
    bk_wire_put_varint(out, ref->raw_size);
    bk_wire_put_varint(out, ref->tail_size);
    bk_wire_put_varint(out, ref->chunk_count);
    bk_wire_put_zigzag(out, ref->created_us);
}

static void
decode_pack(BkSnapshot *self, BkWireReader *reader)
{
    BkPackRef ref = {.size = 0};
    const uint8_t *name = bk_wire_get_raw(reader, sizeof ref.name);
    const uint8_t *salt = bk_wire_get_raw(reader, sizeof ref.salt);

    if (name != NULL)
        memcpy(ref.name, name, sizeof ref.name);
    if (salt != NULL)
        memcpy(ref.salt, salt, sizeof ref.salt);
    ref.size = bk_wire_get_bounded(reader, BK_PACK_MAX_SIZE);
    ref.raw_size = bk_wire_get_bounded(reader, UINT64_C(1) << 40);
    ref.tail_size = (uint32_t)bk_wire_get_bounded(reader, MAX_PACK_TAIL);
    ref.chunk_count = (uint32_t)bk_wire_get_bounded(reader, MAX_PACK_TAIL);
    ref.created_us = bk_wire_get_zigzag(reader);
    if (ref.tail_size < BK_SEAL_TRAILER_SIZE + BK_SEAL_FRAME_COST ||
        ref.size < (uint64_t)BK_SEAL_HEADER_SIZE + ref.tail_size)
        reader->failed = true;
    g_array_append_val(self->packs, ref);
}

void
bk_owner_encode(const BkOwner *owner, BkBuf *out)
{
    bk_wire_put_varint(out, owner->uid);
    bk_wire_put_varint(out, owner->gid);
    bk_wire_put_string(out, owner->user);
    bk_wire_put_string(out, owner->group);
}

static void
decode_owner(BkSnapshot *self, BkWireReader *reader)
{
    uint32_t uid = (uint32_t)bk_wire_get_bounded(reader, UINT32_MAX);
    uint32_t gid = (uint32_t)bk_wire_get_bounded(reader, UINT32_MAX);
    g_autofree char *user = bk_wire_get_string(reader, MAX_TEXT);
    g_autofree char *group = bk_wire_get_string(reader, MAX_TEXT);

    (void)bk_snapshot_add_owner(self, uid, gid, user, group);
}

void
bk_file_encode(const BkFile *file, BkBuf *out)
{
    bk_wire_put_string(out, file->path);
    bk_wire_put_string(out, file->link);
    bk_wire_put_u8(out, (uint8_t)file->kind);
    bk_wire_put_varint(out, file->mode);
    bk_wire_put_varint(out, file->owner);
    bk_wire_put_zigzag(out, file->mtime_us);
    bk_wire_put_varint(out, file->size);
    bk_wire_put_bytes(out, file->extents, file->extents_size);
    bk_wire_put_bytes(out, file->digests, (size_t)file->digest_count * BK_XXH3_SIZE);
    bk_wire_put_bytes(out, file->notes, file->notes_size);
}

/* A path that a restore can follow below its destination and never out of it. */
static bool
is_safe_path(const char *path)
{
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);

    for (size_t i = 0; parts[i] != NULL; i++)
        if (parts[i][0] == 0 || strcmp(parts[i], ".") == 0 || strcmp(parts[i], "..") == 0)
            return false;
    return path[0] != 0;
}

static bool
are_extents_sound(const BkSnapshot *self, const BkFile *file)
{
    BkExtentIter iter;
    BkExtent extent;

    bk_extent_iter_init(&iter, file->extents, file->extents_size, file->size);
    while (bk_extent_iter_next(&iter, &extent)) {
        const BkPackRef *pack;

        if (extent.is_hole)
            continue;
        if (extent.pack >= self->packs->len)
            return false;
        pack = &g_array_index(self->packs, BkPackRef, extent.pack);
        if (extent.pack_offset + extent.length > pack->raw_size)
            return false;
    }
    return bk_extent_iter_is_complete(&iter);
}

/* A digest for each piece, or none at all. */
static bool
are_digests_sound(const BkFile *file, size_t size)
{
    uint64_t units = (file->size + BK_FILE_DIGEST_UNIT - 1) / BK_FILE_DIGEST_UNIT;

    return size == 0 || (size % BK_XXH3_SIZE == 0 && size / BK_XXH3_SIZE == units);
}

static bool
decode_file(BkSnapshot *self, BkWireReader *reader)
{
    g_autofree char *path = bk_wire_get_string(reader, MAX_TEXT);
    g_autofree char *link = bk_wire_get_string(reader, MAX_TEXT);
    BkFile file = {.path = path, .link = link};
    uint8_t kind = bk_wire_get_u8(reader);
    size_t extents_size, digests_size, notes_size;

    file.mode = (uint32_t)bk_wire_get_bounded(reader, 07777);
    file.owner = (uint32_t)bk_wire_get_varint(reader);
    file.mtime_us = bk_wire_get_zigzag(reader);
    file.size = bk_wire_get_bounded(reader, INT64_MAX);
    file.extents = bk_wire_get_bytes(reader, bk_wire_left(reader), &extents_size);
    file.extents_size = (uint32_t)extents_size;
    file.digests = bk_wire_get_bytes(reader, bk_wire_left(reader), &digests_size);
    file.digest_count = (uint32_t)(digests_size / BK_XXH3_SIZE);
    file.notes = bk_wire_get_bytes(reader, BK_FILE_NOTES_MAX, &notes_size);
    file.notes_size = (uint32_t)notes_size;
    if (!bk_wire_is_ok(reader) || kind < BK_FILE_REGULAR || kind > BK_FILE_SYMLINK ||
        file.owner >= self->owners->len || !is_safe_path(path))
        return false;
    file.kind = (BkFileKind)kind;
    if (file.kind != BK_FILE_REGULAR && file.size != 0)
        return false;
    if (!are_extents_sound(self, &file) || !are_digests_sound(&file, digests_size))
        return false;
    bk_snapshot_add_file(self, &file);
    return true;
}

bool
bk_snapshot_section_decode(BkSnapshot *self, const BkBuf *frame, GError **error)
{
    BkWireReader reader;
    uint8_t section;
    uint64_t count;
    bool ok = true;

    bk_wire_reader_init(&reader, frame->data, frame->size);
    section = bk_wire_get_u8(&reader);
    count = bk_wire_get_bounded(&reader, frame->size);
    for (uint64_t i = 0; i < count && ok && bk_wire_is_ok(&reader); i++) {
        switch (section) {
        case BK_SECTION_PACKS:
            decode_pack(self, &reader);
            break;
        case BK_SECTION_OWNERS:
            decode_owner(self, &reader);
            break;
        case BK_SECTION_FILES:
            ok = decode_file(self, &reader);
            break;
        default:
            ok = false;
        }
    }
    reader.failed = reader.failed || !ok;
    return bk_wire_end(&reader, "section of a snapshot", error);
}
