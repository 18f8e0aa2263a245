/* page-sample.c - a random sample of the pages that a backup stores: each page with the same
 * chance, however many there are and in whatever order they come. */
#include "source/pg/backup/page-sample.h"

#include "base/sorted.h"
#include "source/pg/format/page.h"

/* Added beyond the size before the highest ranks are dropped: sorting costs more than keeping. */
#define SLACK BK_PAGE_SAMPLE_SIZE

typedef struct SampledPage {
    const BkSourceFile *file;
    BkPageNote note;
} SampledPage;

struct BkPageSample {
    GRand *random;
    GArray *pages;  /* SampledPage */
    uint64_t limit; /* no page of a higher rank is kept */
    bool is_sorted; /* `pages` by file and offset, and not more than they may be */
};

BkPageSample *
bk_page_sample_new(void)
{
    BkPageSample *self = g_new(BkPageSample, 1);

    *self = (BkPageSample){
        .random = g_rand_new(),
        .pages = g_array_new(FALSE, FALSE, sizeof(SampledPage)),
        .limit = UINT64_MAX,
    };
    return self;
}

void
bk_page_sample_free(BkPageSample *self)
{
    if (self == NULL)
        return;
    g_rand_free(self->random);
    g_array_unref(self->pages);
    g_free(self);
}

static int
compare_ranks(const void *left, const void *right)
{
    const SampledPage *a = left;
    const SampledPage *b = right;

    return (a->note.rank > b->note.rank) - (a->note.rank < b->note.rank);
}

static void
drop_highest_ranks(BkPageSample *self)
{
    if (self->pages->len <= BK_PAGE_SAMPLE_SIZE)
        return;
    g_array_sort(self->pages, compare_ranks);
    g_array_set_size(self->pages, BK_PAGE_SAMPLE_SIZE);
    self->limit = g_array_index(self->pages, SampledPage, BK_PAGE_SAMPLE_SIZE - 1).note.rank;
}

void
bk_page_sample_add(BkPageSample *self, const BkSourceFile *file, const BkPageNote *note)
{
    const SampledPage page = {file, *note};

    if (note->rank > self->limit)
        return;
    g_array_append_val(self->pages, page);
    self->is_sorted = false;
    if (self->pages->len >= BK_PAGE_SAMPLE_SIZE + SLACK)
        drop_highest_ranks(self);
}

void
bk_page_sample_draw(BkPageSample *self, const BkSourceFile *file, const uint8_t *data, size_t size,
                    uint64_t offset)
{
    size_t at = (BK_PG_PAGE_SIZE - offset % BK_PG_PAGE_SIZE) % BK_PG_PAGE_SIZE;

    for (; at + BK_PG_PAGE_SIZE <= size; at += BK_PG_PAGE_SIZE) {
        uint64_t rank =
            (uint64_t)g_rand_int(self->random) << 32 | (uint64_t)g_rand_int(self->random);
        BkPageNote note;

        if (rank <= self->limit && bk_page_note_take(data + at, offset + at, rank, &note))
            bk_page_sample_add(self, file, &note);
    }
}

void
bk_page_sample_merge(BkPageSample *self, const BkPageSample *other)
{
    for (guint i = 0; i < other->pages->len; i++) {
        const SampledPage *page = &g_array_index(other->pages, SampledPage, i);

        bk_page_sample_add(self, page->file, &page->note);
    }
}

static int
compare_sampled_pages(const void *left, const void *right)
{
    const SampledPage *a = left;
    const SampledPage *b = right;
    const uintptr_t file = (uintptr_t)a->file;
    const uintptr_t other = (uintptr_t)b->file;

    if (file != other)
        return file < other ? -1 : 1;
    return (a->note.offset > b->note.offset) - (a->note.offset < b->note.offset);
}

void
bk_page_sample_get(BkPageSample *self, const BkSourceFile *file, GArray *notes)
{
    const SampledPage key = {.file = file};

    if (!self->is_sorted) {
        drop_highest_ranks(self);
        g_array_sort(self->pages, compare_sampled_pages);
        self->is_sorted = true;
    }
    for (guint i = bk_sorted_find_first(self->pages, compare_sampled_pages, &key);
         i < self->pages->len; i++) {
        const SampledPage *page = &g_array_index(self->pages, SampledPage, i);

        if (page->file != file)
            return;
        g_array_append_val(notes, page->note);
    }
}
