/* assemble.c - makes the manifest from what the pipeline has stored. */
#include "engine/backup/assemble.h"

#include "repo/snapshot/owner-table.h"

#include <string.h>
#include <sys/stat.h>

#define UNUSED      UINT32_MAX
#define DIGESTS_MAX 65536u /* of a file of 16 GiB: a row of the manifest has bounds */

typedef struct Assembler {
    BkPipeline *copy;
    BkAssembly *assembly;
    BkOwnerTable *owners;
    GArray *packs;  /* BkPackRef: the parent's, then the new ones */
    GArray *places; /* uint32_t for each of them: where it is in the manifest, or UNUSED */
    BkPipelineFile copied;
    BkSource *source;
    bool has_notes; /* the source notes something of files */
    uint64_t reused;
} Assembler;

void
bk_assembly_clear(BkAssembly *self)
{
    g_clear_pointer(&self->snapshot, bk_snapshot_free);
}

static BkFileKind
kind_of(const BkSourceFile *file)
{
    if (S_ISDIR(file->mode))
        return BK_FILE_DIRECTORY;
    return file->link != NULL ? BK_FILE_SYMLINK : BK_FILE_REGULAR;
}

/* Of the packs those in use; and the source sees each file, to note something of it. */
static void
mark_used(Assembler *self, const GPtrArray *files, size_t parents)
{
    for (guint i = 0; i < files->len; i++) {
        const BkSourceFile *file = g_ptr_array_index(files, i);

        if (file->is_left_out || kind_of(file) != BK_FILE_REGULAR ||
            !bk_pipeline_get_file(self->copy, file, &self->copied))
            continue;
        for (guint j = 0; j < self->copied.extents->len; j++) {
            const BkExtent *extent = &g_array_index(self->copied.extents, BkExtent, j);

            if (!extent->is_hole)
                g_array_index(self->places, uint32_t, extent->pack) = 0;
        }
        if (self->has_notes) {
            const BkStoredFile stored = {
                .file = file,
                .parent = self->copied.parent,
                .extents = self->copied.extents,
                .size = self->copied.size,
                .first_pack = (uint32_t)parents,
            };

            self->source->driver->collect_notes(self->source, &stored);
        }
    }
}

static void
add_packs(Assembler *self, size_t parents)
{
    BkSnapshotHead *head = bk_snapshot_head(self->assembly->snapshot);

    for (guint i = 0; i < self->packs->len; i++) {
        const BkPackRef *ref = &g_array_index(self->packs, BkPackRef, i);
        uint32_t *place = &g_array_index(self->places, uint32_t, i);

        if (i >= parents)
            head->new_bytes += ref->size;
        if (*place == UNUSED)
            continue;
        *place = bk_snapshot_add_pack(self->assembly->snapshot, ref);
        head->stored_bytes += ref->size;
        self->assembly->packs++;
    }
}

static void
renumber(Assembler *self)
{
    for (guint i = 0; i < self->copied.extents->len; i++) {
        BkExtent *extent = &g_array_index(self->copied.extents, BkExtent, i);

        if (!extent->is_hole)
            extent->pack = g_array_index(self->places, uint32_t, extent->pack);
    }
}

/* Digests are kept only when there is one for each piece of what the file turned out to be. A file
 * that has none is stored whole by the next backup. */
static void
set_digests(const Assembler *self, BkFile *file)
{
    uint64_t units = (file->size + BK_FILE_DIGEST_UNIT - 1) / BK_FILE_DIGEST_UNIT;

    if (self->copied.digests.size != units * BK_XXH3_SIZE || units > DIGESTS_MAX)
        return;
    file->digests = self->copied.digests.data;
    file->digest_count = (uint32_t)units;
}

static void
add_files(Assembler *self, const GPtrArray *files)
{
    BkAssembly *assembly = self->assembly;
    g_auto(BkBuf) extents = BK_BUF_INIT;
    g_auto(BkBuf) notes = BK_BUF_INIT;

    for (guint i = 0; i < files->len; i++) {
        const BkSourceFile *from = g_ptr_array_index(files, i);
        BkFile file = {
            .path = from->path,
            .link = from->link,
            .kind = kind_of(from),
            .mode = (uint16_t)(from->mode & 07777),
            .owner = bk_owner_table_find(self->owners, from->uid, from->gid),
            .mtime_sec = from->mtime_sec,
            .mtime_nsec = from->mtime_nsec,
        };

        if (from->is_left_out)
            continue;
        extents.size = 0;
        notes.size = 0;
        if (file.kind == BK_FILE_REGULAR) {
            if (!bk_pipeline_get_file(self->copy, from, &self->copied))
                continue; /* dropped meanwhile */
            renumber(self);
            file.size = self->copied.size;
            set_digests(self, &file);
            if (self->has_notes)
                self->source->driver->encode_notes(self->source, from, &notes);
            bk_extents_encode((const BkExtent *)(const void *)self->copied.extents->data,
                              self->copied.extents->len, file.size, &extents);
            assembly->is_behind |= self->copied.is_behind;
            assembly->files++;
            self->reused += self->copied.reused;
        }
        file.extents = extents.data;
        file.extents_size = (uint32_t)extents.size;
        file.notes = notes.data;
        file.notes_size = (uint32_t)notes.size;
        bk_snapshot_add_file(assembly->snapshot, &file);
        bk_snapshot_head(assembly->snapshot)->bytes += file.size;
    }
}

static int
compare_files(const void *left, const void *right)
{
    const BkSourceFile *const *a = left;
    const BkSourceFile *const *b = right;

    return strcmp((*a)->path, (*b)->path);
}

/* Both, in the order that a snapshot's files have. */
static GPtrArray *
merge_files(const GPtrArray *files, const GPtrArray *more)
{
    GPtrArray *merged = g_ptr_array_sized_new(files->len + (more != NULL ? more->len : 0));

    for (guint i = 0; i < files->len; i++)
        g_ptr_array_add(merged, g_ptr_array_index(files, i));
    for (guint i = 0; more != NULL && i < more->len; i++)
        g_ptr_array_add(merged, g_ptr_array_index(more, i));
    if (more != NULL)
        g_ptr_array_sort(merged, compare_files);
    return merged;
}

void
bk_assemble(BkPipeline *copy, const BkSnapshot *parent, const GPtrArray *files,
            const GPtrArray *more, BkAssembly *assembly)
{
    g_autoptr(GPtrArray) all = merge_files(files, more);
    g_autoptr(GArray) packs = g_array_new(FALSE, FALSE, sizeof(BkPackRef));
    g_autoptr(GArray) places = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    Assembler self = {.copy = copy, .assembly = assembly, .packs = packs, .places = places};
    size_t parents = 0;
    size_t count;
    const BkPackRef *refs = parent != NULL ? bk_snapshot_packs(parent, &parents) : NULL;

    *assembly = (BkAssembly){.snapshot = bk_snapshot_new()};
    self.owners = bk_owner_table_new(assembly->snapshot);
    self.source = bk_pipeline_source(copy);
    self.has_notes = self.source->driver->begin_notes != NULL;
    if (self.has_notes)
        self.source->driver->begin_notes(self.source);
    bk_pipeline_file_init(&self.copied);
    if (parents > 0)
        g_array_append_vals(packs, refs, (guint)parents);
    refs = bk_pipeline_packs(copy, &count);
    if (count > 0)
        g_array_append_vals(packs, refs, (guint)count);
    g_array_set_size(places, packs->len);
    if (packs->len > 0)
        memset(places->data, 0xFF, packs->len * sizeof(uint32_t)); /* UNUSED */
    mark_used(&self, all, parents);
    add_packs(&self, parents);
    add_files(&self, all);
    bk_snapshot_head(assembly->snapshot)->work = bk_pipeline_work(copy);
    bk_snapshot_head(assembly->snapshot)->work.reused = self.reused;
    bk_owner_table_free(self.owners);
    bk_pipeline_file_clear(&self.copied);
}
