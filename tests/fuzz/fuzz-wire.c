/* fuzz-wire.c - any reads of any bytes: within the bounds, and zero or empty after a failure. */
#include "codec/wire.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_bytes(BkWireReader *reader, size_t limit)
{
    size_t size;
    const uint8_t *bytes = bk_wire_get_bytes(reader, limit, &size);

    g_assert(size <= limit && (bytes != NULL || size == 0));
    g_assert(bytes == NULL || bytes + size == reader->next);
}

static void
read_string(BkWireReader *reader, size_t limit)
{
    g_autofree char *text = bk_wire_get_string(reader, limit);

    g_assert(text != NULL && strlen(text) <= limit);
}

static uint64_t
read_number(BkWireReader *reader, unsigned what)
{
    switch (what) {
    case 0:
        return bk_wire_get_u8(reader);
    case 1:
        return bk_wire_get_u16(reader);
    case 2:
        return bk_wire_get_u32(reader);
    case 3:
        return bk_wire_get_u64(reader);
    case 4:
        return (uint64_t)bk_wire_get_zigzag(reader);
    default:
        return bk_wire_get_varint(reader);
    }
}

/* A byte says what is read next of the bytes behind all of these, whose count is the first. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t steps = size > 0 ? MIN(data[0], size - 1) : 0;
    BkWireReader reader;
    g_autoptr(GError) error = NULL;

    bk_wire_reader_init(&reader, data + MIN(size, 1 + steps), size - MIN(size, 1 + steps));
    for (size_t i = 1; i <= steps; i++) {
        bool had_failed = !bk_wire_is_ok(&reader);

        if (data[i] % 8 == 6) {
            read_bytes(&reader, data[i] / 8);
        } else if (data[i] % 8 == 7) {
            read_string(&reader, data[i] / 8);
        } else {
            uint64_t value = read_number(&reader, data[i] % 8);

            g_assert(!had_failed || value == 0);
        }
        g_assert(!had_failed || !bk_wire_is_ok(&reader));
        g_assert(bk_wire_left(&reader) <= size);
    }
    g_assert(bk_wire_end(&reader, "input", &error) == (error == NULL));
    return 0;
}
