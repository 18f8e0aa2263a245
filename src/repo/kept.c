/* kept.c - what is needed to open a source in a bucket, cached on this host, so that most calls
 * need no request for it. */
#include "repo/kept.h"

#include "base/log.h"
#include "codec/digest.h"
#include "codec/wire.h"
#include "store/cache-file.h"

#include <string.h>

#define KEPT_VERSION 2 /* 1 did not say whether there are versions */
#define KEPT_MAX     ((size_t)1024 * 1024)
#define DIRECTORY    "opened"

static void
clear_key(void *data)
{
    bk_buf_clear(&((BkKeptKey *)data)->object);
}

void
bk_kept_init(BkKept *self)
{
    *self = (BkKept){.identity = BK_BUF_INIT, .slot_object = BK_BUF_INIT};
    self->keys = g_array_new(FALSE, FALSE, sizeof(BkKeptKey));
    g_array_set_clear_func(self->keys, clear_key);
}

void
bk_kept_clear(BkKept *self)
{
    bk_buf_clear(&self->identity);
    bk_buf_clear(&self->slot_object);
    g_clear_pointer(&self->keys, g_array_unref);
}

void
bk_kept_add_key(BkKept *self, uint32_t generation, const BkBuf *object)
{
    BkKeptKey key = {.generation = generation, .object = BK_BUF_INIT};

    bk_buf_append(&key.object, object->data, object->size);
    g_array_append_val(self->keys, key);
}

void
bk_kept_encode(const BkKept *self, BkBuf *out)
{
    bk_wire_put_u8(out, KEPT_VERSION);
    bk_wire_put_zigzag(out, self->made_us);
    bk_wire_put_u8(out, self->has_no_versions);
    bk_wire_put_string(out, self->slot);
    bk_wire_put_bytes(out, self->identity.data, self->identity.size);
    bk_wire_put_bytes(out, self->slot_object.data, self->slot_object.size);
    bk_wire_put_varint(out, self->keys->len);
    for (guint i = 0; i < self->keys->len; i++) {
        const BkKeptKey *key = &g_array_index(self->keys, BkKeptKey, i);

        bk_wire_put_u32(out, key->generation);
        bk_wire_put_bytes(out, key->object.data, key->object.size);
    }
}

static void
take_object(BkWireReader *reader, BkBuf *object)
{
    size_t size;
    const uint8_t *bytes = bk_wire_get_bytes(reader, BK_KEPT_OBJECT_MAX, &size);

    if (bytes != NULL)
        bk_buf_append(object, bytes, size);
}

static void
take_keys(BkWireReader *reader, BkKept *self)
{
    const uint64_t count = bk_wire_get_bounded(reader, BK_KEPT_KEYS_MAX);
    uint32_t before = 0;

    if (count == 0)
        reader->failed = true;
    for (uint64_t i = 0; i < count && bk_wire_is_ok(reader); i++) {
        g_auto(BkBuf) object = BK_BUF_INIT;
        const uint32_t generation = bk_wire_get_u32(reader);

        take_object(reader, &object);
        if (generation <= before)
            reader->failed = true;
        before = generation;
        bk_kept_add_key(self, generation, &object);
    }
}

bool
bk_kept_decode(const void *data, size_t size, BkKept *self, GError **error)
{
    g_autofree char *slot = NULL;
    BkWireReader reader;

    bk_wire_reader_init(&reader, data, size);
    if (bk_wire_get_u8(&reader) != KEPT_VERSION)
        reader.failed = true;
    self->made_us = bk_wire_get_zigzag(&reader);
    self->has_no_versions = bk_wire_get_u8(&reader) != 0;
    slot = bk_wire_get_string(&reader, BK_SLOT_SIZE);
    if (slot != NULL)
        (void)g_strlcpy(self->slot, slot, sizeof self->slot);
    take_object(&reader, &self->identity);
    take_object(&reader, &self->slot_object);
    take_keys(&reader, self);
    return bk_wire_end(&reader, "the cached keys of a repository", error);
}

static char *
file_name(const BkLocation *place, const char *source)
{
    g_autofree char *digest = bk_location_digest(place);

    return g_strdup_printf("%s-%s", digest, source);
}

bool
bk_kept_load(BkKept *self, const BkLocation *place, const char *source, const char *slot,
             int64_t now_us)
{
    g_autofree char *directory = bk_cache_directory(DIRECTORY);
    g_autofree char *name = file_name(place, source);
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_autoptr(GError) cause = NULL;

    if (!bk_cache_file_get(directory, name, KEPT_MAX, &content))
        return false;
    if (!bk_kept_decode(content.data, content.size, self, &cause)) {
        bk_log(BK_LOG_INFO, "\"%s/%s\" is not used: %s", directory, name, cause->message);
        return false;
    }
    return strcmp(self->slot, slot) == 0 && self->made_us <= now_us &&
           self->made_us > now_us - BK_KEPT_US;
}

void
bk_kept_save(const BkKept *self, const BkLocation *place, const char *source)
{
    g_autofree char *directory = bk_cache_directory(DIRECTORY);
    g_autofree char *name = file_name(place, source);
    g_auto(BkBuf) content = BK_BUF_INIT;

    bk_kept_encode(self, &content);
    if (content.size > KEPT_MAX || !bk_cache_directory_make(directory) ||
        !bk_cache_file_put(directory, name, &content))
        bk_log(BK_LOG_INFO,
               "nothing is cached in \"%s\" (it cannot be written, or others can read it): each "
               "command needs more requests",
               directory);
}

void
bk_kept_drop(const BkLocation *place, const char *source)
{
    g_autofree char *directory = bk_cache_directory(DIRECTORY);
    g_autofree char *name = file_name(place, source);

    bk_cache_file_drop(directory, name);
}
