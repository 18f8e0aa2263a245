/* pack-map.c - which ranges of each pack are needed by which file: the extents of a snapshot,
 * inverted. */
#include "repo/extract/pack-map.h"

#include <string.h>

void
bk_pack_map_clear(BkPackMap *self)
{
    g_clear_pointer(&self->needs, g_array_unref);
    g_clear_pointer(&self->holes, g_array_unref);
    g_clear_pointer(&self->packs, g_array_unref);
}

static int
compare_pack_needs(const void *left, const void *right)
{
    const BkPackUse *a = left;
    const BkPackUse *b = right;

    if (a->pack != b->pack)
        return a->pack < b->pack ? -1 : 1;
    return (a->pack_offset > b->pack_offset) - (a->pack_offset < b->pack_offset);
}

static void
collect_file(BkPackMap *self, const BkFile *file, uint32_t index)
{
    BkExtentIter iter;
    BkExtent extent;

    bk_extent_iter_init(&iter, file->extents, file->extents_size, file->size);
    while (bk_extent_iter_next(&iter, &extent)) {
        BkPackUse need = {
            .pack = extent.pack,
            .file = index,
            .pack_offset = extent.pack_offset,
            .file_offset = extent.file_offset,
            .length = extent.length,
        };

        g_array_append_val(extent.is_hole ? self->holes : self->needs, need);
    }
}

void
bk_pack_map_collect(BkPackMap *self, const BkSnapshot *snapshot, size_t first, size_t count,
                    const char *skip)
{
    size_t total;
    const BkFile *files = bk_snapshot_files(snapshot, &total);

    g_assert(first + count <= total);
    self->needs = g_array_new(FALSE, FALSE, sizeof(BkPackUse));
    self->holes = g_array_new(FALSE, FALSE, sizeof(BkPackUse));
    self->packs = g_array_new(FALSE, FALSE, sizeof(guint));
    for (size_t i = first; i < first + count; i++)
        if (files[i].kind == BK_FILE_REGULAR && (skip == NULL || strcmp(files[i].path, skip) != 0))
            collect_file(self, &files[i], (uint32_t)i);
    g_array_sort(self->needs, compare_pack_needs);
    for (guint i = 0; i < self->needs->len; i++) {
        const BkPackUse *need = &g_array_index(self->needs, BkPackUse, i);

        if (i == 0 || need->pack != (need - 1)->pack)
            g_array_append_val(self->packs, i);
    }
}

const BkPackUse *
bk_pack_map_of_pack(const BkPackMap *self, size_t index, size_t *count)
{
    guint first = g_array_index(self->packs, guint, index);
    guint end = index + 1 < self->packs->len ? g_array_index(self->packs, guint, index + 1)
                                             : self->needs->len;

    *count = end - first;
    return &g_array_index(self->needs, BkPackUse, first);
}
