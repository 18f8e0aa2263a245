/* pipeline.c - from files to packs: read, check pages, compress, seal, put. */
#include "engine/backup/pipeline-priv.h"

#include "base/fd.h"
#include "base/sorted.h"
#include "base/workers.h"

#include <fcntl.h>
#include <string.h>

#define PUTTERS    2u
#define PIECE_SIZE ((uint64_t)16 * 1024 * 1024) /* a larger file is read by several workers */
#define UNIT_SIZE  ((uint64_t)4 * 1024 * 1024)  /* small files are taken in groups of about this */

/* A full pack on its way into the repositories. */
typedef struct Job {
    BkBuf *object;
    uint8_t name[BK_SHA256_SIZE];
} Job;

BkPipeline *
bk_pipeline_new(const BkPipelineOptions *options)
{
    BkPipeline *self = g_new0(BkPipeline, 1);

    self->options = *options;
    self->rate = bk_rate_new(options->max_rate);
    (void)pthread_mutex_init(&self->mutex, NULL);
    self->files = g_array_new(FALSE, FALSE, sizeof(CopyFile));
    self->places = g_hash_table_new(NULL, NULL);
    self->packs = g_array_new(FALSE, FALSE, sizeof(BkPackRef));
    self->runs = g_array_new(FALSE, FALSE, sizeof(Run));
    self->digests = g_array_new(FALSE, FALSE, sizeof(Digest));
    return self;
}

void
bk_pipeline_free(BkPipeline *self)
{
    if (self == NULL)
        return;
    bk_rate_free(self->rate);
    (void)pthread_mutex_destroy(&self->mutex);
    g_array_unref(self->files);
    g_hash_table_unref(self->places);
    g_array_unref(self->packs);
    g_array_unref(self->runs);
    g_array_unref(self->digests);
    g_free(self);
}

static void
free_buf(void *data)
{
    bk_buf_free(data);
}

static void
free_job(void *data)
{
    Job *job = data;

    bk_buf_free(job->object);
    g_free(job);
}

static uint32_t
add_file(BkPipeline *self, const BkSelected *selected, uint64_t size)
{
    CopyFile file = {.selected = selected, .size = size};
    uint32_t index = self->files->len;

    g_array_append_val(self->files, file);
    g_hash_table_insert(self->places, (void *)(uintptr_t)selected->file,
                        GUINT_TO_POINTER(index + 1));
    return index;
}

static CopyFile *
file_at(const BkPipeline *self, uint32_t index)
{
    return &g_array_index(self->files, CopyFile, index);
}

static void
add_piece(Round *round, uint32_t index, uint64_t offset, uint64_t length, uint64_t weight)
{
    Piece piece = {offset, length, weight, index};

    g_array_append_val(round->pieces, piece);
    file_at(round->copy, index)->pieces++;
}

/* Cuts where about a piece's size is to be read: little of much, or all of a little. */
static void
cut_ranges(Round *round, uint32_t index, const BkSelected *selected, GArray *ranges)
{
    uint64_t start = 0;
    uint64_t weight = 0;

    bk_selection_get_ranges(round->selection, selected, 0, selected->file->size, ranges);
    for (guint i = 0; i < ranges->len; i++) {
        const BkRange *range = &g_array_index(ranges, BkRange, i);
        uint64_t offset = range->offset;
        uint64_t end = range->offset + range->length;

        while (weight + (end - offset) >= PIECE_SIZE) {
            uint64_t border = offset + (PIECE_SIZE - weight);

            add_piece(round, index, start, border - start, PIECE_SIZE);
            start = offset = border;
            weight = 0;
        }
        weight += end - offset;
    }
    if (weight > 0)
        add_piece(round, index, start, selected->file->size - start, weight);
}

static void
cut_file(Round *round, const BkSelected *selected, GArray *ranges)
{
    uint64_t size = selected->file->size;
    uint32_t index = add_file(round->copy, selected, size);

    if (selected->how == BK_READ_RANGES) {
        cut_ranges(round, index, selected, ranges);
        return;
    }
    for (uint64_t offset = 0; offset < size; offset += PIECE_SIZE) {
        uint64_t length = MIN(PIECE_SIZE, size - offset);

        add_piece(round, index, offset, length, length);
    }
}

/* What the parent knows comes first: once that is done, a checkpoint is as new as this backup (see
 * bk_pipeline_get_file). Within it pages first, so that they stay aligned in the packs. */
static void
cut_pieces(Round *round)
{
    static const struct {
        bool has_base;
        bool has_pages;
    } groups[] = {{true, true}, {true, false}, {false, true}, {false, false}};
    g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(BkRange));
    size_t count;
    const BkSelected *files = bk_selection_files(round->selection, &count);
    const BkSourceFile *left_out = round->last != NULL ? round->last->selected->file : NULL;

    for (size_t group = 0; group < G_N_ELEMENTS(groups); group++)
        for (size_t i = 0; i < count; i++)
            if (S_ISREG(files[i].file->mode) && files[i].file != left_out &&
                (files[i].base != NULL) == groups[group].has_base &&
                (files[i].file->page_size > 0) == groups[group].has_pages)
                cut_file(round, &files[i], ranges);
}

static void
group_units(Round *round)
{
    const guint none = 0;
    uint64_t weight = UNIT_SIZE;

    for (guint i = 0; i < round->pieces->len; i++) {
        const Piece *piece = &g_array_index(round->pieces, Piece, i);

        if (weight + piece->weight > UNIT_SIZE) {
            g_array_append_val(round->units, i);
            weight = 0;
        }
        weight += piece->weight;
    }
    /* Without a piece the last file may be the only one. */
    if (round->units->len == 0)
        g_array_append_val(round->units, none);
}

bool
bk_pipeline_begin_pack(Worker *worker, GError **error)
{
    void *object;

    if (bk_pack_writer_is_open(worker->writer))
        return true;
    if (!bk_queue_pop(worker->round->empty, &object, worker->op, error))
        return false;
    worker->object = object;
    worker->first_run_of_pack = worker->runs->len;
    return bk_pack_writer_begin(worker->writer, worker->object, error);
}

/* The index of a pack is known when it is complete; its runs get it then. */
static void
number_pack(Worker *worker, const BkPackRef *ref)
{
    BkPipeline *copy = worker->round->copy;
    uint32_t index;

    (void)pthread_mutex_lock(&copy->mutex);
    index = copy->options.first_pack + copy->packs->len;
    g_array_append_val(copy->packs, *ref);
    (void)pthread_mutex_unlock(&copy->mutex);
    for (guint i = worker->first_run_of_pack; i < worker->runs->len; i++) {
        Run *run = &g_array_index(worker->runs, Run, i);

        if (run->pack != HOLE)
            run->pack = index;
    }
}

bool
bk_pipeline_end_pack(Worker *worker, GError **error)
{
    BkPackRef ref;
    Job *job;

    if (!bk_pack_writer_finish(worker->writer, &ref, error))
        return false;
    number_pack(worker, &ref);
    job = g_new0(Job, 1);
    job->object = g_steal_pointer(&worker->object);
    memcpy(job->name, ref.name, sizeof job->name);
    if (bk_queue_push(worker->round->full, job, worker->op, error))
        return true;
    free_job(job);
    return false;
}

static bool
is_time_left(const Round *round)
{
    return round->deadline_us == 0 || g_get_monotonic_time() < round->deadline_us;
}

/* Called by the worker that ends the last unit: nothing else is being read then. Its pack, if one
 * is open, takes the last file too. */
static bool
copy_last(Worker *worker, GError **error)
{
    Round *round = worker->round;
    CopyFile *file = round->last != NULL ? file_at(round->copy, round->last_file) : NULL;
    g_auto(BkBuf) content = BK_BUF_INIT;

    if (file == NULL)
        return true;
    if (!round->last->read(round->last->data, &content, worker->op, error) ||
        !bk_pipeline_content(worker, round->last_file, &content, error))
        return false;
    (void)pthread_mutex_lock(&round->copy->mutex);
    file->size = content.size;
    file->pieces_done = file->pieces;
    (void)pthread_mutex_unlock(&round->copy->mutex);
    return true;
}

static bool
copy_units(Worker *worker, GError **error)
{
    Round *round = worker->round;
    bool is_first = true; /* one unit at least, however short the time is */
    unsigned unit;

    while ((is_first || is_time_left(round)) &&
           (unit = atomic_fetch_add(&round->next_unit, 1)) < round->units->len) {
        guint first = g_array_index(round->units, guint, unit);
        guint end = unit + 1 < round->units->len ? g_array_index(round->units, guint, unit + 1)
                                                 : round->pieces->len;

        is_first = false;
        for (guint i = first; i < end; i++) {
            if (!bk_pipeline_piece(worker, &g_array_index(round->pieces, Piece, i), error))
                return false;
            g_array_append_val(worker->pieces_done, i);
        }
        if (atomic_fetch_add(&round->units_done, 1) + 1 == round->units->len &&
            !copy_last(worker, error))
            return false;
    }
    if (!bk_pack_writer_is_open(worker->writer))
        return true;
    if (bk_pack_writer_position(worker->writer) > 0)
        return bk_pipeline_end_pack(worker, error);
    return true;
}

static void
add_work(BkSnapshotWork *work, const BkSnapshotWork *more)
{
    work->read += more->read;
    work->changed += more->changed;
    work->repacked += more->repacked;
}

static void
hand_over(Worker *worker)
{
    BkPipeline *copy = worker->round->copy;

    (void)pthread_mutex_lock(&copy->mutex);
    g_array_append_vals(copy->runs, worker->runs->data, worker->runs->len);
    g_array_append_vals(copy->digests, worker->digests->data, worker->digests->len);
    for (guint i = 0; i < worker->vanished->len; i++)
        file_at(copy, g_array_index(worker->vanished, guint, i))->has_vanished = true;
    for (guint i = 0; i < worker->ends->len; i++) {
        const Piece *cut = &g_array_index(worker->ends, Piece, i);
        CopyFile *file = file_at(copy, cut->file);

        file->size = MIN(file->size, cut->offset);
    }
    for (guint i = 0; i < worker->pieces_done->len; i++) {
        guint piece = g_array_index(worker->pieces_done, guint, i);

        file_at(copy, g_array_index(worker->round->pieces, Piece, piece).file)->pieces_done++;
    }
    if (worker->reader->driver->hand_over != NULL)
        worker->reader->driver->hand_over(worker->reader);
    add_work(&copy->work, &worker->work);
    (void)pthread_mutex_unlock(&copy->mutex);
}

static void
init_worker(Worker *worker, Round *round, BkOp *op)
{
    const BkPipelineOptions *options = &round->copy->options;
    const BkSourceRepo *source_repo = g_ptr_array_index(options->targets->source_repos, 0);
    uint32_t generation;

    (void)bk_keyring_newest(bk_source_repo_keys(source_repo), &generation);
    *worker = (Worker){
        .round = round,
        .op = op,
        .writer = bk_pack_writer_new(source_repo, options->codec, options->level),
        .reader = options->source->driver->new_reader(options->source),
        .hash_secret = bk_source_repo_hash_secret(source_repo, generation),
        .scratch = g_malloc(BK_FILE_DIGEST_UNIT),
        .ranges = g_array_new(FALSE, FALSE, sizeof(BkRange)),
        .runs = g_array_new(FALSE, FALSE, sizeof(Run)),
        .digests = g_array_new(FALSE, FALSE, sizeof(Digest)),
        .pieces_done = g_array_new(FALSE, FALSE, sizeof(guint)),
        .vanished = g_array_new(FALSE, FALSE, sizeof(guint)),
        .ends = g_array_new(FALSE, FALSE, sizeof(Piece)),
    };
    memset(worker->scratch, 0, BK_FILE_DIGEST_UNIT);
    bk_xxh3(worker->hash_secret, worker->scratch, BK_FILE_DIGEST_UNIT, worker->zero_hash);
}

static void
clear_worker(Worker *worker)
{
    bk_pack_writer_free(worker->writer);
    worker->reader->driver->free(worker->reader);
    bk_buf_free(worker->object);
    g_free(worker->scratch);
    g_array_unref(worker->ranges);
    g_array_unref(worker->runs);
    g_array_unref(worker->digests);
    g_array_unref(worker->pieces_done);
    g_array_unref(worker->vanished);
    g_array_unref(worker->ends);
}

static bool
run_worker(Round *round, BkOp *op, GError **error)
{
    Worker worker;
    bool ok;

    init_worker(&worker, round, op);
    ok = copy_units(&worker, error);
    if (ok)
        hand_over(&worker);
    if (atomic_fetch_sub(&round->active_workers, 1) == 1)
        bk_queue_close(round->full);
    clear_worker(&worker);
    return ok;
}

static bool
run_putter(Round *round, BkOp *op, GError **error)
{
    for (;;) {
        Job *job;
        void *item;
        bool ok;

        if (!bk_queue_pop(round->full, &item, op, error))
            return false;
        if (item == NULL)
            return true;
        job = item;
        ok = bk_targets_put_pack(round->copy->options.targets, job->name, job->object, op, error) &&
             bk_queue_push(round->empty, job->object, op, error);
        if (ok)
            job->object = NULL; /* moved */
        free_job(job);
        if (!ok)
            return false;
    }
}

static bool
run_thread(unsigned index, void *data, BkOp *op, GError **error)
{
    Round *round = data;

    return index < round->copy->options.workers ? run_worker(round, op, error)
                                                : run_putter(round, op, error);
}

static int
compare_places(uint32_t file, uint64_t offset, uint32_t other_file, uint64_t other_offset)
{
    if (file != other_file)
        return file < other_file ? -1 : 1;
    return (offset > other_offset) - (offset < other_offset);
}

static int
compare_runs(const void *left, const void *right)
{
    const Run *a = left;
    const Run *b = right;

    return compare_places(a->file, a->offset, b->file, b->offset);
}

static int
compare_digests(const void *left, const void *right)
{
    const Digest *a = left;
    const Digest *b = right;

    return compare_places(a->file, a->offset, b->file, b->offset);
}

/* Starts the threads, until all is done or the deadline has come, and brings what they did in
 * order. */
static bool
run_threads(Round *round, BkOp *op, GError **error)
{
    BkPipeline *copy = round->copy;
    unsigned threads = copy->options.workers + PUTTERS;
    g_autoptr(BkQueue) full = bk_queue_new(threads, free_job);
    g_autoptr(BkQueue) empty = bk_queue_new(threads, free_buf);

    round->full = full;
    round->empty = empty;
    round->active_workers = copy->options.workers;
    for (unsigned i = 0; i < threads; i++) {
        BkBuf *object = bk_buf_new();

        if (!bk_queue_push(empty, object, op, error)) {
            bk_buf_free(object);
            return false;
        }
    }
    if (!bk_workers_run(threads, run_thread, round, op, error))
        return false;
    g_array_sort(copy->runs, compare_runs);
    g_array_sort(copy->digests, compare_digests);
    return true;
}

/* Between the calls of the checkpoint everything that was begun is finished: what the copy knows
 * then is durable. */
static bool
run_round(Round *round, BkOp *op, GError **error)
{
    const BkPipelineOptions *options = &round->copy->options;
    g_autoptr(GArray) units = g_array_new(FALSE, FALSE, sizeof(guint));

    round->units = units;
    group_units(round);
    for (;;) {
        round->deadline_us = options->resume_interval_us > 0
                                 ? g_get_monotonic_time() + options->resume_interval_us
                                 : 0;
        if (!run_threads(round, op, error))
            return false;
        if (round->next_unit >= units->len)
            return true;
        if (!options->checkpoint(round->copy, options->data, op, error))
            return false;
    }
}

bool
bk_pipeline_run(BkPipeline *self, const BkSelection *selection, const BkPipelineLast *last,
                BkOp *op, GError **error)
{
    g_autoptr(GArray) pieces = g_array_new(FALSE, FALSE, sizeof(Piece));
    Round round = {
        .copy = self,
        .selection = selection,
        .last = last,
        .pieces = pieces,
    };

    cut_pieces(&round);
    if (last != NULL) {
        /* Its content is stored anew: no checkpoint may take the parent's for it. */
        self->last = *last->selected;
        self->last.base = NULL;
        round.last_file = add_file(self, &self->last, self->last.file->size);
        file_at(self, round.last_file)->pieces = 1;
    }
    if (!run_round(&round, op, error))
        return false;
    g_assert(last == NULL || file_at(self, round.last_file)->pieces_done == 1);
    return true;
}

void
bk_pipeline_file_init(BkPipelineFile *self)
{
    *self = (BkPipelineFile){
        .extents = g_array_new(FALSE, FALSE, sizeof(BkExtent)),
    };
}

void
bk_pipeline_file_clear(BkPipelineFile *self)
{
    g_clear_pointer(&self->extents, g_array_unref);
    bk_buf_clear(&self->digests);
}

/* What was stored of the file, as extents; returns where the last of those that follow each other
 * from its start on ends. */
static uint64_t
collect_runs(const BkPipeline *self, uint32_t file, GArray *extents, uint64_t *stored)
{
    const Run key = {.file = file};
    uint64_t end = 0;

    *stored = 0;
    for (guint i = bk_sorted_find_first(self->runs, compare_runs, &key); i < self->runs->len; i++) {
        const Run *run = &g_array_index(self->runs, Run, i);
        BkExtent extent = {
            .file_offset = run->offset,
            .length = run->length,
            .is_hole = run->pack == HOLE,
            .pack = run->pack == HOLE ? 0 : run->pack,
            .pack_offset = run->pack_offset,
        };

        if (run->file != file)
            break;
        if (run->offset == end)
            end += run->length;
        *stored += run->length;
        g_array_append_val(extents, extent);
    }
    return end;
}

static void
collect_digests(const BkPipeline *self, uint32_t file, BkBuf *digests)
{
    const Digest key = {.file = file};

    for (guint i = bk_sorted_find_first(self->digests, compare_digests, &key);
         i < self->digests->len; i++) {
        const Digest *digest = &g_array_index(self->digests, Digest, i);

        if (digest->file != file)
            break;
        bk_buf_append(digests, digest->hash, sizeof digest->hash);
    }
}

/* How much of the file is known: all; or in a checkpoint what the parent knew, or what was read of
 * it from its start on. */
static uint64_t
known_size(const CopyFile *file, uint64_t read_end, bool is_complete)
{
    if (is_complete)
        return file->size;
    return MIN(file->size, file->selected->base != NULL ? file->selected->base->size : read_end);
}

/* Forgets what lies past the file's end as it was found by another worker. */
static void
cut_extents(GArray *extents, uint64_t size)
{
    while (extents->len > 0) {
        BkExtent *last = &g_array_index(extents, BkExtent, extents->len - 1);

        if (last->file_offset + last->length <= size)
            return;
        if (last->file_offset < size) {
            last->length = size - last->file_offset;
            return;
        }
        g_array_set_size(extents, extents->len - 1);
    }
}

bool
bk_pipeline_get_file(BkPipeline *self, const BkSourceFile *tree_file, BkPipelineFile *copied)
{
    guint place = GPOINTER_TO_UINT(g_hash_table_lookup(self->places, tree_file));
    g_autoptr(GArray) own = g_array_new(FALSE, FALSE, sizeof(BkExtent));
    const CopyFile *file = place > 0 ? file_at(self, place - 1) : NULL;
    const BkFile *base;
    uint64_t read_end, stored;

    if (file == NULL || file->has_vanished)
        return false;
    base = file->selected->base;
    copied->is_complete = file->pieces_done == file->pieces;
    copied->is_behind = !copied->is_complete && base != NULL;
    if (!copied->is_complete && base == NULL && file->pieces_done == 0)
        return false;
    read_end = collect_runs(self, place - 1, own, &stored);
    copied->size = known_size(file, read_end, copied->is_complete);
    cut_extents(own, copied->size);
    copied->digests.size = 0;
    if (copied->is_complete)
        collect_digests(self, place - 1, &copied->digests);
    g_array_set_size(copied->extents, 0);
    if (base == NULL) {
        g_array_append_vals(copied->extents, own->data, own->len);
    } else {
        BkExtentIter iter;

        bk_extent_iter_init(&iter, base->extents, base->extents_size, base->size);
        bk_extents_overlay((const BkExtent *)(const void *)own->data, own->len, iter, copied->size,
                           copied->extents);
    }
    copied->parent = base;
    copied->reused = base != NULL && copied->size > stored ? copied->size - stored : 0;
    return true;
}

BkSource *
bk_pipeline_source(const BkPipeline *self)
{
    return self->options.source;
}

const BkPackRef *
bk_pipeline_packs(const BkPipeline *self, size_t *count)
{
    *count = self->packs->len;
    return (const BkPackRef *)(const void *)self->packs->data;
}

BkSnapshotWork
bk_pipeline_work(const BkPipeline *self)
{
    return self->work;
}
