/* wal-builder.h - writes WAL as the server does, for tests: records over pages over segments.
 *
 * Threads: a builder belongs to one thread. */
#pragma once
#include "codec/crc32c.h"
#include "codec/wire.h"
#include "source/pg/wal/wal-info.h"

#include <string.h>

#define WAL_PAGE          8192u
#define WAL_SEGMENT       ((uint32_t)BK_MIB)
#define WAL_SYSTEM        UINT64_C(7710425677334803374)
#define WAL_SYSTEM_DIGITS "6B00EF4D4C9773AE" /* in the names of objects */

typedef struct WalBuilder {
    BkBuf out; /* from `start` on */
    BkLsn start;
    BkLsn prev;
    uint64_t system_id;
    uint32_t timeline;
    uint16_t magic;
} WalBuilder;

static inline void
wal_builder_clear(WalBuilder *self)
{
    bk_buf_clear(&self->out);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(WalBuilder, wal_builder_clear)

static inline void
wal_builder_init(WalBuilder *self, uint16_t magic, BkLsn start)
{
    *self = (WalBuilder){
        .start = start, .prev = start - 64, .system_id = WAL_SYSTEM, .timeline = 1, .magic = magic};
}

static inline void
wal_builder_page(WalBuilder *self, uint16_t flags, uint32_t rest)
{
    bool is_first = self->out.size % WAL_SEGMENT == 0;

    bk_wire_put_u16(&self->out, self->magic);
    bk_wire_put_u16(&self->out, (uint16_t)(flags | (rest > 0 ? 1 : 0) | (is_first ? 2 : 0)));
    bk_wire_put_u32(&self->out, self->timeline);
    bk_wire_put_u64(&self->out, self->start + self->out.size - 8);
    bk_wire_put_u32(&self->out, rest);
    bk_wire_put_u32(&self->out, 0);
    if (is_first) {
        bk_wire_put_u64(&self->out, self->system_id);
        bk_wire_put_u32(&self->out, WAL_SEGMENT);
        bk_wire_put_u32(&self->out, WAL_PAGE);
    }
}

/* Bytes of a record, with a header wherever a page begins. */
static inline void
wal_builder_bytes(WalBuilder *self, const uint8_t *data, size_t size)
{
    while (size > 0) {
        size_t step;

        if (self->out.size % WAL_PAGE == 0)
            wal_builder_page(self, 0, (uint32_t)size);
        step = MIN(size, WAL_PAGE - self->out.size % WAL_PAGE);
        bk_buf_append(&self->out, data, step);
        data += step;
        size -= step;
    }
}

/* Begins a page where one is due, with extra flags in its header. */
static inline void
wal_builder_begin(WalBuilder *self, uint16_t flags)
{
    if (self->out.size % WAL_PAGE == 0)
        wal_builder_page(self, flags, 0);
}

/* A record with this behind its header. Returns its position. */
static inline BkLsn
wal_builder_body(WalBuilder *self, uint8_t rmid, uint8_t info, uint32_t xid, const BkBuf *body)
{
    g_auto(BkBuf) record = BK_BUF_INIT;
    uint32_t total = (uint32_t)(BK_WAL_RECORD_HEADER + body->size);
    uint32_t crc;
    BkLsn lsn;

    wal_builder_begin(self, 0);
    lsn = self->start + self->out.size;
    bk_wire_put_u32(&record, total);
    bk_wire_put_u32(&record, xid);
    bk_wire_put_u64(&record, self->prev);
    bk_wire_put_u8(&record, info);
    bk_wire_put_u8(&record, rmid);
    bk_wire_put_u16(&record, 0);
    bk_wire_put_u32(&record, 0);
    bk_buf_append(&record, body->data, body->size);
    crc = bk_crc32c(0, record.data + BK_WAL_RECORD_HEADER, total - BK_WAL_RECORD_HEADER);
    crc = bk_crc32c(crc, record.data, 20);
    crc = GUINT32_TO_LE(crc);
    memcpy(record.data + 20, &crc, 4);
    wal_builder_bytes(self, record.data, record.size);
    while (self->out.size % 8 != 0)
        bk_wire_put_u8(&self->out, 0);
    self->prev = lsn;
    return lsn;
}

/* The header part of main data of `size` bytes; none when there is none. */
static inline void
wal_builder_main_part(BkBuf *body, size_t size)
{
    if (size == 0)
        return;
    bk_wire_put_u8(body, size < 256 ? 255 : 254);
    if (size < 256)
        bk_wire_put_u8(body, (uint8_t)size);
    else
        bk_wire_put_u32(body, (uint32_t)size);
}

/* A record with this main data and no block references. Returns its position. */
static inline BkLsn
wal_builder_record(WalBuilder *self, uint8_t rmid, uint8_t info, uint32_t xid,
                   const void *main_data, size_t size)
{
    g_auto(BkBuf) body = BK_BUF_INIT;

    wal_builder_main_part(&body, size);
    bk_buf_append(&body, main_data, size);
    return wal_builder_body(self, rmid, info, xid, &body);
}

/* A commit or abort without optional parts; `time_us` is Unix time. */
static inline BkLsn
wal_builder_xact(WalBuilder *self, uint8_t info, uint32_t xid, int64_t time_us)
{
    g_auto(BkBuf) data = BK_BUF_INIT;

    bk_wire_put_u64(&data, (uint64_t)(time_us - INT64_C(946684800) * BK_USEC_PER_SEC));
    return wal_builder_record(self, BK_WAL_RM_XACT, info, xid, data.data, data.size);
}

static inline BkLsn
wal_builder_point(WalBuilder *self, const char *name, int64_t time_us)
{
    g_auto(BkBuf) data = BK_BUF_INIT;

    bk_wire_put_u64(&data, (uint64_t)(time_us - INT64_C(946684800) * BK_USEC_PER_SEC));
    bk_buf_append(&data, name, strlen(name));
    bk_buf_extend(&data, BK_WAL_POINT_NAME_SIZE - strlen(name));
    return wal_builder_record(self, BK_WAL_RM_XLOG, 0x70, 0, data.data, data.size);
}

/* A record of another resource manager, of `total` bytes in all (not 25, 26 or 281 to 284). */
static inline BkLsn
wal_builder_filler(WalBuilder *self, size_t total)
{
    size_t head = total < 285 ? 2 : 5;
    size_t size = total - BK_WAL_RECORD_HEADER;
    g_autofree uint8_t *data = g_malloc0(size);

    memset(data, 0xAB, size);
    return wal_builder_record(self, 10, 0, 77, data, size - head);
}

/* Fills up with records until `left` bytes are left in the segment, page headers not counted. */
static inline void
wal_builder_fill(WalBuilder *self, size_t left)
{
    for (;;) {
        size_t used, raw;

        wal_builder_begin(self, 0);
        used = self->out.size % WAL_SEGMENT;
        raw = WAL_SEGMENT - used;
        raw -= 24 * ((raw - 1) / WAL_PAGE);
        if (raw <= left)
            return;
        wal_builder_filler(self, raw - left >= 4096 ? 2000 : MAX(raw - left, 32));
    }
}

/* Pads with zeros to whole segments. */
static inline void
wal_builder_pad(WalBuilder *self)
{
    size_t used = self->out.size % WAL_SEGMENT;

    if (used > 0)
        bk_buf_extend(&self->out, WAL_SEGMENT - used);
}

static inline const uint8_t *
wal_builder_segment(const WalBuilder *self, size_t number)
{
    g_assert_cmpuint((number + 1) * WAL_SEGMENT, <=, self->out.size);
    return self->out.data + number * WAL_SEGMENT;
}
