/* copy.h - the way of files into packs: read, check pages, compress, seal, put.
 *
 * Workers each fill a pack of their own; full packs go through a bounded queue to threads that put
 * them into every repository, at last into those of best effort, whose failures are not the copy's.
 * Memory is bounded by the number of packs in flight, whatever the amount of data, but for a few
 * bytes that are kept of each range that was stored. Promise: when bk_copy_run returns true, every
 * pack that the recorded extents refer to is durable in every one of `parts`; the same holds in
 * each call of `checkpoint`. Threads: a BkCopy belongs to one thread, which starts and joins the
 * others.
 */
#pragma once
#include "engine/best-effort.h"
#include "engine/rate.h"
#include "engine/selection.h"

typedef struct BkCopy BkCopy;

/* Called from time to time between two rounds of work: see bk_copy_get_file. */
typedef bool (*BkCopyCheckpoint)(BkCopy *copy, void *data, BkOp *op, GError **error);

typedef struct BkCopyOptions {
    GPtrArray *parts;          /* of BkPart that share keys; borrowed */
    BkBestEffort *best_effort; /* get the packs as well; may be NULL */
    const char *root;          /* the data directory */
    BkCodec codec;
    int level;
    unsigned workers;
    uint64_t max_rate;
    bool verify_pages;     /* the cluster has data checksums */
    uint32_t first_pack;   /* index of the first pack: the parent has so many */
    uint64_t base_lsn;     /* of compared files: pages with an older LSN are as in the parent */
    int64_t checkpoint_us; /* how often `checkpoint` is called; 0: never */
    BkCopyCheckpoint checkpoint;
    void *data; /* passed to it */
} BkCopyOptions;

BkCopy *bk_copy_new(const BkCopyOptions *options);
void bk_copy_free(BkCopy *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkCopy, bk_copy_free)

/* A small file that is read in a way of its own, when all others have been. A copy has one at most.
 */
typedef struct BkCopyLast {
    const BkSelected *selected;
    /* Called at most once, in a thread of a worker: replaces `content` by that of the file. */
    bool (*read)(void *data, BkBuf *content, BkOp *op, GError **error);
    void *data; /* passed to it */
} BkCopyLast;

/* Reads and stores what `selection` says of all its files; of them `last` (may be NULL) as it says.
 * May be called again with another selection; each must live as long as the copy. */
bool bk_copy_run(BkCopy *self, const BkSelection *selection, const BkCopyLast *last, BkOp *op,
                 GError **error) BK_MUST_USE;

/* What became of a file. */
typedef struct BkCopied {
    GArray *extents; /* of BkExtent: those stored anew, and those of the parent */
    BkBuf digests;
    GArray *notes; /* of BkPageNote: pages in those extents */
    uint64_t size;
    uint64_t taken;   /* bytes of it that are the parent's */
    bool is_complete; /* false in a checkpoint: less than the file, or partly as in the parent */
    bool is_behind;   /* not complete, and partly as in the parent */
} BkCopied;

void bk_copied_init(BkCopied *self);
void bk_copied_clear(BkCopied *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkCopied, bk_copied_clear)

/* Replaces the content of `copied`. False when the file vanished before it was read, or when
 * nothing is known of it (yet). */
bool bk_copy_get_file(BkCopy *self, const BkTreeFile *file, BkCopied *copied);

/* A page that fails its checksum, also when it is read again. One that was written since the backup
 * started (by its LSN) may be torn, which replay repairs: that is for the caller to tell. */
typedef struct BkCopyDamage {
    const BkTreeFile *file;
    uint32_t block; /* within the relation's fork */
    uint64_t lsn;   /* that the page bears */
} BkCopyDamage;
const BkCopyDamage *bk_copy_damage(const BkCopy *self, size_t *count);

/* The packs put: pack i of them has index first_pack + i in extents. */
const BkPackRef *bk_copy_packs(const BkCopy *self, size_t *count);

/* What was done until now; `taken` is not counted here. */
BkSnapshotWork bk_copy_work(const BkCopy *self);
