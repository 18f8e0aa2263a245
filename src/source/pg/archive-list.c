#include "source/pg/archive-list.h"

#include "codec/wire.h"
#include "source/pg/archive.h"

#include <string.h>

#define NOTE_VERSION   1
#define LISTED_ANEW_US (INT64_C(24) * 3600 * BK_USEC_PER_SEC)
#define WORTH_SEGMENTS 4000 /* fewer are listed by as few requests without a note */

/* The segments that share the first sixteen digits of their names. */
typedef struct Folder {
    uint32_t timeline;
    uint32_t log;
    uint32_t count;      /* of segments seen */
    int64_t modified_us; /* when the newest was put */
} Folder;

/* What is kept between two reports. */
typedef struct Note {
    uint32_t segment_size;
    int64_t listed_us;
    GArray *full; /* of Folder, ascending */
} Note;

static void
note_clear(Note *self)
{
    g_clear_pointer(&self->full, g_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Note, note_clear)

typedef struct Walk {
    const BkPart *part;
    GPtrArray *timelines;
    Folder folder;       /* at hand */
    uint32_t size;       /* of a segment; 0: full folders are nobody's business */
    GArray *full;        /* of Folder: those found full, or NULL */
    const Note *known;   /* or NULL */
    GPtrArray *to_visit; /* of char *: folders to go into, or NULL */
} Walk;

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

static uint32_t
segments_per_folder(uint32_t segment_size)
{
    return (uint32_t)((UINT64_C(1) << 32) / segment_size);
}

/* The very first segment of all is never written. */
static uint32_t
first_segment(const Folder *folder)
{
    return folder->log == 0 ? 1 : 0;
}

static bool
is_full(const Folder *folder, uint32_t segment_size)
{
    return folder->count == segments_per_folder(segment_size) - first_segment(folder);
}

/* Counts a segment that was listed; names come in order, each once. */
static void
count(Walk *self, const BkWalName *name, int64_t modified_us)
{
    Folder *folder = &self->folder;
    uint64_t segno;

    if (self->full == NULL || !bk_wal_name_segno(name, self->size, &segno) || segno == 0)
        return;
    if (folder->timeline != name->timeline || folder->log != name->log)
        *folder = (Folder){.timeline = name->timeline, .log = name->log};
    folder->count++;
    folder->modified_us = MAX(folder->modified_us, modified_us);
    if (is_full(folder, self->size))
        g_array_append_val(self->full, *folder);
}

static bool
visit_file(const BkStoreEntry *entry, void *data, GError **error)
{
    Walk *self = data;
    const char *base = bk_store_base_name(entry->name);
    g_autofree char *place = NULL;
    BkArchiveTimeline *timeline;
    BkWalName name;

    (void)error;
    if (bk_wal_name_parse(base, &name))
        place = bk_archive_object_name(self->part, base, &name);
    if (g_strcmp0(place, entry->name) != 0) {
        bk_repository_warn_foreign(entry->name, "the WAL archive");
        return true;
    }
    timeline = timeline_in(self->timelines, name.timeline);
    if (name.kind == BK_WAL_SEGMENT) {
        g_array_append_val(timeline->segments, name);
        timeline->modified_us = MAX(timeline->modified_us, entry->modified_us);
        count(self, &name, entry->modified_us);
    }
    timeline->has_history = timeline->has_history || name.kind == BK_WAL_HISTORY;
    return true;
}

static bool
list_all(Walk *self, BkOp *op, GError **error)
{
    g_autofree char *prefix = bk_part_object_name(self->part, "wal/");

    return bk_store_list(bk_part_store(self->part), prefix, NULL, visit_file, self, op, error);
}

static Walk
walk_begin(const BkPart *part)
{
    return (Walk){.part = part, .timelines = g_ptr_array_new_with_free_func(free_timeline)};
}

GPtrArray *
bk_archive_list(const BkPart *part, BkOp *op, GError **error)
{
    Walk self = walk_begin(part);

    if (!list_all(&self, op, error))
        g_clear_pointer(&self.timelines, g_ptr_array_unref);
    return self.timelines;
}

static const Folder *
find_known(const Note *known, uint32_t timeline, uint32_t log)
{
    for (guint i = 0; i < known->full->len; i++) {
        const Folder *folder = &g_array_index(known->full, Folder, i);

        if (folder->timeline == timeline && folder->log == log)
            return folder;
    }
    return NULL;
}

/* Takes a folder that is full as if it had been listed. */
static void
take_known(Walk *self, const Folder *folder)
{
    BkArchiveTimeline *timeline = timeline_in(self->timelines, folder->timeline);
    BkWalName name = {BK_WAL_SEGMENT, folder->timeline, folder->log, first_segment(folder), 0};

    for (; name.seg < segments_per_folder(self->size); name.seg++)
        g_array_append_val(timeline->segments, name);
    timeline->modified_us = MAX(timeline->modified_us, folder->modified_us);
    g_array_append_val(self->full, *folder);
}

/* What lies in the folder of a timeline: files, and folders to go into unless they are known. */
static bool
visit_in_timeline(const BkStoreEntry *entry, void *data, GError **error)
{
    Walk *self = data;

    if (!g_str_has_suffix(entry->name, "/"))
        return visit_file(entry, data, error);
    g_ptr_array_add(self->to_visit, g_strdup(entry->name));
    return true;
}

/* The known folder of that name ("…/0000000100000002/"), or NULL. */
static const Folder *
find_by_name(const Walk *self, const char *name)
{
    g_autofree char *segment = g_path_get_basename(name);
    g_autofree char *whole = g_strconcat(segment, "00000000", NULL);
    BkWalName parsed;

    if (!bk_wal_name_parse(whole, &parsed) || parsed.kind != BK_WAL_SEGMENT)
        return NULL;
    return find_known(self->known, parsed.timeline, parsed.log);
}

static bool
list_timeline(Walk *self, const char *name, BkOp *op, GError **error)
{
    g_autoptr(GPtrArray) folders = g_ptr_array_new_with_free_func(g_free);
    bool ok;

    self->to_visit = folders;
    ok = bk_store_list_folder(bk_part_store(self->part), name, visit_in_timeline, self, op, error);
    for (guint i = 0; ok && i < folders->len; i++) {
        const char *folder = g_ptr_array_index(folders, i);
        const Folder *known = find_by_name(self, folder);

        if (known != NULL)
            take_known(self, known);
        else
            ok =
                bk_store_list(bk_part_store(self->part), folder, NULL, visit_file, self, op, error);
    }
    self->to_visit = NULL;
    return ok;
}

static bool
visit_timeline(const BkStoreEntry *entry, void *data, GError **error)
{
    GPtrArray *names = data;

    (void)error;
    g_ptr_array_add(names, g_strdup(entry->name));
    return true;
}

static bool
list_unknown(Walk *self, BkOp *op, GError **error)
{
    g_autofree char *top = bk_part_object_name(self->part, "wal/");
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    bool ok =
        bk_store_list_folder(bk_part_store(self->part), top, visit_timeline, names, op, error);

    for (guint i = 0; ok && i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);

        if (g_str_has_suffix(name, "/"))
            ok = list_timeline(self, name, op, error);
    }
    return ok;
}

static char *
note_name(const BkPart *part)
{
    return bk_part_object_name(part, "archive");
}

static void
write_note(const BkPart *part, const Note *note)
{
    g_autofree char *name = note_name(part);
    g_auto(BkBuf) out = BK_BUF_INIT;

    bk_wire_put_u8(&out, NOTE_VERSION);
    bk_wire_put_u32(&out, note->segment_size);
    bk_wire_put_u64(&out, (uint64_t)note->listed_us);
    bk_wire_put_varint(&out, note->full->len);
    for (guint i = 0; i < note->full->len; i++) {
        const Folder *folder = &g_array_index(note->full, Folder, i);

        bk_wire_put_u32(&out, folder->timeline);
        bk_wire_put_u32(&out, folder->log);
        bk_wire_put_u64(&out, (uint64_t)folder->modified_us);
    }
    bk_store_note(bk_part_store(part), name, &out);
}

/* False when there is none. */
static bool
read_note(const BkPart *part, Note *note)
{
    g_autofree char *name = note_name(part);
    g_auto(BkBuf) content = BK_BUF_INIT;
    BkWireReader reader;
    uint64_t left;

    if (!bk_store_recall(bk_part_store(part), name, &content))
        return false;
    bk_wire_reader_init(&reader, content.data, content.size);
    if (bk_wire_get_u8(&reader) != NOTE_VERSION)
        return false;
    note->segment_size = bk_wire_get_u32(&reader);
    note->listed_us = (int64_t)bk_wire_get_u64(&reader);
    left = bk_wire_get_bounded(&reader, content.size);
    for (; left > 0 && bk_wire_is_ok(&reader); left--) {
        Folder folder = {
            .timeline = bk_wire_get_u32(&reader),
            .log = bk_wire_get_u32(&reader),
            .modified_us = (int64_t)bk_wire_get_u64(&reader),
        };

        g_array_append_val(note->full, folder);
    }
    return bk_wire_end(&reader, "note", NULL);
}

static bool
is_usable(const Note *note, uint32_t segment_size, int64_t now_us)
{
    return note->segment_size == segment_size && now_us >= note->listed_us &&
           now_us - note->listed_us < LISTED_ANEW_US &&
           (uint64_t)note->full->len * segments_per_folder(segment_size) >= WORTH_SEGMENTS;
}

GPtrArray *
bk_archive_list_known(const BkPart *part, uint32_t segment_size, int64_t now_us, BkOp *op,
                      GError **error)
{
    g_auto(Note) known = {.full = g_array_new(FALSE, FALSE, sizeof(Folder))};
    g_auto(Note) next = {.full = g_array_new(FALSE, FALSE, sizeof(Folder))};
    Walk self = walk_begin(part);
    bool use_known;

    if (!bk_store_is_remote(bk_part_store(part))) {
        g_ptr_array_unref(self.timelines);
        return bk_archive_list(part, op, error);
    }
    use_known = read_note(part, &known) && is_usable(&known, segment_size, now_us);
    self.size = segment_size;
    self.full = next.full;
    self.known = &known;
    if (!(use_known ? list_unknown(&self, op, error) : list_all(&self, op, error))) {
        g_ptr_array_unref(self.timelines);
        return NULL;
    }
    next.segment_size = segment_size;
    next.listed_us = use_known ? known.listed_us : now_us;
    write_note(part, &next);
    return self.timelines;
}
