/* snapshot.c - a snapshot in memory: its head and its tables of packs, owners and files. */
#include "repo/snapshot/snapshot-priv.h"

#include <string.h>
#include <time.h>

#define STRINGS_BLOCK ((size_t)64 * 1024)
#define EXTENTS_BLOCK ((size_t)256 * 1024)
#define KIND_MAX      32

void
bk_snapshot_head_clear(BkSnapshotHead *self)
{
    g_free(self->source);
    g_free(self->kind);
    g_free(self->parent);
    g_free(self->why);
    g_free(self->label);
    g_free(self->host);
    g_free(self->program);
    bk_buf_clear(&self->meta);
    bk_buf_clear(&self->extensions);
    *self = (BkSnapshotHead){0};
}

BkSnapshot *
bk_snapshot_new(void)
{
    BkSnapshot *self = g_new0(BkSnapshot, 1);

    self->packs = g_array_new(FALSE, FALSE, sizeof(BkPackRef));
    self->owners = g_array_new(FALSE, FALSE, sizeof(BkOwner));
    self->files = g_array_new(FALSE, FALSE, sizeof(BkFile));
    self->strings = g_string_chunk_new(STRINGS_BLOCK);
    self->extents = g_ptr_array_new_with_free_func(g_free);
    self->extents_used = EXTENTS_BLOCK;
    return self;
}

void
bk_snapshot_free(BkSnapshot *self)
{
    if (self == NULL)
        return;
    bk_snapshot_head_clear(&self->head);
    g_array_unref(self->packs);
    g_array_unref(self->owners);
    g_array_unref(self->files);
    g_string_chunk_free(self->strings);
    g_ptr_array_unref(self->extents);
    g_free(self);
}

bool
bk_snapshot_make_id(int64_t now_us, char id[BK_SNAPSHOT_ID_SIZE + 1], GError **error)
{
    time_t seconds = (time_t)(now_us / BK_USEC_PER_SEC);
    struct tm utc;
    uint8_t random[4];
    char stamp[32];

    if (!bk_random_fill(random, sizeof random, error))
        return false;
    if (gmtime_r(&seconds, &utc) == NULL ||
        strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &utc) != 16)
        return bk_throw(error, BK_ERROR_SYSTEM, "the clock shows no usable time");
    (void)g_snprintf(id, BK_SNAPSHOT_ID_SIZE + 1, "%s-%02x%02x%02x%02x", stamp, random[0],
                     random[1], random[2], random[3]);
    return true;
}

bool
bk_snapshot_is_id(const char *text)
{
    static const char form[] = "dddddddd'T'dddddd'Z''-'xxxxxxxx";
    const char *next = text;

    for (const char *f = form; *f != 0; f++) {
        if (*f == '\'') {
            if (*next++ != f[1])
                return false;
            f += 2;
        } else if (*f == 'd' ? !g_ascii_isdigit(*next++)
                             : strchr("0123456789abcdef", *next) == NULL || *next++ == 0) {
            return false;
        }
    }
    return *next == 0;
}

bool
bk_snapshot_is_kind(const char *text)
{
    return g_ascii_islower(text[0]) &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-") == strlen(text) &&
           strlen(text) <= KIND_MAX;
}

BkSnapshotHead *
bk_snapshot_head(BkSnapshot *self)
{
    return &self->head;
}

uint32_t
bk_snapshot_add_pack(BkSnapshot *self, const BkPackRef *ref)
{
    g_array_append_val(self->packs, *ref);
    return self->packs->len - 1;
}

uint32_t
bk_snapshot_add_owner(BkSnapshot *self, uint32_t uid, uint32_t gid, const char *user,
                      const char *group)
{
    BkOwner owner = {
        .uid = uid,
        .gid = gid,
        .user = g_string_chunk_insert_const(self->strings, user),
        .group = g_string_chunk_insert_const(self->strings, group),
    };

    g_array_append_val(self->owners, owner);
    return self->owners->len - 1;
}

/* Extents live in large blocks: millions of small allocations would cost more than they hold. */
static const uint8_t *
keep_bytes(BkSnapshot *self, const uint8_t *bytes, size_t size)
{
    uint8_t *block;
    uint8_t *copy;

    if (size == 0)
        return (const uint8_t *)"";
    if (size > EXTENTS_BLOCK / 4) {
        block = g_memdup2(bytes, size);
        g_ptr_array_insert(self->extents, 0, block);
        return block;
    }
    if (size > EXTENTS_BLOCK - self->extents_used) {
        g_ptr_array_add(self->extents, g_malloc(EXTENTS_BLOCK));
        self->extents_used = 0;
    }
    block = g_ptr_array_index(self->extents, self->extents->len - 1);
    copy = block + self->extents_used;
    memcpy(copy, bytes, size);
    self->extents_used += size;
    return copy;
}

void
bk_snapshot_add_file(BkSnapshot *self, const BkFile *file)
{
    BkFile copy = *file;

    copy.path = g_string_chunk_insert(self->strings, file->path);
    copy.link = g_string_chunk_insert_const(self->strings, file->link != NULL ? file->link : "");
    copy.extents = keep_bytes(self, file->extents, file->extents_size);
    copy.digests = keep_bytes(self, file->digests, (size_t)file->digest_count * BK_XXH3_SIZE);
    copy.notes = keep_bytes(self, file->notes, file->notes_size);
    copy.extensions = keep_bytes(self, file->extensions, file->extensions_size);
    g_array_append_val(self->files, copy);
}

const BkPackRef *
bk_snapshot_packs(const BkSnapshot *self, size_t *count)
{
    *count = self->packs->len;
    return (const BkPackRef *)(const void *)self->packs->data;
}

const BkOwner *
bk_snapshot_owners(const BkSnapshot *self, size_t *count)
{
    *count = self->owners->len;
    return (const BkOwner *)(const void *)self->owners->data;
}

const BkFile *
bk_snapshot_files(const BkSnapshot *self, size_t *count)
{
    *count = self->files->len;
    return (const BkFile *)(const void *)self->files->data;
}

const BkFile *
bk_snapshot_find_file(const BkSnapshot *self, const char *path)
{
    guint low = 0;
    guint high = self->files->len;

    while (low < high) {
        guint middle = low + (high - low) / 2;
        const BkFile *file = &g_array_index(self->files, BkFile, middle);
        int order = strcmp(file->path, path);

        if (order == 0)
            return file;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
