/* wal-image.h - what a WAL record contains of a block that it refers to: an image of the page, and
 * data about the change. PostgreSQL 13 to 18.
 *
 * Threads: safe; nothing here has state. */
#pragma once
#include "source/pg/wal/wal-parts.h"

typedef enum {
    BK_WAL_IMAGE_PLAIN,
    BK_WAL_IMAGE_PGLZ,
    BK_WAL_IMAGE_LZ4,
    BK_WAL_IMAGE_ZSTD,
} BkWalImageMethod;

typedef struct BkWalContent {
    const uint8_t *image; /* NULL: none */
    size_t image_size;
    uint16_t hole_at; /* zeros that are left out of the image */
    uint16_t hole_size;
    BkWalImageMethod method;
    const uint8_t *data; /* NULL: none */
    size_t size;
} BkWalContent;

/* Finds that of block `index` of a record that has been taken apart into `parts`. False when there
 * is no such block, or the content is not wholly given. */
bool bk_wal_content_find(const BkWalRecord *record, uint16_t magic, const BkWalParts *parts,
                         unsigned index, BkWalContent *content) BK_MUST_USE;

/* Makes the page (BK_PG_PAGE_SIZE bytes) of an image. False when there is none, or it is
 * malformed. */
bool bk_wal_content_restore(const BkWalContent *self, uint8_t *page) BK_MUST_USE;
