/* snapshot-sections.c - the sections of a manifest in bytes: written, and read with every bound. */
#include "repo/snapshot/snapshot-sections.h"
#include "codec/extension.h"
#include "repo/snapshot/file-extension.h"
#include "repo/snapshot/snapshot-priv.h"

#include <string.h>

#define HEAD_VERSION  1
#define MAX_TEXT      4096
#define MAX_PATH      65535u /* trees may be deeper than a system call takes at once */
#define MAX_META      ((size_t)1 << 20)
#define MAX_PACK_TAIL ((uint32_t)1 << 20)
#define NSEC_PER_SEC  1000000000u

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
    bk_wire_put_varint(out, head->work.repacked);
    bk_wire_put_varint(out, head->work.reused);
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
    bk_wire_put_bytes(out, head->extensions.data, head->extensions.size);
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
    if (!bk_snapshot_is_kind(head->kind))
        reader->failed = true;
    head->parent = bk_wire_get_string(reader, MAX_TEXT);
    mode = bk_wire_get_u8(reader);
    if (mode < BK_SNAPSHOT_FULL || mode > BK_SNAPSHOT_FULL_SCAN)
        reader->failed = true;
    head->mode = (BkSnapshotMode)mode;
    head->why = bk_wire_get_string(reader, MAX_TEXT);
    head->work.read = bk_wire_get_varint(reader);
    head->work.changed = bk_wire_get_varint(reader);
    head->work.repacked = bk_wire_get_varint(reader);
    head->work.reused = bk_wire_get_varint(reader);
    head->label = bk_wire_get_string(reader, MAX_TEXT);
    head->host = bk_wire_get_string(reader, MAX_TEXT);
    head->program = bk_wire_get_string(reader, MAX_TEXT);
}

static void
decode_bytes(BkBuf *to, BkWireReader *reader, size_t limit)
{
    size_t size;
    const uint8_t *bytes = bk_wire_get_bytes(reader, limit, &size);

    if (bytes != NULL)
        bk_buf_append(to, bytes, size);
}

bool
bk_snapshot_head_decode(BkSnapshotHead *head, const BkBuf *frame, GError **error)
{
    BkWireReader reader;
    uint8_t version, state;

    *head = (BkSnapshotHead){0};
    bk_wire_reader_init(&reader, frame->data, frame->size);
    if (bk_wire_get_u8(&reader) != BK_SECTION_HEAD)
        reader.failed = true;
    version = bk_wire_get_u8(&reader);
    if (bk_wire_is_ok(&reader) && version > HEAD_VERSION)
        return bk_throw(error, BK_ERROR_UNSUPPORTED,
                        "head of the snapshot has version %u, this program knows up to %d", version,
                        HEAD_VERSION);
    if (version != HEAD_VERSION)
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
    decode_bytes(&head->meta, &reader, MAX_META);
    decode_bytes(&head->extensions, &reader, BK_EXTENSIONS_MAX);
    if (bk_wire_end(&reader, "head of a snapshot", error) &&
        bk_extensions_check(head->extensions.data, head->extensions.size, NULL, 0, "the snapshot",
                            error))
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
    bk_extensions_put_none(out);
}

static bool
decode_pack(BkSnapshot *self, BkWireReader *reader, GError **error)
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
    return bk_extensions_pass(reader, "a pack of a snapshot", error);
}

void
bk_owner_encode(const BkOwner *owner, BkBuf *out)
{
    bk_wire_put_varint(out, owner->uid);
    bk_wire_put_varint(out, owner->gid);
    bk_wire_put_string(out, owner->user);
    bk_wire_put_string(out, owner->group);
    bk_extensions_put_none(out);
}

static bool
decode_owner(BkSnapshot *self, BkWireReader *reader, GError **error)
{
    uint32_t uid = (uint32_t)bk_wire_get_bounded(reader, UINT32_MAX);
    uint32_t gid = (uint32_t)bk_wire_get_bounded(reader, UINT32_MAX);
    g_autofree char *user = bk_wire_get_string(reader, MAX_TEXT);
    g_autofree char *group = bk_wire_get_string(reader, MAX_TEXT);

    (void)bk_snapshot_add_owner(self, uid, gid, user, group);
    return bk_extensions_pass(reader, "an owner in a snapshot", error);
}

void
bk_file_encode(const BkFile *file, BkBuf *out)
{
    bk_wire_put_string(out, file->path);
    bk_wire_put_string(out, file->link);
    bk_wire_put_u8(out, (uint8_t)file->kind);
    bk_wire_put_u8(out, (uint8_t)file->flags);
    bk_wire_put_varint(out, file->mode);
    bk_wire_put_varint(out, file->owner);
    bk_wire_put_zigzag(out, file->mtime_sec);
    bk_wire_put_varint(out, file->mtime_nsec);
    bk_wire_put_varint(out, file->size);
    bk_wire_put_bytes(out, file->extents, file->extents_size);
    bk_wire_put_bytes(out, file->digests, (size_t)file->digest_count * BK_XXH3_SIZE);
    bk_wire_put_bytes(out, file->notes, file->notes_size);
    bk_wire_put_bytes(out, file->extensions, file->extensions_size);
}

/* A path that a restore can follow below its destination and never out of it. */
static bool
is_safe_path(const char *path)
{
    for (;;) {
        size_t size = strcspn(path, "/");

        if (size == 0 || (size == 1 && path[0] == '.') ||
            (size == 2 && path[0] == '.' && path[1] == '.'))
            return false;
        if (path[size] == 0)
            return true;
        path += size + 1;
    }
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

/* Links lead somewhere and nothing else does; a hard link to what a restore has made before it. */
static bool
is_link_valid(const BkSnapshot *self, const BkFile *file)
{
    const BkFile *target;

    if (file->kind == BK_FILE_SYMLINK)
        return file->link[0] != 0;
    if (file->kind != BK_FILE_HARD_LINK)
        return file->link[0] == 0;
    target = bk_snapshot_find_file(self, file->link);
    return target != NULL && target->kind != BK_FILE_DIRECTORY && target->kind != BK_FILE_HARD_LINK;
}

static uint32_t
get_size(BkWireReader *reader, size_t limit, const uint8_t **bytes)
{
    size_t size;

    *bytes = bk_wire_get_bytes(reader, limit, &size);
    return (uint32_t)size;
}

/* What no program of this version can know of an entry that a later one wrote. */
static bool
check_file_known(uint8_t kind, uint8_t flags, GError **error)
{
    if (kind > BK_FILE_BLOCK_DEVICE)
        return bk_throw(error, BK_ERROR_UNSUPPORTED,
                        "snapshot has a file of kind %u, which only a newer program understands",
                        kind);
    return (flags & ~(BK_FILE_CHANGED_WHILE_READ | BK_FILE_PARTIAL)) == 0 ||
           bk_throw(error, BK_ERROR_UNSUPPORTED,
                    "snapshot has a file with flags %u, which only a newer program understands",
                    flags);
}

/* Without `error` set the row is malformed. */
static bool
decode_file(BkSnapshot *self, BkWireReader *reader, GError **error)
{
    g_autofree char *path = bk_wire_get_string(reader, MAX_PATH);
    g_autofree char *link = bk_wire_get_string(reader, MAX_PATH);
    BkFile file = {.path = path, .link = link};
    uint8_t kind = bk_wire_get_u8(reader);
    uint8_t flags = bk_wire_get_u8(reader);
    uint32_t digests_size;

    file.mode = (uint16_t)bk_wire_get_bounded(reader, 07777);
    file.owner = (uint32_t)bk_wire_get_bounded(reader, UINT32_MAX);
    file.mtime_sec = bk_wire_get_zigzag(reader);
    file.mtime_nsec = (uint32_t)bk_wire_get_bounded(reader, NSEC_PER_SEC - 1);
    file.size = bk_wire_get_bounded(reader, INT64_MAX);
    file.extents_size = get_size(reader, bk_wire_left(reader), &file.extents);
    digests_size = get_size(reader, bk_wire_left(reader), &file.digests);
    file.digest_count = digests_size / BK_XXH3_SIZE;
    file.notes_size = get_size(reader, BK_FILE_NOTES_MAX, &file.notes);
    file.extensions_size = get_size(reader, BK_EXTENSIONS_MAX, &file.extensions);
    if (!bk_wire_is_ok(reader) || kind < BK_FILE_REGULAR || file.owner >= self->owners->len ||
        !is_safe_path(path))
        return false;
    if (!check_file_known(kind, flags, error))
        return false;
    file.kind = (BkFileKind)kind;
    file.flags = flags;
    if ((file.kind != BK_FILE_REGULAR && file.size != 0) || !is_link_valid(self, &file) ||
        !are_extents_sound(self, &file) || !are_digests_sound(&file, digests_size))
        return false;
    if (!bk_file_check_extensions(&file, error))
        return false;
    bk_snapshot_add_file(self, &file);
    return true;
}

static bool
decode_row(BkSnapshot *self, uint8_t section, BkWireReader *reader, GError **error)
{
    switch (section) {
    case BK_SECTION_PACKS:
        return decode_pack(self, reader, error);
    case BK_SECTION_OWNERS:
        return decode_owner(self, reader, error);
    default:
        return decode_file(self, reader, error);
    }
}

bool
bk_snapshot_section_decode(BkSnapshot *self, const BkBuf *frame, GError **error)
{
    g_autoptr(GError) cause = NULL;
    BkWireReader reader;
    uint8_t section;
    uint64_t count;
    bool ok = true;

    bk_wire_reader_init(&reader, frame->data, frame->size);
    section = bk_wire_get_u8(&reader);
    if (section >= BK_SECTION_IGNORABLE)
        return true;
    if (section > BK_SECTION_FILES)
        return bk_throw(error, BK_ERROR_UNSUPPORTED,
                        "snapshot has a section %u, which only a newer program understands",
                        section);
    count = bk_wire_get_bounded(&reader, frame->size);
    if (section < BK_SECTION_PACKS) /* a second head, or no section at all */
        reader.failed = true;
    for (uint64_t i = 0; i < count && ok && bk_wire_is_ok(&reader); i++)
        ok = decode_row(self, section, &reader, &cause);
    if (cause != NULL)
        return bk_propagate(error, &cause);
    reader.failed = reader.failed || !ok;
    return bk_wire_end(&reader, "section of a snapshot", error);
}
