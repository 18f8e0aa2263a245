/* wire.h - numbers, bytes and strings to and from little-endian wire form, with bounds.
 *
 * Writing appends to a BkBuf. Reading never passes the end: the first read that would, or whose
 * value is malformed, makes the reader fail, and every later read gives zero or empty. So a decoder
 * reads all its fields and asks once, with bk_wire_end or bk_wire_is_ok.
 * Varints are LEB128: seven bits a byte, least significant first, at most ten bytes.
 * Threads: a reader or buffer belongs to one thread. */
#pragma once
#include "base/buf.h"

void bk_wire_put_u8(BkBuf *out, uint8_t value);
void bk_wire_put_u16(BkBuf *out, uint16_t value);
void bk_wire_put_u32(BkBuf *out, uint32_t value);
void bk_wire_put_u64(BkBuf *out, uint64_t value);
void bk_wire_put_varint(BkBuf *out, uint64_t value);
void bk_wire_put_zigzag(BkBuf *out, int64_t value); /* a varint of 0, -1, 1, -2, … */
void bk_wire_put_bytes(BkBuf *out, const void *data, size_t size); /* varint length, bytes */
void bk_wire_put_string(BkBuf *out, const char *text);             /* NULL is written as "" */

typedef struct BkWireReader {
    const uint8_t *next;
    const uint8_t *end;
    bool failed;
} BkWireReader;

/* Borrows `data`. */
void bk_wire_reader_init(BkWireReader *self, const void *data, size_t size);

uint8_t bk_wire_get_u8(BkWireReader *self);
uint16_t bk_wire_get_u16(BkWireReader *self);
uint32_t bk_wire_get_u32(BkWireReader *self);
uint64_t bk_wire_get_u64(BkWireReader *self);
uint64_t bk_wire_get_varint(BkWireReader *self);
int64_t bk_wire_get_zigzag(BkWireReader *self);

/* A varint that must be at most `limit`; more makes the reader fail. For counts and sizes that
 * something is allocated by. */
uint64_t bk_wire_get_bounded(BkWireReader *self, uint64_t limit);

/* Exactly `size` bytes; NULL when the reader fails. Points into the data read. */
const uint8_t *bk_wire_get_raw(BkWireReader *self, size_t size);

/* What bk_wire_put_bytes wrote, at most `limit` bytes. Points into the data read. */
const uint8_t *bk_wire_get_bytes(BkWireReader *self, size_t limit, size_t *size);

/* What bk_wire_put_string wrote, at most `limit` bytes, as a new string; a zero byte inside makes
 * the reader fail. Never NULL. */
char *bk_wire_get_string(BkWireReader *self, size_t limit);

size_t bk_wire_left(const BkWireReader *self);
bool bk_wire_is_ok(const BkWireReader *self);

/* True when nothing failed and nothing is left; else BK_ERROR_CORRUPT "malformed WHAT". */
bool bk_wire_end(const BkWireReader *self, const char *what, GError **error) BK_MUST_USE;
