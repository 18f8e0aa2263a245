/* extension.h - areas of tagged values, which later programs may add to and earlier ones pass over.
 *
 * Whatever may have to say more one day ends with such an area: "bytes" in wire form, in which
 * each value is its tag as u16 and its content as bytes. Tags ascend, so none is there twice. A
 * program that does not know a tag passes the value over, unless the highest bit of the tag is
 * set: without understanding that value the rest would be misread, and the program must refuse.
 * Threads: functions have no state. */
#pragma once
#include "codec/wire.h"

#define BK_EXTENSION_CRITICAL 0x8000u           /* in a tag: who does not know it must refuse */
#define BK_EXTENSIONS_MAX     ((size_t)1 << 20) /* bytes of an area */

typedef struct BkExtension {
    uint16_t tag;
    const uint8_t *data; /* in the area */
    size_t size;
} BkExtension;

/* Appends a value to an area that is being made; tags must ascend. */
void bk_extension_put(BkBuf *area, uint16_t tag, const void *data, size_t size);

/* Writes an area without a value. */
void bk_extensions_put_none(BkBuf *out);

/* Reads an area that bk_wire_put_bytes wrote; it points into the data read. */
const uint8_t *bk_extensions_get(BkWireReader *reader, size_t *size);

/* Checks the form of an area, and that it has no critical tag beyond the `count` of `known`. Fails
 * with BK_ERROR_CORRUPT, or with BK_ERROR_UNSUPPORTED, naming `what` the area belongs to. */
bool bk_extensions_check(const uint8_t *area, size_t size, const uint16_t *known, size_t count,
                         const char *what, GError **error) BK_MUST_USE;

/* Reads an area of which no tag is known yet. Fails as the check; a reader that fails is not an
 * error yet. */
bool bk_extensions_pass(BkWireReader *reader, const char *what, GError **error) BK_MUST_USE;

/* The same as the last of what `reader` holds: fails as bk_wire_end, too. */
bool bk_extensions_end(BkWireReader *reader, const char *what, GError **error) BK_MUST_USE;

/* Walks the area that `reader` was made of. Returns false at the end, or where it is malformed. */
bool bk_extension_next(BkWireReader *reader, BkExtension *extension);

/* Finds the value of a tag. Returns false if the area has none. */
bool bk_extension_find(const uint8_t *area, size_t size, uint16_t tag, BkExtension *extension);
