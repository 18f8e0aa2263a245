/* page-sample.h - a random sample of the pages that a backup stores: each page with the same
 * chance, however many there are and in whatever order they come.
 *
 * Each page gets a random rank, and those of the lowest ranks are kept. A page that a later
 * snapshot still has keeps its rank, so that the sample stays about one of all pages: when many of
 * its pages are dropped, those that are stored next take their places. Threads: a sample belongs to
 * one thread; several are made one by merging. */
#pragma once
#include "source/pg/cluster/data-dir-list.h"
#include "source/pg/format/page-note.h"

#define BK_PAGE_SAMPLE_SIZE 512u /* pages of a snapshot: some 12 KiB of its manifest */

typedef struct BkPageSample BkPageSample;

BkPageSample *bk_page_sample_new(void);
void bk_page_sample_free(BkPageSample *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkPageSample, bk_page_sample_free)

/* Draws from the whole pages of `data`, which is at `offset` of `file`. The file is borrowed. */
void bk_page_sample_draw(BkPageSample *self, const BkSourceFile *file, const uint8_t *data,
                         size_t size, uint64_t offset);

/* Adds a note that has a rank already. */
void bk_page_sample_add(BkPageSample *self, const BkSourceFile *file, const BkPageNote *note);

/* Adds what `other` has, which keeps it. */
void bk_page_sample_merge(BkPageSample *self, const BkPageSample *other);

/* Appends the notes of one file to `notes` (of BkPageNote), sorted by offset. */
void bk_page_sample_get(BkPageSample *self, const BkSourceFile *file, GArray *notes);
