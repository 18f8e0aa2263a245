/* selection.h - what of each file a backup reads, and what it reuses from the parent snapshot.
 *
 * The rules, for a file that the parent knows (3 below for one that it does not):
 *   1. A relation's main fork: the blocks that the WAL since the parent names, those at or above a
 *      truncation, and what lies past the parent's length. The rest is reused without being read.
 *      Without knowledge from the WAL (a full scan) it is read, and pages with an LSN older than
 *      the parent are reused.
 *   2. Everything else is read; pieces whose digest is the parent's are reused.
 *   3. Whatever the parent does not know, or what is new as a whole, is read and stored.
 * In addition, packs may be rewritten: what is in use of one is read and stored again.
 * Threads: a selection is built by one thread and then read only. */
#pragma once
#include "repo/snapshot/snapshot.h"
#include "source/pg/cluster/data-dir-list.h"
#include "source/pg/wal/block-map.h"

typedef enum {
    BK_READ_ALL,
    BK_READ_DIGESTED, /* rule 2 */
    BK_READ_COMPARED, /* rule 1, without knowledge from the WAL */
    BK_READ_RANGES,   /* rule 1 */
} BkReadHow;

typedef struct BkSelected {
    const BkDataDirFile *file;
    const BkFile *base; /* in the parent; NULL: nothing is taken from it */
    BkReadHow how;
    bool has_digests;  /* is to get digests */
    bool is_given_up;  /* digested: a pack of it is rewritten, so that what is unchanged is stored,
                          too */
    bool is_main_fork; /* of the relation below */
    BkForkKey fork;
    uint64_t to_read; /* bytes */
} BkSelected;

/* A part of a file to be read at once. */
typedef struct BkRange {
    uint64_t offset;
    uint64_t length;
    bool is_repack; /* it is as in the parent, but its pack is rewritten */
} BkRange;

typedef struct BkSelection BkSelection;

/* Everything is to be read. `files` (of BkDataDirFile) must outlive it. */
BkSelection *bk_selection_new_full(const GPtrArray *files);

typedef struct BkSelectionOptions {
    const BkSnapshot *parent;
    const BkBlockMap *map; /* changes since the parent's redo; NULL: full scan */
    int64_t parent_us;     /* when the parent was begun */
    const bool
        *is_given_up; /* for each of the parent's packs, whether it is rewritten; NULL: none is */
} BkSelectionOptions;

/* `files` and what is in `options` must outlive it. */
BkSelection *bk_selection_new(const GPtrArray *files, const BkSelectionOptions *options);
void bk_selection_free(BkSelection *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkSelection, bk_selection_free)

/* One for each file, in their order; `*count` of them. */
const BkSelected *bk_selection_files(const BkSelection *self, size_t *count);

/* How many bytes will be read. */
uint64_t bk_selection_to_read(const BkSelection *self);

/* What is to be read of [from, end) of a file whose `how` is ranges: `ranges` (of BkRange) is
 * replaced. In order, apart from each other or of different kinds. */
void bk_selection_get_ranges(const BkSelection *self, const BkSelected *selected, uint64_t from,
                             uint64_t end, GArray *ranges);

/* Adds to live[pack], for each pack of the parent, how many of its bytes the selection reuses. What
 * may be reused after reading counts too. */
void bk_selection_count_live(const BkSelection *self, uint64_t *live);
