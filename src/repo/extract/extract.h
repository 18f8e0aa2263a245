/* extract.h - from packs to files: fetch, open, decompress, write.
 *
 * Each pack is opened once; workers take packs in turn. With `delta` what the destination holds
 * already is compared chunk by chunk and left alone where it is right. Promise: when bk_extract_run
 * returns true, every file has exactly the bytes of the snapshot (each chunk was authenticated, or
 * compared with what was written); nothing is durable before the caller syncs. Threads: a BkExtract
 * belongs to one thread, which starts and joins the others. */
#pragma once
#include "base/beneath.h"
#include "repo/extract/chown-map.h"

typedef struct BkExtractOptions {
    GPtrArray
        *source_repos; /* of BkSourceRepo: read from the first that has an object whole; borrowed */
    const BkSnapshot *snapshot;
    BkChownMap *owners;
    const BkBeneath *place; /* the destination, whose directories are there already */
    const char *skip;       /* path of a file to leave out, or NULL */
    bool delta;
    unsigned workers;
} BkExtractOptions;

typedef struct BkExtract BkExtract;

BkExtract *bk_extract_new(const BkExtractOptions *options);
void bk_extract_free(BkExtract *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkExtract, bk_extract_free)

/* Writes all regular files of the snapshot, with their modes. */
bool bk_extract_run(BkExtract *self, BkOp *op, GError **error) BK_MUST_USE;

/* CRC-32C of file `index` (of the snapshot's files) as it was written. */
uint32_t bk_extract_crc32c(BkExtract *self, size_t index);

uint64_t bk_extract_written_bytes(const BkExtract *self);
uint64_t bk_extract_reused_bytes(const BkExtract *self);

/* Reads the content of one file into `content`. */
bool bk_extract_read(const BkExtractOptions *options, const BkFile *file, size_t limit,
                     BkBuf *content, BkOp *op, GError **error) BK_MUST_USE;
