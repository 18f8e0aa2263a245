#include "engine/copy.h"

#include "base/fault.h"
#include "base/fd.h"
#include "base/queue.h"
#include "base/workers.h"
#include "engine/reader.h"
#include "source/pg/page.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define PUTTERS     2u
#define PIECE_SIZE  ((uint64_t)16 * 1024 * 1024) /* a larger file is read by several workers */
#define UNIT_SIZE   ((uint64_t)4 * 1024 * 1024)  /* small files are taken in groups of about this */
#define REREADS     3 /* of a page that fails its checksum: it may just be being written */
#define CHUNK_PAGES (BK_PACK_CHUNK_SIZE / BK_PG_PAGE_SIZE)

/* A part of a file that was read in one go, and where it is now. */
typedef struct Run {
    const BkTreeFile *file;
    BkExtent extent;
} Run;

typedef struct Piece {
    const BkTreeFile *file;
    uint64_t offset;
    uint64_t length;
} Piece;

/* A full pack on its way into the repositories. */
typedef struct Job {
    BkBuf *object;
    uint8_t name[BK_SHA256_SIZE];
} Job;

struct BkCopy {
    BkCopyOptions options;
    BkRate *rate;

    pthread_mutex_t mutex; /* guards the four arrays while workers run */
    GArray *packs;         /* BkPackRef */
    GArray *runs;          /* Run; sorted after each bk_copy_run */
    GArray *damage;        /* BkCopyDamage */
    GHashTable *vanished;  /* of BkTreeFile * */
};

/* One call of bk_copy_run. */
typedef struct Round {
    BkCopy *copy;
    int root;
    const BkBuf *content; /* of the only file, when it is not to be read */
    GArray *pieces;       /* Piece */
    GArray *units;        /* guint: index of each unit's first piece */
    atomic_uint next_unit;
    atomic_uint active_workers;
    BkQueue *full;  /* Job: packs to put */
    BkQueue *empty; /* BkBuf: memory for packs to come */
} Round;

typedef struct Worker {
    Round *round;
    BkOp *op;
    BkPackWriter *writer;
    BkReader *reader;
    BkBuf *object; /* of the open pack */
    GArray *runs;
    guint first_run_of_pack;
    GArray *damage;
    GPtrArray *vanished;
} Worker;

BkCopy *
bk_copy_new(const BkCopyOptions *options)
{
    BkCopy *self = g_new0(BkCopy, 1);

    self->options = *options;
    self->rate = bk_rate_new(options->max_rate);
    (void)pthread_mutex_init(&self->mutex, NULL);
    self->packs = g_array_new(FALSE, FALSE, sizeof(BkPackRef));
    self->runs = g_array_new(FALSE, FALSE, sizeof(Run));
    self->damage = g_array_new(FALSE, FALSE, sizeof(BkCopyDamage));
    self->vanished = g_hash_table_new(NULL, NULL);
    return self;
}

void
bk_copy_free(BkCopy *self)
{
    if (self == NULL)
        return;
    bk_rate_free(self->rate);
    (void)pthread_mutex_destroy(&self->mutex);
    g_array_unref(self->packs);
    g_array_unref(self->runs);
    g_array_unref(self->damage);
    g_hash_table_unref(self->vanished);
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

/* Pages first, so that they stay aligned in the packs; files within each kind in order of path. */
static void
cut_pieces(Round *round, const GPtrArray *files, bool paged)
{
    for (guint i = 0; i < files->len; i++) {
        const BkTreeFile *file = g_ptr_array_index(files, i);

        if (!S_ISREG(file->mode) || file->is_paged != paged)
            continue;
        for (uint64_t offset = 0; offset < file->size; offset += PIECE_SIZE) {
            Piece piece = {file, offset, MIN(PIECE_SIZE, file->size - offset)};

            g_array_append_val(round->pieces, piece);
        }
    }
}

static void
group_units(Round *round)
{
    uint64_t bytes = UNIT_SIZE;

    for (guint i = 0; i < round->pieces->len; i++) {
        const Piece *piece = &g_array_index(round->pieces, Piece, i);

        if (bytes + piece->length > UNIT_SIZE) {
            g_array_append_val(round->units, i);
            bytes = 0;
        }
        bytes += piece->length;
    }
}

static bool
begin_pack(Worker *worker, GError **error)
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
    BkCopy *copy = worker->round->copy;
    uint32_t index;

    (void)pthread_mutex_lock(&copy->mutex);
    index = copy->packs->len;
    g_array_append_val(copy->packs, *ref);
    (void)pthread_mutex_unlock(&copy->mutex);
    for (guint i = worker->first_run_of_pack; i < worker->runs->len; i++)
        g_array_index(worker->runs, Run, i).extent.pack = index;
}

static bool
end_pack(Worker *worker, GError **error)
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

/* Reads a page that failed its checksum again: it may just have been being written. A page that
 * stays wrong tells `*lsn`. */
static bool
is_page_fine(Worker *worker, uint8_t *page, uint64_t offset, uint32_t block, uint64_t *lsn)
{
    BkPgPageResult result;
    size_t got;

    for (int i = 0; i < REREADS; i++) {
        g_autoptr(GError) ignored = NULL; /* what was read before stays, and counts as wrong */

        if (!bk_reader_read(worker->reader, page, BK_PG_PAGE_SIZE, offset, &got, &ignored))
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
verify_pages(Worker *worker, const Piece *piece, uint8_t *data, size_t size, uint64_t offset)
{
    uint64_t bad[(CHUNK_PAGES + 63) / 64];
    uint32_t first = piece->file->first_block + (uint32_t)(offset / BK_PG_PAGE_SIZE);
    size_t pages = size / BK_PG_PAGE_SIZE;

    if (bk_pg_pages_verify(data, pages, first, bad) == 0)
        return;
    for (size_t i = 0; i < pages; i++) {
        BkCopyDamage damage = {piece->file, first + (uint32_t)i, 0};

        if ((bad[i / 64] >> (i % 64) & 1) == 0)
            continue;
        if (!is_page_fine(worker, data + i * BK_PG_PAGE_SIZE, offset + i * BK_PG_PAGE_SIZE,
                          damage.block, &damage.lsn))
            g_array_append_val(worker->damage, damage);
    }
}

static bool
is_zero(const uint8_t *data, size_t size)
{
    return data[0] == 0 && memcmp(data, data + 1, size - 1) == 0;
}

/* Takes what was read: as a hole when it is nothing but zeros, else into the chunk at hand. */
static bool
take(Worker *worker, const Piece *piece, const uint8_t *data, size_t size, uint64_t offset,
     GError **error)
{
    Run run = {piece->file, {.file_offset = offset, .length = size}};

    run.extent.is_hole = size >= BK_PG_PAGE_SIZE && is_zero(data, size);
    run.extent.pack_offset = bk_pack_writer_position(worker->writer);
    g_array_append_val(worker->runs, run);
    if (!run.extent.is_hole && !bk_pack_writer_commit(worker->writer, size, error))
        return false;
    bk_op_advance(worker->op, size);
    return !bk_pack_writer_is_full(worker->writer) || end_pack(worker, error);
}

static bool
copy_open_piece(Worker *worker, const Piece *piece, GError **error)
{
    const BkCopyOptions *options = &worker->round->copy->options;
    uint64_t offset = piece->offset;
    uint64_t end = piece->offset + piece->length;

    while (offset < end) {
        size_t available;
        size_t want;
        size_t got;
        uint8_t *data;

        if (!begin_pack(worker, error))
            return false;
        if (piece->file->is_paged &&
            bk_pack_writer_position(worker->writer) % BK_PG_PAGE_SIZE != 0 &&
            !bk_pack_writer_end_chunk(worker->writer, error))
            return false;
        data = bk_pack_writer_room(worker->writer, &available);
        want = MIN(available, end - offset);
        if (!bk_rate_take(worker->round->copy->rate, want, worker->op, error) ||
            !bk_reader_read(worker->reader, data, want, offset, &got, error))
            return false;
        if (got == 0)
            break;
        if (options->verify_pages && piece->file->is_paged)
            verify_pages(worker, piece, data, got, offset);
        if (!take(worker, piece, data, got, offset, error))
            return false;
        offset += got;
        if (got < want)
            break; /* cut off meanwhile */
    }
    return true;
}

static bool
copy_content(Worker *worker, const Piece *piece, GError **error)
{
    uint64_t offset = piece->offset;
    uint64_t end = piece->offset + piece->length;

    while (offset < end) {
        size_t available;
        size_t size;
        uint8_t *data;

        if (!begin_pack(worker, error))
            return false;
        data = bk_pack_writer_room(worker->writer, &available);
        size = MIN(available, end - offset);
        memcpy(data, worker->round->content->data + offset, size);
        if (!take(worker, piece, data, size, offset, error))
            return false;
        offset += size;
    }
    return true;
}

static bool
copy_piece(Worker *worker, const Piece *piece, GError **error)
{
    bool found;
    bool ok;

    if (worker->round->content != NULL)
        return copy_content(worker, piece, error);
    if (!bk_reader_open(worker->reader, piece->file->path, piece->offset, piece->length, &found,
                        error))
        return false;
    if (!found) {
        g_ptr_array_add(worker->vanished, (void *)(uintptr_t)piece->file);
        return true;
    }
    ok = copy_open_piece(worker, piece, error);
    bk_reader_close(worker->reader);
    return ok;
}

static bool
copy_units(Worker *worker, GError **error)
{
    Round *round = worker->round;
    unsigned unit;

    while ((unit = atomic_fetch_add(&round->next_unit, 1)) < round->units->len) {
        guint first = g_array_index(round->units, guint, unit);
        guint end = unit + 1 < round->units->len ? g_array_index(round->units, guint, unit + 1)
                                                 : round->pieces->len;

        for (guint i = first; i < end; i++)
            if (!copy_piece(worker, &g_array_index(round->pieces, Piece, i), error))
                return false;
    }
    if (!bk_pack_writer_is_open(worker->writer))
        return true;
    if (bk_pack_writer_position(worker->writer) > 0)
        return end_pack(worker, error);
    return true;
}

static void
hand_over(Worker *worker)
{
    BkCopy *copy = worker->round->copy;

    (void)pthread_mutex_lock(&copy->mutex);
    g_array_append_vals(copy->runs, worker->runs->data, worker->runs->len);
    g_array_append_vals(copy->damage, worker->damage->data, worker->damage->len);
    for (guint i = 0; i < worker->vanished->len; i++)
        (void)g_hash_table_add(copy->vanished, g_ptr_array_index(worker->vanished, i));
    (void)pthread_mutex_unlock(&copy->mutex);
}

static bool
run_worker(Round *round, BkOp *op, GError **error)
{
    const BkCopyOptions *options = &round->copy->options;
    Worker worker = {
        .round = round,
        .op = op,
        .writer = bk_pack_writer_new(g_ptr_array_index(options->parts, 0), options->codec,
                                     options->level),
        .reader = bk_reader_new(round->root),
        .runs = g_array_new(FALSE, FALSE, sizeof(Run)),
        .damage = g_array_new(FALSE, FALSE, sizeof(BkCopyDamage)),
        .vanished = g_ptr_array_new(),
    };
    bool ok = copy_units(&worker, error);

    if (ok)
        hand_over(&worker);
    if (atomic_fetch_sub(&round->active_workers, 1) == 1)
        bk_queue_close(round->full);
    bk_pack_writer_free(worker.writer);
    bk_reader_free(worker.reader);
    bk_buf_free(worker.object);
    g_array_unref(worker.runs);
    g_array_unref(worker.damage);
    g_ptr_array_unref(worker.vanished);
    return ok;
}

/* A pack whose name is taken is there already: the name is its content's digest. */
static bool
put_pack(const BkPart *part, const Job *job, BkOp *op, GError **error)
{
    g_autofree char *name = bk_pack_object_name(part, job->name);
    g_autoptr(GError) cause = NULL;

    if (!bk_fault(BK_FAULT_BACKUP_PUT_PACK, error))
        return false;
    if (bk_store_put(bk_part_store(part), name, job->object, op, &cause) ||
        bk_error_is(cause, BK_ERROR_EXISTS))
        return true;
    return bk_propagate(error, &cause);
}

static bool
run_putter(Round *round, BkOp *op, GError **error)
{
    const GPtrArray *parts = round->copy->options.parts;

    for (;;) {
        Job *job;
        void *item;
        bool ok = true;

        if (!bk_queue_pop(round->full, &item, op, error))
            return false;
        if (item == NULL)
            return true;
        job = item;
        for (guint i = 0; ok && i < parts->len; i++)
            ok = put_pack(g_ptr_array_index(parts, i), job, op, error);
        ok = ok && bk_queue_push(round->empty, job->object, op, error);
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
compare_runs(const void *left, const void *right)
{
    const Run *a = left;
    const Run *b = right;

    if (a->file != b->file)
        return (uintptr_t)a->file < (uintptr_t)b->file ? -1 : 1;
    return (a->extent.file_offset > b->extent.file_offset) -
           (a->extent.file_offset < b->extent.file_offset);
}

/* Cuts pieces into units, starts the threads and brings what they did in order. */
static bool
run_round(Round *round, BkOp *op, GError **error)
{
    BkCopy *copy = round->copy;
    unsigned threads = copy->options.workers + PUTTERS;
    g_autoptr(GArray) units = g_array_new(FALSE, FALSE, sizeof(guint));
    g_autoptr(BkQueue) full = bk_queue_new(threads, free_job);
    g_autoptr(BkQueue) empty = bk_queue_new(threads, free_buf);

    round->units = units;
    round->full = full;
    round->empty = empty;
    round->active_workers = copy->options.workers;
    group_units(round);
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
    return true;
}

bool
bk_copy_run(BkCopy *self, GPtrArray *files, BkOp *op, GError **error)
{
    g_auto(BkFd) root = bk_fd_open_dir(AT_FDCWD, self->options.root, error);
    g_autoptr(GArray) pieces = g_array_new(FALSE, FALSE, sizeof(Piece));
    Round round = {.copy = self, .root = root, .pieces = pieces};

    if (root < 0)
        return false;
    cut_pieces(&round, files, true);
    cut_pieces(&round, files, false);
    return run_round(&round, op, error);
}

bool
bk_copy_run_bytes(BkCopy *self, const BkTreeFile *file, const BkBuf *content, BkOp *op,
                  GError **error)
{
    g_autoptr(GArray) pieces = g_array_new(FALSE, FALSE, sizeof(Piece));
    Round round = {.copy = self, .root = -1, .content = content, .pieces = pieces};
    Piece piece = {file, 0, content->size};

    g_array_append_val(pieces, piece);
    return run_round(&round, op, error);
}

/* Index of the first run of `file`. */
static guint
find_runs(const BkCopy *self, const BkTreeFile *file)
{
    Run key = {file, {0}};
    guint low = 0;
    guint high = self->runs->len;

    while (low < high) {
        guint middle = low + (high - low) / 2;

        if (compare_runs(&g_array_index(self->runs, Run, middle), &key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool
bk_copy_get_file(BkCopy *self, const BkTreeFile *file, BkBuf *extents, uint64_t *size)
{
    g_autoptr(GArray) own = g_array_new(FALSE, FALSE, sizeof(BkExtent));

    extents->size = 0;
    *size = 0;
    if (g_hash_table_contains(self->vanished, file))
        return false;
    for (guint i = find_runs(self, file); i < self->runs->len; i++) {
        const Run *run = &g_array_index(self->runs, Run, i);

        if (run->file != file)
            break;
        g_array_append_val(own, run->extent);
        *size = run->extent.file_offset + run->extent.length;
    }
    bk_extents_encode((const BkExtent *)(const void *)own->data, own->len, *size, extents);
    return true;
}

const BkCopyDamage *
bk_copy_damage(const BkCopy *self, size_t *count)
{
    *count = self->damage->len;
    return (const BkCopyDamage *)(const void *)self->damage->data;
}

const BkPackRef *
bk_copy_packs(const BkCopy *self, size_t *count)
{
    *count = self->packs->len;
    return (const BkPackRef *)(const void *)self->packs->data;
}
