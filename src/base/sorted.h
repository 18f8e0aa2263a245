/* sorted.h - looking up in sorted arrays.
 *
 * Threads: safe as long as nobody changes the array. */
#pragma once
#include <glib.h>
#include <stdint.h>

/* Index of the first of the sorted `items` that is not before `key`, an element like them; their
 * count when all are. `compare` is what they are sorted by. */
static inline guint
bk_sorted_find_first(const GArray *items, GCompareFunc compare, const void *key)
{
    const guint size = g_array_get_element_size((GArray *)(uintptr_t)items);
    guint low = 0;
    guint high = items->len;

    while (low < high) {
        guint middle = low + (high - low) / 2;

        if (compare(items->data + (size_t)middle * size, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
