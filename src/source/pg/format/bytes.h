/* bytes.h - little-endian numbers at any address, for the server's own formats.
 *
 * The caller has checked that the bytes are there.
 * Threads: safe; nothing here has state. */
#pragma once
#include "base/macros.h"

#include <string.h>

static inline uint16_t
bk_bytes_u16(const uint8_t *at)
{
    uint16_t value;

    memcpy(&value, at, sizeof value);
    return GUINT16_FROM_LE(value);
}

static inline uint32_t
bk_bytes_u32(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof value);
    return GUINT32_FROM_LE(value);
}

static inline uint64_t
bk_bytes_u64(const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof value);
    return GUINT64_FROM_LE(value);
}
