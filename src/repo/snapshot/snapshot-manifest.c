/* snapshot-manifest.c - manifests as sealed objects: putting, loading, listing and deleting them.
 */
#include "repo/snapshot/snapshot-manifest.h"

#include "base/fault.h"
#include "repo/frame-reader.h"
#include "repo/reread.h"
#include "repo/snapshot/snapshot-priv.h"
#include "repo/snapshot/snapshot-sections.h"

#include <string.h>

#define SECTION_SIZE ((size_t)1024 * 1024) /* a section is closed when it reaches this */
#define HEAD_GUESS   ((size_t)64 * 1024)   /* holds the head of nearly every snapshot */
#define MAX_MANIFEST ((uint64_t)4 << 30)
#define MAX_HEAD     (BK_SEAL_HEADER_SIZE + BK_SEAL_FRAME_COST + BK_SEAL_MAX_RAW)

/* One kind of rows on their way into sections. */
typedef struct SectionWriter {
    BkSealer *sealer;
    BkSection section;
    BkBuf rows;
    BkBuf frame;
    uint64_t count;
} SectionWriter;

static bool
end_section(SectionWriter *writer, GError **error)
{
    if (writer->count == 0)
        return true;
    writer->frame.size = 0;
    bk_wire_put_u8(&writer->frame, (uint8_t)writer->section);
    bk_wire_put_varint(&writer->frame, writer->count);
    bk_buf_append(&writer->frame, writer->rows.data, writer->rows.size);
    writer->rows.size = 0;
    writer->count = 0;
    return bk_sealer_add(writer->sealer, writer->frame.data, writer->frame.size, false, error);
}

/* To be called after a row was appended to `rows`. A single row is far smaller than a frame may be,
 * but for a file of very many extents, which is refused rather than written unreadably. */
static bool
end_row(SectionWriter *writer, GError **error)
{
    writer->count++;
    if (writer->rows.size < SECTION_SIZE)
        return true;
    if (writer->rows.size > BK_SEAL_MAX_RAW - 16)
        return bk_throw(error, BK_ERROR_UNSUPPORTED, "a file has too many extents for a manifest");
    return end_section(writer, error);
}

static bool
write_sections(const BkSnapshot *self, SectionWriter *writer, GError **error)
{
    writer->section = BK_SECTION_PACKS;
    for (guint i = 0; i < self->packs->len; i++) {
        bk_pack_ref_encode(&g_array_index(self->packs, BkPackRef, i), &writer->rows);
        if (!end_row(writer, error))
            return false;
    }
    if (!end_section(writer, error))
        return false;
    writer->section = BK_SECTION_OWNERS;
    for (guint i = 0; i < self->owners->len; i++) {
        bk_owner_encode(&g_array_index(self->owners, BkOwner, i), &writer->rows);
        if (!end_row(writer, error))
            return false;
    }
    if (!end_section(writer, error))
        return false;
    writer->section = BK_SECTION_FILES;
    for (guint i = 0; i < self->files->len; i++) {
        bk_file_encode(&g_array_index(self->files, BkFile, i), &writer->rows);
        if (!end_row(writer, error))
            return false;
    }
    return end_section(writer, error);
}

static char *
manifest_name(const BkSourceRepo *source_repo, const char *id)
{
    return bk_source_repo_object_name(source_repo, "snapshots/%s", id);
}

/* The head tells how much comes behind it, so that who reads no more than the head sees by the
 * object's size whether all of it is there. */
static bool
add_head_frame(const BkSnapshot *self, BkSealer *sealer, const BkBuf *object, GError **error)
{
    g_auto(BkBuf) frame = BK_BUF_INIT;
    BkSnapshotHead head = self->head; /* borrowed texts; only the counts differ */

    head.file_count = self->files->len;
    head.pack_count = self->packs->len;
    head.rest_size = object->size - BK_SEAL_HEADER_SIZE + BK_SEAL_TRAILER_SIZE;
    bk_snapshot_head_encode(&head, &frame);
    return bk_sealer_add_first(sealer, frame.data, frame.size, error);
}

bool
bk_snapshot_seal(const BkSnapshot *self, const BkSourceRepo *source_repo, BkBuf *object,
                 GError **error)
{
    g_autofree char *name = manifest_name(source_repo, self->head.id);
    const BkSealAs as = {bk_source_repo_keys(source_repo), BK_SEAL_SNAPSHOT, name};
    g_autoptr(BkSealer) sealer = bk_sealer_new(BK_CODEC_ZSTD, 3);
    SectionWriter writer = {.sealer = sealer};
    bool ok = bk_sealer_begin(sealer, &as, object, error);

    if (ok)
        bk_sealer_skip_first(sealer);
    ok = ok && write_sections(self, &writer, error) &&
         /* The last frame is empty: which section ends the manifest is not known before. */
         bk_sealer_add(sealer, NULL, 0, true, error) &&
         add_head_frame(self, sealer, object, error) && bk_sealer_finish(sealer, NULL, error);
    bk_buf_clear(&writer.rows);
    bk_buf_clear(&writer.frame);
    return ok;
}

bool
bk_snapshot_put(const BkSourceRepo *source_repo, const char *id, const BkBuf *object, BkOp *op,
                GError **error)
{
    g_autofree char *name = manifest_name(source_repo, id);

    return bk_fault(BK_FAULT_REPO_SNAPSHOT_PUT, error) &&
           bk_store_put(bk_source_repo_store(source_repo), name, object, op, error);
}

bool
bk_snapshot_delete(const BkSourceRepo *source_repo, const char *id, BkOp *op, GError **error)
{
    g_autofree char *name = manifest_name(source_repo, id);

    return bk_store_delete(bk_source_repo_store(source_repo), name, op, error);
}

static bool
check_counts(const BkSnapshot *self, GError **error)
{
    return (self->files->len == self->head.file_count &&
            self->packs->len == self->head.pack_count) ||
           bk_throw(error, BK_ERROR_CORRUPT, "manifest is incomplete");
}

/* Adds the sections of all frames; the last one is empty. */
static bool
decode_frames(BkSnapshot *self, BkFrameReader *reader, GError **error)
{
    g_auto(BkBuf) raw = BK_BUF_INIT;

    if (reader->size > MAX_MANIFEST)
        return bk_throw(error, BK_ERROR_CORRUPT, "manifest of %" G_GUINT64_FORMAT " bytes",
                        reader->size);
    if (!bk_frame_reader_next(reader, &raw, error) ||
        !bk_snapshot_head_decode(&self->head, &raw, error))
        return false;
    while (!reader->has_had_last) {
        if (!bk_frame_reader_next(reader, &raw, error) ||
            (!reader->has_had_last && !bk_snapshot_section_decode(self, &raw, error)))
            return false;
    }
    return check_counts(self, error);
}

/* What is stored under a name must also say that it is that snapshot of that source. */
static bool
check_manifest_identity(const BkSnapshotHead *head, const BkSourceRepo *source_repo, const char *id,
                        GError **error)
{
    if (strcmp(head->id, id) == 0 && strcmp(head->source, bk_source_repo_source(source_repo)) == 0)
        return true;
    return bk_throw(error, BK_ERROR_CORRUPT, "manifest is that of snapshot \"%s\" of \"%s\"",
                    head->id, head->source);
}

/* Names the object in an error; an absent one is a snapshot that does not exist. */
static bool
explain_manifest_error(const BkSourceRepo *source_repo, const char *id, GError *cause,
                       GError **error)
{
    const char *repository = bk_repository_name(bk_source_repo_repository(source_repo));

    if (bk_error_is(cause, BK_ERROR_ABSENT)) {
        g_error_free(cause);
        return bk_throw(error, BK_ERROR_NOT_FOUND,
                        "there is no snapshot \"%s\" of \"%s\" in repository \"%s\"", id,
                        bk_source_repo_source(source_repo), repository);
    }
    g_propagate_prefixed_error(error, cause, "object \"%s/snapshots/%s\" of repository \"%s\": ",
                               bk_source_repo_source(source_repo), id, repository);
    return false;
}

/* `whole`: the object, when it is here already, or NULL. */
static BkSnapshot *
load_once(const BkSourceRepo *source_repo, const char *id, const BkBuf *whole, BkBuf *object,
          BkOp *op, GError **error)
{
    g_autofree char *name = manifest_name(source_repo, id);
    const BkFrameSource source = {
        .store = bk_source_repo_store(source_repo),
        .name = name,
        .as = {bk_source_repo_keys(source_repo), BK_SEAL_SNAPSHOT, name},
        .window = BK_FRAME_WINDOW,
        .keep = object,
        .whole = whole,
    };
    g_autoptr(BkSnapshot) self = bk_snapshot_new();
    g_auto(BkFrameReader) reader = {.op = NULL};

    if (bk_frame_reader_begin(&reader, &source, op, error) && decode_frames(self, &reader, error) &&
        check_manifest_identity(&self->head, source_repo, id, error))
        return g_steal_pointer(&self);
    return NULL;
}

BkSnapshot *
bk_snapshot_load_sealed(const BkSourceRepo *source_repo, const char *id, BkBuf *object, BkOp *op,
                        GError **error)
{
    g_autofree char *name = manifest_name(source_repo, id);
    GError *cause = NULL;
    unsigned tries = 0;
    BkSnapshot *self;

    do
        self = load_once(source_repo, id, NULL, object, op, &cause);
    while (self == NULL &&
           bk_reread_is_worth(bk_source_repo_store(source_repo), name, &tries, &cause, op));
    if (self == NULL)
        explain_manifest_error(source_repo, id, cause, error);
    return self;
}

BkSnapshot *
bk_snapshot_load(const BkSourceRepo *source_repo, const char *id, BkOp *op, GError **error)
{
    return bk_snapshot_load_sealed(source_repo, id, NULL, op, error);
}

/* One for each source: it is the newest that is asked for. A new string. */
static char *
make_manifest_note_name(const BkSourceRepo *source_repo)
{
    return bk_source_repo_object_name(source_repo, "manifest");
}

void
bk_snapshot_note(const BkSourceRepo *source_repo, const BkBuf *object)
{
    g_autofree char *name = make_manifest_note_name(source_repo);

    if (object->size < BK_FRAME_WINDOW)
        bk_store_cache_put(bk_source_repo_store(source_repo), name, object);
}

BkSnapshot *
bk_snapshot_load_listed(const BkSourceRepo *source_repo, const BkSnapshotEntry *entry, BkOp *op,
                        GError **error)
{
    g_autofree char *name = make_manifest_note_name(source_repo);
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_autoptr(GError) cause = NULL;
    BkSnapshot *self = NULL;

    if (bk_store_cache_get(bk_source_repo_store(source_repo), name, &object) &&
        object.size == entry->size)
        self = load_once(source_repo, entry->id, &object, NULL, op, &cause);
    return self != NULL ? self : bk_snapshot_load(source_repo, entry->id, op, error);
}

/* Decodes the head of a manifest of which the beginning is in `object`; `*size` is what all of it
 * must have. */
static bool
decode_head_frame(BkSnapshotHead *head, const BkSealAs *as, const BkBuf *object, uint64_t *size,
                  GError **error)
{
    g_autoptr(BkOpener) opener = bk_opener_new();
    g_auto(BkBuf) raw = BK_BUF_INIT;
    BkFrame frame = {0};

    if (!bk_opener_begin(opener, as, object->data, object->size, error))
        return false;
    frame.data = object->data + BK_SEAL_HEADER_SIZE;
    frame.size = object->size - BK_SEAL_HEADER_SIZE;
    if (!bk_opener_frame(opener, &frame, &raw, error) ||
        !bk_snapshot_head_decode(head, &raw, error))
        return false;
    *size = BK_SEAL_HEADER_SIZE + frame.size + head->rest_size;
    return true;
}

/* The guess may have been too small: then once more, with all that a head may have. */
static bool
read_head(const BkSourceRepo *source_repo, const char *name, BkSnapshotHead *head, uint64_t *size,
          BkOp *op, GError **error)
{
    const BkSealAs as = {bk_source_repo_keys(source_repo), BK_SEAL_SNAPSHOT, name};
    BkStore *store = bk_source_repo_store(source_repo);
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_autoptr(GError) cause = NULL;

    if (!bk_store_get_start(store, name, HEAD_GUESS, &object, op, error))
        return false;
    if (decode_head_frame(head, &as, &object, size, &cause))
        return true;
    if (object.size < HEAD_GUESS) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return false;
    }
    bk_snapshot_head_clear(head);
    return bk_store_get(store, name, 0, MAX_HEAD, MAX_HEAD, &object, op, error) &&
           decode_head_frame(head, &as, &object, size, error);
}

/* The listing, or the store when it is asked again, tells what is there. */
static bool
load_head_once(const BkSourceRepo *source_repo, const char *name, const BkSnapshotEntry *entry,
               BkSnapshotHead *head, BkOp *op, GError **error)
{
    uint64_t expected;
    uint64_t present = entry->size;

    if (!read_head(source_repo, name, head, &expected, op, error) ||
        !check_manifest_identity(head, source_repo, entry->id, error) ||
        (present == 0 &&
         !bk_store_stat(bk_source_repo_store(source_repo), name, &present, op, error)))
        return false;
    return present == expected ||
           bk_throw(error, BK_ERROR_CORRUPT,
                    "manifest %s: %" G_GUINT64_FORMAT " bytes instead of %" G_GUINT64_FORMAT,
                    present < expected ? "is cut off" : "is too long", present, expected);
}

bool
bk_snapshot_load_head(const BkSourceRepo *source_repo, const BkSnapshotEntry *entry,
                      BkSnapshotHead *head, BkOp *op, GError **error)
{
    g_autofree char *name = manifest_name(source_repo, entry->id);
    BkSnapshotEntry asked = *entry;
    GError *cause = NULL;
    unsigned tries = 0;

    *head = (BkSnapshotHead){0};
    while (!load_head_once(source_repo, name, &asked, head, op, &cause)) {
        bk_snapshot_head_clear(head);
        if (!bk_reread_is_worth(bk_source_repo_store(source_repo), name, &tries, &cause, op))
            return explain_manifest_error(source_repo, entry->id, cause, error);
        asked.size = 0; /* that of the other answer */
    }
    return true;
}

static bool
visit_snapshot(const BkStoreEntry *entry, void *data, GError **error)
{
    GPtrArray *entries = data;
    const char *id = bk_store_base_name(entry->name);
    BkSnapshotEntry *added;

    (void)error;
    if (!bk_snapshot_is_id(id)) {
        bk_repository_warn_foreign(entry->name, "the snapshots");
        return true;
    }
    added = g_new0(BkSnapshotEntry, 1);
    (void)g_strlcpy(added->id, id, sizeof added->id);
    added->size = MAX(entry->size, 1); /* an empty one is known to be empty */
    g_ptr_array_add(entries, added);
    return true;
}

GPtrArray *
bk_snapshot_list(const BkSourceRepo *source_repo, BkOp *op, GError **error)
{
    g_autofree char *prefix = bk_source_repo_object_name(source_repo, "snapshots/");
    g_autoptr(GPtrArray) entries = g_ptr_array_new_with_free_func(g_free);

    if (!bk_store_list(bk_source_repo_store(source_repo), prefix, NULL, visit_snapshot, entries, op,
                       error))
        return NULL;
    return g_steal_pointer(&entries);
}
