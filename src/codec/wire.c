/* wire.c - numbers, bytes and strings to and from little-endian wire form, with bounds. */
#include "codec/wire.h"

#include <string.h>

static void
put_little(BkBuf *out, uint64_t value, size_t size)
{
    uint8_t *to = bk_buf_extend(out, size);

    for (size_t i = 0; i < size; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

void
bk_wire_put_u8(BkBuf *out, uint8_t value)
{
    put_little(out, value, 1);
}

void
bk_wire_put_u16(BkBuf *out, uint16_t value)
{
    put_little(out, value, 2);
}

void
bk_wire_put_u32(BkBuf *out, uint32_t value)
{
    put_little(out, value, 4);
}

void
bk_wire_put_u64(BkBuf *out, uint64_t value)
{
    put_little(out, value, 8);
}

void
bk_wire_put_varint(BkBuf *out, uint64_t value)
{
    uint8_t bytes[10];
    size_t size = 0;

    while (value >= 0x80) {
        bytes[size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    bytes[size++] = (uint8_t)value;
    bk_buf_append(out, bytes, size);
}

void
bk_wire_put_zigzag(BkBuf *out, int64_t value)
{
    uint64_t doubled = (uint64_t)value << 1;

    bk_wire_put_varint(out, value < 0 ? ~doubled : doubled);
}

void
bk_wire_put_bytes(BkBuf *out, const void *data, size_t size)
{
    bk_wire_put_varint(out, size);
    bk_buf_append(out, data, size);
}

void
bk_wire_put_string(BkBuf *out, const char *text)
{
    bk_wire_put_bytes(out, text, text != NULL ? strlen(text) : 0);
}

void
bk_wire_reader_init(BkWireReader *self, const void *data, size_t size)
{
    self->next = data;
    self->end = size > 0 ? self->next + size : self->next; /* no bytes may have no place either */
    self->failed = false;
}

size_t
bk_wire_left(const BkWireReader *self)
{
    return (size_t)(self->end - self->next);
}

bool
bk_wire_is_ok(const BkWireReader *self)
{
    return !self->failed;
}

const uint8_t *
bk_wire_get_raw(BkWireReader *self, size_t size)
{
    const uint8_t *start = self->next;

    if (self->failed || size > bk_wire_left(self)) {
        self->failed = true;
        return NULL;
    }
    if (size > 0)
        self->next += size;
    return start;
}

static uint64_t
get_little(BkWireReader *self, size_t size)
{
    const uint8_t *from = bk_wire_get_raw(self, size);
    uint64_t value = 0;

    for (size_t i = 0; from != NULL && i < size; i++)
        value |= (uint64_t)from[i] << (8 * i);
    return value;
}

uint8_t
bk_wire_get_u8(BkWireReader *self)
{
    return (uint8_t)get_little(self, 1);
}

uint16_t
bk_wire_get_u16(BkWireReader *self)
{
    return (uint16_t)get_little(self, 2);
}

uint32_t
bk_wire_get_u32(BkWireReader *self)
{
    return (uint32_t)get_little(self, 4);
}

uint64_t
bk_wire_get_u64(BkWireReader *self)
{
    return get_little(self, 8);
}

uint64_t
bk_wire_get_varint(BkWireReader *self)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t byte = bk_wire_get_u8(self);

        /* The tenth byte holds one bit only. */
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return self->failed ? 0 : value;
    }
    self->failed = true;
    return 0;
}

int64_t
bk_wire_get_zigzag(BkWireReader *self)
{
    uint64_t value = bk_wire_get_varint(self);

    return (int64_t)((value >> 1) ^ (~(value & 1) + 1));
}

uint64_t
bk_wire_get_bounded(BkWireReader *self, uint64_t limit)
{
    uint64_t value = bk_wire_get_varint(self);

    if (value > limit) {
        self->failed = true;
        return 0;
    }
    return value;
}

const uint8_t *
bk_wire_get_bytes(BkWireReader *self, size_t limit, size_t *size)
{
    const uint8_t *bytes;

    *size = bk_wire_get_bounded(self, limit);
    bytes = bk_wire_get_raw(self, *size);
    if (bytes == NULL)
        *size = 0;
    return bytes;
}

char *
bk_wire_get_string(BkWireReader *self, size_t limit)
{
    size_t size;
    const uint8_t *bytes = bk_wire_get_bytes(self, limit, &size);

    if (bytes != NULL && memchr(bytes, 0, size) != NULL)
        self->failed = true;
    if (self->failed || bytes == NULL)
        return g_strdup("");
    return g_strndup((const char *)bytes, size);
}

bool
bk_wire_end(const BkWireReader *self, const char *what, GError **error)
{
    if (self->failed || self->next != self->end)
        return bk_throw(error, BK_ERROR_CORRUPT, "malformed %s", what);
    return true;
}
