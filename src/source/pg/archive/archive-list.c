/* archive-list.c - lists what is in a WAL archive. */
#include "source/pg/archive/archive-list.h"

#include "codec/wire.h"
#include "source/pg/archive/archive.h"

#include <inttypes.h>
#include <string.h>

#define NOTE_VERSION   2
#define LISTED_ANEW_US (INT64_C(24) * 3600 * BK_USEC_PER_SEC)
#define WORTH_SEGMENTS 4000 /* fewer are listed by as few requests without a note */

/* The segments that share the first sixteen digits of their names. */
typedef struct Directory {
    uint64_t system_id;
    uint32_t segment_size;
    uint32_t timeline;
    uint32_t log;
    uint32_t count;      /* of segments seen */
    int64_t modified_us; /* when the newest was put */
} Directory;

/* What is kept between two reports. */
typedef struct Note {
    int64_t listed_us;
    GArray *full; /* of Directory, ascending */
} Note;

static void
note_clear(Note *self)
{
    g_clear_pointer(&self->full, g_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Note, note_clear)

typedef struct Walk {
    const BkSourceRepo *source_repo;
    GPtrArray *timelines;
    Directory directory; /* at hand */
    const BkArchiveSize *sizes;
    size_t size_count;
    GArray *full;        /* of Directory: those found full, or NULL */
    const Note *known;   /* or NULL */
    GPtrArray *to_visit; /* of char *: directories to go into, or NULL */
} Walk;

void
bk_archive_timeline_free(void *self)
{
    BkArchiveTimeline *timeline = self;

    if (timeline == NULL)
        return;
    g_array_unref(timeline->segments);
    g_free(timeline);
}

static BkArchiveTimeline *
timeline_in(GPtrArray *timelines, uint64_t system_id, uint32_t number)
{
    BkArchiveTimeline *timeline;

    /* Names come in order, so the timeline at hand is the last. */
    if (timelines->len > 0) {
        timeline = g_ptr_array_index(timelines, timelines->len - 1);
        if (timeline->system_id == system_id && timeline->timeline == number)
            return timeline;
    }
    timeline = g_new0(BkArchiveTimeline, 1);
    timeline->system_id = system_id;
    timeline->timeline = number;
    timeline->segments = g_array_new(FALSE, FALSE, sizeof(BkWalName));
    g_ptr_array_add(timelines, timeline);
    return timeline;
}

static uint32_t
segments_per_directory(uint32_t segment_size)
{
    return (uint32_t)((UINT64_C(1) << 32) / segment_size);
}

/* The very first segment of all is never written. */
static uint32_t
first_segment(const Directory *directory)
{
    return directory->log == 0 ? 1 : 0;
}

static bool
is_full(const Directory *directory)
{
    return directory->count ==
           segments_per_directory(directory->segment_size) - first_segment(directory);
}

/* 0: it is not known, and then nothing is known to be full. */
static uint32_t
find_size(const Walk *self, uint64_t system_id)
{
    for (size_t i = 0; i < self->size_count; i++)
        if (self->sizes[i].system_id == system_id)
            return self->sizes[i].segment_size;
    return 0;
}

/* Counts a segment that was listed; names come in order, each once. */
static void
count_listed_segment(Walk *self, uint64_t system_id, const BkWalName *name, int64_t modified_us)
{
    const uint32_t size = self->full != NULL ? find_size(self, system_id) : 0;
    Directory *directory = &self->directory;
    uint64_t segno;

    if (size == 0 || !bk_wal_name_segno(name, size, &segno) || segno == 0)
        return;
    if (directory->system_id != system_id || directory->timeline != name->timeline ||
        directory->log != name->log)
        *directory = (Directory){
            .system_id = system_id,
            .segment_size = size,
            .timeline = name->timeline,
            .log = name->log,
        };
    directory->count++;
    directory->modified_us = MAX(directory->modified_us, modified_us);
    if (is_full(directory))
        g_array_append_val(self->full, *directory);
}

/* Returns true if it is the very name that the archive gives to such a file of that cluster. */
static bool
parse_object(const BkSourceRepo *source_repo, const char *object_name, uint64_t *system_id,
             BkWalName *name)
{
    const char *base = bk_store_base_name(object_name);
    g_autofree char *own = NULL;

    if (!bk_archive_parse_system(source_repo, object_name, system_id) ||
        !bk_wal_name_parse(base, name))
        return false;
    own = bk_archive_object_name(source_repo, *system_id, base, name);
    return strcmp(own, object_name) == 0;
}

static bool
visit_archived_file(const BkStoreEntry *entry, void *data, GError **error)
{
    Walk *self = data;
    BkArchiveTimeline *timeline;
    uint64_t system_id;
    BkWalName name;

    (void)error;
    if (!parse_object(self->source_repo, entry->name, &system_id, &name)) {
        bk_repository_warn_foreign(entry->name, "the WAL archive");
        return true;
    }
    timeline = timeline_in(self->timelines, system_id, name.timeline);
    if (name.kind == BK_WAL_SEGMENT) {
        g_array_append_val(timeline->segments, name);
        timeline->modified_us = MAX(timeline->modified_us, entry->modified_us);
        count_listed_segment(self, system_id, &name, entry->modified_us);
    }
    timeline->has_history = timeline->has_history || name.kind == BK_WAL_HISTORY;
    return true;
}

static bool
list_archive_directories(Walk *self, BkOp *op, GError **error)
{
    g_autofree char *prefix = bk_source_repo_object_name(self->source_repo, "wal/");

    return bk_store_list(bk_source_repo_store(self->source_repo), prefix, NULL, visit_archived_file,
                         self, op, error);
}

static Walk
walk_begin(const BkSourceRepo *source_repo)
{
    return (Walk){.source_repo = source_repo,
                  .timelines = g_ptr_array_new_with_free_func(bk_archive_timeline_free)};
}

GPtrArray *
bk_archive_list(const BkSourceRepo *source_repo, BkOp *op, GError **error)
{
    Walk self = walk_begin(source_repo);

    if (!list_archive_directories(&self, op, error))
        g_clear_pointer(&self.timelines, g_ptr_array_unref);
    return self.timelines;
}

static const Directory *
find_known(const Note *known, uint64_t system_id, uint32_t timeline, uint32_t log)
{
    for (guint i = 0; i < known->full->len; i++) {
        const Directory *directory = &g_array_index(known->full, Directory, i);

        if (directory->system_id == system_id && directory->timeline == timeline &&
            directory->log == log)
            return directory;
    }
    return NULL;
}

/* Takes a directory that is full as if it had been listed. */
static void
take_known(Walk *self, const Directory *directory)
{
    BkArchiveTimeline *timeline =
        timeline_in(self->timelines, directory->system_id, directory->timeline);
    BkWalName name = {BK_WAL_SEGMENT, directory->timeline, directory->log, first_segment(directory),
                      0};

    for (; name.seg < segments_per_directory(directory->segment_size); name.seg++)
        g_array_append_val(timeline->segments, name);
    timeline->modified_us = MAX(timeline->modified_us, directory->modified_us);
    g_array_append_val(self->full, *directory);
}

/* What lies in the directory of a timeline: files, and directories to go into unless they are
 * known. */
static bool
visit_in_timeline(const BkStoreEntry *entry, void *data, GError **error)
{
    Walk *self = data;

    if (!g_str_has_suffix(entry->name, "/"))
        return visit_archived_file(entry, data, error);
    g_ptr_array_add(self->to_visit, g_strdup(entry->name));
    return true;
}

/* The known directory of that name ("…/SYSTEM/00000001/0000000100000002/"), or NULL. */
static const Directory *
find_known_directory(const Walk *self, const char *name)
{
    g_autofree char *segment = g_path_get_basename(name);
    g_autofree char *whole = g_strconcat(segment, "00000000", NULL);
    uint64_t system_id;
    BkWalName parsed;

    if (!bk_archive_parse_system(self->source_repo, name, &system_id) ||
        !bk_wal_name_parse(whole, &parsed) || parsed.kind != BK_WAL_SEGMENT)
        return NULL;
    return find_known(self->known, system_id, parsed.timeline, parsed.log);
}

static bool
list_timeline(Walk *self, const char *name, BkOp *op, GError **error)
{
    g_autoptr(GPtrArray) directories = g_ptr_array_new_with_free_func(g_free);
    bool ok;

    self->to_visit = directories;
    ok = bk_store_list_directory(bk_source_repo_store(self->source_repo), name, visit_in_timeline,
                                 self, op, error);
    for (guint i = 0; ok && i < directories->len; i++) {
        const char *directory = g_ptr_array_index(directories, i);
        const Directory *known = find_known_directory(self, directory);

        if (known != NULL)
            take_known(self, known);
        else
            ok = bk_store_list(bk_source_repo_store(self->source_repo), directory, NULL,
                               visit_archived_file, self, op, error);
    }
    self->to_visit = NULL;
    return ok;
}

static bool
visit_directory(const BkStoreEntry *entry, void *data, GError **error)
{
    GPtrArray *names = data;

    (void)error;
    if (g_str_has_suffix(entry->name, "/"))
        g_ptr_array_add(names, g_strdup(entry->name));
    return true;
}

static bool
list_system(Walk *self, const char *directory, BkOp *op, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    bool ok = bk_store_list_directory(bk_source_repo_store(self->source_repo), directory,
                                      visit_directory, names, op, error);

    for (guint i = 0; ok && i < names->len; i++)
        ok = list_timeline(self, g_ptr_array_index(names, i), op, error);
    return ok;
}

/* The directories at the top: those of the clusters. */
static bool
list_top(const BkSourceRepo *source_repo, GPtrArray *names, BkOp *op, GError **error)
{
    g_autofree char *top = bk_source_repo_object_name(source_repo, "wal/");

    return bk_store_list_directory(bk_source_repo_store(source_repo), top, visit_directory, names,
                                   op, error);
}

bool
bk_archive_list_systems(const BkSourceRepo *source_repo, GArray *found, BkOp *op, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    uint64_t system_id;

    if (!list_top(source_repo, names, op, error))
        return false;
    for (guint i = 0; i < names->len; i++)
        if (bk_archive_parse_system(source_repo, g_ptr_array_index(names, i), &system_id))
            g_array_append_val(found, system_id);
    return true;
}

static bool
list_unknown(Walk *self, BkOp *op, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    bool ok = list_top(self->source_repo, names, op, error);

    for (guint i = 0; ok && i < names->len; i++)
        ok = list_system(self, g_ptr_array_index(names, i), op, error);
    return ok;
}

static char *
make_archive_note_name(const BkSourceRepo *source_repo)
{
    return bk_source_repo_object_name(source_repo, "archive");
}

static void
write_note(const BkSourceRepo *source_repo, const Note *note)
{
    g_autofree char *name = make_archive_note_name(source_repo);
    g_auto(BkBuf) out = BK_BUF_INIT;

    bk_wire_put_u8(&out, NOTE_VERSION);
    bk_wire_put_u64(&out, (uint64_t)note->listed_us);
    bk_wire_put_varint(&out, note->full->len);
    for (guint i = 0; i < note->full->len; i++) {
        const Directory *directory = &g_array_index(note->full, Directory, i);

        bk_wire_put_u64(&out, directory->system_id);
        bk_wire_put_u32(&out, directory->segment_size);
        bk_wire_put_u32(&out, directory->timeline);
        bk_wire_put_u32(&out, directory->log);
        bk_wire_put_u64(&out, (uint64_t)directory->modified_us);
    }
    bk_store_cache_put(bk_source_repo_store(source_repo), name, &out);
}

/* False when there is none. */
static bool
read_note(const BkSourceRepo *source_repo, Note *note)
{
    g_autofree char *name = make_archive_note_name(source_repo);
    g_auto(BkBuf) content = BK_BUF_INIT;
    BkWireReader reader;
    uint64_t left;

    if (!bk_store_cache_get(bk_source_repo_store(source_repo), name, &content))
        return false;
    bk_wire_reader_init(&reader, content.data, content.size);
    if (bk_wire_get_u8(&reader) != NOTE_VERSION)
        return false;
    note->listed_us = (int64_t)bk_wire_get_u64(&reader);
    if (note->listed_us < 0)
        return false;
    left = bk_wire_get_bounded(&reader, content.size);
    for (; left > 0 && bk_wire_is_ok(&reader); left--) {
        Directory directory = {
            .system_id = bk_wire_get_u64(&reader),
            .segment_size = bk_wire_get_u32(&reader),
            .timeline = bk_wire_get_u32(&reader),
            .log = bk_wire_get_u32(&reader),
            .modified_us = (int64_t)bk_wire_get_u64(&reader),
        };

        if (directory.modified_us < 0 || directory.modified_us > BK_STORE_LAST_US)
            return false;
        g_array_append_val(note->full, directory);
    }
    return bk_wire_end(&reader, "note", NULL);
}

static bool
is_usable_note(const Walk *self, const Note *note, int64_t now_us)
{
    uint64_t segments = 0;

    for (guint i = 0; i < note->full->len; i++) {
        const Directory *directory = &g_array_index(note->full, Directory, i);

        if (directory->segment_size == 0 ||
            directory->segment_size != find_size(self, directory->system_id))
            return false;
        segments += segments_per_directory(directory->segment_size);
    }
    return now_us >= note->listed_us && now_us - note->listed_us < LISTED_ANEW_US &&
           segments >= WORTH_SEGMENTS;
}

GPtrArray *
bk_archive_list_known(const BkSourceRepo *source_repo, const BkArchiveSize *sizes, size_t count,
                      int64_t now_us, BkOp *op, GError **error)
{
    g_auto(Note) known = {.full = g_array_new(FALSE, FALSE, sizeof(Directory))};
    g_auto(Note) next = {.full = g_array_new(FALSE, FALSE, sizeof(Directory))};
    Walk self = walk_begin(source_repo);
    bool use_known;

    if (!bk_store_is_remote(bk_source_repo_store(source_repo))) {
        g_ptr_array_unref(self.timelines);
        return bk_archive_list(source_repo, op, error);
    }
    self.sizes = sizes;
    self.size_count = count;
    use_known = read_note(source_repo, &known) && is_usable_note(&self, &known, now_us);
    self.full = next.full;
    self.known = &known;
    if (!(use_known ? list_unknown(&self, op, error)
                    : list_archive_directories(&self, op, error))) {
        g_ptr_array_unref(self.timelines);
        return NULL;
    }
    next.listed_us = use_known ? known.listed_us : now_us;
    write_note(source_repo, &next);
    return self.timelines;
}
