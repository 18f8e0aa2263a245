#include "engine/listing.h"

#include <string.h>

static void
free_past(void *data)
{
    bk_past_clear(data);
    g_free(data);
}

static void
free_listed(void *data)
{
    BkListedSnapshot *listed = data;

    g_ptr_array_unref(listed->repositories);
    g_free(listed);
}

void
bk_listing_clear(BkListing *self)
{
    g_clear_pointer(&self->snapshots, g_ptr_array_unref);
    bk_lines_clear(&self->lines); /* they refer to the pasts */
    g_clear_pointer(&self->pasts, g_ptr_array_unref);
    bk_parts_clear(&self->parts);
}

static BkListedSnapshot *
find_listed(const BkListing *self, const char *id)
{
    for (guint i = 0; i < self->snapshots->len; i++) {
        BkListedSnapshot *listed = g_ptr_array_index(self->snapshots, i);

        if (strcmp(listed->snapshot->head.id, id) == 0)
            return listed;
    }
    return NULL;
}

static void
merge(BkListing *self, const BkPast *past)
{
    const char *name = bk_repository_name(bk_part_repository(past->part));

    for (guint i = 0; i < past->snapshots->len; i++) {
        const BkPastSnapshot *snapshot = g_ptr_array_index(past->snapshots, i);
        BkListedSnapshot *listed = find_listed(self, snapshot->head.id);

        if (listed == NULL) {
            listed = g_new0(BkListedSnapshot, 1);
            listed->snapshot = snapshot;
            listed->repositories = g_ptr_array_new();
            g_ptr_array_add(self->snapshots, listed);
        }
        g_ptr_array_add(listed->repositories, (void *)(uintptr_t)name);
    }
}

static const BkPastSnapshot *
get_snapshot(const void *element)
{
    return ((const BkListedSnapshot *)element)->snapshot;
}

bool
bk_listing_load(const BkSourceSpec *source, BkPastArchive archive, BkListing *self, BkOp *op,
                GError **error)
{
    g_autoptr(GError) first = NULL;

    self->pasts = g_ptr_array_new_with_free_func(free_past);
    self->snapshots = g_ptr_array_new_with_free_func(free_listed);
    if (!bk_parts_open_for_reading(source, NULL, &self->parts, op, error))
        return false;
    for (guint i = 0; i < self->parts.parts->len; i++) {
        const BkPart *part = g_ptr_array_index(self->parts.parts, i);
        BkPast *past = g_new0(BkPast, 1);
        g_autoptr(GError) cause = NULL;

        if (bk_past_load(part, archive, past, op, &cause)) {
            g_ptr_array_add(self->pasts, past);
            merge(self, past);
            continue;
        }
        free_past(past);
        bk_parts_add_failed(&self->parts, bk_repository_name(bk_part_repository(part)), cause);
        if (first == NULL)
            first = g_steal_pointer(&cause);
    }
    /* One repository that answers is enough; the others are told of. */
    if (!bk_op_check(op, error))
        return false;
    if (self->pasts->len == 0 && first != NULL)
        return bk_propagate(error, &first);
    if (!bk_lines_load(self->pasts, archive != BK_PAST_NO_ARCHIVE ? source : NULL, &self->lines, op,
                       error))
        return false;
    bk_lines_sort(&self->lines, self->snapshots, get_snapshot);
    return true;
}
