#include "source/pg/archive.h"

#include "base/fault.h"
#include "base/fd.h"
#include "codec/wire.h"

#include <fcntl.h>
#include <string.h>

#define HEAD_VERSION 1
#define FRAME_SIZE   ((size_t)512 * 1024)
#define HEAD_GUESS                                                                                 \
    ((size_t)192 * 1024) /* holds the head of every segment: its edges are bounded                 \
                          */
#define HASH_PIECE ((size_t)256 * 1024)
#define MAX_OBJECT (BK_ARCHIVE_FILE_MAX + BK_ARCHIVE_FILE_MAX / 16)

struct BkArchiveWriter {
    BkSealer *sealer;
    BkBuf object;
    BkBuf head;
};

char *
bk_archive_object_name(const BkPart *part, const char *name, const BkWalName *parsed)
{
    if (parsed->kind == BK_WAL_SEGMENT)
        return bk_part_object_name(part, "wal/%08X/%.16s/%s", parsed->timeline, name, name);
    return bk_part_object_name(part, "wal/%08X/%s", parsed->timeline, name);
}

BkArchiveWriter *
bk_archive_writer_new(BkCodec codec, int level)
{
    BkArchiveWriter *self = g_new0(BkArchiveWriter, 1);

    self->sealer = bk_sealer_new(codec, level);
    return self;
}

void
bk_archive_writer_free(BkArchiveWriter *self)
{
    if (self == NULL)
        return;
    bk_sealer_free(self->sealer);
    bk_buf_clear(&self->object);
    bk_buf_clear(&self->head);
    g_free(self);
}

static BkSealKind
seal_kind(const BkWalName *parsed)
{
    return parsed->kind == BK_WAL_SEGMENT ? BK_SEAL_WAL_SEGMENT : BK_SEAL_WAL_FILE;
}

/* Refuses what must not get into the archive under this name, and collects what it tells. */
static bool
inspect_segment(const BkArchiveFile *file, uint64_t system_id, BkWalInfo *info, GError **error)
{
    BkWalScanOptions options = {.expect_timeline = file->parsed.timeline};
    uint64_t segno;

    if (!bk_wal_info_collect(file->content->data, file->content->size, &options, info, error))
        return false;
    if (!bk_wal_name_segno(&file->parsed, info->segment_size, &segno) ||
        segno * info->segment_size != info->start_lsn)
        return bk_throw(error, BK_ERROR_CORRUPT, "its header is that of another segment");
    if (file->content->size != info->segment_size)
        return bk_throw(error, BK_ERROR_CORRUPT, "it has %zu bytes instead of %u",
                        file->content->size, info->segment_size);
    if (!file->is_ready && info->end == BK_WAL_END_ZERO)
        return bk_throw(error, BK_ERROR_UNFIT,
                        "it is not complete: the server is still writing it");
    if (system_id != 0 && info->system_id != system_id)
        return bk_throw(error, BK_ERROR_UNFIT,
                        "it belongs to system %" G_GUINT64_FORMAT
                        ", this source's snapshots to system %" G_GUINT64_FORMAT,
                        info->system_id, system_id);
    return true;
}

static bool
encode_head(BkArchiveWriter *self, const BkArchiveFile *file, const BkXxh3Secret *secret,
            uint64_t system_id, GError **error)
{
    g_auto(BkWalInfo) info = {0};
    g_auto(BkBuf) encoded = BK_BUF_INIT;
    uint8_t hash[BK_XXH3_SIZE];

    if (file->parsed.kind == BK_WAL_SEGMENT) {
        if (!inspect_segment(file, system_id, &info, error))
            return bk_prefix(error, "WAL segment \"%s\"", file->name);
        bk_wal_info_encode(&info, &encoded);
    }
    bk_xxh3(secret, file->content->data, file->content->size, hash);
    self->head.size = 0;
    bk_wire_put_u8(&self->head, HEAD_VERSION);
    bk_wire_put_string(&self->head, file->name);
    bk_wire_put_varint(&self->head, file->content->size);
    bk_buf_append(&self->head, hash, sizeof hash);
    bk_wire_put_bytes(&self->head, encoded.data, encoded.size);
    return true;
}

static bool
seal_file(BkArchiveWriter *self, const BkPart *part, const BkArchiveFile *file, GError **error)
{
    const uint8_t *next = file->content->data;
    size_t left = file->content->size;
    bool is_last;

    if (!bk_buf_reserve(&self->object, left + left / 16 + HEAD_GUESS, error) ||
        !bk_sealer_begin(self->sealer, bk_part_keys(part), seal_kind(&file->parsed), &self->object,
                         error) ||
        !bk_sealer_add(self->sealer, self->head.data, self->head.size, false, error))
        return false;
    do {
        size_t step = MIN(left, FRAME_SIZE);

        is_last = step == left;
        if (!bk_sealer_add(self->sealer, next, step, is_last, error))
            return false;
        next += step;
        left -= step;
    } while (!is_last);
    return bk_sealer_finish(self->sealer, NULL, error);
}

typedef struct Head {
    uint64_t size;
    const uint8_t *hash;
    const uint8_t *info;
    size_t info_size;
} Head;

static bool
decode_head(const BkBuf *raw, const char *name, Head *head, GError **error)
{
    BkWireReader reader;
    const uint8_t *own_name;
    size_t own_size;

    bk_wire_reader_init(&reader, raw->data, raw->size);
    if (bk_wire_get_u8(&reader) != HEAD_VERSION)
        reader.failed = true;
    own_name = bk_wire_get_bytes(&reader, 64, &own_size);
    head->size = bk_wire_get_bounded(&reader, BK_ARCHIVE_FILE_MAX);
    head->hash = bk_wire_get_raw(&reader, BK_XXH3_SIZE);
    head->info = bk_wire_get_bytes(&reader, bk_wire_left(&reader), &head->info_size);
    if (!bk_wire_end(&reader, "head of a WAL object", error))
        return false;
    if (own_size != strlen(name) || memcmp(own_name, name, own_size) != 0)
        return bk_throw(error, BK_ERROR_CORRUPT, "object is that of \"%.*s\"", (int)own_size,
                        (const char *)own_name);
    return true;
}

static bool
explain(const BkPart *part, const char *name, const char *object_name, GError *cause,
        GError **error)
{
    const char *repository = bk_repository_name(bk_part_repository(part));

    if (bk_error_is(cause, BK_ERROR_ABSENT)) {
        g_error_free(cause);
        return bk_throw(error, BK_ERROR_NOT_FOUND,
                        "the archive of \"%s\" in repository \"%s\" has no \"%s\"",
                        bk_part_source(part), repository, name);
    }
    g_propagate_prefixed_error(error, cause, "object \"%s\" of repository \"%s\": ", object_name,
                               repository);
    return false;
}

/* The bytes to compare an object with: in memory, or those of a file. */
typedef struct Own {
    const char *name;
    const BkWalName *parsed;
    const BkBuf *content; /* NULL: read `path` */
    const char *path;
} Own;

/* Piece by piece through one small buffer: it stays in the processor's cache, while mapping or
 * reading the whole segment would cost a fault for each of its pages. */
static bool
hash_file(const char *path, const BkXxh3Secret *secret, uint8_t hash[BK_XXH3_SIZE], uint64_t *size,
          GError **error)
{
    g_auto(BkFd) fd = bk_fd_open(AT_FDCWD, path, O_RDONLY, 0, error);
    g_autoptr(BkXxh3) state = bk_xxh3_new(secret);
    g_autofree uint8_t *piece = g_malloc(HASH_PIECE);
    size_t got = HASH_PIECE;

    for (*size = 0; fd >= 0 && got == HASH_PIECE; *size += got) {
        if (!bk_fd_pread(fd, piece, HASH_PIECE, *size, &got, error))
            return bk_prefix(error, "read \"%s\"", path);
        bk_xxh3_update(state, piece, got);
    }
    bk_xxh3_get(state, hash);
    return fd >= 0;
}

static bool
hash_own(const Own *own, const BkXxh3Secret *secret, uint8_t hash[BK_XXH3_SIZE], uint64_t *size,
         GError **error)
{
    if (own->content == NULL)
        return hash_file(own->path, secret, hash, size, error);
    bk_xxh3(secret, own->content->data, own->content->size, hash);
    *size = own->content->size;
    return true;
}

/* Success when the object of this name holds the same bytes; BK_ERROR_NOT_FOUND without one. */
static bool
compare_with_present(const BkPart *part, const Own *own, BkOp *op, GError **error)
{
    g_autofree char *object_name = bk_archive_object_name(part, own->name, own->parsed);
    g_autoptr(BkOpener) opener = bk_opener_new();
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_auto(BkBuf) raw = BK_BUF_INIT;
    uint8_t hash[BK_XXH3_SIZE];
    uint64_t size;
    Head head = {0};
    GError *cause = NULL;
    bool ok = bk_store_get(bk_part_store(part), object_name, 0, HEAD_GUESS, HEAD_GUESS, &object, op,
                           &cause) &&
              bk_opener_first(opener, bk_part_keys(part), seal_kind(own->parsed), &object, &raw,
                              &cause) &&
              decode_head(&raw, own->name, &head, &cause);

    if (!ok)
        return explain(part, own->name, object_name, cause, error);
    if (!hash_own(own, bk_part_hash_secret(part, bk_opener_generation(opener)), hash, &size, error))
        return false;
    if (head.size == size && memcmp(hash, head.hash, sizeof hash) == 0)
        return true;
    return bk_throw(
        error, BK_ERROR_CONFLICT,
        "the archive of \"%s\" in repository \"%s\" already holds other content as \"%s\": two "
        "clusters archive to this source",
        bk_part_source(part), bk_repository_name(bk_part_repository(part)), own->name);
}

bool
bk_archive_has(GPtrArray *parts, const char *path, const BkWalName *parsed, bool *has, BkOp *op,
               GError **error)
{
    g_autofree char *name = g_path_get_basename(path);
    const Own own = {name, parsed, NULL, path};

    *has = true;
    for (guint i = 0; *has && i < parts->len; i++) {
        const BkPart *part = g_ptr_array_index(parts, i);
        g_autofree char *object_name = bk_archive_object_name(part, name, parsed);
        g_autoptr(GError) cause = NULL;

        *has = compare_with_present(part, &own, op, &cause);
        if (!*has && !bk_error_is(cause, BK_ERROR_NOT_FOUND))
            return bk_propagate(error, &cause);
        if (*has && !bk_store_settle(bk_part_store(part), object_name, op, error))
            return false;
    }
    return true;
}

bool
bk_archive_has_name(GPtrArray *parts, const char *name, const BkWalName *parsed, bool *has,
                    BkOp *op, GError **error)
{
    *has = true;
    for (guint i = 0; *has && i < parts->len; i++) {
        const BkPart *part = g_ptr_array_index(parts, i);
        g_autofree char *object_name = bk_archive_object_name(part, name, parsed);
        g_autoptr(GError) cause = NULL;
        uint64_t size;

        *has = bk_store_stat(bk_part_store(part), object_name, &size, op, &cause);
        if (!*has && !bk_error_is(cause, BK_ERROR_ABSENT))
            return bk_propagate(error, &cause);
    }
    return true;
}

static bool
put_to(const BkPart *part, const BkArchiveFile *file, const BkBuf *object, BkOp *op, GError **error)
{
    g_autofree char *object_name = bk_archive_object_name(part, file->name, &file->parsed);
    g_autoptr(GError) cause = NULL;

    if (!bk_fault(BK_FAULT_PG_ARCHIVE_PUT, error))
        return false;
    if (bk_store_put(bk_part_store(part), object_name, object, op, &cause))
        return true;
    if (bk_error_is(cause, BK_ERROR_EXISTS)) {
        const Own own = {file->name, &file->parsed, file->content, NULL};

        return compare_with_present(part, &own, op, error);
    }
    return bk_propagate(error, &cause);
}

bool
bk_archive_put(BkArchiveWriter *self, GPtrArray *parts, const BkArchiveFile *file,
               uint64_t system_id, BkOp *op, GError **error)
{
    const BkPart *sealed_for = NULL;

    for (guint i = 0; i < parts->len; i++) {
        const BkPart *part = g_ptr_array_index(parts, i);
        uint32_t generation;

        if (sealed_for == NULL || !bk_part_shares_keys(sealed_for, part)) {
            (void)bk_keyring_newest(bk_part_keys(part), &generation);
            if (!encode_head(self, file, bk_part_hash_secret(part, generation), system_id, error) ||
                !seal_file(self, part, file, error))
                return false;
            sealed_for = part;
        }
        if (!put_to(part, file, &self->object, op, error))
            return false;
    }
    return true;
}

typedef struct Opening {
    const char *name;
    uint64_t size;
    BkBuf *content;
} Opening;

static bool
take_frame(const BkFrame *frame, const BkBuf *raw, void *data, GError **error)
{
    Opening *opening = data;

    if (frame->ordinal == 0) {
        Head head = {0};

        if (!decode_head(raw, opening->name, &head, error))
            return false;
        opening->size = head.size;
        return bk_buf_reserve(opening->content, head.size, error);
    }
    if (raw->size > opening->size - opening->content->size)
        return bk_throw(error, BK_ERROR_CORRUPT, "object holds more than its head says");
    bk_buf_append(opening->content, raw->data, raw->size);
    return true;
}

static bool
open_file(const BkPart *part, const char *name, const BkWalName *parsed, const BkBuf *object,
          BkBuf *content, GError **error)
{
    g_autoptr(BkOpener) opener = bk_opener_new();
    Opening opening = {.name = name, .content = content};

    content->size = 0;
    if (!bk_unseal_frames(opener, bk_part_keys(part), seal_kind(parsed), object, take_frame,
                          &opening, error))
        return false;
    return content->size == opening.size ||
           bk_throw(error, BK_ERROR_CORRUPT, "object holds %zu bytes instead of %" G_GUINT64_FORMAT,
                    content->size, opening.size);
}

bool
bk_archive_get(const BkPart *part, const char *name, const BkWalName *parsed, BkBuf *content,
               BkOp *op, GError **error)
{
    g_autofree char *object_name = bk_archive_object_name(part, name, parsed);
    g_auto(BkBuf) object = BK_BUF_INIT;
    GError *cause = NULL;

    if (bk_store_get(bk_part_store(part), object_name, 0, SIZE_MAX, MAX_OBJECT, &object, op,
                     &cause) &&
        open_file(part, name, parsed, &object, content, &cause))
        return true;
    return explain(part, name, object_name, cause, error);
}

bool
bk_archive_get_info(const BkPart *part, const char *name, const BkWalName *parsed, BkWalInfo *info,
                    BkOp *op, GError **error)
{
    g_autofree char *object_name = bk_archive_object_name(part, name, parsed);
    g_autoptr(BkOpener) opener = bk_opener_new();
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_auto(BkBuf) raw = BK_BUF_INIT;
    Head head = {0};
    GError *cause = NULL;
    bool ok =
        bk_store_get(bk_part_store(part), object_name, 0, HEAD_GUESS, HEAD_GUESS, &object, op,
                     &cause) &&
        bk_opener_first(opener, bk_part_keys(part), seal_kind(parsed), &object, &raw, &cause) &&
        decode_head(&raw, name, &head, &cause) &&
        bk_wal_info_decode(head.info, head.info_size, info, &cause);

    return ok || explain(part, name, object_name, cause, error);
}

static void
free_timeline(void *data)
{
    BkArchiveTimeline *timeline = data;

    g_array_unref(timeline->segments);
    g_free(timeline);
}

static BkArchiveTimeline *
timeline_in(GPtrArray *timelines, uint32_t number)
{
    BkArchiveTimeline *timeline;

    /* Names come in order, so the timeline at hand is the last. */
    if (timelines->len > 0) {
        timeline = g_ptr_array_index(timelines, timelines->len - 1);
        if (timeline->timeline == number)
            return timeline;
    }
    timeline = g_new0(BkArchiveTimeline, 1);
    timeline->timeline = number;
    timeline->segments = g_array_new(FALSE, FALSE, sizeof(BkWalName));
    g_ptr_array_add(timelines, timeline);
    return timeline;
}

static bool
visit(const BkStoreEntry *entry, void *data, GError **error)
{
    BkArchiveTimeline *timeline;
    BkWalName name;

    if (!bk_wal_name_parse(strrchr(entry->name, '/') + 1, &name))
        return bk_throw(error, BK_ERROR_CORRUPT, "object \"%s\" has no place in a WAL archive",
                        entry->name);
    timeline = timeline_in(data, name.timeline);
    if (name.kind == BK_WAL_SEGMENT) {
        g_array_append_val(timeline->segments, name);
        timeline->modified_us = MAX(timeline->modified_us, entry->modified_us);
    }
    timeline->has_history = timeline->has_history || name.kind == BK_WAL_HISTORY;
    return true;
}

GPtrArray *
bk_archive_list(const BkPart *part, BkOp *op, GError **error)
{
    g_autofree char *prefix = bk_part_object_name(part, "wal/");
    g_autoptr(GPtrArray) timelines = g_ptr_array_new_with_free_func(free_timeline);

    if (!bk_store_list(bk_part_store(part), prefix, NULL, visit, timelines, op, error))
        return NULL;
    return g_steal_pointer(&timelines);
}
