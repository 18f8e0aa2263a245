/* page-source.c - readers of a cluster's files, the damage that they find, and notes of pages. */
#include "source/pg/backup/page-source.h"

#include "source/pg/backup/page-sample.h"
#include "source/pg/cluster/file-reader.h"
#include "source/pg/format/page.h"
#include "source/pg/format/relation-file.h"

#define REREADS      3   /* of a page that fails its checksum: it may just be being written */
#define VERIFY_PAGES 64u /* bits of a word */

struct BkPageSource {
    BkSource source;
    BkPageSourceOptions options;
    BkDataDir *dir;
    GArray *damage;       /* BkPageDamage */
    BkPageSample *sample; /* of what the readers have stored */
    BkPageSample *noted;  /* of the snapshot whose notes are collected, or NULL */
};

typedef struct PageReader {
    BkReader reader;
    BkPageSource *source;
    BkFileReader *file_reader;
    const BkSourceFile *file; /* that is open */
    bool is_main_fork;
    GArray *damage;
    BkPageSample *sample;
} PageReader;

static bool
open_page_file(BkReader *reader, const BkSourceFile *file, uint64_t offset, uint64_t length,
               bool *found, GError **error)
{
    PageReader *self = (PageReader *)reader;
    BkRelationPath path;

    self->file = file;
    self->is_main_fork = bk_relation_path_parse_main(file->path, &path);
    return bk_file_reader_open(self->file_reader, file->path, offset, length, found, error);
}

static bool
read_page_file(BkReader *reader, void *data, size_t size, uint64_t offset, size_t *got,
               GError **error)
{
    return bk_file_reader_read(((PageReader *)reader)->file_reader, data, size, offset, got, error);
}

static uint64_t
find_next_page_data(const BkReader *reader, uint64_t offset, uint64_t end)
{
    return bk_file_reader_next_data(((const PageReader *)reader)->file_reader, offset, end);
}

static void
close_page_file(BkReader *reader)
{
    bk_file_reader_close(((PageReader *)reader)->file_reader);
}

/* Reads a page that failed its checksum again: it may just have been being written. One that stays
 * wrong sets the LSN of `damage`. */
static bool
is_page_fine(PageReader *self, uint8_t *page, uint64_t offset, BkPageDamage *damage)
{
    BkPgPageResult result;
    size_t got;

    for (int i = 0; i < REREADS; i++) {
        g_autoptr(GError) ignored = NULL; /* what was read before stays, and counts as wrong */

        if (!bk_file_reader_read(self->file_reader, page, BK_PG_PAGE_SIZE, offset, &got, &ignored))
            return false;
        if (got < BK_PG_PAGE_SIZE)
            return true; /* cut off meanwhile: not damage */
        if (bk_pg_page_verify(page, damage->block, &result))
            return true;
        damage->lsn = result.lsn;
        g_usleep(1000);
    }
    return false;
}

static void
verify_pages(BkReader *reader, uint8_t *data, size_t size, uint64_t offset)
{
    PageReader *self = (PageReader *)reader;
    size_t pages = size / BK_PG_PAGE_SIZE;
    uint32_t first = self->file->first_page + (uint32_t)(offset / BK_PG_PAGE_SIZE);

    if (!self->source->options.verify_pages || self->file->page_size == 0)
        return;
    for (size_t done = 0; done < pages; done += VERIFY_PAGES) {
        size_t count = MIN(pages - done, VERIFY_PAGES);
        uint64_t bad[1];

        if (bk_pg_pages_verify(data + done * BK_PG_PAGE_SIZE, count, first + (uint32_t)done, bad) ==
            0)
            continue;
        for (size_t i = done; i < done + count; i++) {
            BkPageDamage damage = {self->file, first + (uint32_t)i, 0};

            if ((bad[0] >> (i - done) & 1) != 0 &&
                !is_page_fine(self, data + i * BK_PG_PAGE_SIZE, offset + i * BK_PG_PAGE_SIZE,
                              &damage))
                g_array_append_val(self->damage, damage);
        }
    }
}

/* Without data checksums a page becomes all-visible without a higher LSN, and then its place in the
 * visibility map, which is read anew, would say what the parent's page does not. */
static bool
is_page_unchanged(const BkReader *reader, const BkFile *parent, const uint8_t *page,
                  uint64_t offset)
{
    const BkPageSourceOptions *options = &((const PageReader *)reader)->source->options;
    BkLsn lsn;

    return offset + BK_PG_PAGE_SIZE <= parent->size && bk_pg_page_get_lsn(page, &lsn) &&
           lsn < options->parent_lsn && (options->verify_pages || !bk_pg_page_is_all_visible(page));
}

static void
sample_stored_pages(BkReader *reader, const uint8_t *data, size_t size, uint64_t offset)
{
    PageReader *self = (PageReader *)reader;

    if (self->is_main_fork)
        bk_page_sample_draw(self->sample, self->file, data, size, offset);
}

static void
hand_over_pages(BkReader *reader)
{
    PageReader *self = (PageReader *)reader;

    g_array_append_vals(self->source->damage, self->damage->data, self->damage->len);
    bk_page_sample_merge(self->source->sample, self->sample);
}

static void
free_page_reader(BkReader *reader)
{
    PageReader *self = (PageReader *)reader;

    bk_file_reader_free(self->file_reader);
    g_array_unref(self->damage);
    bk_page_sample_free(self->sample);
    g_free(self);
}

static BkReader *
new_page_reader(BkSource *source)
{
    static const BkReaderDriver driver = {
        .open = open_page_file,
        .read = read_page_file,
        .next_data = find_next_page_data,
        .verify = verify_pages,
        .is_unchanged = is_page_unchanged,
        .note_stored = sample_stored_pages,
        .close = close_page_file,
        .hand_over = hand_over_pages,
        .free = free_page_reader,
    };
    PageReader *self = g_new0(PageReader, 1);

    self->reader.driver = &driver;
    self->source = (BkPageSource *)source;
    self->file_reader = bk_file_reader_new(self->source->dir);
    self->damage = g_array_new(FALSE, FALSE, sizeof(BkPageDamage));
    self->sample = bk_page_sample_new();
    return &self->reader;
}

static void
begin_page_notes(BkSource *source)
{
    BkPageSource *self = (BkPageSource *)source;

    bk_page_sample_free(self->noted);
    self->noted = bk_page_sample_new();
}

/* Returns true if the file still has the page in the pack in which the parent had it. */
static bool
is_page_of_parent(const BkStoredFile *stored, uint64_t offset)
{
    guint low = 0;
    guint high = stored->extents->len;

    while (low < high) {
        guint middle = low + (high - low) / 2;
        const BkExtent *extent = &g_array_index(stored->extents, BkExtent, middle);

        if (extent->file_offset + extent->length <= offset)
            low = middle + 1;
        else if (extent->file_offset > offset)
            high = middle;
        else
            return !extent->is_hole && extent->pack < stored->first_pack;
    }
    return false;
}

/* Of pages that were stored, and of the parent's that are reused. The parent's notes are only there
 * to be compared by the next backup: where they are malformed, it has fewer. */
static void
collect_page_notes(BkSource *source, const BkStoredFile *stored)
{
    BkPageSource *self = (BkPageSource *)source;
    const BkFile *parent = stored->parent;
    g_autoptr(GArray) notes = g_array_new(FALSE, FALSE, sizeof(BkPageNote));
    g_autoptr(GError) ignored = NULL;
    guint own;

    bk_page_sample_get(self->sample, stored->file, notes);
    own = notes->len;
    if (parent != NULL && !bk_page_notes_decode(parent->notes, parent->notes_size, notes, &ignored))
        g_array_set_size(notes, own);
    for (guint i = 0; i < notes->len; i++) {
        const BkPageNote *note = &g_array_index(notes, BkPageNote, i);

        if (note->offset + BK_PG_PAGE_SIZE <= stored->size &&
            (i < own || is_page_of_parent(stored, note->offset)))
            bk_page_sample_add(self->noted, stored->file, note);
    }
}

static void
encode_page_notes(BkSource *source, const BkSourceFile *file, BkBuf *out)
{
    BkPageSource *self = (BkPageSource *)source;
    g_autoptr(GArray) notes = g_array_new(FALSE, FALSE, sizeof(BkPageNote));

    bk_page_sample_get(self->noted, file, notes);
    bk_page_notes_encode((const BkPageNote *)(const void *)notes->data, notes->len, out);
}

BkPageSource *
bk_page_source_new(const BkPageSourceOptions *options, GError **error)
{
    static const BkSourceDriver driver = {
        .new_reader = new_page_reader,
        .begin_notes = begin_page_notes,
        .collect_notes = collect_page_notes,
        .encode_notes = encode_page_notes,
    };
    BkDataDir *dir = bk_data_dir_open(options->root, error);
    BkPageSource *self;

    if (dir == NULL)
        return NULL;
    self = g_new0(BkPageSource, 1);
    self->source.driver = &driver;
    self->options = *options;
    self->dir = dir;
    self->damage = g_array_new(FALSE, FALSE, sizeof(BkPageDamage));
    self->sample = bk_page_sample_new();
    return self;
}

void
bk_page_source_free(BkPageSource *self)
{
    if (self == NULL)
        return;
    bk_data_dir_free(self->dir);
    g_array_unref(self->damage);
    bk_page_sample_free(self->sample);
    bk_page_sample_free(self->noted);
    g_free(self);
}

BkSource *
bk_page_source_get(BkPageSource *self)
{
    return &self->source;
}

const BkPageDamage *
bk_page_source_damage(const BkPageSource *self, size_t *count)
{
    *count = self->damage->len;
    return (const BkPageDamage *)(const void *)self->damage->data;
}
