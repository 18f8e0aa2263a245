/* extract.c - from packs to files: fetch, open, decompress, write. */
#include "repo/extract/extract.h"

#include "base/log.h"
#include "base/sorted.h"
#include "base/workers.h"
#include "codec/crc32c.h"
#include "repo/extract/file-writer.h"
#include "repo/extract/pack-map.h"
#include "repo/targets/targets.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define ZERO_STEP ((size_t)256 * 1024)
#define FAR_GAP   4 /* chunks that are fetched in vain rather than by one request more */

/* Bytes of a file whose CRC is known. */
typedef struct Span {
    uint32_t file;
    uint32_t crc;
    uint64_t offset;
    uint64_t length;
} Span;

struct BkExtract {
    BkExtractOptions options;
    const BkFile *files;
    size_t file_count;
    const BkPackRef *packs;
    BkPackMap needs;
    atomic_uint next_pack;
    atomic_uint_fast64_t written;
    atomic_uint_fast64_t reused;
    pthread_mutex_t mutex; /* guards `spans` while workers run */
    GArray *spans;         /* Span; sorted at the end of bk_extract_run */
};

typedef struct Worker {
    BkExtract *extract;
    BkOp *op;
    BkPackReader *reader;
    BkFileWriter *sink;
    BkBuf raw;      /* of a chunk */
    BkBuf present;  /* what the destination holds in its place */
    GArray *wanted; /* size_t: chunks of the pack at hand to be opened */
    GArray *spans;
    bool is_far;      /* the repository of the pack at hand */
    bool sink_failed; /* no other repository helps */
    guint first_span; /* of the pack at hand, as are the counts */
    uint64_t written;
    uint64_t reused;
} Worker;

BkExtract *
bk_extract_new(const BkExtractOptions *options)
{
    BkExtract *self = g_new0(BkExtract, 1);
    size_t count;

    self->options = *options;
    self->files = bk_snapshot_files(options->snapshot, &self->file_count);
    self->packs = bk_snapshot_packs(options->snapshot, &count);
    bk_pack_map_collect(&self->needs, options->snapshot, 0, self->file_count, options->skip);
    (void)pthread_mutex_init(&self->mutex, NULL);
    self->spans = g_array_new(FALSE, FALSE, sizeof(Span));
    return self;
}

void
bk_extract_free(BkExtract *self)
{
    if (self == NULL)
        return;
    bk_pack_map_clear(&self->needs);
    (void)pthread_mutex_destroy(&self->mutex);
    g_array_unref(self->spans);
    g_free(self);
}

/* The part of a need that lies in a chunk. */
typedef struct Slice {
    uint32_t file;
    uint64_t file_offset;
    size_t chunk_offset;
    size_t length;
} Slice;

typedef bool (*SliceVisit)(Worker *worker, const Slice *slice, GError **error);

/* The needs of one pack, and a place below which all have been dealt with: chunks are visited in
 * rising order. */
typedef struct PackNeeds {
    const BkPackUse *needs;
    size_t count;
    size_t low;
} PackNeeds;

static bool
get_slice(const BkPackUse *need, const BkPackChunk *chunk, Slice *slice)
{
    uint64_t start = MAX(need->pack_offset, chunk->raw_start);
    uint64_t end = MIN(need->pack_offset + need->length, chunk->raw_start + chunk->raw_size);

    if (start >= end)
        return false;
    *slice = (Slice){
        .file = need->file,
        .file_offset = need->file_offset + (start - need->pack_offset),
        .chunk_offset = start - chunk->raw_start,
        .length = end - start,
    };
    return true;
}

static bool
visit_slices(Worker *worker, PackNeeds *needs, const BkPackChunk *chunk, SliceVisit visit,
             GError **error)
{
    Slice slice;

    while (needs->low < needs->count &&
           needs->needs[needs->low].pack_offset + needs->needs[needs->low].length <=
               chunk->raw_start)
        needs->low++;
    for (size_t i = needs->low;
         i < needs->count && needs->needs[i].pack_offset < chunk->raw_start + chunk->raw_size; i++)
        if (get_slice(&needs->needs[i], chunk, &slice) && !visit(worker, &slice, error))
            return false;
    return true;
}

static void
note_written_span(Worker *worker, const Slice *slice, const uint8_t *data)
{
    Span span = {slice->file, bk_crc32c(0, data, slice->length), slice->file_offset, slice->length};
    /* Those of other packs stay as they are: a pack that fails halfway takes its own back. */
    Span *last = worker->spans->len > worker->first_span
                     ? &g_array_index(worker->spans, Span, worker->spans->len - 1)
                     : NULL;

    if (last != NULL && last->file == span.file && last->offset + last->length == span.offset) {
        last->crc = bk_crc32c_combine(last->crc, span.crc, span.length);
        last->length += span.length;
        return;
    }
    g_array_append_val(worker->spans, span);
}

static bool
write_slice(Worker *worker, const Slice *slice, GError **error)
{
    const uint8_t *data = worker->raw.data + slice->chunk_offset;

    if (!bk_file_writer_write(worker->sink, slice->file, data, slice->length, slice->file_offset,
                              error)) {
        worker->sink_failed = true;
        return false;
    }
    note_written_span(worker, slice, data);
    worker->written += slice->length;
    bk_op_advance(worker->op, slice->length);
    return true;
}

/* Reads what the destination has for a slice behind what was read before. A slice that does not
 * follow the last one (a part of the chunk that nobody needs, or that two files share) ends the
 * comparison. */
static bool
read_slice(Worker *worker, const Slice *slice, GError **error)
{
    size_t got;

    if (slice->chunk_offset != worker->present.size)
        return true;
    if (!bk_buf_reserve(&worker->present, slice->length, error))
        return false;
    if (!bk_file_writer_read(worker->sink, slice->file, worker->present.data + worker->present.size,
                             slice->length, slice->file_offset, &got, error)) {
        worker->sink_failed = true;
        return false;
    }
    if (got == slice->length)
        worker->present.size += got;
    return true;
}

static bool
reuse_slice(Worker *worker, const Slice *slice, GError **error)
{
    (void)error;
    note_written_span(worker, slice, worker->present.data + slice->chunk_offset);
    worker->reused += slice->length;
    bk_op_advance(worker->op, slice->length);
    return true;
}

/* How many bytes of the chunk are asked for, counted as often as they are. */
static size_t
count_asked(const PackNeeds *needs, const BkPackChunk *chunk)
{
    size_t asked = 0;
    Slice slice;

    for (size_t i = needs->low;
         i < needs->count && needs->needs[i].pack_offset < chunk->raw_start + chunk->raw_size; i++)
        if (get_slice(&needs->needs[i], chunk, &slice))
            asked += slice.length;
    return asked;
}

/* Does the destination hold the chunk already? Only one that is needed whole, and once, can be
 * compared with its hash. */
static bool
is_present(Worker *worker, PackNeeds *needs, size_t index, bool *present, GError **error)
{
    size_t count;
    const BkPackChunk *chunk = &bk_pack_reader_chunks(worker->reader, &count)[index];

    *present = false;
    worker->present.size = 0;
    if (!visit_slices(worker, needs, chunk, read_slice, error))
        return false;
    if (worker->present.size != chunk->raw_size || count_asked(needs, chunk) != chunk->raw_size ||
        !bk_pack_reader_matches(worker->reader, index, worker->present.data))
        return true;
    *present = true;
    return visit_slices(worker, needs, chunk, reuse_slice, error);
}

/* Lists the chunks to open: those that a need touches, without those that are there already. */
static bool
list_wanted(Worker *worker, const BkPackUse *first, size_t count, GError **error)
{
    PackNeeds needs = {first, count, 0};
    size_t next = 0; /* chunks below it are dealt with */

    g_array_set_size(worker->wanted, 0);
    for (size_t i = 0; i < count; i++) {
        size_t chunk = bk_pack_reader_find(worker->reader, first[i].pack_offset);
        size_t end =
            bk_pack_reader_find(worker->reader, first[i].pack_offset + first[i].length - 1);

        for (chunk = MAX(chunk, next); chunk <= end; chunk++) {
            bool present = false;

            if (worker->extract->options.delta &&
                !is_present(worker, &needs, chunk, &present, error))
                return false;
            if (!present)
                g_array_append_val(worker->wanted, chunk);
        }
        next = MAX(next, end + 1);
    }
    return true;
}

/* How many chunks to fetch together with wanted[i]: up to the last one that is wanted, too, and
 * comes without a gap or, where requests are slow, with one of at most FAR_GAP chunks. */
static size_t
count_following(const GArray *wanted, guint i, bool is_far)
{
    const size_t gap = is_far ? FAR_GAP : 0;
    guint end = i;

    while (end + 1 < wanted->len &&
           g_array_index(wanted, size_t, end + 1) <= g_array_index(wanted, size_t, end) + 1 + gap)
        end++;
    return g_array_index(wanted, size_t, end) - g_array_index(wanted, size_t, i);
}

static bool
write_wanted(Worker *worker, const BkPackUse *first, size_t count, GError **error)
{
    PackNeeds needs = {first, count, 0};
    size_t chunk_count;
    const BkPackChunk *chunks = bk_pack_reader_chunks(worker->reader, &chunk_count);

    for (guint i = 0; i < worker->wanted->len; i++) {
        size_t index = g_array_index(worker->wanted, size_t, i);

        if (!bk_op_check(worker->op, error) ||
            !bk_pack_reader_read(worker->reader, index,
                                 count_following(worker->wanted, i, worker->is_far), &worker->raw,
                                 worker->op, error) ||
            !visit_slices(worker, &needs, &chunks[index], write_slice, error))
            return false;
    }
    return true;
}

static bool
extract_pack_from(Worker *worker, const BkSourceRepo *source_repo, const BkPackUse *needs,
                  size_t count, GError **error)
{
    const BkPackRef *ref = &worker->extract->packs[needs[0].pack];
    uint64_t asked = 0;
    bool whole;

    for (size_t i = 0; i < count; i++)
        asked += needs[i].length;
    whole = !worker->extract->options.delta && asked >= ref->raw_size / 2;
    worker->is_far = bk_store_is_remote(bk_source_repo_store(source_repo));
    return bk_pack_reader_open(worker->reader, source_repo, ref, whole, worker->op, error) &&
           list_wanted(worker, needs, count, error) && write_wanted(worker, needs, count, error);
}

static bool
extract_pack(Worker *worker, const BkPackUse *needs, size_t count, GError **error)
{
    const GPtrArray *source_repos = worker->extract->options.source_repos;

    worker->first_span = worker->spans->len;
    for (guint i = 0;; i++) {
        g_autoptr(GError) cause = NULL;

        /* What was noted of a pack that failed halfway is noted again. */
        g_array_set_size(worker->spans, worker->first_span);
        worker->written = 0;
        worker->reused = 0;
        if (extract_pack_from(worker, g_ptr_array_index(source_repos, i), needs, count, &cause)) {
            atomic_fetch_add(&worker->extract->written, worker->written);
            atomic_fetch_add(&worker->extract->reused, worker->reused);
            return true;
        }
        if (i + 1 == source_repos->len || worker->sink_failed || !bk_targets_is_at_fault(cause))
            return bk_propagate(error, &cause);
        bk_log(BK_LOG_WARNING, "%s: trying the next repository", cause->message);
    }
}

static bool
run_packs(Worker *worker, GError **error)
{
    BkExtract *self = worker->extract;
    unsigned pack;

    while ((pack = atomic_fetch_add(&self->next_pack, 1)) < self->needs.packs->len) {
        size_t count;
        const BkPackUse *needs = bk_pack_map_of_pack(&self->needs, pack, &count);

        if (!bk_op_check(worker->op, error) || !extract_pack(worker, needs, count, error))
            return false;
    }
    return true;
}

static bool
run_extract_worker(unsigned index, void *data, BkOp *op, GError **error)
{
    BkExtract *self = data;
    Worker worker = {
        .extract = self,
        .op = op,
        .reader = bk_pack_reader_new(),
        .sink = bk_file_writer_new(self->options.place, self->files),
        .wanted = g_array_new(FALSE, FALSE, sizeof(size_t)),
        .spans = g_array_new(FALSE, FALSE, sizeof(Span)),
    };
    bool ok = run_packs(&worker, error);

    (void)index;
    (void)pthread_mutex_lock(&self->mutex);
    g_array_append_vals(self->spans, worker.spans->data, worker.spans->len);
    (void)pthread_mutex_unlock(&self->mutex);
    bk_pack_reader_free(worker.reader);
    bk_file_writer_free(worker.sink);
    bk_buf_clear(&worker.raw);
    bk_buf_clear(&worker.present);
    g_array_unref(worker.wanted);
    g_array_unref(worker.spans);
    return ok;
}

/* A hole in a file that was there before may hold anything. */
static bool
clear_hole(BkFileWriter *sink, const BkPackUse *hole, uint8_t *buffer, GError **error)
{
    static const uint8_t zeros[ZERO_STEP];

    for (uint64_t done = 0; done < hole->length;) {
        uint64_t end = hole->file_offset + hole->length;
        uint64_t offset;
        size_t want;
        size_t got;

        if (!bk_file_writer_next_data(sink, hole->file, hole->file_offset + done, end, &offset,
                                      error))
            return false;
        done = offset - hole->file_offset;
        want = MIN(hole->length - done, ZERO_STEP);
        if (want == 0)
            break;
        if (!bk_file_writer_read(sink, hole->file, buffer, want, offset, &got, error))
            return false;
        if (got == 0)
            return true; /* the file ends before: its size will be set */
        if (memcmp(buffer, zeros, got) != 0 &&
            !bk_file_writer_write(sink, hole->file, zeros, got, offset, error))
            return false;
        done += got;
    }
    return true;
}

static bool
finish_files(BkExtract *self, GError **error)
{
    g_autoptr(BkFileWriter) sink = bk_file_writer_new(self->options.place, self->files);
    g_autofree uint8_t *buffer = g_malloc(ZERO_STEP);
    g_auto(BkIdentityScope) scope = bk_identity_enter(bk_beneath_identity(self->options.place));

    for (guint i = 0; self->options.delta && i < self->needs.holes->len; i++)
        if (!clear_hole(sink, &g_array_index(self->needs.holes, BkPackUse, i), buffer, error))
            return false;
    for (size_t i = 0; i < self->file_count; i++) {
        const BkFile *file = &self->files[i];

        if (file->kind != BK_FILE_REGULAR || g_strcmp0(file->path, self->options.skip) == 0)
            continue;
        if (!bk_file_writer_finish(sink, i, self->options.owners, error))
            return false;
    }
    return true;
}

static int
compare_written_spans(const void *left, const void *right)
{
    const Span *a = left;
    const Span *b = right;

    if (a->file != b->file)
        return a->file < b->file ? -1 : 1;
    return (a->offset > b->offset) - (a->offset < b->offset);
}

bool
bk_extract_run(BkExtract *self, BkOp *op, GError **error)
{
    if (!bk_workers_run(self->options.workers, run_extract_worker, self, op, error))
        return false;
    g_array_sort(self->spans, compare_written_spans);
    return finish_files(self, error);
}

uint32_t
bk_extract_crc32c(BkExtract *self, size_t index)
{
    const Span key = {.file = (uint32_t)index};
    uint64_t at = 0;
    uint32_t crc = 0;

    for (guint i = bk_sorted_find_first(self->spans, compare_written_spans, &key);
         i < self->spans->len; i++) {
        const Span *span = &g_array_index(self->spans, Span, i);

        if (span->file != index)
            break;
        crc = bk_crc32c_zeros(crc, span->offset - at);
        crc = bk_crc32c_combine(crc, span->crc, span->length);
        at = span->offset + span->length;
    }
    return bk_crc32c_zeros(crc, self->files[index].size - at);
}

uint64_t
bk_extract_written_bytes(const BkExtract *self)
{
    return atomic_load(&self->written);
}

uint64_t
bk_extract_reused_bytes(const BkExtract *self)
{
    return atomic_load(&self->reused);
}

static bool
read_need(BkPackReader *reader, const BkPackUse *need, BkBuf *content, BkOp *op, GError **error)
{
    size_t count;
    const BkPackChunk *chunks = bk_pack_reader_chunks(reader, &count);
    size_t end = bk_pack_reader_find(reader, need->pack_offset + need->length - 1);
    g_auto(BkBuf) raw = BK_BUF_INIT;
    Slice slice;

    for (size_t i = bk_pack_reader_find(reader, need->pack_offset); i <= end; i++) {
        if (!bk_pack_reader_read(reader, i, 0, &raw, op, error))
            return false;
        if (get_slice(need, &chunks[i], &slice))
            memcpy(content->data + slice.file_offset, raw.data + slice.chunk_offset, slice.length);
    }
    return true;
}

static bool
read_from(const BkExtractOptions *options, const BkSourceRepo *source_repo, const BkPackMap *needs,
          BkBuf *content, BkOp *op, GError **error)
{
    g_autoptr(BkPackReader) reader = bk_pack_reader_new();
    size_t count;
    const BkPackRef *packs = bk_snapshot_packs(options->snapshot, &count);

    for (guint i = 0; i < needs->needs->len; i++) {
        const BkPackUse *need = &g_array_index(needs->needs, BkPackUse, i);

        if (!bk_pack_reader_open(reader, source_repo, &packs[need->pack], false, op, error) ||
            !read_need(reader, need, content, op, error))
            return false;
    }
    return true;
}

bool
bk_extract_read(const BkExtractOptions *options, const BkFile *file, size_t limit, BkBuf *content,
                BkOp *op, GError **error)
{
    g_auto(BkPackMap) needs = {0};
    size_t count;
    const BkFile *files = bk_snapshot_files(options->snapshot, &count);

    if (file->size > limit)
        return bk_throw(error, BK_ERROR_CORRUPT, "\"%s\" is larger than %zu bytes", file->path,
                        limit);
    bk_pack_map_collect(&needs, options->snapshot, (size_t)(file - files), 1, NULL);
    content->size = 0;
    (void)bk_buf_extend(content, file->size);
    for (guint i = 0;; i++) {
        g_autoptr(GError) cause = NULL;

        if (read_from(options, g_ptr_array_index(options->source_repos, i), &needs, content, op,
                      &cause))
            return true;
        if (i + 1 == options->source_repos->len || !bk_targets_is_at_fault(cause))
            return bk_propagate(error, &cause);
    }
}
