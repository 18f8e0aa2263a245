/* pipeline-read.c - a worker of the pipeline: reads one piece of a file, checks its pages, and
 * fills packs. */
#include "engine/backup/pipeline-priv.h"
#include "source/pg/format/page.h"

#include <string.h>

#define REREADS     3 /* of a page that fails its checksum: it may just be being written */
#define HOLE_STEP   BK_GIB
#define CHUNK_PAGES (BK_PACK_CHUNK_SIZE / BK_PG_PAGE_SIZE)

/* A piece while it is read. */
typedef struct Reading {
    Worker *worker;
    const Piece *piece;
    const BkSelected *selected;
    bool is_repack;
} Reading;

/* Reads a page that failed its checksum again: it may just have been being written. A page that
 * stays wrong tells `*lsn`. */
static bool
is_page_fine(Worker *worker, uint8_t *page, uint64_t offset, uint32_t block, uint64_t *lsn)
{
    BkPgPageResult result;
    size_t got;

    for (int i = 0; i < REREADS; i++) {
        g_autoptr(GError) ignored = NULL; /* what was read before stays, and counts as wrong */

        if (!bk_file_reader_read(worker->reader, page, BK_PG_PAGE_SIZE, offset, &got, &ignored))
            return false;
        if (got < BK_PG_PAGE_SIZE)
            return true; /* cut off meanwhile: not damage */
        if (bk_pg_page_verify(page, block, &result))
            return true;
        *lsn = result.lsn;
        g_usleep(1000);
    }
    return false;
}

static void
verify_pages(const Reading *reading, uint8_t *data, size_t size, uint64_t offset)
{
    const BkDataDirFile *file = reading->selected->file;
    uint64_t bad[(CHUNK_PAGES + 63) / 64];
    uint32_t first = file->first_block + (uint32_t)(offset / BK_PG_PAGE_SIZE);
    size_t pages = size / BK_PG_PAGE_SIZE;

    if (!reading->worker->round->copy->options.verify_pages || !file->is_paged ||
        bk_pg_pages_verify(data, pages, first, bad) == 0)
        return;
    for (size_t i = 0; i < pages; i++) {
        BkPipelineDamage damage = {file, first + (uint32_t)i, 0};

        if ((bad[i / 64] >> (i % 64) & 1) == 0)
            continue;
        if (!is_page_fine(reading->worker, data + i * BK_PG_PAGE_SIZE, offset + i * BK_PG_PAGE_SIZE,
                          damage.block, &damage.lsn))
            g_array_append_val(reading->worker->damage, damage);
    }
}

static bool
is_zero(const uint8_t *data, size_t size)
{
    return data[0] == 0 && memcmp(data, data + 1, size - 1) == 0;
}

static void
note_end(const Reading *reading, uint64_t end)
{
    Piece cut = {.file = reading->piece->file, .offset = end};

    g_array_append_val(reading->worker->ends, cut);
}

/* Opens a pack, and a new chunk where pages would not be aligned in it. */
static bool
prepare_room(const Reading *reading, GError **error)
{
    Worker *worker = reading->worker;

    return bk_pipeline_begin_pack(worker, error) &&
           (!reading->selected->file->is_paged ||
            bk_pack_writer_position(worker->writer) % BK_PG_PAGE_SIZE == 0 ||
            bk_pack_writer_end_chunk(worker->writer, error));
}

/* Adds a run, or lets the one before it grow: a chunk follows the other as a rule. */
static void
add_run(Worker *worker, const Run *run)
{
    Run *last = worker->runs->len > worker->first_run_of_pack
                    ? &g_array_index(worker->runs, Run, worker->runs->len - 1)
                    : NULL;

    if (last != NULL && last->file == run->file && last->pack == run->pack &&
        last->offset + last->length == run->offset && last->length <= UINT32_MAX - run->length &&
        (run->pack == HOLE || last->pack_offset + last->length == run->pack_offset))
        last->length += run->length;
    else
        g_array_append_vals(worker->runs, run, 1);
}

/* Takes what was put into the room: as a hole when it is nothing but zeros, else into the chunk. */
static bool
take(const Reading *reading, const uint8_t *data, size_t size, uint64_t offset, GError **error)
{
    Worker *worker = reading->worker;
    bool is_hole = size >= BK_PG_PAGE_SIZE && is_zero(data, size);
    Run run = {
        .offset = offset,
        .pack_offset = bk_pack_writer_position(worker->writer),
        .file = reading->piece->file,
        .pack = is_hole ? HOLE : 0, /* bk_pipeline_end_pack numbers it */
        .length = (uint32_t)size,
    };

    add_run(worker, &run);
    if (!is_hole && reading->selected->is_main_fork)
        bk_page_sample_draw(worker->sample, reading->selected->file, data, size, offset);
    if (reading->is_repack)
        worker->work.repacked += size;
    else
        worker->work.changed += size;
    if (!is_hole && !bk_pack_writer_commit(worker->writer, size, error))
        return false;
    return !bk_pack_writer_is_full(worker->writer) || bk_pipeline_end_pack(worker, error);
}

/* Reads up to `want` bytes at `offset`. */
static bool
read_some(const Reading *reading, uint8_t *data, size_t want, uint64_t offset, size_t *got,
          GError **error)
{
    Worker *worker = reading->worker;

    if (!bk_rate_take(worker->round->copy->rate, want, worker->op, error) ||
        !bk_file_reader_read(worker->reader, data, want, offset, got, error))
        return false;
    worker->work.read += *got;
    bk_op_advance(worker->op, *got);
    if (*got < want)
        note_end(reading, offset + *got); /* cut off meanwhile */
    return true;
}

/* Takes [offset, end) for a hole, without reading it. */
static void
take_hole(const Reading *reading, uint64_t offset, uint64_t end)
{
    Worker *worker = reading->worker;

    if (reading->is_repack)
        worker->work.repacked += end - offset;
    else
        worker->work.changed += end - offset;
    while (offset < end) {
        Run run = {
            .offset = offset,
            .file = reading->piece->file,
            .pack = HOLE,
            .length = (uint32_t)MIN(end - offset, HOLE_STEP),
        };

        add_run(worker, &run);
        offset += run.length;
    }
}

/* Where the hole ends that begins at `offset`, in whole units of `step`: `offset` for none. What
 * the file system has no room for is not read: a sparse file costs what its data cost. */
static uint64_t
find_hole_end(const Reading *reading, uint64_t offset, uint64_t end, uint64_t step)
{
    uint64_t data = bk_file_reader_next_data(reading->worker->reader, offset, end);

    if (data < end)
        data = offset + (data - offset) / step * step;
    if (data > offset)
        bk_op_advance(reading->worker->op, data - offset);
    return data;
}

/* Stores all of [offset, end), read straight into the pack's room. */
static bool
store_range(const Reading *reading, uint64_t offset, uint64_t end, GError **error)
{
    Worker *worker = reading->worker;

    while (offset < end) {
        uint64_t hole_end = find_hole_end(reading, offset, end, BK_PG_PAGE_SIZE);
        size_t available;
        size_t want;
        size_t got;
        uint8_t *data;

        if (hole_end > offset) {
            take_hole(reading, offset, hole_end);
            offset = hole_end;
            continue;
        }
        if (!prepare_room(reading, error))
            return false;
        data = bk_pack_writer_room(worker->writer, &available);
        want = MIN(available, end - offset);
        if (!read_some(reading, data, want, offset, &got, error))
            return false;
        if (got == 0)
            break;
        verify_pages(reading, data, got, offset);
        if (!take(reading, data, got, offset, error))
            return false;
        offset += got;
        if (got < want)
            break;
    }
    return true;
}

/* Stores bytes that are in memory. */
static bool
store_bytes(const Reading *reading, const uint8_t *bytes, size_t size, uint64_t offset,
            GError **error)
{
    while (size > 0) {
        size_t available;
        size_t step;
        uint8_t *data;

        if (!prepare_room(reading, error))
            return false;
        data = bk_pack_writer_room(reading->worker->writer, &available);
        step = MIN(available, size);
        memcpy(data, bytes, step);
        if (!take(reading, data, step, offset, error))
            return false;
        bytes += step;
        offset += step;
        size -= step;
    }
    return true;
}

/* Notes the digest of the unit at `offset`. Is it that of the parent? NULL: it is a hole. */
static bool
digest_unit(const Reading *reading, const uint8_t *data, size_t size, uint64_t offset)
{
    const BkFile *base = reading->selected->base;
    uint64_t unit = offset / BK_FILE_DIGEST_UNIT;
    Digest digest = {.offset = offset, .file = reading->piece->file};

    if (data != NULL)
        bk_xxh3(reading->worker->hash_secret, data, size, digest.hash);
    else
        memcpy(digest.hash, reading->worker->zero_hash, sizeof digest.hash);
    g_array_append_val(reading->worker->digests, digest);
    return base != NULL && unit < base->digest_count &&
           size == MIN(base->size - offset, BK_FILE_DIGEST_UNIT) &&
           memcmp(base->digests + unit * BK_XXH3_SIZE, digest.hash, BK_XXH3_SIZE) == 0;
}

/* Without data checksums a page becomes all-visible without a higher LSN, and then its place in the
 * visibility map, which is read anew, would say what the parent's page does not. */
static bool
is_page_unchanged(const Reading *reading, const uint8_t *page, uint64_t offset)
{
    const BkPipelineOptions *options = &reading->worker->round->copy->options;
    BkLsn lsn;

    return offset + BK_PG_PAGE_SIZE <= reading->selected->base->size &&
           bk_pg_page_get_lsn(page, &lsn) && lsn < options->base_lsn &&
           (options->verify_pages || !bk_pg_page_is_all_visible(page));
}

/* Stores the pages that are not as in the parent; those that follow each other together. */
static bool
store_changed_pages(const Reading *reading, const uint8_t *data, size_t size, uint64_t offset,
                    GError **error)
{
    size_t start = 0;

    for (size_t at = 0; at < size; at += BK_PG_PAGE_SIZE) {
        if (size - at < BK_PG_PAGE_SIZE || !is_page_unchanged(reading, data + at, offset + at))
            continue;
        if (at > start && !store_bytes(reading, data + start, at - start, offset + start, error))
            return false;
        start = at + BK_PG_PAGE_SIZE;
    }
    return start >= size || store_bytes(reading, data + start, size - start, offset + start, error);
}

/* Takes whole units that are holes; returns where they end. */
static uint64_t
take_hole_units(Reading *reading, uint64_t offset, uint64_t end)
{
    /* The last unit of a file may be shorter, and is read. */
    uint64_t whole_end = offset + (end - offset) / BK_FILE_DIGEST_UNIT * BK_FILE_DIGEST_UNIT;
    uint64_t hole_end = offset;

    if (whole_end > offset)
        hole_end = find_hole_end(reading, offset, whole_end, BK_FILE_DIGEST_UNIT);
    for (uint64_t at = offset; at < hole_end; at += BK_FILE_DIGEST_UNIT) {
        reading->is_repack = reading->selected->how != BK_READ_COMPARED &&
                             digest_unit(reading, NULL, BK_FILE_DIGEST_UNIT, at);
        if (!reading->is_repack || reading->selected->is_given_up)
            take_hole(reading, at, at + BK_FILE_DIGEST_UNIT);
    }
    return hole_end;
}

/* Stores what of a unit is not as in the parent. */
static bool
store_unit(Reading *reading, const uint8_t *data, size_t size, uint64_t offset, GError **error)
{
    if (reading->selected->how == BK_READ_COMPARED)
        return store_changed_pages(reading, data, size, offset, error);
    reading->is_repack = digest_unit(reading, data, size, offset);
    return (reading->is_repack && !reading->selected->is_given_up) ||
           store_bytes(reading, data, size, offset, error);
}

/* Reads the piece unit by unit into memory of its own, and stores what is not as in the parent. */
static bool
read_units(Reading *reading, GError **error)
{
    Worker *worker = reading->worker;
    uint64_t end = reading->piece->offset + reading->piece->length;
    size_t got = BK_FILE_DIGEST_UNIT;

    for (uint64_t at = reading->piece->offset; at < end && got == BK_FILE_DIGEST_UNIT; at += got) {
        size_t want;

        at = take_hole_units(reading, at, end);
        want = MIN(BK_FILE_DIGEST_UNIT, end - at);
        if (want == 0)
            break;
        if (!read_some(reading, worker->scratch, want, at, &got, error))
            return false;
        if (got == 0)
            break;
        verify_pages(reading, worker->scratch, got, at);
        if (!store_unit(reading, worker->scratch, got, at, error))
            return false;
    }
    return true;
}

static bool
read_ranges(Reading *reading, GError **error)
{
    const Piece *piece = reading->piece;
    GArray *ranges = reading->worker->ranges;

    bk_selection_get_ranges(reading->worker->round->selection, reading->selected, piece->offset,
                            piece->offset + piece->length, ranges);
    for (guint i = 0; i < ranges->len; i++) {
        const BkRange *range = &g_array_index(ranges, BkRange, i);

        reading->is_repack = range->is_repack;
        if (!store_range(reading, range->offset, range->offset + range->length, error))
            return false;
    }
    return true;
}

static bool
read_open_piece(Reading *reading, GError **error)
{
    const BkSelected *selected = reading->selected;

    if (selected->how == BK_READ_RANGES)
        return read_ranges(reading, error);
    if (selected->how == BK_READ_COMPARED || selected->has_digests)
        return read_units(reading, error);
    return store_range(reading, reading->piece->offset,
                       reading->piece->offset + reading->piece->length, error);
}

bool
bk_pipeline_piece(Worker *worker, const Piece *piece, GError **error)
{
    Round *round = worker->round;
    Reading reading = {
        .worker = worker,
        .piece = piece,
        .selected = g_array_index(round->copy->files, CopyFile, piece->file).selected,
    };
    bool found;
    bool ok;

    if (!bk_file_reader_open(worker->reader, reading.selected->file->path, piece->offset,
                             piece->length, &found, error))
        return false;
    if (!found) {
        g_array_append_val(worker->vanished, piece->file);
        return true;
    }
    ok = read_open_piece(&reading, error);
    bk_file_reader_close(worker->reader);
    return ok;
}

bool
bk_pipeline_content(Worker *worker, uint32_t file, const BkBuf *content, GError **error)
{
    const Piece piece = {.length = content->size, .file = file};
    const Reading reading = {
        .worker = worker,
        .piece = &piece,
        .selected = g_array_index(worker->round->copy->files, CopyFile, file).selected,
    };

    return store_bytes(&reading, content->data, content->size, 0, error);
}
