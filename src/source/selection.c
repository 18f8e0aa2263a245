/* selection.c - the list of a selection's files, and what it leaves in use of the parent's packs.
 */
#include "source/selection.h"

struct BkSelection {
    GArray *files; /* BkSelected */
    uint64_t to_read;
    BkGetRanges get_ranges;
    void *data;
    GDestroyNotify free_data;
};

BkSelection *
bk_selection_new(BkGetRanges get_ranges, void *data, GDestroyNotify free_data)
{
    BkSelection *self = g_new0(BkSelection, 1);

    self->files = g_array_new(FALSE, FALSE, sizeof(BkSelected));
    self->get_ranges = get_ranges;
    self->data = data;
    self->free_data = free_data;
    return self;
}

void
bk_selection_free(BkSelection *self)
{
    if (self == NULL)
        return;
    if (self->free_data != NULL)
        self->free_data(self->data);
    g_array_unref(self->files);
    g_free(self);
}

void
bk_selection_add(BkSelection *self, const BkSelected *selected)
{
    g_assert(selected->how != BK_READ_RANGES || self->get_ranges != NULL);
    self->to_read += selected->to_read;
    g_array_append_vals(self->files, selected, 1);
}

const BkSelected *
bk_selection_files(const BkSelection *self, size_t *count)
{
    *count = self->files->len;
    return (const BkSelected *)(const void *)self->files->data;
}

uint64_t
bk_selection_to_read(const BkSelection *self)
{
    return self->to_read;
}

void
bk_selection_get_ranges(const BkSelection *self, const BkSelected *selected, uint64_t from,
                        uint64_t end, GArray *ranges)
{
    const BkSelected *files = (const BkSelected *)(const void *)self->files->data;

    self->get_ranges(self->data, (size_t)(selected - files), from, end, ranges);
}

/* Adds the parts of the parent's extents that lie in [from, end). */
static void
count_live_extents(BkExtentIter *iter, BkExtent *current, uint64_t from, uint64_t end,
                   uint64_t *live)
{
    while (from < end) {
        uint64_t current_end = current->file_offset + current->length;

        if (current_end <= from) {
            if (!bk_extent_iter_next(iter, current))
                return;
            continue;
        }
        if (!current->is_hole)
            live[current->pack] += MIN(current_end, end) - from;
        from = MIN(current_end, end);
    }
}

void
bk_selection_count_live(const BkSelection *self, uint64_t *live)
{
    g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(BkRange));

    for (guint i = 0; i < self->files->len; i++) {
        const BkSelected *selected = &g_array_index(self->files, BkSelected, i);
        BkExtent current = {.length = 0};
        BkExtentIter iter;
        uint64_t at = 0;

        if (selected->base == NULL)
            continue;
        g_array_set_size(ranges, 0);
        if (selected->how == BK_READ_RANGES)
            bk_selection_get_ranges(self, selected, 0, selected->file->size, ranges);
        bk_extent_iter_init(&iter, selected->base->extents, selected->base->extents_size,
                            selected->base->size);
        for (guint j = 0; j < ranges->len; j++) {
            const BkRange *range = &g_array_index(ranges, BkRange, j);

            count_live_extents(&iter, &current, at, range->offset, live);
            at = range->offset + range->length;
        }
        count_live_extents(&iter, &current, at, MIN(selected->file->size, selected->base->size),
                           live);
    }
}
