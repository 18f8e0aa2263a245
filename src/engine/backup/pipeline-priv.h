/* pipeline-priv.h - the insides of a copy: its files, pieces and workers.
 *
 * Threads: as copy.h; a worker belongs to its thread. */
#pragma once
#include "base/queue.h"
#include "engine/backup/pipeline.h"

#include <pthread.h>
#include <stdatomic.h>

/* A part of a file that was stored, and where it is now. There may be tens of millions of them. */
typedef struct Run {
    uint64_t offset; /* in the file */
    uint64_t pack_offset;
    uint32_t file; /* index in BkPipeline.files */
    uint32_t pack; /* HOLE: it is nothing but zeros */
    uint32_t length;
} Run;

#define HOLE UINT32_MAX

typedef struct Digest {
    uint64_t offset; /* in the file */
    uint32_t file;
    uint8_t hash[BK_XXH3_SIZE];
} Digest;

typedef struct CopyFile {
    const BkSelected *selected;
    uint32_t pieces;      /* that it was cut into */
    uint32_t pieces_done; /* of them; guarded by BkPipeline.mutex while workers run */
    bool has_vanished;    /* likewise */
    uint64_t size;        /* as listed, or less when it was found to end earlier; likewise */
} CopyFile;

/* What is read by one worker, and is read at once. */
typedef struct Piece {
    uint64_t offset;
    uint64_t length;
    uint64_t weight; /* bytes to read of it */
    uint32_t file;
} Piece;

struct BkPipeline {
    BkPipelineOptions options;
    BkRate *rate;
    GArray *files;      /* CopyFile */
    GHashTable *places; /* BkSourceFile * -> index + 1 */
    BkSelected last;    /* the file that is read last, without what the parent has of it */

    pthread_mutex_t mutex; /* guards what follows while workers run */
    GArray *packs;         /* BkPackRef */
    GArray *runs;          /* Run; sorted after each round */
    GArray *digests;       /* Digest; likewise */
    BkSnapshotWork work;
};

/* One call of bk_pipeline_run. */
typedef struct Round {
    BkPipeline *copy;
    const BkSelection *selection;
    const BkPipelineLast *last; /* or NULL */
    uint32_t last_file;         /* its index */
    GArray *pieces;             /* Piece */
    GArray *units;              /* guint: index of each unit's first piece */
    int64_t deadline_us;        /* no unit is begun after it; 0: none */
    atomic_uint next_unit;
    atomic_uint units_done;
    atomic_uint active_workers;
    BkQueue *full;  /* packs to put */
    BkQueue *empty; /* BkBuf: memory for packs to come */
} Round;

typedef struct Worker {
    Round *round;
    BkOp *op;
    BkPackWriter *writer;
    BkReader *reader;
    const BkXxh3Secret *hash_secret;
    uint8_t *scratch;                /* of BK_FILE_DIGEST_UNIT bytes */
    uint8_t zero_hash[BK_XXH3_SIZE]; /* of a unit that is a hole */
    GArray *ranges;                  /* BkRange */
    BkBuf *object;                   /* of the open pack */
    guint first_run_of_pack;
    GArray *runs;
    GArray *digests;
    GArray *pieces_done; /* guint: their indices */
    GArray *vanished;    /* guint: files */
    GArray *ends;        /* Piece: where files ended early, as offset */
    BkSnapshotWork work;
} Worker;

/* Reads a piece and stores what is to be stored of it. */
bool bk_pipeline_piece(Worker *worker, const Piece *piece, GError **error) BK_MUST_USE;

/* Stores `content` as the whole of a file (an index in BkPipeline.files). */
bool bk_pipeline_content(Worker *worker, uint32_t file, const BkBuf *content,
                         GError **error) BK_MUST_USE;

/* A pack is open afterwards. */
bool bk_pipeline_begin_pack(Worker *worker, GError **error) BK_MUST_USE;

/* The open pack is complete and on its way. */
bool bk_pipeline_end_pack(Worker *worker, GError **error) BK_MUST_USE;
