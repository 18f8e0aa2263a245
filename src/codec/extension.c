/* extension.c - areas of tagged values: written, checked, walked. */
#include "codec/extension.h"

void
bk_extension_put(BkBuf *area, uint16_t tag, const void *data, size_t size)
{
    bk_wire_put_u16(area, tag);
    bk_wire_put_bytes(area, data, size);
}

void
bk_extensions_put_none(BkBuf *out)
{
    bk_wire_put_bytes(out, NULL, 0);
}

const uint8_t *
bk_extensions_get(BkWireReader *reader, size_t *size)
{
    return bk_wire_get_bytes(reader, BK_EXTENSIONS_MAX, size);
}

bool
bk_extension_next(BkWireReader *reader, BkExtension *extension)
{
    if (!bk_wire_is_ok(reader) || bk_wire_left(reader) == 0)
        return false;
    extension->tag = bk_wire_get_u16(reader);
    extension->data = bk_wire_get_bytes(reader, BK_EXTENSIONS_MAX, &extension->size);
    return bk_wire_is_ok(reader);
}

static bool
is_known_tag(uint16_t tag, const uint16_t *known, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (known[i] == tag)
            return true;
    return false;
}

bool
bk_extensions_check(const uint8_t *area, size_t size, const uint16_t *known, size_t count,
                    const char *what, GError **error)
{
    BkWireReader reader;
    BkExtension extension;
    int last = -1;

    bk_wire_reader_init(&reader, area, size);
    while (bk_extension_next(&reader, &extension)) {
        if (extension.tag <= last)
            reader.failed = true;
        else if ((extension.tag & BK_EXTENSION_CRITICAL) != 0 &&
                 !is_known_tag(extension.tag, known, count))
            return bk_throw(error, BK_ERROR_UNSUPPORTED,
                            "%s has extension %u, which needs a newer version of this program",
                            what, extension.tag);
        last = extension.tag;
    }
    return bk_wire_is_ok(&reader) ||
           bk_throw(error, BK_ERROR_CORRUPT, "malformed extensions: %s", what);
}

bool
bk_extensions_pass(BkWireReader *reader, const char *what, GError **error)
{
    size_t size;
    const uint8_t *area = bk_extensions_get(reader, &size);

    return bk_extensions_check(area, size, NULL, 0, what, error);
}

bool
bk_extensions_end(BkWireReader *reader, const char *what, GError **error)
{
    return bk_extensions_pass(reader, what, error) && bk_wire_end(reader, what, error);
}

bool
bk_extension_find(const uint8_t *area, size_t size, uint16_t tag, BkExtension *extension)
{
    BkWireReader reader;

    bk_wire_reader_init(&reader, area, size);
    while (bk_extension_next(&reader, extension))
        if (extension->tag == tag)
            return true;
    return false;
}
