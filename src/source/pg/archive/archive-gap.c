/* archive-gap.c - see wal-hole.h. One listing shows the next segment of the same timeline. Only
 * where there is none, and younger timelines exist, their histories are read. */
#include "source/pg/archive/archive-gap.h"

#include "source/pg/archive/archive.h"
#include "source/pg/format/timeline-history.h"

#include <string.h>

/* `wal push` archives several segments at once, so a later one may be there first. */
#define FRESH_US (60 * BK_USEC_PER_SEC)

void
bk_archive_gap_clear(BkArchiveGap *self)
{
    g_free(self->evidence);
    *self = (BkArchiveGap){0};
}

/* The first segment that a listing shows. */
typedef struct Segment {
    const BkSourceRepo *source_repo;
    uint64_t system_id;
    char text[BK_WAL_NAME_SIZE]; /* "": none */
    BkWalName name;
    int64_t modified_us;
} Segment;

static bool
take_first_segment(const BkStoreEntry *entry, void *data, GError **error)
{
    Segment *self = data;
    const char *slash = strrchr(entry->name, '/');
    const char *base = slash != NULL ? slash + 1 : entry->name;
    g_autofree char *place = NULL;

    if (!bk_wal_name_parse(base, &self->name) || self->name.kind != BK_WAL_SEGMENT)
        return true;
    place = bk_archive_object_name(self->source_repo, self->system_id, base, &self->name);
    if (strcmp(place, entry->name) != 0)
        return true;
    (void)g_strlcpy(self->text, base, sizeof self->text);
    self->modified_us = entry->modified_us;
    return bk_throw(error, BK_ERROR_EXISTS, "one is enough");
}

/* Finds the first segment of `timeline` behind the object `after` (NULL: of all). */
static bool
find_segment(const BkSourceRepo *source_repo, uint64_t system_id, uint32_t timeline,
             const char *after, Segment *segment, BkOp *op, GError **error)
{
    g_autofree char *prefix = bk_archive_timeline_directory(source_repo, system_id, timeline);
    g_autoptr(GError) end = NULL;

    *segment = (Segment){.source_repo = source_repo, .system_id = system_id};
    if (bk_store_list(bk_source_repo_store(source_repo), prefix, after, take_first_segment, segment,
                      op, &end) ||
        segment->text[0] != '\0')
        return true;
    return bk_propagate(error, &end);
}

typedef struct Younger {
    uint32_t than;
    GArray *timelines; /* of uint32_t, ascending */
} Younger;

static bool
take_younger(const BkStoreEntry *entry, void *data, GError **error)
{
    Younger *self = data;
    size_t size = strlen(entry->name);
    g_autofree char *text = size >= 9 ? g_strndup(entry->name + size - 9, 8) : NULL;
    uint64_t timeline;

    (void)error;
    if (text != NULL && entry->name[size - 1] == '/' &&
        g_ascii_string_to_unsigned(text, 16, 1, G_MAXUINT32, &timeline, NULL) &&
        timeline > self->than) {
        uint32_t number = (uint32_t)timeline;

        g_array_append_val(self->timelines, number);
    }
    return true;
}

/* Without a history in the archive a timeline has no ancestors here. */
static bool
read_gap_history(const BkSourceRepo *source_repo, uint64_t system_id, uint32_t timeline,
                 BkTimelineHistory *history, BkOp *op, GError **error)
{
    char name[BK_WAL_HISTORY_NAME_SIZE];
    g_auto(BkBuf) text = BK_BUF_INIT;
    g_autoptr(GError) cause = NULL;
    BkWalName parsed;

    if (!bk_wal_name_parse(bk_wal_history_name(timeline, name), &parsed))
        g_assert_not_reached();
    if (!bk_archive_get(source_repo, system_id, name, &parsed, &text, op, &cause))
        return bk_error_is(cause, BK_ERROR_NOT_FOUND) || bk_propagate(error, &cause);
    return bk_timeline_history_parse(timeline, text.data, text.size, history, error) ||
           bk_prefix(error, "timeline history \"%s\"", name);
}

/* Returns true if `lsn` lies in a segment behind `absent`. Every segment that the archive has knows
 * how large they are. */
static bool
is_behind(const BkSourceRepo *source_repo, uint64_t system_id, uint32_t younger,
          const BkWalName *absent, BkLsn lsn, bool *behind, BkOp *op, GError **error)
{
    const uint32_t timelines[] = {younger, absent->timeline};
    g_auto(BkWalInfo) info = {0};
    Segment segment = {.source_repo = source_repo};
    uint64_t segno;

    *behind = lsn >> 32 > absent->log;
    if (*behind || lsn >> 32 < absent->log)
        return true;
    for (size_t i = 0; segment.text[0] == '\0' && i < G_N_ELEMENTS(timelines); i++)
        if (!find_segment(source_repo, system_id, timelines[i], NULL, &segment, op, error))
            return false;
    if (segment.text[0] == '\0')
        return true;
    if (!bk_archive_get_info(source_repo, system_id, segment.text, &segment.name, &info, op, error))
        return false;
    *behind = bk_wal_name_segno(absent, info.segment_size, &segno) &&
              bk_wal_segment_of(lsn, info.segment_size) > segno;
    return true;
}

/* A timeline that left this one in a later segment proves that this one went on to there. */
static bool
find_in_histories(const BkSourceRepo *source_repo, uint64_t system_id, const BkWalName *absent,
                  BkArchiveGap *hole, BkOp *op, GError **error)
{
    g_autofree char *directory = bk_archive_system_directory(source_repo, system_id);
    g_autoptr(GArray) timelines = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    Younger younger = {absent->timeline, timelines};

    if (!bk_store_list_directory(bk_source_repo_store(source_repo), directory, take_younger,
                                 &younger, op, error))
        return false;
    for (guint i = 0; hole->evidence == NULL && i < timelines->len; i++) {
        uint32_t timeline = g_array_index(timelines, uint32_t, i);
        char name[BK_WAL_HISTORY_NAME_SIZE];
        g_auto(BkTimelineHistory) history = {0};
        bool behind = false;
        BkLsn lsn;

        if (!read_gap_history(source_repo, system_id, timeline, &history, op, error) ||
            (bk_timeline_history_switch_lsn(&history, absent->timeline, &lsn) &&
             !is_behind(source_repo, system_id, timeline, absent, lsn, &behind, op, error)))
            return false;
        if (behind)
            hole->evidence = g_strdup(bk_wal_history_name(timeline, name));
    }
    return true;
}

/* Before the segment in which a timeline begins it has none: its parent's are asked for next. */
static bool
is_before_timeline(const BkSourceRepo *source_repo, uint64_t system_id, const BkWalName *absent,
                   const Segment *later, bool *before, BkOp *op, GError **error)
{
    g_auto(BkTimelineHistory) history = {0};
    g_auto(BkWalInfo) info = {0};
    uint64_t segno;

    *before = false;
    if (absent->timeline == 1)
        return true;
    if (!read_gap_history(source_repo, system_id, absent->timeline, &history, op, error) ||
        !bk_archive_get_info(source_repo, system_id, later->text, &later->name, &info, op, error))
        return false;
    *before =
        history.count > 0 && bk_wal_name_segno(absent, info.segment_size, &segno) &&
        segno < bk_wal_segment_of(history.entries[history.count - 1].switch_lsn, info.segment_size);
    return true;
}

bool
bk_archive_gap_find(const BkSourceRepo *source_repo, uint64_t system_id, const BkWalName *absent,
                    int64_t now_us, BkArchiveGap *hole, BkOp *op, GError **error)
{
    char name[BK_WAL_NAME_SIZE];
    g_autofree char *after = NULL;
    Segment later;
    bool before;

    *hole = (BkArchiveGap){0};
    (void)g_snprintf(name, sizeof name, "%08X%08X%08X", absent->timeline, absent->log, absent->seg);
    after = bk_archive_object_name(source_repo, system_id, name, absent);
    if (!find_segment(source_repo, system_id, absent->timeline, after, &later, op, error))
        return false;
    if (later.text[0] == '\0')
        return find_in_histories(source_repo, system_id, absent, hole, op, error);
    if (!is_before_timeline(source_repo, system_id, absent, &later, &before, op, error))
        return false;
    if (!before) {
        hole->evidence = g_strdup(later.text);
        hole->is_fresh = now_us - later.modified_us < FRESH_US;
    }
    return true;
}
