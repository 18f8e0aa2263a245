/* pipeline.h - from files to packs: read, check pages, compress, seal, put.
 *
 * Workers each fill a pack of their own; full packs go through a bounded queue to threads that put
 * them into every target, by the policy of targets.h. Memory is bounded by the number of packs in
 * flight, whatever the amount of data, but for a few bytes that are kept of each range that was
 * stored. Promise: when bk_pipeline_run returns true, every pack that the recorded extents refer to
 * is durable in every required target; the same holds in each call of `checkpoint`. Threads: a
 * BkPipeline belongs to one thread, which starts and joins the others.
 */
#pragma once
#include "base/rate.h"
#include "repo/targets/targets.h"
#include "source/selection.h"

typedef struct BkPipeline BkPipeline;

/* Called from time to time between two rounds of work: see bk_pipeline_get_file. */
typedef bool (*BkPipelineResumePoint)(BkPipeline *copy, void *data, BkOp *op, GError **error);

typedef struct BkPipelineOptions {
    BkTargets *targets; /* get the packs; the required ones share keys; borrowed */
    BkSource *source;   /* what is read; borrowed */
    BkCodec codec;
    int level;
    unsigned workers;
    uint64_t max_rate;
    uint32_t first_pack;        /* index of the first pack: the parent has so many */
    int64_t resume_interval_us; /* how often `checkpoint` is called; 0: never */
    BkPipelineResumePoint checkpoint;
    void *data; /* passed to it */
} BkPipelineOptions;

BkPipeline *bk_pipeline_new(const BkPipelineOptions *options);
void bk_pipeline_free(BkPipeline *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkPipeline, bk_pipeline_free)

/* A small file that is read in a way of its own, when all others have been. A copy has one at most.
 */
typedef struct BkPipelineLast {
    const BkSelected *selected;
    /* Called at most once, in a thread of a worker: replaces `content` by that of the file. */
    bool (*read)(void *data, BkBuf *content, BkOp *op, GError **error);
    void *data; /* passed to it */
} BkPipelineLast;

/* Reads and stores what `selection` says of all its files; of them `last` (may be NULL) as it says.
 * May be called again with another selection; each must live as long as the copy. */
bool bk_pipeline_run(BkPipeline *self, const BkSelection *selection, const BkPipelineLast *last,
                     BkOp *op, GError **error) BK_MUST_USE;

/* What became of a file. */
typedef struct BkPipelineFile {
    GArray *extents; /* of BkExtent: those stored anew, and those of the parent */
    BkBuf digests;
    const BkFile *parent; /* of which it reuses the rest, or NULL */
    uint64_t size;
    uint64_t reused;  /* bytes of it that are the parent's */
    bool is_complete; /* false in a checkpoint: less than the file, or partly as in the parent */
    bool is_behind;   /* not complete, and partly as in the parent */
} BkPipelineFile;

void bk_pipeline_file_init(BkPipelineFile *self);
void bk_pipeline_file_clear(BkPipelineFile *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkPipelineFile, bk_pipeline_file_clear)

/* Replaces the content of `copied`. False when the file vanished before it was read, or when
 * nothing is known of it (yet). */
bool bk_pipeline_get_file(BkPipeline *self, const BkSourceFile *file, BkPipelineFile *copied);

/* What is read. */
BkSource *bk_pipeline_source(const BkPipeline *self);

/* The packs put: pack i of them has index first_pack + i in extents. */
const BkPackRef *bk_pipeline_packs(const BkPipeline *self, size_t *count);

/* What was done until now; `taken` is not counted here. */
BkSnapshotWork bk_pipeline_work(const BkPipeline *self);
