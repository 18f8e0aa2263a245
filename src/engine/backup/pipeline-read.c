/* pipeline-read.c - a worker of the pipeline: reads one piece of a file, checks its pages, and
 * fills packs. */
#include "engine/backup/pipeline-priv.h"

#include <string.h>

#define HOLE_STEP BK_GIB
#define HOLE_MIN  8192u /* fewer zeros are stored: a hole costs an extent */

/* A piece while it is read. */
typedef struct Reading {
    Worker *worker;
    const Piece *piece;
    const BkSelected *selected;
    bool is_open; /* in the worker's reader */
    bool is_repack;
} Reading;

static BkReader *
reader_of(const Reading *reading)
{
    return reading->worker->reader;
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
           (reading->selected->file->page_size == 0 ||
            bk_pack_writer_position(worker->writer) % reading->selected->file->page_size == 0 ||
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
    bool is_hole = size >= HOLE_MIN && is_zero(data, size);
    Run run = {
        .offset = offset,
        .pack_offset = bk_pack_writer_position(worker->writer),
        .file = reading->piece->file,
        .pack = is_hole ? HOLE : 0, /* bk_pipeline_end_pack numbers it */
        .length = (uint32_t)size,
    };

    add_run(worker, &run);
    if (!is_hole && reading->is_open && worker->reader->driver->note_stored != NULL)
        worker->reader->driver->note_stored(worker->reader, data, size, offset);
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
        !worker->reader->driver->read(worker->reader, data, want, offset, got, error))
        return false;
    worker->work.read += *got;
    bk_op_advance(worker->op, *got);
    if (*got < want)
        note_end(reading, offset + *got); /* cut off meanwhile */
    if (*got > 0 && worker->reader->driver->verify != NULL)
        worker->reader->driver->verify(worker->reader, data, *got, offset);
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
    uint64_t data = reader_of(reading)->driver->next_data(reader_of(reading), offset, end);

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
        uint64_t hole_end = find_hole_end(reading, offset, end, HOLE_MIN);
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

/* Stores the pages that are not as in the parent; those that follow each other together. */
static bool
store_changed_pages(const Reading *reading, const uint8_t *data, size_t size, uint64_t offset,
                    GError **error)
{
    BkReader *reader = reader_of(reading);
    const size_t page_size = reading->selected->file->page_size;
    size_t start = 0;

    for (size_t at = 0; at < size; at += page_size) {
        if (size - at < page_size ||
            !reader->driver->is_unchanged(reader, reading->selected->base, data + at, offset + at))
            continue;
        if (at > start && !store_bytes(reading, data + start, at - start, offset + start, error))
            return false;
        start = at + page_size;
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

    if (!worker->reader->driver->open(worker->reader, reading.selected->file, piece->offset,
                                      piece->length, &found, error))
        return false;
    if (!found) {
        g_array_append_val(worker->vanished, piece->file);
        return true;
    }
    reading.is_open = true;
    ok = read_open_piece(&reading, error);
    worker->reader->driver->close(worker->reader);
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
