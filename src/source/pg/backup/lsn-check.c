/* lsn-check.c - checks the map of changes against the LSNs of pages that it calls unchanged. */
#include "source/pg/backup/lsn-check.h"

#include "base/fd.h"
#include "base/workers.h"
#include "source/pg/cluster/file-reader.h"
#include "source/pg/format/page-note.h"
#include "source/pg/format/page.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Each costs a read of one page of the source. */
#define SAMPLES       16u /* pages anywhere in what is reused unread: their LSN is looked at */
#define NOTED_SAMPLES 64u /* pages that are compared with what the parent noted of them */

#define READ_SIZE ((size_t)256 * 1024)

typedef struct Audit {
    const BkLsnCheckRequest *request;
    const BkDataDir *dir;
    const BkSelected *files;
    size_t count;
    atomic_size_t next;
    atomic_uint_fast64_t bytes;
    pthread_mutex_t mutex; /* guards found */
    char *found;
} Audit;

/* A page of a sample. */
typedef struct Place {
    const BkSelected *selected;
    BkPageNote note; /* of the parent; without one only its offset is set */
    bool has_note;
} Place;

static void
note_unknown_change(Audit *self, const BkSelected *selected, uint64_t offset, BkLsn lsn)
{
    char text[BK_LSN_TEXT_SIZE];
    uint64_t block = selected->file->first_page + offset / BK_PG_PAGE_SIZE;

    (void)pthread_mutex_lock(&self->mutex);
    if (self->found == NULL)
        self->found = g_strdup_printf("block %" G_GUINT64_FORMAT
                                      " of \"%s\" was changed at %s without a record in the WAL",
                                      block, selected->file->path, bk_lsn_format(lsn, text));
    (void)pthread_mutex_unlock(&self->mutex);
}

static void
note_other_page(Audit *self, const Place *place, const uint8_t *page)
{
    const BkPageNote *note = &place->note;
    char lsn[BK_LSN_TEXT_SIZE], noted_lsn[BK_LSN_TEXT_SIZE];
    BkPgPage header;

    bk_pg_page_decode(page, &header);
    if (self->found == NULL)
        self->found = g_strdup_printf(
            "block %" G_GUINT64_FORMAT
            " of \"%s\" has LSN %s and layout %u/%u/%u%s, but the parent "
            "stored it with LSN %s and layout %u/%u/%u%s",
            place->selected->file->first_page + note->offset / BK_PG_PAGE_SIZE,
            place->selected->file->path, bk_lsn_format(header.lsn, lsn), header.lower, header.upper,
            header.special, bk_pg_page_is_all_visible(page) ? ", all-visible" : "",
            bk_lsn_format(note->lsn, noted_lsn), note->lower, note->upper, note->special,
            note->is_all_visible ? ", all-visible" : "");
}

static bool
contradicts_lsn(const BkLsnCheckRequest *request, const uint8_t *page, BkLsn *lsn)
{
    /* A page bears where the record of its last change ends. */
    return bk_pg_page_get_lsn(page, lsn) && *lsn > request->from && *lsn <= request->to;
}

/* Looks at the pages in [from, end), none of which is to be read. */
static bool
audit_span(Audit *self, BkFileReader *reader, const BkSelected *selected, uint64_t from,
           uint64_t end, uint8_t *data, BkOp *op, GError **error)
{
    size_t got = READ_SIZE;

    for (uint64_t at = from; at < end && got == READ_SIZE; at += got) {
        BkLsn lsn;

        if (!bk_op_check(op, error) ||
            !bk_file_reader_read(reader, data, MIN(READ_SIZE, end - at), at, &got, error))
            return false;
        for (size_t page = 0; page + BK_PG_PAGE_SIZE <= got; page += BK_PG_PAGE_SIZE)
            if (contradicts_lsn(self->request, data + page, &lsn))
                note_unknown_change(self, selected, at + page, lsn);
        self->bytes += got;
        bk_op_advance(op, got);
    }
    return true;
}

static bool
audit_file(Audit *self, BkFileReader *reader, const BkSelected *selected, GArray *ranges,
           uint8_t *data, BkOp *op, GError **error)
{
    const uint64_t size = selected->file->size;
    uint64_t at = 0;
    bool found, ok = true;

    if (!bk_file_reader_open(reader, selected->file->path, 0, size, &found, error))
        return false;
    if (!found)
        return true;
    bk_selection_get_ranges(self->request->selection, selected, 0, size, ranges);
    for (guint i = 0; ok && i < ranges->len; i++) {
        const BkRange *range = &g_array_index(ranges, BkRange, i);

        ok = audit_span(self, reader, selected, at, range->offset, data, op, error);
        at = range->offset + range->length;
    }
    ok = ok && audit_span(self, reader, selected, at, size, data, op, error);
    bk_file_reader_close(reader);
    return ok;
}

static bool
is_taken_unread(const BkSelected *selected)
{
    return selected->base != NULL && selected->how == BK_READ_RANGES && selected->file->size > 0;
}

static bool
run_lsn_check_worker(unsigned index, void *data, BkOp *op, GError **error)
{
    Audit *self = data;
    g_autoptr(BkFileReader) reader = bk_file_reader_new(self->dir);
    g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(BkRange));
    g_autofree uint8_t *buffer = g_malloc(READ_SIZE);
    size_t next;

    (void)index;
    while ((next = atomic_fetch_add(&self->next, 1)) < self->count)
        if (is_taken_unread(&self->files[next]) &&
            !audit_file(self, reader, &self->files[next], ranges, buffer, op, error))
            return false;
    return true;
}

bool
bk_lsn_check_all(const BkLsnCheckRequest *request, uint64_t *bytes, char **found, BkOp *op,
                 GError **error)
{
    g_autoptr(BkDataDir) dir = bk_data_dir_open(request->root, error);
    Audit self = {.request = request, .dir = dir};
    bool ok;

    *found = NULL;
    if (dir == NULL)
        return false;
    self.files = bk_selection_files(request->selection, &self.count);
    (void)pthread_mutex_init(&self.mutex, NULL);
    ok = bk_workers_run(request->workers, run_lsn_check_worker, &self, op, error);
    (void)pthread_mutex_destroy(&self.mutex);
    *bytes += self.bytes;
    *found = self.found;
    return ok;
}

/* A page of a compared file with an old LSN must be the parent's too, or it is of another history.
 */
static bool
has_parents_pages(const BkSelected *selected)
{
    return is_taken_unread(selected) ||
           (selected->base != NULL && selected->how == BK_READ_COMPARED &&
            selected->file->size > 0);
}

static bool
is_to_be_read(const Audit *self, const BkSelected *selected, uint64_t offset, GArray *ranges)
{
    if (selected->how != BK_READ_RANGES)
        return false;
    bk_selection_get_ranges(self->request->selection, selected, offset, offset + BK_PG_PAGE_SIZE,
                            ranges);
    return ranges->len > 0;
}

/* Replay leaves a few pages otherwise than the primary did, with the same LSN: PostgreSQL 13
 * empties a B-tree page that was deleted. */
static bool
fits_note(const BkLsnCheckRequest *request, const BkPageNote *note, const uint8_t *page)
{
    BkLsn lsn;

    if (request->is_other_timeline)
        return bk_pg_page_get_lsn(page, &lsn) && lsn == note->lsn;
    return bk_page_note_fits(note, page);
}

/* Looks at the page of `place`; with the parent's note of it, if there is one, it is compared. */
static bool
sample_page(Audit *self, const Place *place, BkOp *op, GError **error)
{
    g_autoptr(BkFileReader) reader = bk_file_reader_new(self->dir);
    const BkSelected *selected = place->selected;
    const BkLsnCheckRequest *request = self->request;
    uint8_t page[BK_PG_PAGE_SIZE];
    bool found;
    size_t got;
    BkLsn lsn;

    if (!bk_op_check(op, error) ||
        !bk_file_reader_open(reader, selected->file->path, place->note.offset, sizeof page, &found,
                             error))
        return false;
    if (!found)
        return true;
    if (!bk_file_reader_read(reader, page, sizeof page, place->note.offset, &got, error))
        return false;
    if (got < sizeof page || !bk_pg_page_get_lsn(page, &lsn) || lsn > request->to)
        return true; /* it is being changed now, which is not what the map is about */
    if (lsn > request->from) {
        if (selected->how == BK_READ_RANGES)
            note_unknown_change(self, selected, place->note.offset, lsn);
        return true;
    }
    if (selected->how == BK_READ_COMPARED && !request->has_checksums &&
        bk_pg_page_is_all_visible(page))
        return true; /* it is stored anew */
    if (place->has_note && !fits_note(request, &place->note, page))
        note_other_page(self, place, page);
    return true;
}

/* Adds places anywhere in what is reused unread. */
static bool
draw_places(Audit *self, GArray *places, GError **error)
{
    g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(BkRange));
    uint64_t random[SAMPLES];
    uint64_t total = 0;

    for (size_t i = 0; i < self->count; i++)
        if (is_taken_unread(&self->files[i]))
            total += self->files[i].file->size;
    if (total == 0)
        return true;
    if (!bk_random_fill(random, sizeof random, error))
        return false;
    for (unsigned sample = 0; sample < SAMPLES; sample++) {
        uint64_t position = random[sample] % total;
        size_t i = 0;

        for (; !is_taken_unread(&self->files[i]) || position >= self->files[i].file->size; i++)
            position -= is_taken_unread(&self->files[i]) ? self->files[i].file->size : 0;
        Place place = {&self->files[i], {.offset = position - position % BK_PG_PAGE_SIZE}, false};
        if (!is_to_be_read(self, place.selected, place.note.offset, ranges))
            g_array_append_val(places, place);
    }
    return true;
}

/* Collects what the parent noted of pages that are reused. One that was changed after the parent's
 * redo is in the WAL since then, so that the map calls it changed. */
static bool
collect_noted(Audit *self, GArray *places, GError **error)
{
    g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(BkRange));
    g_autoptr(GArray) notes = g_array_new(FALSE, FALSE, sizeof(BkPageNote));

    for (size_t i = 0; i < self->count; i++) {
        const BkSelected *selected = &self->files[i];

        if (!has_parents_pages(selected))
            continue;
        g_array_set_size(notes, 0);
        if (!bk_page_notes_decode(selected->base->notes, selected->base->notes_size, notes, error))
            return bk_prefix(error, "\"%s\"", selected->file->path);
        for (guint j = 0; j < notes->len; j++) {
            Place place = {selected, g_array_index(notes, BkPageNote, j), true};

            if (place.note.offset + BK_PG_PAGE_SIZE > selected->file->size ||
                is_to_be_read(self, selected, place.note.offset, ranges))
                continue;
            if (selected->how == BK_READ_RANGES && place.note.lsn > self->request->from)
                note_unknown_change(self, selected, place.note.offset, place.note.lsn);
            g_array_append_val(places, place);
        }
    }
    return true;
}

/* Leaves a few of them, drawn at random. */
static bool
draw_some(GArray *places, GError **error)
{
    uint64_t random[NOTED_SAMPLES];

    if (!bk_random_fill(random, sizeof random, error))
        return false;
    for (guint i = 0; i < MIN(places->len, NOTED_SAMPLES); i++) {
        Place *to = &g_array_index(places, Place, i);
        Place *from = &g_array_index(places, Place, i + random[i] % (places->len - i));
        Place kept = *to;

        *to = *from;
        *from = kept;
    }
    g_array_set_size(places, MIN(places->len, NOTED_SAMPLES));
    return true;
}

bool
bk_lsn_check_sample(const BkLsnCheckRequest *request, char **found, BkOp *op, GError **error)
{
    g_autoptr(BkDataDir) dir = bk_data_dir_open(request->root, error);
    g_autoptr(GArray) places = g_array_new(FALSE, FALSE, sizeof(Place));
    Audit self = {.request = request, .dir = dir};
    bool ok;

    *found = NULL;
    if (dir == NULL)
        return false;
    self.files = bk_selection_files(request->selection, &self.count);
    (void)pthread_mutex_init(&self.mutex, NULL);
    ok = collect_noted(&self, places, error) && draw_some(places, error) &&
         draw_places(&self, places, error);
    for (guint i = 0; ok && i < places->len; i++)
        ok = sample_page(&self, &g_array_index(places, Place, i), op, error);
    (void)pthread_mutex_destroy(&self.mutex);
    *found = self.found;
    return ok;
}
