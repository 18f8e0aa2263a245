/* selection.h - what of each file a backup reads, and what it reuses of the parent snapshot.
 *
 * The kind of source decides; the engine carries it out. A file is read
 *   - whole, and all of it stored (BK_READ_ALL);
 *   - whole, and those pieces stored whose digest is not the parent's (BK_READ_DIGESTED);
 *   - whole, and those pages stored that its reader finds changed (BK_READ_COMPARED);
 *   - in ranges, all of which are stored, the rest being the parent's (BK_READ_RANGES): none for a
 *     file that did not change.
 * Threads: a selection is built by one thread and then read only. */
#pragma once
#include "source/source.h"

typedef enum {
    BK_READ_ALL,
    BK_READ_DIGESTED,
    BK_READ_COMPARED,
    BK_READ_RANGES,
} BkReadHow;

typedef struct BkSelected {
    const BkSourceFile *file;
    const BkFile *base; /* in the parent; NULL if nothing of it is reused */
    BkReadHow how;
    bool has_digests; /* is to get digests */
    bool is_given_up; /* digested: one of its packs is repacked, so that what is unchanged is stored
                         as well */
    uint64_t to_read; /* bytes */
} BkSelected;

/* A part of a file to be read at once. */
typedef struct BkRange {
    uint64_t offset;
    uint64_t length;
    bool is_repack; /* it is as in the parent, but its pack is given up */
} BkRange;

typedef struct BkSelection BkSelection;

/* Replaces `ranges` (of BkRange) by what is to be read of [from, end) of the file `index`, whose
 * `how` is ranges: in order, apart from each other or of different kinds. */
typedef void (*BkGetRanges)(const void *data, size_t index, uint64_t from, uint64_t end,
                            GArray *ranges);

/* An empty one. `get_ranges` may be NULL when no file is read in ranges; `data` is passed to it and
 * freed with the selection by `free_data` (or NULL). */
BkSelection *bk_selection_new(BkGetRanges get_ranges, void *data, GDestroyNotify free_data);
void bk_selection_free(BkSelection *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkSelection, bk_selection_free)

/* Adds a file; files are numbered in this order. */
void bk_selection_add(BkSelection *self, const BkSelected *selected);

/* `*count` of them, in the order in which they were added. Valid until the next is added. */
const BkSelected *bk_selection_files(const BkSelection *self, size_t *count);

/* How many bytes will be read. */
uint64_t bk_selection_to_read(const BkSelection *self);

/* As BkGetRanges, for one of bk_selection_files. */
void bk_selection_get_ranges(const BkSelection *self, const BkSelected *selected, uint64_t from,
                             uint64_t end, GArray *ranges);

/* Adds to live[pack], for each pack of the parent, how many of its bytes the selection reuses. What
 * may be reused after reading counts too. */
void bk_selection_count_live(const BkSelection *self, uint64_t *live);
