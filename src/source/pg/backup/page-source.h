/* page-source.h - the files of a cluster's data directory as a backup reads them: checksums of
 * pages are verified, and some pages are noted for the next backup.
 *
 * A page that fails its checksum may just be being written, so it is read again a few times before
 * it counts as damaged. Without data checksums nothing is verified.
 * Threads: as source.h. */
#pragma once
#include "source/pg/cluster/data-dir.h"
#include "source/pg/format/lsn.h"
#include "source/source.h"

typedef struct BkPageSource BkPageSource;

typedef struct BkPageSourceOptions {
    const char *root;    /* the data directory; borrowed */
    bool verify_pages;   /* the cluster has data checksums */
    uint64_t parent_lsn; /* of compared files: pages with an older LSN are as in the parent */
} BkPageSourceOptions;

/* Opens the data directory. Fails as bk_data_dir_open. */
BkPageSource *bk_page_source_new(const BkPageSourceOptions *options, GError **error) BK_MUST_USE;
void bk_page_source_free(BkPageSource *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkPageSource, bk_page_source_free)

/* The same as a source. Borrowed. */
BkSource *bk_page_source_get(BkPageSource *self);

/* A page that fails its checksum, also when it is read again. One that was written since the backup
 * started (by its LSN) may be torn, which replay repairs: that is for the caller to decide. */
typedef struct BkPageDamage {
    const BkSourceFile *file;
    uint32_t block; /* within the relation's fork */
    uint64_t lsn;   /* that the page has */
} BkPageDamage;

/* Those of readers that have handed over: `*count` of them. */
const BkPageDamage *bk_page_source_damage(const BkPageSource *self, size_t *count);
