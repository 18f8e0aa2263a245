/* page-selection.h - what of each file of a cluster a backup reads, and what it reuses of the
 * parent.
 *
 * The rules, for a file that the parent knows (3 below for one that it does not):
 *   1. A relation's main fork: the blocks that the WAL since the parent names, those at or above a
 *      truncation, and what lies past the parent's length. The rest is reused unread. Without a map
 *      of the WAL's changes it is read, and pages with an LSN older than the parent are reused.
 *   2. Everything else is read; pieces whose digest is the parent's are reused.
 *   3. Whatever the parent does not know, or what is new as a whole, is read and stored.
 * On top of it packs are given up: of one that is to go, everything is read and stored anew.
 * Threads: as selection.h. */
#pragma once
#include "repo/snapshot/snapshot.h"
#include "source/pg/wal/block-map.h"
#include "source/selection.h"

/* Everything is to be read. `files` (of BkSourceFile) must outlive it. */
BkSelection *bk_page_selection_new_full(const GPtrArray *files);

typedef struct BkPageSelectionOptions {
    const BkSnapshot *parent;
    const BkBlockMap *map;   /* changes since the parent's redo; NULL: compare */
    int64_t parent_us;       /* when the parent was begun */
    const bool *is_given_up; /* for each of the parent's packs; NULL: none is */
} BkPageSelectionOptions;

/* `files` and what is in `options` must outlive it. */
BkSelection *bk_page_selection_new(const GPtrArray *files, const BkPageSelectionOptions *options);
