/* files-meta.c - the file trees' part of a snapshot's head in bytes. */
#include "source/files/files-meta.h"

#include "codec/extension.h"

#include <string.h>

#define META_VERSION         1
#define FLAG_ONE_FILE_SYSTEM 1

static void
free_root(void *data)
{
    BkFilesRoot *root = data;

    g_free(root->path);
    g_free(root);
}

static void
free_counted_pattern(void *data)
{
    BkFilesPattern *pattern = data;

    g_free(pattern->text);
    g_free(pattern);
}

static void
free_note(void *data)
{
    BkFilesNote *note = data;

    g_free(note->path);
    g_free(note->why);
    g_free(note);
}

void
bk_files_meta_init(BkFilesMeta *self)
{
    *self = (BkFilesMeta){
        .roots = g_ptr_array_new_with_free_func(free_root),
        .patterns = g_ptr_array_new_with_free_func(free_counted_pattern),
        .mounts.first = g_ptr_array_new_with_free_func(free_note),
        .errors.first = g_ptr_array_new_with_free_func(free_note),
        .changed.first = g_ptr_array_new_with_free_func(free_note),
    };
}

void
bk_files_meta_clear(BkFilesMeta *self)
{
    g_clear_pointer(&self->roots, g_ptr_array_unref);
    g_clear_pointer(&self->patterns, g_ptr_array_unref);
    g_clear_pointer(&self->mounts.first, g_ptr_array_unref);
    g_clear_pointer(&self->errors.first, g_ptr_array_unref);
    g_clear_pointer(&self->changed.first, g_ptr_array_unref);
    *self = (BkFilesMeta){0};
}

BkFilesRoot *
bk_files_meta_add_root(BkFilesMeta *self, const char *path)
{
    BkFilesRoot *root = g_new0(BkFilesRoot, 1);

    root->path = g_strdup(path);
    g_ptr_array_add(self->roots, root);
    return root;
}

static void
add_counted_pattern(BkFilesMeta *self, const char *text, uint64_t count)
{
    BkFilesPattern *pattern = g_new0(BkFilesPattern, 1);

    *pattern = (BkFilesPattern){g_strdup(text), count};
    g_ptr_array_add(self->patterns, pattern);
}

void
bk_files_meta_set_patterns(BkFilesMeta *self, const BkPatterns *patterns)
{
    size_t bytes = 0;

    g_ptr_array_set_size(self->patterns, 0);
    for (size_t i = 0; i < bk_patterns_size(patterns) && i < BK_FILES_LISTED_MAX; i++) {
        uint64_t count;
        const char *text = bk_patterns_get(patterns, i, &count);

        bytes += strlen(text);
        if (bytes > BK_FILES_TEXTS_MAX)
            return;
        add_counted_pattern(self, text, count);
    }
}

void
bk_files_notes_add(BkFilesNotes *self, const char *path, const char *why)
{
    size_t bytes = strlen(path) + strlen(why);
    BkFilesNote *note;

    self->count++;
    if (self->first->len >= BK_FILES_LISTED_MAX || bytes > BK_FILES_TEXTS_MAX - self->bytes)
        return;
    self->bytes += bytes;
    note = g_new0(BkFilesNote, 1);
    *note = (BkFilesNote){g_strdup(path), g_strdup(why)};
    g_ptr_array_add(self->first, note);
}

static const BkFilesRoot *
find_root(const BkFilesMeta *self, const char *path)
{
    for (guint i = 0; i < self->roots->len; i++) {
        const BkFilesRoot *root = g_ptr_array_index(self->roots, i);

        if (strcmp(root->path, path) == 0)
            return root;
    }
    return NULL;
}

bool
bk_files_meta_check_roots(const BkFilesMeta *self, const BkFilesMeta *parent, GError **error)
{
    for (guint i = 0; i < parent->roots->len; i++) {
        const BkFilesRoot *before = g_ptr_array_index(parent->roots, i);
        const BkFilesRoot *now = find_root(self, before->path);

        if (now != NULL && now->entries <= 1 && before->entries > 1)
            return bk_throw(error, BK_ERROR_UNFIT,
                            "\"%s\" is empty, and had %" G_GUINT64_FORMAT
                            " entries in the snapshot before: is its file system mounted?",
                            now->path, before->entries);
    }
    return true;
}

static void
encode_notes(const BkFilesNotes *notes, BkBuf *out)
{
    bk_wire_put_varint(out, notes->count);
    bk_wire_put_varint(out, notes->first->len);
    for (guint i = 0; i < notes->first->len; i++) {
        const BkFilesNote *note = g_ptr_array_index(notes->first, i);

        bk_wire_put_string(out, note->path);
        bk_wire_put_string(out, note->why);
    }
}

void
bk_files_meta_encode(const BkFilesMeta *self, BkBuf *out)
{
    bk_wire_put_u8(out, META_VERSION);
    bk_wire_put_u8(out, self->one_file_system ? FLAG_ONE_FILE_SYSTEM : 0);
    bk_wire_put_varint(out, self->roots->len);
    for (guint i = 0; i < self->roots->len; i++) {
        const BkFilesRoot *root = g_ptr_array_index(self->roots, i);

        bk_wire_put_string(out, root->path);
        bk_wire_put_varint(out, root->entries);
    }
    bk_wire_put_varint(out, self->patterns->len);
    for (guint i = 0; i < self->patterns->len; i++) {
        const BkFilesPattern *pattern = g_ptr_array_index(self->patterns, i);

        bk_wire_put_string(out, pattern->text);
        bk_wire_put_varint(out, pattern->count);
    }
    for (size_t kind = BK_FILE_REGULAR; kind < BK_FILES_KINDS; kind++)
        bk_wire_put_varint(out, self->kinds[kind]);
    bk_wire_put_varint(out, self->excluded);
    bk_wire_put_varint(out, self->sockets);
    bk_wire_put_varint(out, self->vanished);
    bk_wire_put_varint(out, self->links_apart);
    encode_notes(&self->mounts, out);
    encode_notes(&self->errors, out);
    encode_notes(&self->changed, out);
    bk_extensions_put_none(out);
}

/* The reader fails when the texts of a list are longer than a list's ever are. */
static char *
decode_text(BkWireReader *reader, size_t *bytes)
{
    char *text = bk_wire_get_string(reader, BK_FILES_TEXTS_MAX - *bytes);

    *bytes += strlen(text);
    return text;
}

static void
decode_roots(BkFilesMeta *self, BkWireReader *reader)
{
    uint64_t count = bk_wire_get_bounded(reader, BK_FILES_ROOTS_MAX);
    size_t bytes = 0;

    for (uint64_t i = 0; i < count && bk_wire_is_ok(reader); i++) {
        g_autofree char *path = decode_text(reader, &bytes);

        bk_files_meta_add_root(self, path)->entries = bk_wire_get_varint(reader);
    }
}

static void
decode_patterns(BkFilesMeta *self, BkWireReader *reader)
{
    uint64_t count = bk_wire_get_bounded(reader, BK_FILES_LISTED_MAX);
    size_t bytes = 0;

    for (uint64_t i = 0; i < count && bk_wire_is_ok(reader); i++) {
        g_autofree char *text = decode_text(reader, &bytes);

        add_counted_pattern(self, text, bk_wire_get_varint(reader));
    }
}

static void
decode_notes(BkFilesNotes *notes, BkWireReader *reader)
{
    uint64_t all = bk_wire_get_varint(reader);
    uint64_t count = bk_wire_get_bounded(reader, MIN(all, BK_FILES_LISTED_MAX));
    size_t bytes = 0;

    for (uint64_t i = 0; i < count && bk_wire_is_ok(reader); i++) {
        g_autofree char *path = decode_text(reader, &bytes);
        g_autofree char *why = decode_text(reader, &bytes);

        bk_files_notes_add(notes, path, why);
    }
    notes->count = all;
}

bool
bk_files_meta_decode(BkFilesMeta *self, const BkBuf *meta, GError **error)
{
    BkWireReader reader;
    uint8_t flags;

    bk_files_meta_init(self);
    bk_wire_reader_init(&reader, meta->data, meta->size);
    if (bk_wire_get_u8(&reader) != META_VERSION)
        reader.failed = true;
    flags = bk_wire_get_u8(&reader);
    if ((flags & ~FLAG_ONE_FILE_SYSTEM) != 0)
        reader.failed = true;
    self->one_file_system = flags != 0;
    decode_roots(self, &reader);
    decode_patterns(self, &reader);
    for (size_t kind = BK_FILE_REGULAR; kind < BK_FILES_KINDS; kind++)
        self->kinds[kind] = bk_wire_get_varint(&reader);
    self->excluded = bk_wire_get_varint(&reader);
    self->sockets = bk_wire_get_varint(&reader);
    self->vanished = bk_wire_get_varint(&reader);
    self->links_apart = bk_wire_get_varint(&reader);
    decode_notes(&self->mounts, &reader);
    decode_notes(&self->errors, &reader);
    decode_notes(&self->changed, &reader);
    if (bk_extensions_end(&reader, "what a snapshot says of its file trees", error))
        return true;
    bk_files_meta_clear(self);
    bk_files_meta_init(self);
    return false;
}
