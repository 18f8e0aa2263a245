/* block-set.c - a set of block numbers: what block-map.h holds for each fork. */
#include "source/pg/wal/block-set.h"

#include <string.h>

#define ARRAY_MAX    4096u /* items; more take less room as a bitmap */
#define RUNS_MAX     2048u
#define BITMAP_WORDS (BK_BLOCK_STRETCH / 64)
#define BITMAP_SIZE  (BK_BLOCK_STRETCH / 8)
#define ARRAY_EARLY  64u /* items from which moving them costs more than a bitmap */
#define ALL_RUNS     (BK_BLOCK_STRETCH / 2)

typedef enum {
    FORM_ARRAY, /* also of an empty one */
    FORM_RUNS,
    FORM_BITMAP,
} Form;

struct BkBlockStretch {
    union {
        void *memory; /* owned; NULL while capacity is 0 */
        uint16_t *array;
        BkBlockRun *runs;
        uint64_t *bitmap;
    } at;
    uint32_t count;    /* blocks */
    uint16_t number;   /* of the stretch: the upper half of its blocks */
    uint16_t used;     /* items of the array or runs */
    uint16_t capacity; /* the same */
    uint8_t form;      /* Form */
};

void
bk_block_set_clear(BkBlockSet *self)
{
    for (uint32_t i = 0; i < self->size; i++)
        g_free(self->stretches[i].at.memory);
    g_free(self->stretches);
    *self = (BkBlockSet){0};
}

/* Index of the first stretch from `number` on. */
static uint32_t
find_stretch(const BkBlockSet *self, uint32_t number)
{
    uint32_t low = 0, high = self->size;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (self->stretches[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static BkBlockStretch *
stretch_of(BkBlockSet *self, uint16_t number)
{
    uint32_t at = self->recent;

    if (at < self->size && self->stretches[at].number == number)
        return &self->stretches[at];
    at = find_stretch(self, number);
    self->recent = at;
    if (at < self->size && self->stretches[at].number == number)
        return &self->stretches[at];
    if (self->size == self->capacity) {
        self->capacity += self->capacity / 2 + 1;
        self->stretches = g_renew(BkBlockStretch, self->stretches, self->capacity);
    }
    memmove(self->stretches + at + 1, self->stretches + at,
            (self->size - at) * sizeof *self->stretches);
    self->size++;
    self->stretches[at] = (BkBlockStretch){.number = number};
    return &self->stretches[at];
}

/* Index of the first item from `low` on. */
static unsigned
find_item(const BkBlockStretch *stretch, unsigned low)
{
    const uint16_t *at = stretch->at.array;
    unsigned left = stretch->used;

    while (left > 0) {
        unsigned half = left / 2;
        bool is_before = at[half] < low;

        /* Without a jump that depends on the data: those would mostly be guessed wrong. */
        at += is_before ? half + 1 : 0;
        left = is_before ? left - half - 1 : half;
    }
    return (unsigned)(at - stretch->at.array);
}

/* Index of the first run that ends at `low` or behind. */
static unsigned
find_run(const BkBlockStretch *stretch, unsigned low)
{
    unsigned begin = 0, end = stretch->used;

    while (begin < end) {
        unsigned middle = begin + (end - begin) / 2;

        if (stretch->at.runs[middle].last < low)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin;
}

/* Index of the first bit from `from` on, before `end`, that is `set`; `end` when there is none. */
static unsigned
find_bit(const uint64_t *bitmap, unsigned from, unsigned end, bool set)
{
    uint64_t flip = set ? 0 : UINT64_MAX;
    unsigned word = from / 64;
    uint64_t bits;

    if (from >= end)
        return end;
    bits = (bitmap[word] ^ flip) & (UINT64_MAX << (from % 64));
    while (bits == 0 && ++word * 64 < end)
        bits = bitmap[word] ^ flip;
    return bits == 0 ? end : MIN(end, word * 64 + (unsigned)__builtin_ctzll(bits));
}

/* The first run in [from, end) of a stretch: from `*first`, before `*behind`. */
static bool
next_in_stretch(const BkBlockStretch *stretch, unsigned from, unsigned end, unsigned *first,
                unsigned *behind)
{
    unsigned i;

    switch ((Form)stretch->form) {
    case FORM_ARRAY:
        i = find_item(stretch, from);
        if (i == stretch->used)
            return false;
        *first = *behind = stretch->at.array[i];
        while (i < stretch->used && stretch->at.array[i] == *behind) {
            (*behind)++;
            i++;
        }
        break;
    case FORM_RUNS:
        i = find_run(stretch, from);
        if (i == stretch->used)
            return false;
        *first = MAX(from, stretch->at.runs[i].first);
        *behind = stretch->at.runs[i].last + 1u;
        break;
    case FORM_BITMAP:
        *first = find_bit(stretch->at.bitmap, from, end, true);
        *behind = find_bit(stretch->at.bitmap, *first, end, false);
        break;
    }
    *behind = MIN(*behind, end);
    return *first < end;
}

/* The most runs that a stretch may have: as few as it has blocks. */
static size_t
most_runs(const BkBlockStretch *stretch)
{
    return MIN(stretch->count, ALL_RUNS);
}

/* All runs of a stretch; `runs` has room for most_runs. */
static size_t
list_runs(const BkBlockStretch *stretch, BkBlockRun *runs)
{
    size_t count = 0;
    unsigned first, behind = 0;

    if (stretch->form == FORM_RUNS) {
        memcpy(runs, stretch->at.runs, stretch->used * sizeof *runs);
        return stretch->used;
    }
    if (stretch->form == FORM_BITMAP) {
        while (next_in_stretch(stretch, behind, BK_BLOCK_STRETCH, &first, &behind))
            runs[count++] = (BkBlockRun){(uint16_t)first, (uint16_t)(behind - 1)};
        return count;
    }
    for (unsigned i = 0; i < stretch->used; i++) {
        uint16_t low = stretch->at.array[i];

        if (count > 0 && runs[count - 1].last + 1 == low)
            runs[count - 1].last = low;
        else
            runs[count++] = (BkBlockRun){low, low};
    }
    return count;
}

/* Sets the bits of a run; returns how many were not set. */
static uint32_t
set_bits(uint64_t *bitmap, BkBlockRun run)
{
    uint32_t added = 0;

    for (unsigned word = run.first / 64u; word <= run.last / 64u; word++) {
        uint64_t mask = UINT64_MAX;

        if (word == run.first / 64u)
            mask &= UINT64_MAX << (run.first % 64u);
        if (word == run.last / 64u)
            mask &= UINT64_MAX >> (63 - run.last % 64u);
        added += (uint32_t)__builtin_popcountll(mask & ~bitmap[word]);
        bitmap[word] |= mask;
    }
    return added;
}

/* Makes `runs` the content of a stretch, in the form that takes the least room. */
static void
fill_stretch(BkBlockStretch *stretch, const BkBlockRun *runs, size_t count, Form form)
{
    void *old = stretch->at.memory;

    stretch->form = (uint8_t)form;
    stretch->used = 0;
    if (form == FORM_BITMAP) {
        stretch->at.bitmap = g_new0(uint64_t, BITMAP_WORDS);
        stretch->capacity = 0;
        for (size_t i = 0; i < count; i++)
            (void)set_bits(stretch->at.bitmap, runs[i]);
    } else if (form == FORM_RUNS) {
        stretch->at.runs = g_memdup2(runs, count * sizeof *runs);
        stretch->used = stretch->capacity = (uint16_t)count;
    } else {
        stretch->at.array = g_new(uint16_t, stretch->count);
        stretch->capacity = (uint16_t)stretch->count;
        for (size_t i = 0; i < count; i++)
            for (unsigned low = runs[i].first; low <= runs[i].last; low++)
                stretch->at.array[stretch->used++] = (uint16_t)low;
    }
    g_free(old);
}

static Form
smallest_form(uint32_t blocks, size_t runs)
{
    if (blocks <= ARRAY_MAX && blocks <= 2 * runs)
        return FORM_ARRAY;
    return runs <= RUNS_MAX ? FORM_RUNS : FORM_BITMAP;
}

static void
change_form(BkBlockStretch *stretch, bool to_bitmap)
{
    g_autofree BkBlockRun *runs = g_new(BkBlockRun, most_runs(stretch));
    size_t count = list_runs(stretch, runs);

    fill_stretch(stretch, runs, count, to_bitmap || count >= RUNS_MAX ? FORM_BITMAP : FORM_RUNS);
}

/* Makes room for one item more at index `at`. */
static void
open_gap(BkBlockStretch *stretch, unsigned at, size_t item_size, unsigned max)
{
    uint8_t *start;

    if (stretch->used == stretch->capacity) {
        stretch->capacity = (uint16_t)MIN(stretch->capacity + stretch->capacity / 4u + 4u, max);
        stretch->at.memory = g_realloc_n(stretch->at.memory, stretch->capacity, item_size);
    }
    start = (uint8_t *)stretch->at.memory + at * item_size;
    memmove(start + item_size, start, (stretch->used - at) * item_size);
    stretch->used++;
}

static bool
add_to_bitmap(BkBlockStretch *stretch, unsigned low)
{
    uint64_t *word = &stretch->at.bitmap[low / 64];
    uint64_t bit = UINT64_C(1) << (low % 64);
    bool is_new = (*word & bit) == 0;

    *word |= bit;
    stretch->count += is_new;
    return is_new;
}

static bool
add_to_runs(BkBlockStretch *stretch, unsigned low)
{
    unsigned at = find_run(stretch, low);
    BkBlockRun *runs = stretch->at.runs;
    bool joins_left, joins_right;

    if (at < stretch->used && runs[at].first <= low)
        return false;
    joins_left = at > 0 && runs[at - 1].last + 1u == low;
    joins_right = at < stretch->used && runs[at].first == low + 1;
    if (!joins_left && !joins_right && stretch->used == RUNS_MAX) {
        change_form(stretch, true);
        return add_to_bitmap(stretch, low);
    }
    stretch->count++;
    if (joins_left && joins_right) {
        runs[at - 1].last = runs[at].last;
        stretch->used--;
        memmove(runs + at, runs + at + 1, (stretch->used - at) * sizeof *runs);
    } else if (joins_left) {
        runs[at - 1].last = (uint16_t)low;
    } else if (joins_right) {
        runs[at].first = (uint16_t)low;
    } else {
        open_gap(stretch, at, sizeof *runs, RUNS_MAX);
        stretch->at.runs[at] = (BkBlockRun){(uint16_t)low, (uint16_t)low};
    }
    return true;
}

static bool
add_to_array(BkBlockStretch *stretch, unsigned low, unsigned *spare)
{
    unsigned at = stretch->used;

    /* Blocks often come in order, and one often several times in a row. */
    if (at > 0 && stretch->at.array[at - 1] >= low)
        at = find_item(stretch, low);
    if (at < stretch->used && stretch->at.array[at] == low)
        return false;
    if (stretch->used >= ARRAY_EARLY && *spare > 0) {
        (*spare)--;
        change_form(stretch, true);
        return add_to_bitmap(stretch, low);
    }
    if (stretch->used == ARRAY_MAX) {
        change_form(stretch, false);
        return stretch->form == FORM_RUNS ? add_to_runs(stretch, low) : add_to_bitmap(stretch, low);
    }
    open_gap(stretch, at, sizeof *stretch->at.array, ARRAY_MAX);
    stretch->at.array[at] = (uint16_t)low;
    stretch->count++;
    return true;
}

static bool
add_to_stretch(BkBlockStretch *stretch, unsigned low, unsigned *spare)
{
    switch ((Form)stretch->form) {
    case FORM_ARRAY:
        return add_to_array(stretch, low, spare);
    case FORM_RUNS:
        return add_to_runs(stretch, low);
    case FORM_BITMAP:
        return add_to_bitmap(stretch, low);
    }
    g_assert_not_reached();
}

bool
bk_block_set_add(BkBlockSet *self, uint32_t block, unsigned *spare)
{
    g_assert(block != UINT32_MAX);
    return add_to_stretch(stretch_of(self, (uint16_t)(block / BK_BLOCK_STRETCH)),
                          block % BK_BLOCK_STRETCH, spare);
}

/* The union of two lists of runs; `out` has room for both. */
static size_t
join_runs(const BkBlockRun *a, size_t a_count, const BkBlockRun *b, size_t b_count, BkBlockRun *out)
{
    size_t count = 0;

    while (a_count > 0 || b_count > 0) {
        bool from_a = b_count == 0 || (a_count > 0 && a->first < b->first);
        BkBlockRun run = from_a ? *a : *b;

        a += from_a;
        a_count -= from_a;
        b += !from_a;
        b_count -= !from_a;
        if (count > 0 && run.first <= out[count - 1].last + 1)
            out[count - 1].last = MAX(out[count - 1].last, run.last);
        else
            out[count++] = run;
    }
    return count;
}

static uint32_t
count_blocks(const BkBlockRun *runs, size_t count)
{
    uint32_t blocks = 0;

    for (size_t i = 0; i < count; i++)
        blocks += runs[i].last - runs[i].first + 1u;
    return blocks;
}

static void
rebuild_stretch(BkBlockStretch *stretch, const BkBlockRun *runs, size_t count)
{
    g_autofree BkBlockRun *present = g_new(BkBlockRun, most_runs(stretch));
    size_t present_count = list_runs(stretch, present);
    g_autofree BkBlockRun *both = g_new(BkBlockRun, present_count + count);
    size_t both_count = join_runs(present, present_count, runs, count, both);

    stretch->count = count_blocks(both, both_count);
    fill_stretch(stretch, both, both_count, smallest_form(stretch->count, both_count));
}

uint64_t
bk_block_set_add_runs(BkBlockSet *self, uint16_t number, const BkBlockRun *runs, size_t count,
                      unsigned *spare)
{
    BkBlockStretch *stretch = stretch_of(self, number);
    uint32_t before = stretch->count;
    uint32_t blocks = count_blocks(runs, count);

    if (stretch->form == FORM_BITMAP) {
        for (size_t i = 0; i < count; i++)
            stretch->count += set_bits(stretch->at.bitmap, runs[i]);
    } else if (before == 0) {
        stretch->count = blocks;
        fill_stretch(stretch, runs, count, smallest_form(blocks, count));
    } else if (blocks < stretch->used / 16u) { /* few: cheaper than going through all */
        for (size_t i = 0; i < count; i++)
            for (unsigned low = runs[i].first; low <= runs[i].last; low++)
                (void)add_to_stretch(stretch, low, spare);
    } else {
        rebuild_stretch(stretch, runs, count);
    }
    return stretch->count - before;
}

bool
bk_block_set_next(const BkBlockSet *self, uint32_t from, uint32_t end, uint32_t *first,
                  uint32_t *count)
{
    uint32_t i = find_stretch(self, from / BK_BLOCK_STRETCH);
    uint64_t reached = 0; /* 0: no run so far */

    for (; i < self->size; i++) {
        const BkBlockStretch *stretch = &self->stretches[i];
        const uint32_t base = stretch->number * BK_BLOCK_STRETCH;
        unsigned run_first, behind;

        if (base >= end || (reached != 0 && reached != base))
            break;
        if (!next_in_stretch(stretch, from > base ? from - base : 0,
                             MIN(end - base, BK_BLOCK_STRETCH), &run_first, &behind)) {
            if (reached != 0)
                break;
            continue;
        }
        if (reached != 0 && run_first != 0)
            break;
        if (reached == 0)
            *first = base + run_first;
        reached = (uint64_t)base + behind;
        if (behind < BK_BLOCK_STRETCH)
            break;
    }
    if (reached == 0)
        return false;
    *count = (uint32_t)(reached - *first);
    return true;
}

void
bk_block_set_visit(const BkBlockSet *self, BkBlockSetVisit visit, void *data)
{
    g_autofree BkBlockRun *runs = NULL;
    size_t most = 0;

    for (uint32_t i = 0; i < self->size; i++)
        most = MAX(most, most_runs(&self->stretches[i]));
    runs = g_new(BkBlockRun, most);
    for (uint32_t i = 0; i < self->size; i++)
        visit(self->stretches[i].number, runs, list_runs(&self->stretches[i], runs), data);
}
