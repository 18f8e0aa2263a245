/* page-selection.c - decides for each file of a cluster what of it is read, and what is reused.
 *
 * The decision for one file; the first line that holds counts:
 *
 *   no such file in the parent, or of another kind              ► ALL
 *   not a main fork: the parent has digests                     ► DIGESTED, otherwise ALL
 *   main fork whose size is no multiple of a page               ► ALL
 *   main fork of a database or relation created since           ► ALL   (map: renewed, limit 0)
 *   main fork, no map: its packs stay, its database is not new  ► COMPARED, otherwise ALL
 *   main fork, map: more than 90 % changed                      ► ALL
 *   main fork, map                                              ► RANGES
 *
 * ALL      read and store everything. COMPARED: read everything, reuse pages with an LSN older
 * than the parent. DIGESTED: read everything, reuse pieces whose digest is the parent's. RANGES:
 * read the blocks of the map, what lies above a truncation limit or past the parent's length, and,
 * of packs that are to be rewritten, what is in use of them; the rest is reused without being
 * read.
 *
 * Why the exceptions: a file may shrink below the parent's length and grow again, which the map
 * says as a limit; blocks above it are new even if the map does not name them. A database that was
 * dropped and created again under its OID by copying files has pages with old LSNs that the parent
 * never saw: the WAL says so (renewed), and without it the time of its PG_VERSION does, with a
 * slack for clocks. When nearly everything has changed, the few extents that are left would cost
 * more to read than to store again. */
#include "source/pg/backup/page-selection.h"

#include "source/pg/format/page.h"

#include <sys/stat.h>

/* A file while it is decided about: the selected one, and which relation's fork it is. */
typedef struct Candidate {
    BkSelected selected;
    bool is_main_fork; /* of the relation below */
    BkForkKey fork;
} Candidate;

/* What the ranges of a selection's files follow from. */
typedef struct PageSelection {
    GArray *candidates; /* Candidate, as many as files, in their order */
    GHashTable *remade; /* OIDs of databases that may have been made since the parent */
    BkPageSelectionOptions options;
} PageSelection;

/* Read and stored whole when more than this share of it has changed: the few extents left would not
 * be worth reading them from old packs. */
#define WHOLE_ABOVE_NUMERATOR   9
#define WHOLE_ABOVE_DENOMINATOR 10

#define CLOCK_SLACK_US (INT64_C(10) * 60 * BK_USEC_PER_SEC)

static Candidate
describe_file(const BkSourceFile *file)
{
    Candidate candidate = {.selected = {.file = file, .how = BK_READ_ALL}};
    BkRelationPath path;

    if (!S_ISREG(file->mode))
        return candidate;
    candidate.selected.to_read = file->size;
    candidate.is_main_fork = bk_relation_path_parse_main(file->path, &path);
    candidate.selected.has_digests = !candidate.is_main_fork;
    if (candidate.is_main_fork)
        candidate.fork = (BkForkKey){path.tablespace, path.database, path.name.file_node,
                                     (uint8_t)path.name.fork};
    return candidate;
}

static uint64_t
whole_pages(uint64_t bytes)
{
    return bytes - bytes % BK_PG_PAGE_SIZE;
}

/* Up to where the parent's content may stand for the file's, whatever the blocks below say. */
static uint64_t
known_end(const PageSelection *self, const Candidate *candidate)
{
    const BkSelected *selected = &candidate->selected;
    uint64_t end = MIN(whole_pages(selected->base->size), selected->file->size);
    uint32_t limit = bk_block_map_get_limit(self->options.map, &candidate->fork);
    uint32_t first = selected->file->first_page;

    if (limit == BK_BLOCK_NO_LIMIT)
        return end;
    return limit <= first ? 0 : MIN(end, (uint64_t)(limit - first) * BK_PG_PAGE_SIZE);
}

static void
add_range(GArray *ranges, uint64_t offset, uint64_t end, bool is_repack)
{
    BkRange *last = ranges->len > 0 ? &g_array_index(ranges, BkRange, ranges->len - 1) : NULL;
    BkRange range = {offset, end - offset, is_repack};

    if (offset >= end)
        return;
    if (last != NULL && last->is_repack == is_repack && last->offset + last->length == offset)
        last->length += range.length;
    else
        g_array_append_val(ranges, range);
}

/* Walks the parent's extents of a file, to tell what of it lies in packs that are given up. */
typedef struct GivenUp {
    const bool *is_given_up; /* NULL: nothing is */
    BkExtentIter iter;
    BkExtent current;
} GivenUp;

static GivenUp
walk_given_up(const PageSelection *self, const BkFile *base)
{
    GivenUp walk = {.is_given_up = self->options.is_given_up};

    bk_extent_iter_init(&walk.iter, base->extents, base->extents_size, base->size);
    return walk;
}

/* Adds what is given up of the unchanged [from, end), widened to whole pages. */
static void
add_given_up(GivenUp *walk, uint64_t from, uint64_t end, GArray *ranges)
{
    while (walk->is_given_up != NULL && from < end) {
        uint64_t current_end = walk->current.file_offset + walk->current.length;

        if (current_end <= from) {
            if (!bk_extent_iter_next(&walk->iter, &walk->current))
                return;
            continue;
        }
        if (!walk->current.is_hole && walk->is_given_up[walk->current.pack]) {
            uint64_t start = whole_pages(MAX(from, walk->current.file_offset));
            uint64_t stop = whole_pages(current_end + BK_PG_PAGE_SIZE - 1);
            const BkRange *last =
                ranges->len > 0 ? &g_array_index(ranges, BkRange, ranges->len - 1) : NULL;

            if (last != NULL)
                start = MAX(start, last->offset + last->length);
            add_range(ranges, start, MIN(stop, end), true);
        }
        from = current_end;
    }
}

static void
find_ranges(const PageSelection *self, const Candidate *candidate, uint64_t from, uint64_t end,
            GArray *ranges)
{
    const BkSelected *selected = &candidate->selected;
    const uint64_t first = selected->file->first_page;
    const uint64_t known = MIN(known_end(self, candidate), end);
    GivenUp walk = walk_given_up(self, selected->base);
    uint32_t block, count;

    g_array_set_size(ranges, 0);
    while (from < known &&
           bk_block_map_next(self->options.map, &candidate->fork,
                             (uint32_t)(first + from / BK_PG_PAGE_SIZE),
                             (uint32_t)(first + known / BK_PG_PAGE_SIZE), &block, &count)) {
        uint64_t changed = (block - first) * BK_PG_PAGE_SIZE;
        uint64_t changed_end = changed + (uint64_t)count * BK_PG_PAGE_SIZE;

        add_given_up(&walk, from, changed, ranges);
        add_range(ranges, changed, changed_end, false);
        from = changed_end;
    }
    add_given_up(&walk, from, known, ranges);
    add_range(ranges, MAX(from, known), end, false);
}

static void
get_page_ranges(const void *data, size_t index, uint64_t from, uint64_t end, GArray *ranges)
{
    const PageSelection *self = data;

    find_ranges(self, &g_array_index(self->candidates, Candidate, index), from, end, ranges);
}

/* Does any of the parent's extents of the file lie in a pack that is given up? */
static bool
touches_given_up(const PageSelection *self, const BkFile *base)
{
    BkExtentIter iter;
    BkExtent extent;

    if (self->options.is_given_up == NULL)
        return false;
    bk_extent_iter_init(&iter, base->extents, base->extents_size, base->size);
    while (bk_extent_iter_next(&iter, &extent))
        if (!extent.is_hole && self->options.is_given_up[extent.pack])
            return true;
    return false;
}

static bool
has_same_mtime(const BkFile *base, const BkSourceFile *file)
{
    return base->mtime_sec == file->mtime_sec && base->mtime_nsec == file->mtime_nsec;
}

/* A database that was dropped and made again under its number by copying files has pages with old
 * LSNs that the parent never saw. Its directories have a new PG_VERSION; the clocks may differ a
 * little.
 */
static void
find_remade(PageSelection *self, const GPtrArray *files)
{
    for (guint i = 0; i < files->len; i++) {
        const BkSourceFile *file = g_ptr_array_index(files, i);
        g_autofree char *directory = g_path_get_dirname(file->path);
        g_autofree char *name = g_path_get_basename(directory);
        const BkFile *base;
        guint64 oid;

        if (!g_str_has_suffix(file->path, "/PG_VERSION") ||
            !g_ascii_string_to_unsigned(name, 10, 1, UINT32_MAX, &oid, NULL))
            continue;
        base = bk_snapshot_find_file(self->options.parent, file->path);
        if (base == NULL ||
            (!has_same_mtime(base, file) &&
             file->mtime_sec > (self->options.parent_us - CLOCK_SLACK_US) / BK_USEC_PER_SEC))
            (void)g_hash_table_add(self->remade, GUINT_TO_POINTER((guint)oid));
    }
}

static bool
is_remade(const PageSelection *self, const Candidate *candidate)
{
    return g_hash_table_contains(self->remade, GUINT_TO_POINTER(candidate->fork.database));
}

static bool
is_new_as_a_whole(const PageSelection *self, const Candidate *candidate)
{
    const BkBlockMap *map = self->options.map;

    return map != NULL &&
           (bk_block_map_is_renewed(map, candidate->fork.tablespace, candidate->fork.database) ||
            known_end(self, candidate) == 0);
}

static void
select_ranges(const PageSelection *self, Candidate *candidate, GArray *scratch)
{
    BkSelected *selected = &candidate->selected;
    const uint64_t size = selected->file->size;
    uint64_t to_read = 0;
    uint64_t changed = 0;

    selected->how = BK_READ_RANGES;
    find_ranges(self, candidate, 0, size, scratch);
    for (guint i = 0; i < scratch->len; i++) {
        const BkRange *range = &g_array_index(scratch, BkRange, i);

        to_read += range->length;
        changed += range->is_repack ? 0 : range->length;
    }
    if (changed > size / WHOLE_ABOVE_DENOMINATOR * WHOLE_ABOVE_NUMERATOR && changed > 0) {
        selected->how = BK_READ_ALL;
        selected->base = NULL;
    } else {
        selected->to_read = to_read;
    }
}

/* Decides for one file that both the parent and the cluster have. */
static void
select_known_file(const PageSelection *self, Candidate *candidate, GArray *scratch)
{
    BkSelected *selected = &candidate->selected;
    const BkFile *base = selected->base;
    bool is_usable = true;

    if (!candidate->is_main_fork) {
        is_usable = base->digest_count > 0;
        selected->is_given_up = is_usable && touches_given_up(self, base);
        selected->how = BK_READ_DIGESTED;
    } else if (selected->file->size % BK_PG_PAGE_SIZE != 0 ||
               selected->file->first_page > UINT32_MAX - selected->file->size / BK_PG_PAGE_SIZE ||
               is_new_as_a_whole(self, candidate)) {
        is_usable = false;
    } else if (self->options.map == NULL) {
        is_usable = !touches_given_up(self, base) && !is_remade(self, candidate);
        selected->how = BK_READ_COMPARED;
    } else {
        select_ranges(self, candidate, scratch);
    }
    if (!is_usable) {
        selected->how = BK_READ_ALL;
        selected->base = NULL;
    }
}

static void
free_page_selection(void *data)
{
    PageSelection *self = data;

    g_array_unref(self->candidates);
    g_hash_table_unref(self->remade);
    g_free(self);
}

BkSelection *
bk_page_selection_new(const GPtrArray *files, const BkPageSelectionOptions *options)
{
    PageSelection *self = g_new0(PageSelection, 1);
    BkSelection *selection = bk_selection_new(get_page_ranges, self, free_page_selection);
    g_autoptr(GArray) scratch = g_array_new(FALSE, FALSE, sizeof(BkRange));

    self->remade = g_hash_table_new(NULL, NULL);
    self->candidates = g_array_sized_new(FALSE, FALSE, sizeof(Candidate), files->len);
    self->options = *options;
    if (options->parent != NULL && options->map == NULL)
        find_remade(self, files);
    for (guint i = 0; i < files->len; i++) {
        Candidate candidate = describe_file(g_ptr_array_index(files, i));
        BkSelected *selected = &candidate.selected;

        if (options->parent != NULL && S_ISREG(selected->file->mode))
            selected->base = bk_snapshot_find_file(options->parent, selected->file->path);
        if (selected->base != NULL && selected->base->kind != BK_FILE_REGULAR)
            selected->base = NULL;
        if (selected->base != NULL)
            select_known_file(self, &candidate, scratch);
        g_array_append_val(self->candidates, candidate);
        bk_selection_add(selection, selected);
    }
    return selection;
}

BkSelection *
bk_page_selection_new_full(const GPtrArray *files)
{
    const BkPageSelectionOptions nothing = {.parent = NULL};

    return bk_page_selection_new(files, &nothing);
}
