/* inspect-content.c - heads, tables and small objects of every kind as JSON. */
#include "cli/inspect-content.h"

#include "cli/report-fields.h"
#include "codec/wire.h"
#include "repo/lease.h"
#include "repo/snapshot/file-extension.h"
#include "source/pg/archive/archive.h"
#include "source/pg/archive/decision.h"

#define MAX_TEXT 4096

void
bk_json_add_hex(BkJson *json, const char *key, const uint8_t *data, size_t size)
{
    g_autoptr(GString) text = g_string_sized_new(2 * size);

    for (size_t i = 0; i < size; i++)
        g_string_append_printf(text, "%02x", data[i]);
    bk_json_add_string(json, key, text->str);
}

/* The frame whose content could not be decoded. */
static void
add_frame_problem(BkInspection *inspection, guint index, GError **cause)
{
    const BkInspectFrame *frame = &g_array_index(inspection->frames, BkInspectFrame, index);

    bk_inspection_add_problem(inspection, frame->offset, frame->size, cause);
}

/* Everything but the key, which comes last. */
static void
add_key_slot(BkJson *json, const BkBuf *raw)
{
    BkWireReader reader;
    g_autofree char *id = NULL;

    bk_wire_reader_init(&reader, raw->data, raw->size);
    bk_json_add_uint(json, "version", bk_wire_get_u8(&reader));
    id = bk_wire_get_string(&reader, MAX_TEXT);
    bk_json_add_string(json, "repository", id);
}

static void
add_source_key(BkJson *json, const BkBuf *raw)
{
    BkWireReader reader;
    g_autofree char *source = NULL;

    bk_wire_reader_init(&reader, raw->data, raw->size);
    bk_json_add_uint(json, "version", bk_wire_get_u8(&reader));
    source = bk_wire_get_string(&reader, MAX_TEXT);
    bk_json_add_string(json, "source", source);
    bk_json_add_uint(json, "generation", bk_wire_get_u32(&reader));
}

static bool
add_lease(BkJson *json, const BkBuf *raw, GError **error)
{
    g_auto(BkLeaseInfo) info = {0};
    BkWireReader reader;

    bk_wire_reader_init(&reader, raw->data, raw->size);
    (void)bk_wire_get_u8(&reader);
    info.epoch = bk_wire_get_u64(&reader);
    if (!bk_lease_info_decode(&info, raw, error))
        return false;
    bk_json_add_uint(json, "epoch", info.epoch);
    bk_json_add_bool(json, "held", info.is_held);
    bk_json_add_string(json, "holder", info.holder);
    bk_json_add_time(json, "expires", info.expires_us);
    return true;
}

static bool
add_decision(BkJson *json, const BkBuf *raw, GError **error)
{
    static const char *const names[] = {"damaged", "dead", "current", "forget", "cluster"};
    BkDecision decision;

    if (!bk_decision_decode(raw->data, raw->size, &decision, error))
        return false;
    bk_json_add_uint(json, "number", decision.number);
    bk_json_add_string(json, "decision", names[decision.kind]);
    bk_json_add_system(json, "system_identifier", decision.system_id);
    if (decision.kind == BK_DECISION_CLUSTER) {
        bk_json_add_system(json, "previous_system_identifier", decision.previous_id);
    } else {
        bk_json_add_uint(json, "timeline", decision.timeline);
        bk_json_add_lsn(json, "lsn", decision.lsn);
    }
    bk_json_add_time(json, "time", decision.time_us);
    bk_json_add_string(json, "host", decision.host);
    return true;
}

static void
add_wal_info(BkJson *json, const BkWalInfo *info)
{
    bk_json_add_system(json, "system_identifier", info->system_id);
    bk_json_add_uint(json, "timeline", info->timeline);
    bk_json_add_uint(json, "segment_size", info->segment_size);
    bk_json_add_lsn(json, "start_lsn", info->start_lsn);
    bk_json_add_lsn(json, "end_lsn", info->end_lsn);
    bk_json_add_uint(json, "records", info->records);
    bk_json_add_uint(json, "transactions", info->xacts);
    bk_json_add_time(json, "first_time", info->xacts > 0 ? info->min_time_us : 0);
    bk_json_add_time(json, "last_time", info->xacts > 0 ? info->max_time_us : 0);
}

static bool
add_wal(BkJson *json, const BkBuf *raw, GError **error)
{
    g_auto(BkArchiveHead) head = {.size = 0};

    if (!bk_archive_head_decode(raw, &head, error))
        return false;
    bk_json_add_string(json, "name", head.name);
    bk_json_add_uint(json, "file_bytes", head.size);
    bk_json_add_hex(json, "xxh3", head.hash, sizeof head.hash);
    bk_json_add_uint(json, "summary_bytes", head.summary_size);
    if (head.has_info)
        add_wal_info(json, &head.info);
    return true;
}

static void
add_chunk(BkJson *json, const BkPackChunk *chunk)
{
    bk_json_begin_object(json, NULL);
    bk_json_add_uint(json, "raw_offset", chunk->raw_start);
    bk_json_add_uint(json, "raw_bytes", chunk->raw_size);
    bk_json_add_uint(json, "offset", chunk->frame_start);
    bk_json_add_uint(json, "bytes", chunk->frame_size);
    bk_json_add_hex(json, "xxh3", chunk->hash, sizeof chunk->hash);
    bk_json_end_object(json);
}

static bool
add_pack(BkJson *json, const BkBuf *table, bool all, GError **error)
{
    g_autoptr(GArray) chunks = g_array_new(FALSE, FALSE, sizeof(BkPackChunk));
    uint64_t raw_size = 0;

    if (!bk_pack_table_decode(table, chunks, error))
        return false;
    for (guint i = 0; i < chunks->len; i++)
        raw_size += g_array_index(chunks, BkPackChunk, i).raw_size;
    bk_json_add_uint(json, "chunks", chunks->len);
    bk_json_add_uint(json, "raw_bytes", raw_size);
    if (!all)
        return true;
    bk_json_begin_array(json, "chunk_table");
    for (guint i = 0; i < chunks->len; i++)
        add_chunk(json, &g_array_index(chunks, BkPackChunk, i));
    bk_json_end_array(json);
    return true;
}

static void
add_head(BkJson *json, const BkSnapshotHead *head)
{
    bk_json_add_string(json, "snapshot", head->id);
    bk_json_add_string(json, "source", head->source);
    bk_json_add_string(json, "kind", head->kind);
    bk_json_add_string(json, "state", bk_snapshot_state_name(head->state));
    bk_json_add_work(json, head->mode, head->parent, head->why, &head->work);
    bk_json_add_string(json, "label", head->label);
    bk_json_add_string(json, "host", head->host);
    bk_json_add_string(json, "program", head->program);
    bk_json_add_time(json, "started", head->started_us);
    bk_json_add_time(json, "finished", head->finished_us);
    bk_json_add_uint(json, "lease_epoch", head->lease_epoch);
    bk_json_add_uint(json, "files", head->file_count);
    bk_json_add_uint(json, "bytes", head->bytes);
    bk_json_add_uint(json, "stored_bytes", head->stored_bytes);
    bk_json_add_uint(json, "new_bytes", head->new_bytes);
    bk_json_add_uint(json, "packs", head->pack_count);
    bk_json_add_uint(json, "rest_bytes", head->rest_size);
    bk_json_add_uint(json, "meta_bytes", head->meta.size);
    bk_json_add_uint(json, "extension_bytes", head->extensions.size);
}

static bool
add_pg(BkJson *json, const BkSnapshotHead *head, GError **error)
{
    g_auto(BkPgMeta) meta = {.system_id = 0};

    if (!bk_pg_meta_decode(&meta, &head->meta, error))
        return false;
    bk_json_begin_object(json, BK_PG_KIND);
    bk_json_add_pg_meta(json, &meta);
    bk_json_end_object(json);
    return true;
}

static void
add_extents(BkJson *json, const BkFile *file)
{
    BkExtentIter iter;
    BkExtent extent;

    bk_json_begin_array(json, "extents");
    bk_extent_iter_init(&iter, file->extents, file->extents_size, file->size);
    while (bk_extent_iter_next(&iter, &extent)) {
        bk_json_begin_object(json, NULL);
        bk_json_add_uint(json, "offset", extent.file_offset);
        bk_json_add_uint(json, "bytes", extent.length);
        if (!extent.is_hole) {
            bk_json_add_uint(json, "pack", extent.pack);
            bk_json_add_uint(json, "pack_offset", extent.pack_offset);
        }
        bk_json_end_object(json);
    }
    bk_json_end_array(json);
}

static void
add_file_extensions(BkJson *json, const BkFile *file)
{
    BkFileIdentity identity;
    BkFileNode node;
    BkFileXattr xattr;
    BkWireReader reader;

    if (bk_file_get_identity(file, &identity)) {
        bk_json_add_format(json, "ctime", "%" G_GINT64_FORMAT ".%09u", identity.ctime_sec,
                           identity.ctime_nsec);
        bk_json_add_uint(json, "inode", identity.inode);
        bk_json_add_format(json, "device", "%u:%u", identity.device_major, identity.device_minor);
    }
    if (bk_file_get_node(file, &node))
        bk_json_add_format(json, "node", "%u:%u", node.major, node.minor);
    bk_json_begin_array(json, "attributes");
    bk_file_xattrs_begin(file, &reader);
    while (bk_file_xattrs_next(&reader, &xattr))
        bk_json_add_bytes(json, NULL, xattr.name, xattr.name_size);
    bk_json_end_array(json);
}

static void
add_file(BkJson *json, const BkFile *file)
{
    static const char *const kinds[] = {
        [BK_FILE_REGULAR] = "file",
        [BK_FILE_DIRECTORY] = "directory",
        [BK_FILE_SYMLINK] = "symlink",
        [BK_FILE_HARD_LINK] = "hard link",
        [BK_FILE_FIFO] = "fifo",
        [BK_FILE_CHARACTER_DEVICE] = "character device",
        [BK_FILE_BLOCK_DEVICE] = "block device",
    };

    bk_json_begin_object(json, NULL);
    bk_json_add_string(json, "path", file->path);
    bk_json_add_string(json, "kind", kinds[file->kind]);
    if (file->link[0] != 0)
        bk_json_add_string(json, "link", file->link);
    bk_json_add_format(json, "mode", "%04o", file->mode);
    bk_json_add_uint(json, "owner", file->owner);
    bk_json_add_format(json, "mtime", "%" G_GINT64_FORMAT ".%09u", file->mtime_sec,
                       file->mtime_nsec);
    bk_json_add_uint(json, "bytes", file->size);
    bk_json_add_bool(json, "changed_while_read", (file->flags & BK_FILE_CHANGED_WHILE_READ) != 0);
    bk_json_add_bool(json, "partial", (file->flags & BK_FILE_PARTIAL) != 0);
    bk_json_add_uint(json, "digests", file->digest_count);
    bk_json_add_uint(json, "note_bytes", file->notes_size);
    add_extents(json, file);
    add_file_extensions(json, file);
    bk_json_end_object(json);
}

static void
add_packs(BkJson *json, const BkSnapshot *snapshot)
{
    size_t count;
    const BkPackRef *packs = bk_snapshot_packs(snapshot, &count);

    bk_json_begin_array(json, "pack_table");
    for (size_t i = 0; i < count; i++) {
        bk_json_begin_object(json, NULL);
        bk_json_add_hex(json, "name", packs[i].name, sizeof packs[i].name);
        bk_json_add_uint(json, "bytes", packs[i].size);
        bk_json_add_uint(json, "raw_bytes", packs[i].raw_size);
        bk_json_add_uint(json, "chunks", packs[i].chunk_count);
        bk_json_add_time(json, "created", packs[i].created_us);
        bk_json_end_object(json);
    }
    bk_json_end_array(json);
}

static void
add_tables(BkJson *json, const BkSnapshot *snapshot)
{
    size_t count;
    const BkOwner *owners = bk_snapshot_owners(snapshot, &count);
    const BkFile *files;

    add_packs(json, snapshot);
    bk_json_begin_array(json, "owner_table");
    for (size_t i = 0; i < count; i++) {
        bk_json_begin_object(json, NULL);
        bk_json_add_uint(json, "uid", owners[i].uid);
        bk_json_add_uint(json, "gid", owners[i].gid);
        bk_json_add_string(json, "user", owners[i].user);
        bk_json_add_string(json, "group", owners[i].group);
        bk_json_end_object(json);
    }
    bk_json_end_array(json);
    files = bk_snapshot_files(snapshot, &count);
    bk_json_begin_array(json, "file_table");
    for (size_t i = 0; i < count; i++)
        add_file(json, &files[i]);
    bk_json_end_array(json);
}

static bool
add_manifest(BkJson *json, const BkInspection *inspection, bool all, GError **error)
{
    const BkSnapshotHead *head = bk_snapshot_head(inspection->snapshot);

    bk_json_begin_array(json, "sections");
    for (guint i = 0; i < inspection->sections->len; i++) {
        const BkInspectSection *section = &g_array_index(inspection->sections, BkInspectSection, i);

        bk_json_begin_object(json, NULL);
        bk_json_add_uint(json, "section", section->number);
        bk_json_add_uint(json, "rows", section->rows);
        bk_json_end_object(json);
    }
    bk_json_end_array(json);
    if (head->kind == NULL) /* its frame is damaged, which was said */
        return true;
    add_head(json, head);
    if (all)
        add_tables(json, inspection->snapshot);
    return g_strcmp0(head->kind, BK_PG_KIND) != 0 || add_pg(json, head, error);
}

static bool
add_kind(BkJson *json, const BkInspection *inspection, bool all, GError **error)
{
    switch (inspection->kind) {
    case BK_SEAL_KEY_SLOT:
        add_key_slot(json, &inspection->first);
        return true;
    case BK_SEAL_SOURCE_KEY:
        add_source_key(json, &inspection->first);
        return true;
    case BK_SEAL_PACK:
        return add_pack(json, &inspection->last, all, error);
    case BK_SEAL_SNAPSHOT:
        return add_manifest(json, inspection, all, error);
    case BK_SEAL_LEASE:
        return add_lease(json, &inspection->first, error);
    case BK_SEAL_DECISION:
        return add_decision(json, &inspection->first, error);
    default:
        return add_wal(json, &inspection->first, error);
    }
}

void
bk_inspect_content_add(BkJson *json, BkInspection *inspection, bool all)
{
    const guint frames = inspection->frames->len;
    const guint index = frames > 0 && inspection->kind == BK_SEAL_PACK ? frames - 1 : 0;
    g_autoptr(GError) cause = NULL;

    bk_json_begin_object(json, "content");
    if (inspection->kind == BK_SEAL_SNAPSHOT ||
        (frames > 0 && g_array_index(inspection->frames, BkInspectFrame, index).is_open)) {
        if (!add_kind(json, inspection, all, &cause))
            add_frame_problem(inspection, index, &cause);
    }
    bk_json_end_object(json);
}
