/* copy.h - the way of files into packs: read, check pages, compress, seal, put.
 *
 * Workers each fill a pack of their own; full packs go through a bounded queue to threads that put
 * them into every repository. Memory is bounded by the number of packs in flight, whatever the
 * amount of data. Promise: when bk_copy_run returns true, every pack that the recorded extents
 * refer to is durable in every repository. Threads: a BkCopy belongs to one thread, which starts
 * and joins the others. */
#pragma once
#include "engine/rate.h"
#include "repo/snapshot.h"
#include "source/pg/tree.h"

typedef struct BkCopyOptions {
    GPtrArray *parts; /* of BkPart that share keys; borrowed */
    const char *root; /* the data directory */
    BkCodec codec;
    int level;
    unsigned workers;
    uint64_t max_rate;
    bool verify_pages; /* the cluster has data checksums */
} BkCopyOptions;

typedef struct BkCopy BkCopy;

BkCopy *bk_copy_new(const BkCopyOptions *options);
void bk_copy_free(BkCopy *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkCopy, bk_copy_free)

/* Copies the regular ones of `files` (of BkTreeFile; all must live as long as the copy). May be
 * called again with further files. */
bool bk_copy_run(BkCopy *self, GPtrArray *files, BkOp *op, GError **error) BK_MUST_USE;

/* Takes `content` for what is in `file`: for one that is read in a way of its own. */
bool bk_copy_run_bytes(BkCopy *self, const BkTreeFile *file, const BkBuf *content, BkOp *op,
                       GError **error) BK_MUST_USE;

/* What became of a file. False when it vanished before it was read. `extents` gets its encoded
 * extents (its content is replaced) and `size` what was read of it. */
bool bk_copy_get_file(BkCopy *self, const BkTreeFile *file, BkBuf *extents, uint64_t *size);

/* A page that fails its checksum, also when it is read again. One that was written since the backup
 * started (by its LSN) may be torn, which replay repairs: that is for the caller to tell. */
typedef struct BkCopyDamage {
    const BkTreeFile *file;
    uint32_t block; /* within the relation's fork */
    uint64_t lsn;   /* that the page bears */
} BkCopyDamage;
const BkCopyDamage *bk_copy_damage(const BkCopy *self, size_t *count);

/* The packs put, in the order of their indices in extents. */
const BkPackRef *bk_copy_packs(const BkCopy *self, size_t *count);
