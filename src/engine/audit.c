#include "engine/audit.h"

#include "base/fd.h"
#include "base/workers.h"
#include "engine/reader.h"
#include "source/pg/page.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Each costs a read of the source and up to four of the repository, which in a bucket are requests.
 */
#define SAMPLES     16u
#define FAR_SAMPLES 4u

#define READ_SIZE ((size_t)256 * 1024)

typedef struct Audit {
    const BkAuditRequest *request;
    const BkDataDir *dir;
    const BkSelected *files;
    size_t count;
    atomic_size_t next;
    atomic_uint_fast64_t bytes;
    pthread_mutex_t mutex; /* guards found */
    char *found;
    /* Of a sample: */
    BkPackReader *packs;
    const BkPackRef *pack; /* that it has open, or NULL */
} Audit;

static void
note(Audit *self, const BkSelected *selected, uint64_t offset, BkLsn lsn)
{
    char text[BK_LSN_TEXT_SIZE];
    uint64_t block = selected->file->first_block + offset / BK_PG_PAGE_SIZE;

    (void)pthread_mutex_lock(&self->mutex);
    if (self->found == NULL)
        self->found = g_strdup_printf("block %" G_GUINT64_FORMAT
                                      " of \"%s\" was changed at %s, of which the WAL says nothing",
                                      block, selected->file->path, bk_lsn_format(lsn, text));
    (void)pthread_mutex_unlock(&self->mutex);
}

static bool
contradicts(const BkAuditRequest *request, const uint8_t *page, BkLsn *lsn)
{
    /* A page bears where the record of its last change ends. */
    return bk_pg_page_get_lsn(page, lsn) && *lsn > request->from && *lsn <= request->to;
}

/* Looks at the pages in [from, end), none of which is to be read. */
static bool
audit_span(Audit *self, BkReader *reader, const BkSelected *selected, uint64_t from, uint64_t end,
           uint8_t *data, BkOp *op, GError **error)
{
    size_t got = READ_SIZE;

    for (uint64_t at = from; at < end && got == READ_SIZE; at += got) {
        BkLsn lsn;

        if (!bk_op_check(op, error) ||
            !bk_reader_read(reader, data, MIN(READ_SIZE, end - at), at, &got, error))
            return false;
        for (size_t page = 0; page + BK_PG_PAGE_SIZE <= got; page += BK_PG_PAGE_SIZE)
            if (contradicts(self->request, data + page, &lsn))
                note(self, selected, at + page, lsn);
        self->bytes += got;
        bk_op_advance(op, got);
    }
    return true;
}

static bool
audit_file(Audit *self, BkReader *reader, const BkSelected *selected, GArray *ranges, uint8_t *data,
           BkOp *op, GError **error)
{
    const uint64_t size = selected->file->size;
    uint64_t at = 0;
    bool found, ok = true;

    if (!bk_reader_open(reader, selected->file->path, 0, size, &found, error))
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
    bk_reader_close(reader);
    return ok;
}

static bool
is_taken_unread(const BkSelected *selected)
{
    return selected->base != NULL && selected->how == BK_READ_RANGES && selected->file->size > 0;
}

static bool
run_worker(unsigned index, void *data, BkOp *op, GError **error)
{
    Audit *self = data;
    g_autoptr(BkReader) reader = bk_reader_new(self->dir);
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
bk_audit_all(const BkAuditRequest *request, uint64_t *bytes, char **found, BkOp *op, GError **error)
{
    g_autoptr(BkDataDir) dir = bk_data_dir_open(request->root, error);
    Audit self = {.request = request, .dir = dir};
    bool ok;

    *found = NULL;
    if (dir == NULL)
        return false;
    self.files = bk_selection_files(request->selection, &self.count);
    (void)pthread_mutex_init(&self.mutex, NULL);
    ok = bk_workers_run(request->workers, run_worker, &self, op, error);
    (void)pthread_mutex_destroy(&self.mutex);
    *bytes += self.bytes;
    *found = self.found;
    return ok;
}

/* Samples go through the files in order, so that many are of the pack of the one before. */
static bool
open_pack(Audit *self, const BkPackRef *pack, BkOp *op, GError **error)
{
    if (self->pack == pack)
        return true;
    self->pack = NULL;
    if (!bk_pack_reader_open(self->packs, self->request->part, pack, false, op, error))
        return false;
    self->pack = pack;
    return true;
}

/* The parent's copy of a page; `*have` is false when it is a hole, or is not in one piece. */
static bool
read_parent_page(Audit *self, const BkFile *base, uint64_t offset, uint8_t *page, bool *have,
                 BkOp *op, GError **error)
{
    g_auto(BkBuf) raw = BK_BUF_INIT;
    const BkPackChunk *chunk;
    size_t count, index;
    const BkPackRef *packs = bk_snapshot_packs(self->request->parent, &count);
    BkExtentIter iter;
    BkExtent extent = {.length = 0};
    uint64_t place;

    *have = false;
    bk_extent_iter_init(&iter, base->extents, base->extents_size, base->size);
    while (bk_extent_iter_next(&iter, &extent) && extent.file_offset + extent.length <= offset)
        continue;
    if (extent.is_hole || extent.file_offset > offset ||
        extent.file_offset + extent.length < offset + BK_PG_PAGE_SIZE)
        return true;
    place = extent.pack_offset + (offset - extent.file_offset);
    if (!open_pack(self, &packs[extent.pack], op, error))
        return false;
    index = bk_pack_reader_find(self->packs, place);
    if (!bk_pack_reader_read(self->packs, index, 0, &raw, op, error))
        return false;
    chunk = &bk_pack_reader_chunks(self->packs, &count)[index];
    if (place - chunk->raw_start + BK_PG_PAGE_SIZE > raw.size)
        return true;
    memcpy(page, raw.data + (place - chunk->raw_start), BK_PG_PAGE_SIZE);
    *have = true;
    return true;
}

/* What only logged changes alter. That a page is all-visible is set by one, and may be cleared with
 * it or not. */
static bool
is_same_state(const uint8_t *one, const uint8_t *other)
{
    BkPgPage a, b;

    bk_pg_page_decode(one, &a);
    bk_pg_page_decode(other, &b);
    return a.lsn == b.lsn && a.lower == b.lower && a.upper == b.upper && a.special == b.special &&
           (bk_pg_page_is_all_visible(other) || !bk_pg_page_is_all_visible(one));
}

static bool
sample_page(Audit *self, const BkSelected *selected, uint64_t offset, BkOp *op, GError **error)
{
    g_autoptr(BkReader) reader = bk_reader_new(self->dir);
    g_autofree uint8_t *page = g_malloc(BK_PG_PAGE_SIZE);
    g_autofree uint8_t *copy = g_malloc(BK_PG_PAGE_SIZE);
    bool found, have;
    size_t got;
    BkLsn lsn;

    if (!bk_reader_open(reader, selected->file->path, offset, BK_PG_PAGE_SIZE, &found, error))
        return false;
    if (!found)
        return true;
    if (!bk_reader_read(reader, page, BK_PG_PAGE_SIZE, offset, &got, error))
        return false;
    if (got < BK_PG_PAGE_SIZE || !bk_pg_page_get_lsn(page, &lsn) || lsn > self->request->to)
        return true; /* it is being changed now, which is not what the map is about */
    if (lsn > self->request->from) {
        if (selected->how == BK_READ_RANGES)
            note(self, selected, offset, lsn);
        return true;
    }
    if (selected->how == BK_READ_COMPARED && !self->request->has_checksums &&
        bk_pg_page_is_all_visible(page))
        return true; /* it is stored anew */
    if (!read_parent_page(self, selected->base, offset, copy, &have, op, error))
        return false;
    if (have && !is_same_state(page, copy))
        note(self, selected, offset, lsn);
    return true;
}

/* Compared files too: a page with an old LSN must be the parent's, or it is of another history. */
static bool
is_sampled(const BkSelected *selected)
{
    return is_taken_unread(selected) ||
           (selected->base != NULL && selected->how == BK_READ_COMPARED &&
            selected->file->size > 0);
}

/* The page at `position`, counted over all that is taken over; ranges to be read are stepped over.
 */
static bool
sample_at(Audit *self, uint64_t position, BkOp *op, GError **error)
{
    g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(BkRange));

    for (size_t i = 0; i < self->count; i++) {
        const BkSelected *selected = &self->files[i];
        uint64_t offset = position - position % BK_PG_PAGE_SIZE;

        if (!is_sampled(selected))
            continue;
        if (position >= selected->file->size) {
            position -= selected->file->size;
            continue;
        }
        if (selected->how == BK_READ_RANGES)
            bk_selection_get_ranges(self->request->selection, selected, offset,
                                    offset + BK_PG_PAGE_SIZE, ranges);
        return ranges->len > 0 || sample_page(self, selected, offset, op, error);
    }
    return true;
}

static int
compare_places(const void *left, const void *right)
{
    const uint64_t *a = left;
    const uint64_t *b = right;

    return (*a > *b) - (*a < *b);
}

bool
bk_audit_sample(const BkAuditRequest *request, char **found, BkOp *op, GError **error)
{
    g_autoptr(BkDataDir) dir = bk_data_dir_open(request->root, error);
    Audit self = {.request = request, .dir = dir};
    const bool is_far = bk_store_is_remote(bk_part_store(request->part));
    const unsigned samples = is_far ? FAR_SAMPLES : SAMPLES;
    uint64_t places[SAMPLES];
    uint64_t total = 0;
    bool ok = true;

    *found = NULL;
    if (dir == NULL)
        return false;
    self.files = bk_selection_files(request->selection, &self.count);
    for (size_t i = 0; i < self.count; i++)
        if (is_sampled(&self.files[i]))
            total += self.files[i].file->size;
    if (total == 0)
        return true;
    if (!bk_random_fill(places, sizeof places, error))
        return false;
    for (unsigned i = 0; i < samples; i++)
        places[i] %= total;
    qsort(places, samples, sizeof places[0], compare_places);
    (void)pthread_mutex_init(&self.mutex, NULL);
    self.packs = bk_pack_reader_new();
    for (unsigned i = 0; ok && i < samples; i++)
        ok = bk_op_check(op, error) && sample_at(&self, places[i], op, error);
    bk_pack_reader_free(self.packs);
    (void)pthread_mutex_destroy(&self.mutex);
    *found = self.found;
    return ok;
}
