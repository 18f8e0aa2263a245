/* page.h - data pages of 8 KiB: header and checksum.
 *
 * A page of zeros is valid (space that was allocated and not yet used). A page whose header calls
 * it new (pd_upper 0) but that is not all zeros is not valid, nor is one whose checksum differs.
 * Threads: safe; nothing here has state. */
#pragma once
#include "source/pg/format/lsn.h"

#define BK_PG_PAGE_SIZE      8192u
#define BK_PG_SEGMENT_BLOCKS 131072u /* of a relation file of 1 GiB, which is usual */

typedef struct BkPgPage {
    BkLsn lsn; /* of the last change */
    uint16_t checksum;
    uint16_t flags;
    uint16_t lower;
    uint16_t upper; /* 0: new */
    uint16_t special;
    uint16_t size; /* without the version */
    uint8_t version;
} BkPgPage;

typedef struct BkPgPageResult {
    BkLsn lsn; /* 0 for a page of zeros */
    bool is_new;
    uint16_t stored;
    uint16_t computed;
} BkPgPageResult;

/* Header of the page at `page` (BK_PG_PAGE_SIZE bytes). */
void bk_pg_page_decode(const uint8_t *page, BkPgPage *header);

/* Checksum of `page` as block `block` of its relation's fork: the number of the file times the
 * blocks of a whole one plus the block in that file. The stored checksum does not take part. */
uint16_t bk_pg_page_checksum(const uint8_t *page, uint32_t block);

/* The LSN of a page's last change. False when the page does not look like one that bears a
 * trustworthy one: new, without an LSN, or with a header that contradicts itself. */
bool bk_pg_page_get_lsn(const uint8_t *page, BkLsn *lsn) BK_MUST_USE;

/* Returns true if the page's header says that all its rows are visible to everybody. */
bool bk_pg_page_is_all_visible(const uint8_t *page);

/* Returns true if the page is valid (see above). `result` may be NULL. */
bool bk_pg_page_verify(const uint8_t *page, uint32_t block, BkPgPageResult *result) BK_MUST_USE;

/* Verifies `pages` consecutive pages, the first being block `first_block`; more than 5 GB/s a core.
 * Sets bit i % 64 of bad[i / 64] for each invalid page i and clears the others: `bad` has room for
 * (pages + 63) / 64 words. Returns the count of invalid pages. */
size_t bk_pg_pages_verify(const uint8_t *data, size_t pages, uint32_t first_block, uint64_t *bad);
